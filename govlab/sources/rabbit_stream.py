"""Stream queues of RabbitMQ: live from any offset, or a stretch of them as a replay."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pandas as pd

from govlab import frames
from govlab.access import Access
from govlab.errors import ArgumentError, SourceError
from govlab.frames import Schema, instant_us
from govlab.sources.cuts import Cuts
from govlab.sources.infer import infer_messages
from govlab.sources.messages import MessageDecoder, Messages
from govlab.sources.rabbit_consumer import Consumer, Delivery, look_at
from govlab.sources.rabbit_messages import messages_of
from govlab.sources.ranged import spans_of
from govlab.sources.reader import RAW_LIMIT, DeadLetter, Reader

__all__ = ["PREFETCH", "RabbitStream", "Stream", "edge", "gone", "offset_of", "opened", "read_again"]

OFFSET = "x-stream-offset"
PREFETCH, PATIENCE_S, SILENCE_S = 5_000, 60.0, 1.0


def offset_of(delivery: Delivery) -> int:
    """Give the offset of a message in its stream."""
    return int(delivery[2].headers[OFFSET])


class Stream:
    """A consumer of a stream that stands at an offset, also after its connection was lost."""

    def __init__(self, queue: str, url: str, access: Access, begin: Any) -> None:
        self.next: Any = begin
        self._seen = -1
        self.consumer = Consumer(queue, url, access, PREFETCH, lambda: {OFFSET: self.next}, at_once=True)
        self.consumer.start()

    def take(self, most: int, timeout_s: float) -> list[Delivery]:
        """Hand over the next messages."""
        _, taken = self.consumer.take(most, timeout_s)
        # a stream is sent in chunks, from the beginning of the one that holds the offset
        fresh = [delivery for delivery in taken if offset_of(delivery) > self._seen]
        if isinstance(self.next, int):
            fresh = [delivery for delivery in fresh if offset_of(delivery) >= self.next]
        if fresh:
            self._seen = offset_of(fresh[-1])
            self.next = self._seen + 1
        return fresh

    def close(self) -> None:
        """Let go of the connection."""
        self.consumer.close()


def edge(queue: str, url: str, access: Access, begin: str) -> list[Delivery]:
    """Give the messages of the first or the last chunk of a stream; none where it is empty."""
    stream = Stream(queue, url, access, begin)
    found: list[Delivery] = []
    try:
        # at most this long where it is empty; a chunk comes as a whole
        end = time.monotonic() + (SILENCE_S if stream.consumer.ready == 0 else 10.0)
        while time.monotonic() < end:
            part = stream.take(PREFETCH, 0.1)
            if part:
                found += part
                end = time.monotonic() + 0.3
            if found and begin == "first" and len(found) >= 1_000:
                break
    finally:
        stream.close()
    return found


class RabbitStream(Reader):
    """A stream queue of RabbitMQ, live.

    Delivery: every message from the position on, once into the store of a run; the stream keeps its messages, so nothing is
    acknowledged for good. Order: as in the stream. A bad record becomes a dead letter (queue, offset, reason, bytes).

    Parameters
    ----------
    queue, url, schema, format, access
        As of :class:`govlab.sources.RabbitQueue`; the schema is guessed from the first messages where it is not given.
    start : {"first", "last", "next"}, int, str or Timestamp
        Where to begin when the store has no position: the first message, the last ones, only new ones, an offset, or what
        was written since a time.
    stall_s : float
        A stream that grows and gives nothing for so long is stalled.
    """

    waits = True

    def __init__(
        self,
        queue: str,
        url: str = "amqp://guest:guest@localhost:5672/",
        schema: Schema | None = None,
        start: Any = "first",
        format: str = "json",
        access: Access | None = None,
        stall_s: float = 20.0,
        prefetch: int = PREFETCH,
    ) -> None:
        self.queue = self.name = queue
        self._url, self._access, self.stall_s = url, access or Access(), stall_s
        self._start = start
        if start not in ("first", "last", "next") and (isinstance(start, bool) or not isinstance(start, int)):
            self._start = pd.Timestamp(instant_us(start, "start"), unit="us", tz="UTC").to_pydatetime()
        self._cluster, self.schema = opened(queue, url, self._access, schema)
        self._decoder = MessageDecoder(self.schema, format)
        self._stream: Stream | None = None
        self._clear({})

    @property
    def origin(self) -> str:
        """What is read, in full, whatever the address of the broker and the way in."""
        return json.dumps(["rabbitmq stream", self._cluster, self.queue, self.schema.recipe(), self._decoder.form])

    def _clear(self, position: Mapping[int, int]) -> None:
        self._begin: Any = position.get(0, self._start)
        self._cuts = Cuts({key: n for key, n in position.items() if key in (0, -1)})
        self._ready, self._letters, self._moved_s = frames.empty(), list[DeadLetter](), time.monotonic()

    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin at a position: the offset of the next message."""
        self.close()
        self._clear({int(k): int(v) for k, v in (position or {}).items()})
        if position:
            _still_there(self.queue, self._url, self._access, self._begin)
        self._stream = Stream(self.queue, self._url, self._access, self._begin)

    def read(self, max_rows: int) -> pd.DataFrame:
        """Give the next rows; waits 20 ms at most when there are none."""
        if self._stream is None:
            self.open()
        assert self._stream is not None
        if not len(self._ready) and (taken := self._stream.take(max_rows, 0.02)):
            self._moved_s = time.monotonic()
            messages = messages_of(taken, map(offset_of, taken), self.queue, bool(self._decoder.envelope))
            self._ready, bad = self._cuts.skip(0, self._decoder.block(messages, 0))
            self._letters += [DeadLetter(self.queue, 0, offset, why, raw[:RAW_LIMIT]) for offset, why, raw in bad]
        rows, self._ready = frames.cut(self._ready, 0, max_rows), self._ready.iloc[max_rows:]
        self._cuts.give(rows)
        return rows

    def position(self) -> dict[int, int]:
        """Give the offset of the next message, and under -1 how many rows of it were given."""
        return self.position_before(self._ready.iloc[:0])

    def position_before(self, rows: pd.DataFrame) -> dict[int, int]:
        """Give the position from which ``rows``, the last that were read, come again."""
        following = self._stream.next if self._stream is not None else self._begin
        if not isinstance(following, int) and not len(rows) and not len(self._ready):
            return {}  # nothing came yet
        return self._cuts.position({0: following}, self._ready, rows)

    def lag(self) -> dict[int, int]:
        """Give how many rows were read and not given; a stream does not tell its end."""
        return {0: len(self._ready)}

    def trouble(self) -> tuple[str, str] | None:
        """Tell what keeps the reader from reading."""
        error = self._stream.consumer.error if self._stream is not None else None
        return None if error is None else ("reconnecting", error)

    def take_dead_letters(self) -> list[DeadLetter]:
        """Hand over the records that could not be read since the last call."""
        letters, self._letters = self._letters, []
        return letters

    def redrive(self, letters: list[tuple[DeadLetter, bytes]]) -> tuple[pd.DataFrame, list[DeadLetter]]:
        """Read corrected messages; gives their rows and those that are still bad."""
        return self._decoder.redrive(letters)

    def fetch(self, evidence: str) -> pd.DataFrame:
        """Read again the rows of an alert's evidence, ``0:first-last`` ranges."""
        return read_again(self.queue, self._url, self._access, self._decoder, evidence)

    def close(self) -> None:
        """Let go of the connection."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def opened(queue: str, url: str, access: Access, schema: Schema | None) -> tuple[str, Schema]:
    """See that a queue is a stream; gives how its broker calls itself, and the schema, guessed where none is given."""
    kind, cluster = look_at(queue, url, access)
    if kind != "stream":
        raise ArgumentError(f"{queue!r} is a {kind} queue, not a stream; leave start and stop out, or give kind={kind!r}.")
    if schema is None:
        schema = infer_messages([body for _, _, _, body in edge(queue, url, access, "first")], queue)
    return cluster, schema


def _still_there(queue: str, url: str, access: Access, offset: int) -> None:
    first = edge(queue, url, access, "first")
    if first and offset < offset_of(first[0]):
        raise gone(queue, offset, offset_of(first[0]))


def gone(queue: str, offset: int, first: int) -> SourceError:
    """Give the error for messages that are not there any more."""
    return SourceError(
        f"{queue}: the next offset is {offset:,}, but the messages before {first:,} are gone (retention?). "
        "Begin anew with another store."
    )


def read_again(queue: str, url: str, access: Access, decoder: MessageDecoder, evidence: str) -> pd.DataFrame:
    """Read the rows at ``0:first-last`` ranges."""
    parts = [frames.empty()]
    for _, first, last in spans_of(evidence):
        stream = Stream(queue, url, access, first)
        try:
            end = time.monotonic() + PATIENCE_S
            while stream.next <= last and time.monotonic() < end:
                taken = [delivery for delivery in stream.take(PREFETCH, 0.05) if offset_of(delivery) <= last]
                if taken:
                    messages: Messages = messages_of(taken, map(offset_of, taken), queue, bool(decoder.envelope))
                    parts.append(decoder.block(messages, 0)[0])
        finally:
            stream.close()
    return frames.concat(parts)
