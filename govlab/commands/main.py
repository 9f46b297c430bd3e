"""The command line: ``govlab demo``, ``list``, ``services``, ``record``, ``play``, ``flink``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import govlab
from govlab import registry
from govlab.access import MECHANISMS
from govlab.commands import flink, services
from govlab.connectors import CONNECTORS, options_of
from govlab.errors import GovlabError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status."""
    parser = argparse.ArgumentParser(prog="govlab", description="A workbench for people who keep a platform healthy.")
    parser.add_argument("--version", action="version", version=f"govlab {govlab.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="replay real edits and a machine metric, alert, judge, write a report")
    demo.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")
    demo.add_argument(
        "--report", type=Path, default=Path("reports/demo.html"), help="where the HTML report goes (default: %(default)s)"
    )
    demo.add_argument("--store", help="keep alerts and snapshots in this SQLite file; a run that was killed goes on where it stood")
    listing = commands.add_parser("list", help="list the steps, readers, stores and engines that there are")
    listing.add_argument("room", nargs="?", choices=registry.ROOMS, help="only this room")
    listing.add_argument("--markdown", action="store_true", help="print the steps as the table of the README")
    services.add_parser(commands)
    flink.add_parser(commands)
    _add_record(commands)
    _add_play(commands)
    options = parser.parse_args(arguments)
    run = {"demo": _demo, "list": _list, "services": services.run, "record": _record, "play": _play, "flink": flink.run}
    try:
        return run[options.command](options)
    except GovlabError as error:
        print(f"govlab: {error}", file=sys.stderr)
        return 1


def _add_record(commands: Any) -> None:
    parser = commands.add_parser(
        "record",
        help="record a topic or a queue into Parquet files by hour of event time",
        description="Record into Parquet files by hour of event time. A recording that was stopped or killed goes on where it "
        "stood when it is started again; from_replay(FOLDER) replays it. Ctrl-C ends it after what was read is written.",
    )
    parser.add_argument("source", metavar="ADDRESS", help=f"a topic (several with commas) or a queue: {_examples()}")
    parser.add_argument("--into", required=True, type=Path, metavar="FOLDER", help="a new folder, or one with a recording of it")
    parser.add_argument("--schema", type=Path, metavar="FILE", help="JSON: {column: type, ...}, or {fields, time, id, arrival}")
    parser.add_argument("--format", default="json", choices=["arrow", "json", "ndjson"], help="how messages are written")
    parser.add_argument("--until", metavar="TIME", help="stop at this event time; 'now' stops when nothing waits to be read")
    parser.add_argument("--for", dest="duration", metavar="TIME", help="stop after so long, such as 10min")
    parser.add_argument("--every", default="60s", help="write so often (default: %(default)s)")
    _add_access(parser, "reading")


def _add_play(commands: Any) -> None:
    parser = commands.add_parser(
        "play",
        help="play files into a topic or a queue: for a demo, or for load",
        description="Play files into a topic, an exchange or a queue.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="CSV, ndjson or Parquet files, folders, patterns")
    where = f"a topic, the exchange of that name, or else the queue: {_examples()}"
    parser.add_argument("--to", required=True, metavar="ADDRESS", help=where)
    parser.add_argument("--speed", type=float, help="seconds of event time in a second (default: as fast as it goes)")
    parser.add_argument("--order", default="event", choices=["event", "arrival"], help="by event time, or as the events arrived")
    parser.add_argument("--format", default="json", choices=["arrow", "json"], help="a JSON message a row, or Arrow streams")
    parser.add_argument("--key", metavar="COLUMN", help="the column whose value is the key, or the routing key of an exchange")
    _add_access(parser, "writing")


def _examples() -> str:
    return ", ".join(example for one in CONNECTORS.values() for example in one.schemes.values())


def _add_access(parser: argparse.ArgumentParser, use: str) -> None:
    for name, given in options_of(use).items():
        parser.add_argument(f"--{name}", **given)
    parser.add_argument("--user", help="the user; in an address with user@ it may also stand there")
    parser.add_argument("--password", help="where the password is: env:NAME or file:PATH")
    parser.add_argument("--mechanism", default="SCRAM-SHA-512", choices=MECHANISMS, help="how to log in with SASL")
    parser.add_argument("--ca", help="PEM file of whom to trust; the connection is encrypted then")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _record(options: argparse.Namespace) -> int:
    from govlab.commands.record import run

    return run(options)


def _play(options: argparse.Namespace) -> int:
    from govlab.commands.play import run

    return run(options)


def _list(options: argparse.Namespace) -> int:
    if options.markdown:
        print(markdown_table())
        return 0
    for room in [options.room] if options.room else registry.ROOMS:
        for name in registry.names(room):
            print(f"{room:10} {name:18} {_what(room, name)}")
    return 0


def _what(room: str, name: str) -> str:
    """Give the first sentence of what a table lists."""
    text = " ".join((registry.load(room, name).__doc__ or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".")


def markdown_table() -> str:
    """Give the tables of all rooms as one Markdown table, as it stands in the README."""
    rows = [
        f"| `gl.{room}.{registry.camel(name)}` | {_what(room, name)} |"
        for room in registry.STEP_ROOMS
        for name in registry.names(room)
    ]
    return "\n".join(["| step | what it does |", "|---|---|", *rows])


def _demo(options: argparse.Namespace) -> int:
    import pandas as pd

    from govlab.commands.demo import run_demo

    result = run_demo(options.report, options.store, progress=not options.json)
    if options.json:
        print(json.dumps(result, indent=1))
        return 0
    alerts = pd.DataFrame(result["alerts"])
    with pd.option_context("display.width", 160, "display.max_columns", 20, "display.max_colwidth", 60):
        for detector, found in alerts.groupby("detector", sort=False):
            print(f"\n{len(found):,} alerts by {detector}, the five highest:")
            print(found.nlargest(5, "score")[["time", "entity", "score", "severity", "reason"]].to_string(index=False))
        for title, key in (
            ("Wikipedia edits: alerts on edits that were reverted as damaging", "edits"),
            ("Machine metric: incidents caught", "metric"),
        ):
            print(f"\n{title}, with baselines of the same budget:")
            print(pd.DataFrame(result[key]).to_string(index=False, float_format="{:.3f}".format, na_rep="-"))
    print(f"\n{result['events']:,} events, {len(alerts):,} alerts, fingerprint {result['fingerprint']}")
    print(f"report: {options.report}")
    return 0
