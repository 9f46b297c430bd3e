"""A stretch of a stream queue of RabbitMQ: replayed as files are."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping
from typing import Any

import pandas as pd

from govlab.access import Access
from govlab.errors import SourceError
from govlab.frames import Schema
from govlab.sources.lanes import Block
from govlab.sources.messages import MessageDecoder
from govlab.sources.rabbit_consumer import Delivery
from govlab.sources.rabbit_messages import messages_of
from govlab.sources.rabbit_stream import PATIENCE_S, PREFETCH, Stream, edge, gone, offset_of, opened, read_again
from govlab.sources.ranged import RangedReader
from govlab.sources.reader import DeadLetter

__all__ = ["RabbitRange"]


class RabbitRange(RangedReader):
    """A stretch of a stream queue of RabbitMQ, as a replay.

    Delivery: every row once, from wherever it is opened. Order: by (time, offset) with ``order="event"``, as in the stream
    with ``order="arrival"``. A bad record becomes a dead letter. A stream knows when a message was written, not the time of
    its event, so it is read from its first message and what lies before ``start`` is left out. Where it ends is settled when
    it is first opened, and part of the position.

    Parameters
    ----------
    queue, url, schema, format, access
        As of :class:`govlab.sources.RabbitStream`.
    start, stop : str or Timestamp
        The stretch of event time; ``start="first"`` is the first message, ``stop="now"`` the last one when it is opened.
    order, look_ahead
        As of :class:`govlab.sources.ReplayReader`.
    """

    def __init__(
        self,
        queue: str,
        url: str = "amqp://guest:guest@localhost:5672/",
        schema: Schema | None = None,
        start: Any = "first",
        stop: Any = "now",
        format: str = "json",
        access: Access | None = None,
        order: str = "event",
        look_ahead: int = 65_536,
        prefetch: int = PREFETCH,
    ) -> None:
        self.queue = self.name = queue
        self._url, self._access = url, access or Access()
        self._cluster, schema = opened(queue, url, self._access, schema)
        super().__init__(schema, order, None if start == "first" else start, None if stop == "now" else stop, look_ahead)
        self._decoder = MessageDecoder(self.schema, format)
        self._first = self._end = 0
        self._streams: list[Stream] = []

    @property
    def origin(self) -> str:
        """What is read, in full, whatever the address of the broker and the way in."""
        clock = [self.order, self.start_us, self.stop_us]
        return json.dumps(["rabbitmq range", self._cluster, self.queue, self.schema.recipe(), self._decoder.form, *clock])

    def _partitions(self, position: Mapping[int, int]) -> dict[int, str]:
        first = edge(self.queue, self._url, self._access, "first")
        last = edge(self.queue, self._url, self._access, "last") if first else []
        self._first = position.get(-1, offset_of(first[0]) if first else 0)
        self._end = position.get(-2, offset_of(last[-1]) + 1 if last else 0)
        if first and self._first < offset_of(first[0]) and self._end > self._first:
            raise gone(self.queue, self._first, offset_of(first[0]))
        return {0: self.queue}

    def position(self) -> dict[int, int]:
        """Give the rows given, and under -1 and -2 the first offset of the stretch and the one after its last."""
        return super().position() | {-1: self._first, -2: self._end}

    def _blocks(self, partition: int) -> Generator[Block, None, None]:
        if self._first >= self._end:
            return
        stream = Stream(self.queue, self._url, self._access, self._first)
        self._streams.append(stream)
        patience, waiting = time.monotonic() + PATIENCE_S, list[Delivery]()
        while not isinstance(stream.next, int) or stream.next < self._end or waiting:
            part = stream.take(16_384 - len(waiting), 0.05)
            waiting += part
            if part:
                patience = time.monotonic() + PATIENCE_S
            elif time.monotonic() > patience:
                raise SourceError(f"{self.queue}: nothing came for {PATIENCE_S:g} s after offset {stream.next}, of {self._end:,}.")
            if len(waiting) >= 16_384 or (waiting and (not part or stream.next >= self._end)):
                messages = messages_of(waiting, map(offset_of, waiting), self.queue, bool(self._decoder.envelope))
                waiting = []
                yield self._decoder.block(messages.before(self._end), 0)

    def redrive(self, letters: list[tuple[DeadLetter, bytes]]) -> tuple[pd.DataFrame, list[DeadLetter]]:
        """Read corrected messages; gives their rows and those that are still bad."""
        return self._decoder.redrive(letters)

    def fetch(self, evidence: str) -> pd.DataFrame:
        """Read again the rows of an alert's evidence, ``0:first-last`` ranges."""
        return read_again(self.queue, self._url, self._access, self._decoder, evidence)

    def close(self) -> None:
        """Let go of what waits and of the connection."""
        super().close()
        for stream in self._streams:
            stream.close()
        self._streams = []
