"""A stretch of a stream queue of RabbitMQ: replayed as files are."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping
from typing import Any

import pandas as pd

from govlab.access import Access, PrivateUrl, masked
from govlab.errors import SourceError
from govlab.frames import Schema
from govlab.sources.lanes import Block
from govlab.sources.messages import MessageDecoder
from govlab.sources.rabbitmq.asking import PATIENCE_S, Delivery, end_of, first_of, offset_of
from govlab.sources.rabbitmq.following import PREFETCH, Stream, read_again
from govlab.sources.rabbitmq.messages import content_of, messages_of
from govlab.sources.rabbitmq.stream import opened
from govlab.sources.ranged import RangedReader
from govlab.sources.reader import DeadLetter

__all__ = ["RabbitRange"]

BLOCK = 16_384


class RabbitRange(RangedReader):
    """A stretch of a stream queue of RabbitMQ, as a replay.

    Delivery: every row once, from wherever it is opened. Order: by (time, offset) with ``order="event"``, as in the stream
    with ``order="arrival"``. A bad record becomes a dead letter. A stream knows when a message was written, not the time of
    its event, so it is read from its first message and what lies before ``start`` is left out. Where it ends is asked of the
    broker when it is first opened, and part of the position, as is its first message: a range whose messages are gone, or
    whose stream was made anew, is an error, and so is a stream that gives no message in 60 s (an empty one, say).

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
        kind: str | None = None,
    ) -> None:
        self.queue = self.name = queue
        self.made = masked(self.made, url)
        self._url, self._access = PrivateUrl(url), access or Access()
        self._cluster, schema = opened(queue, self._url, self._access, schema, kind)
        super().__init__(schema, order, None if start == "first" else start, None if stop == "now" else stop, look_ahead)
        self._decoder = MessageDecoder(self.schema, format)
        self._first = self._end = self._content = 0
        self._streams: list[Stream] = []

    @property
    def origin(self) -> str:
        """What is read, in full, whatever the address of the broker and the way in."""
        clock = [self.order, self.start_us, self.stop_us]
        return json.dumps(["rabbitmq range", self._cluster, self.queue, self.schema.recipe(), self._decoder.form, *clock])

    def _partitions(self, position: Mapping[int, int]) -> dict[int, str]:
        if -1 in position:
            self._first, self._end, self._content = position[-1], position[-2], position.get(-3, 0)
        else:
            first = first_of(self.queue, self._url, self._access, 1)[0]
            self._first, self._content = offset_of(first), content_of(first)
            self._end = end_of(self.queue, self._url, self._access)
        return {0: self.queue}

    def position(self) -> dict[int, int]:
        """Give the rows read; under -1, -2 and -3 the first offset of the range, the one after its last, and its first message."""
        return super().position() | {-1: self._first, -2: self._end, -3: self._content}

    def _blocks(self, partition: int) -> Generator[Block, None, None]:
        anchor = (self._first, self._content) if self._content else None
        stream = Stream(self.queue, self._url, self._access, self._first, anchor)
        self._streams.append(stream)
        patience, waiting = time.monotonic() + PATIENCE_S, list[Delivery]()
        while stream.next < self._end or waiting:
            # a block is full, or the last one: where it is cut depends on no speed
            if len(waiting) >= BLOCK or stream.next >= self._end:
                messages = messages_of(waiting, map(offset_of, waiting), self.queue, bool(self._decoder.envelope))
                waiting = []
                yield self._decoder.block(messages.before(self._end), 0)
                patience = time.monotonic() + PATIENCE_S
                continue
            part = stream.take(BLOCK - len(waiting), 0.05)
            waiting += part
            if part:
                patience = time.monotonic() + PATIENCE_S
            elif time.monotonic() > patience:
                raise SourceError(f"{self.queue}: nothing came for {PATIENCE_S:g} s after offset {stream.next}, of {self._end:,}.")

    def most_rows(self) -> int:
        """Give how many messages there are now."""
        self._partitions({})
        return self._end - self._first

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
