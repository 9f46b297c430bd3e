"""``govlab record``: a queue into files; ``govlab play``: files into a queue."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from govlab.access import Access
from govlab.addresses import Address, make_queue, reader_of, sink_of
from govlab.errors import ArgumentError
from govlab.frames import Schema, duration_us

__all__ = ["add_parsers", "play", "run"]

KINDS = ["classic", "quorum", "stream"]


def add_parsers(commands: Any) -> None:
    """Add the two commands to those of the command line."""
    record = commands.add_parser("record", help="record a topic or a queue into Parquet files by hour of event time")
    record.add_argument("source", help="kafka://host:port/topic, or amqp://host:port/queue (amqp://host:port/vhost/queue)")
    record.add_argument("--into", required=True, help="the folder; a recording that was stopped goes on where it stood")
    record.add_argument("--schema", type=Path, help="a JSON file: {column: type, ...}, or {fields, time, id, arrival}")
    record.add_argument("--start", help="earliest, latest, first, next, or a time")
    record.add_argument("--stop", help="a time of the events, or 'now' for all that is there")
    record.add_argument("--for", dest="duration", metavar="TIME", help="record for so long, such as 10min (default: until Ctrl-C)")
    record.add_argument("--every", default="60s", help="write so often (default: %(default)s)")
    record.add_argument("--format", default="json", choices=["arrow", "json", "ndjson"])
    player = commands.add_parser("play", help="play files into a topic or a queue: for a demo, or for load")
    player.add_argument("files", nargs="+", help="CSV, ndjson or Parquet files, folders, patterns")
    player.add_argument("--to", required=True, help="kafka://host:port/topic, or amqp://host:port/queue")
    player.add_argument("--speed", type=float, help="seconds of event time in a second (default: as fast as it goes)")
    player.add_argument("--key", help="Kafka: the column whose value is the key")
    player.add_argument("--shards", type=int, help="Kafka: put all keys of a shard of Sharded(by=KEY, shards=N) into one partition")
    player.add_argument("--partitions", type=int, help="Kafka: make the topic, with so many partitions, if it is not there")
    player.add_argument("--type", choices=KINDS, help="RabbitMQ: make the queue, of this type, if it is not there")
    player.add_argument("--format", default="json", choices=["arrow", "json"])
    for parser in (record, player):
        parser.add_argument("--user", help="the user; --password says where its password is")
        parser.add_argument("--password", help="env:NAME or file:PATH")
        parser.add_argument("--mechanism", default="SCRAM-SHA-512", help="Kafka: how to log in (default: %(default)s)")
        parser.add_argument("--ca", help="PEM file of whom to trust; encrypts")
        parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> int:
    """Do what was asked; gives the exit status."""
    access = Access(options.user, options.password, options.mechanism, ca=options.ca)
    if options.command == "play":
        rows, seconds = play(options, access)
        print(f"{rows:,} rows in {seconds:.1f} s ({rows / seconds:,.0f} a second) into {options.to.rsplit('@', 1)[-1]}")
        return 0
    from govlab.recording import record

    schema = None if options.schema is None else _schema(options.schema)
    reader = reader_of(
        Address.of(options.source), access, start=options.start, stop=options.stop, schema=schema, format=options.format
    )
    for_s = None if options.duration is None else duration_us(options.duration, "--for") / 1e6
    kept = record(reader, options.into, options.every, for_s=for_s, progress=not options.quiet)
    print(f"{kept.rows:,} rows in {len(kept.files):,} files and {kept.dead_letters:,} dead letters in {options.into}")
    return 0


def _schema(path: Path) -> Schema:
    try:
        known = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ArgumentError(f"--schema {path}: cannot be read as JSON ({error}).") from error
    return Schema(**known) if isinstance(known.get("fields"), dict) else Schema(known)


def play(options: argparse.Namespace, access: Access) -> tuple[int, float]:
    """Play files into a queue; gives the rows, and the seconds that it took."""
    from govlab.engines.outlets import Outlet
    from govlab.engines.streams import from_replay, run

    address = Address.of(options.to)
    source = from_replay(options.files, speed=options.speed)
    make_queue(address, access, options.partitions, options.type)
    outlet = Outlet(source, sink_of(address, access, options.key, options.shards, options.format))
    began = time.monotonic()
    try:
        events = run(source, progress=not options.quiet).events
    finally:
        outlet.close()
    return events, time.monotonic() - began
