"""Stream queues of RabbitMQ: live from any offset."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pandas as pd

from govlab import frames
from govlab.access import Access, PrivateUrl, masked
from govlab.errors import ArgumentError
from govlab.frames import Schema, instant_us
from govlab.sources.cuts import Cuts
from govlab.sources.files.infer import infer_messages
from govlab.sources.messages import MessageDecoder
from govlab.sources.rabbitmq.asking import first_of, look_at, offset_of
from govlab.sources.rabbitmq.following import PREFETCH, Stream, read_again
from govlab.sources.rabbitmq.messages import messages_of
from govlab.sources.reader import RAW_LIMIT, DeadLetter, LiveReader

__all__ = ["RabbitStream", "opened"]

SAMPLE = 1_000  # messages from which a schema is guessed
ANCHOR, CONTENT = -2, -3  # keys of a position: a message before it, and what it holds


class RabbitStream(LiveReader):
    """A stream queue of RabbitMQ, live.

    Delivery: every message from the position on, once into the store of a run; the stream keeps its messages, so nothing is
    acknowledged for good. Order: as in the stream. A bad record becomes a dead letter (queue, offset, reason, bytes).
    Messages that retention has removed before they were read are an error, and so is a stream that was deleted and made
    anew: the position holds a message that was read, and each connection begins with seeing that it is still the same.
    Compressed batches of the stream protocol are not sent over AMQP; where offsets are missing, the log says so.

    Parameters
    ----------
    queue, url, schema, format, access
        As of :class:`govlab.sources.RabbitQueue`; the schema is guessed from the first messages where it is not given.
    start : {"first", "last", "next"}, int, str or Timestamp
        Where to begin when the store has no position: the first message, the last ones, only new ones, an offset, or what
        was written since a time.
    stall_s : float
        A stream that has more and gives nothing for this long is stalled.
    kind : {"stream"}, optional
        Of which kind the queue is; the broker is asked where it is not given.
    """

    schema: Schema

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
        kind: str | None = None,
    ) -> None:
        self.queue = self.name = queue
        self.made = masked(self.made, url)
        self._url, self._access, self.stall_s = PrivateUrl(url), access or Access(), stall_s
        self._start = start
        if start not in ("first", "last", "next") and (isinstance(start, bool) or not isinstance(start, int)):
            self._start = pd.Timestamp(instant_us(start, "start"), unit="us", tz="UTC").to_pydatetime()
        self._cluster, self.schema = opened(queue, self._url, self._access, schema, kind)
        self._decoder = MessageDecoder(self.schema, format)
        self._stream: Stream | None = None
        self._clear({})

    @property
    def origin(self) -> str:
        """What is read, in full, whatever the address of the broker and the way in."""
        return json.dumps(["rabbitmq stream", self._cluster, self.queue, self.schema.recipe(), self._decoder.form])

    def _clear(self, position: Mapping[int, int]) -> None:
        self._begin: Any = position.get(0, self._start)
        self._anchor = (position[ANCHOR], position[CONTENT]) if ANCHOR in position else None
        self._cuts = Cuts({key: n for key, n in position.items() if key in (0, -1)})
        self._ready, self._letters, self._moved_s = frames.empty(), list[DeadLetter](), time.monotonic()

    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin at a position: the offset of the next message.

        Raises
        ------
        SourceError
            The next message is gone, or the stream is another one than that of the position.
        """
        self.close()
        self._clear({int(k): int(v) for k, v in (position or {}).items()})
        self._stream = Stream(self.queue, self._url, self._access, self._begin, self._anchor)
        self._stream.check()

    def read(self, max_rows: int) -> pd.DataFrame:
        """Give the next rows; waits 20 ms at most when there are none."""
        if self._stream is None:
            self.open()
        assert self._stream is not None
        if not len(self._ready) and (taken := self._stream.take(max_rows, self.wait_s)):
            self._moved_s = time.monotonic()
            messages = messages_of(taken, map(offset_of, taken), self.queue, bool(self._decoder.envelope))
            self._ready, bad = self._cuts.skip(0, self._decoder.block(messages, 0))
            self._letters += [DeadLetter(self.queue, 0, offset, why, raw[:RAW_LIMIT]) for offset, why, raw in bad]
        rows, self._ready = frames.cut(self._ready, 0, max_rows), self._ready.iloc[max_rows:]
        self._cuts.give(rows)
        return rows

    def position(self) -> dict[int, int]:
        """Give the offset of the next message, under -1 how many rows of it were read, under -2 and -3 a message before it."""
        return self.position_before(self._ready.iloc[:0])

    def position_before(self, rows: pd.DataFrame) -> dict[int, int]:
        """Give the position from which ``rows``, the last that were read, come again."""
        following = self._stream.following if self._stream is not None else self._begin
        if not isinstance(following, int) and not len(rows) and not len(self._ready):
            return {}  # nothing came yet
        position = self._cuts.position({0: following}, self._ready, rows)
        anchor = self._anchor if self._stream is None else self._stream.anchor_before(position[0])
        return position if anchor is None else position | {ANCHOR: anchor[0], CONTENT: anchor[1]}

    def lag(self) -> dict[int, int]:
        """Give how many messages are to be read up to the end, which is asked every other second; empty where not known."""
        stream = self._stream
        if stream is None or stream.consumer.end is None or not stream.consumer.fresh:
            return {}
        following = int(self._ready["offset"].iloc[0]) if len(self._ready) else stream.following
        if not isinstance(following, int):
            return {}
        return {0: max(stream.consumer.end - following, stream.consumer.here, len(self._ready))}

    def trouble(self) -> tuple[str, str] | None:
        """Say what keeps the reader from reading."""
        if self._stream is None:
            return None
        lag = self.lag().get(0, 0)
        silent_s = time.monotonic() - self._moved_s
        if (
            (found := self._stream.consumer.trouble()) is None
            and lag
            and not self._stream.consumer.here
            and silent_s > self.stall_s
        ):
            return "stalled", f"{lag:,} messages wait, and none came for {self.stall_s:g} s"
        return found

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


def opened(queue: str, url: PrivateUrl, access: Access, schema: Schema | None, kind: str | None = None) -> tuple[str, Schema]:
    """See that a queue is a stream; gives how its broker calls itself, and the schema, guessed where none is given."""
    kind, cluster = look_at(queue, url, access, kind)
    if kind != "stream":
        raise ArgumentError(f"{queue!r} is a {kind} queue, not a stream; leave start and stop out, or give kind={kind!r}.")
    if schema is None:
        schema = infer_messages([body for _, _, _, body, _ in first_of(queue, url, access, SAMPLE)], queue)
    return cluster, schema
