"""A stretch of events that ends: partitions merged on one clock, cut to a span of time, opened at any position."""

from __future__ import annotations

import abc
import re
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.errors import ArgumentError
from govlab.frames import Schema, instant_us
from govlab.sources.lanes import HEAVY, Block, Lane, Order, merge
from govlab.sources.reader import DeadLetter, EndOfStream, Reader

__all__ = ["RangedReader", "spans_of"]


class RangedReader(Reader):
    """What readers of a stretch share: a subclass says which partitions there are, and gives the blocks of each.

    Order: by (time, partition, offset) with ``order="event"``; by arrival, each partition as it stands, with
    ``order="arrival"``. Memory: ``look_ahead`` rows and a block of each partition, however long it is.

    Parameters
    ----------
    schema : Schema
        The columns.
    order : {"event", "arrival"}
        By the time of the events, or as they arrived (late ones late).
    start, stop : str or Timestamp, optional
        Only rows of this stretch of the clock, ``start`` included.
    look_ahead : int
        So many rows a partition may be out of order with ``order="event"``; more is an error that says so.
    """

    schema: Schema
    sticky: bool = False
    """Whether the pieces of a partition are best read by one task, one after the other."""

    def __init__(self, schema: Schema, order: str, start: Any, stop: Any, look_ahead: int) -> None:
        if order not in ("event", "arrival"):
            raise ArgumentError(f"order={order!r}; expected 'event' (by event time) or 'arrival' (as the events arrived).")
        if not isinstance(schema, Schema):
            raise ArgumentError(f"schema={schema!r}; expected gl.Schema({{'time': 'timestamp', 'actor': 'string', ...}}).")
        self.schema, self.order, self.look_ahead = schema, order, look_ahead
        self.start_us, self.stop_us = (None if t is None else instant_us(t, w) for t, w in ((start, "start"), (stop, "stop")))
        self._lanes: list[Lane] = []
        self._ready, self._ready_keys = frames.empty(), np.empty(0, "int64")
        self._opened = self._ended = False
        self._offered = False  # whether dead letters wait for whoever reads to take them

    @abc.abstractmethod
    def _partitions(self, position: Mapping[int, int]) -> dict[int, str]:
        """Begin, and name the partitions: their numbers, and what each is called in messages and dead letters."""

    @abc.abstractmethod
    def _blocks(self, partition: int) -> Generator[Block, None, Any] | None:
        """Give the rows of a partition block by block, from its beginning, with the bad records of each block."""

    def pieces(self, rows: int) -> tuple[dict[int, str], list[Any]] | None:
        """Cut the stretch into pieces of about so many rows, for tasks to read apart from each other.

        Gives what the partitions are called, and the pieces in the order in which they are wanted; None if it cannot be cut.
        """
        return None

    def most_rows(self) -> int:
        """Give about how many rows there are at most; asked where it is not read in pieces."""
        raise NotImplementedError(f"{type(self).__name__} does not tell how many rows there are.")

    def piece(self, piece: Any) -> Generator[Block, None, int]:
        """Give the rows of a piece; returns by how much the offsets of the next one of the partition are further on."""
        raise NotImplementedError(f"{type(self).__name__} is not read in pieces.")

    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin at a position: for each partition, the number of its rows already given."""
        self.close()
        position = {int(k): int(v) for k, v in (position or {}).items()}
        order = Order(self.order, self.look_ahead, self.schema)
        self._lanes = [Lane(p, name, order, self._blocks(p)) for p, name in sorted(self._partitions(position).items())]
        self._skip = {lane.partition: position.get(lane.partition, 0) for lane in self._lanes}
        self._from = dict(self._skip)
        self._opened, self._ended = True, False

    def read(self, max_rows: int) -> pd.DataFrame:
        """Give the next rows; ``last_keys`` then holds the clock's time of each (int64, microseconds)."""
        if not self._opened:
            self.open()
        more = True
        while more and not len(self._ready):
            more = self._load()
            if all(lane.ended and not lane.keys.size for lane in self._lanes):
                self._ended = True
                raise EndOfStream(f"{self.name} has no more rows.")
            self._ready, self._ready_keys = merge(self._lanes)
            self._cut_out()
            if not self._offered and self._heavy():
                self._offered = True  # the dead letters are to be taken before more is read
                if len(self._ready):
                    break
                self._ready = next((lane.rows.iloc[:0] for lane in self._lanes if lane.rows is not None), self._ready)
                break
        n = min(max_rows, len(self._ready))
        rows = frames.cut(self._ready, 0, n)
        # rows far ahead come last by event time; a replay does not wait for their time
        self.last_keys = np.minimum(self._ready_keys[:n], max(lane.newest() for lane in self._lanes))
        self._ready, self._ready_keys = self._ready.iloc[n:], self._ready_keys[n:]
        return rows

    def _load(self) -> bool:
        """Read on where no row may go; gives whether there is more to read."""
        for lane in self._lanes:
            if not lane.free() and not lane.ended:
                lane.load()
        return True

    def _cut_out(self) -> None:
        """Drop rows before the position at which the reader was opened, and outside of [start, stop)."""
        if any(self._skip.values()):
            keep = np.ones(len(self._ready), bool)
            partition = self._ready["partition"].to_numpy()
            for p, n in self._skip.items():
                mine = np.flatnonzero(partition == p)[:n]
                keep[mine] = False
                self._skip[p] -= mine.size
            self._ready, self._ready_keys = self._ready[keep], self._ready_keys[keep]
        a = 0 if self.start_us is None else int(np.searchsorted(self._ready_keys, self.start_us))
        b = len(self._ready) if self.stop_us is None else int(np.searchsorted(self._ready_keys, self.stop_us))
        if self.stop_us is not None and b < len(self._ready):
            for lane in self._lanes:
                lane.ended, lane.keys = True, lane.keys[:0]
                lane.given -= int(np.count_nonzero(self._ready["partition"].to_numpy()[b:] == lane.partition))
        self._ready, self._ready_keys = self._ready.iloc[a:b], self._ready_keys[a:b]

    def position(self) -> dict[int, int]:
        """Give the number of rows of each partition that were given."""
        given = {lane.partition: lane.given for lane in self._lanes}
        for p, n in zip(*np.unique(self._ready["partition"].to_numpy(), return_counts=True), strict=True):
            given[int(p)] -= int(n)
        # right after opening, what lies before is not yet read again, but it was given
        return {p: max(n, self._from.get(p, 0)) for p, n in given.items()}

    def take_dead_letters(self) -> list[DeadLetter]:
        """Hand over the records that could not be read: those before the rows given; where many wait, all that were found."""
        given, letters, every = self.position(), [], self._ended or self._heavy()
        for lane in self._lanes:
            while lane.letters and (every or lane.letters[0][0] < given[lane.partition]):
                letters.append(lane.pop_letter())
        self._offered = False
        return letters

    def _heavy(self) -> bool:
        return sum(lane.weight for lane in self._lanes) > HEAVY

    def close(self) -> None:
        """Let go of files and connections."""
        for lane in self._lanes:
            lane.close()
        self._lanes, self._opened = [], False
        self._ready, self._ready_keys = frames.empty(), np.empty(0, "int64")


def spans_of(evidence: str) -> list[tuple[int, int, int]]:
    """Give the (partition, first, last) of an alert's evidence, which is ``partition:first-last`` ranges.

    Examples
    --------
    >>> spans_of("0:3-5, 2:7")
    [(0, 3, 5), (2, 7, 7)]
    """
    spans = []
    for span in evidence.split(", "):
        found = re.fullmatch(r"(-?\d+):(\d+)(?:-(\d+))?", span)
        if found is None:
            raise ArgumentError(f"evidence={evidence!r}; expected ranges of positions as alerts have, 'partition:first-last'.")
        partition, first, last = found.groups()
        spans.append((int(partition), int(first), int(last or first)))
    return spans
