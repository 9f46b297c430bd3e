"""Records of a topic read aside, without a group: samples, single places, evidence. A time-out is an error, never fewer records."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import msgspec

from govlab.access import Access
from govlab.errors import SourceError
from govlab.frames import Schema
from govlab.sources.files.infer import infer_messages
from govlab.sources.kafka.client import Client, Topic
from govlab.sources.kafka.clients import CLIENTS
from govlab.sources.kafka.lookup import Lookup
from govlab.sources.messages import Messages

__all__ = ["Unread", "guessed", "records", "unread"]

log = logging.getLogger("govlab")
PATIENCE_S = 60.0
SAMPLE = 1_000
OTHER = "not in the messages that it was guessed from"


def records(
    client_name: str,
    bootstrap: str,
    access: Access,
    spans: Mapping[Topic, tuple[int, int]],
    most: int | None = None,
    envelope: bool = False,
) -> dict[Topic, Messages]:
    """Read the records of spans of offsets, or the first of each, at most ``most``; tombstones are among them.

    Parameters
    ----------
    client_name, bootstrap, access
        Whom to ask, and by which client.
    spans : dict of (topic, partition) to (int, int)
        The first offset, and that after the last one.
    most : int, optional
        How many of a span are enough.
    envelope : bool
        Whether keys, times and headers are asked for.

    Raises
    ------
    SourceError
        They did not come while there was patience, or are gone.
    """
    left = {topic: span for topic, span in spans.items() if span[0] < span[1]}
    found: dict[Topic, list[Messages]] = {topic: [] for topic in left}
    if not left:
        return {}
    client: Client = CLIENTS[client_name](bootstrap, access, None, envelope, lambda topics: {})
    try:
        client.assign({topic: span[0] for topic, span in left.items()})
        patience = time.monotonic() + PATIENCE_S
        while left:
            fetched = client.poll(10_000, 0.2)
            for topic in list(left):
                end, mine = left[topic][1], found[topic]
                messages = fetched.get(topic)
                if messages is not None:
                    mine.append(messages)
                    patience = time.monotonic() + PATIENCE_S
                    at = messages.offsets[-1] + 1
                else:
                    at = client.position(topic) or 0  # past what is no record: markers of transactions, what compaction took
                if at >= end or (most is not None and sum(len(part.offsets) for part in mine) >= most):
                    del left[topic]
            if left and time.monotonic() > patience:
                (name, partition), (first, end) = next(iter(left.items()))
                raise SourceError(
                    f"{name}, partition {partition}: nothing came for {PATIENCE_S:g} s of the records at {first:,} to {end:,}; "
                    f"is {bootstrap} there?"
                )
    except SourceError:
        raise
    except Exception as error:  # whatever a client raises, the records are not there
        raise SourceError(f"{bootstrap}: the records could not be read: {type(error).__name__}: {error}") from error
    finally:
        client.close()
    whole = {topic: Messages.joined(parts).before(spans[topic][1]) for topic, parts in found.items() if parts}
    return {
        topic: messages if most is None else messages.some(range(min(most, len(messages.offsets))))
        for topic, messages in whole.items()
    }


def guessed(
    lookup: Lookup, partitions: Sequence[Topic], name: str, client_name: str, access: Access, newest: bool = False
) -> tuple[Schema, dict[str, str]]:
    """Guess a schema from the oldest and the newest messages; gives it, and why which fields are left out.

    Parameters
    ----------
    lookup : Lookup
        Asked for the ends.
    partitions : sequence of (topic, partition)
        What is read.
    name : str
        What to call it in errors.
    client_name, access
        By which client.
    newest : bool
        Whether mainly the newest messages count, as only new ones are to be read.
    """
    firsts, ends = lookup.firsts(partitions), lookup.stable(partitions)
    filled = max(1, sum(ends[topic] > firsts[topic] for topic in partitions))
    old = max(1, (SAMPLE // 10 if newest else SAMPLE // 2) // filled)
    new = max(1, (SAMPLE if newest else SAMPLE // 2) // filled)
    bodies: list[bytes] = []
    heads = {topic: (firsts[topic], ends[topic]) for topic in partitions}
    tails = {topic: (max(firsts[topic], ends[topic] - new), ends[topic]) for topic in partitions}
    for spans, most in ((heads, old), (tails, None)):
        for messages in records(client_name, lookup.bootstrap, access, spans, most).values():
            bodies += [body for body in messages.bodies if body is not None]
    schema = infer_messages(bodies, name)  # which says in the log what it leaves out
    return schema, unread(bodies, schema)


def unread(bodies: Sequence[bytes], schema: Schema) -> dict[str, str]:
    """Name the fields of JSON messages that a schema does not read, with what they hold."""
    found: dict[str, str] = {}
    for line in chain.from_iterable([body] if body[:1] != b"{" or b"\n" not in body else _lines(body) for body in bodies):
        try:
            record = msgspec.json.decode(line, type=dict[str, Any])
        except (ValueError, RecursionError):
            continue  # it is, or will be, a dead letter
        for field in record.keys() - schema.fields.keys():
            value = record[field]
            what = "a nested object" if isinstance(value, dict) else "a list" if isinstance(value, list) else OTHER
            if value is not None and found.get(field, OTHER) == OTHER:
                found[field] = what
    return dict(sorted(found.items()))


def _lines(body: bytes) -> list[bytes]:
    """Give the records of a message: itself where it is one written over several lines, else its lines."""
    try:
        msgspec.json.decode(body, type=dict[str, Any])
    except (ValueError, RecursionError):
        return body.split(b"\n")
    return [body]


class Unread:
    """Names the fields of later messages that a guessed schema does not read: each once in the log, and counted.

    The first and the last message of each fetch are looked at, which costs a few microseconds a fetch.

    Parameters
    ----------
    schema : Schema
        The guessed one.
    left_out : dict
        Fields that are left out, and why; it grows.
    name : str
        What is read.
    """

    def __init__(self, schema: Schema, left_out: dict[str, str], name: str) -> None:
        self.schema, self.left_out, self.name = schema, left_out, name
        self.seen: dict[str, int] = {}

    def see(self, messages: Messages, partition: int) -> None:
        """Look at messages."""
        ends = messages.bodies[:1] + messages.bodies[1:][-1:]
        for body in ends:
            for field, what in unread([body], self.schema).items():
                self.seen[field] = self.seen.get(field, 0) + 1
                if field not in self.left_out:
                    self.left_out[field] = f"{what}; first seen in partition {partition}, about offset {messages.offsets[-1]:,}"
                    log.warning(
                        "%s: messages have the field %r, which is not read (%s). To read it give schema=gl.Schema({...}).",
                        self.name, field, self.left_out[field],
                    )  # fmt: skip
