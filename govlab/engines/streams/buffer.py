"""Rows that were read and are still to be emitted, each with its time on the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from govlab import frames
from govlab.engines.interrupts import abortable
from govlab.event_clock import AHEAD_US, FEW, EventClock
from govlab.sources.reader import DeadLetter, Reader

__all__ = ["BEGINNING", "Buffer"]

BEGINNING = np.iinfo("int64").min


class Buffer:
    """The rows in memory between a reader and the graph.

    Parameters
    ----------
    reader : Reader
        Where the rows come from.
    max_rows : int
        Rows to read at once.
    bury : function
        Is called with what could not be read.

    Attributes
    ----------
    event_us : int or None
        The clock's time of the last row taken.
    """

    def __init__(self, reader: Reader, max_rows: int, bury: Callable[[list[DeadLetter]], None]) -> None:
        self.reader, self.max_rows, self._bury = reader, max_rows, bury
        self.opened = False
        self._reset(BEGINNING)

    def _reset(self, seen_us: int) -> None:
        self.rows, self._keys, self._seen_us = frames.empty(), np.empty(0, "int64"), seen_us
        self.event_us: int | None = None
        self._reopen: dict[int, int] | None = None  # where to read again after a read that was stopped in the middle
        self._clock = EventClock(AHEAD_US)

    def open(self, position: Mapping[int, int] | None = None, seen_us: int = BEGINNING) -> None:
        """Begin at a position, up to which the latest time on the clock was ``seen_us``."""
        self.reader.open(position)
        self._reset(seen_us)
        self.opened = True
        if seen_us != BEGINNING:
            self._clock.start_at(seen_us)

    def position(self) -> dict[int, int]:
        """Give how far each partition was taken."""
        return dict(self._reopen) if self._reopen is not None else self.reader.position_before(self.rows)

    def first_us(self) -> int | None:
        """Give the clock's time of the next row; None when there is none."""
        return int(self._keys[0]) if len(self._keys) else None

    def fill(self) -> None:
        """Read the next rows where there are none; raises EndOfStream at the end."""
        if not len(self.rows):
            self.rows = self._read()
            self._keys = self._clock_times(self.rows)

    def _read(self) -> pd.DataFrame:
        if self._reopen is not None:
            self.reader.open(self._reopen)
            self._reopen = None
        if self.reader.waits or self.reader.once:  # a moment only, so nobody needs to stop it in the middle; or nobody may
            try:
                return self.reader.read(self.max_rows)
            finally:
                self._bury(self.reader.take_dead_letters())
        while True:
            before = self.reader.position()
            try:
                with abortable():
                    rows = self.reader.read(self.max_rows)
            except KeyboardInterrupt:
                self._reopen = before
                raise
            except Exception:
                self._bury(self.reader.take_dead_letters())
                raise
            letters = self.reader.take_dead_letters()
            self._bury(letters)
            if not letters or len(rows):
                return rows  # where many records are bad, there are no rows until they are taken

    def _clock_times(self, rows: pd.DataFrame) -> np.ndarray:
        """Give the time of each row on the clock: the reader's if it has one, else the latest event time of those not ahead."""
        if not len(rows):
            return np.empty(0, "int64")
        keys = self.reader.last_keys
        if keys is None:
            keys = self._without_ahead(frames.time_us(rows))
        self._seen_us = int(keys[-1])
        return keys

    def _without_ahead(self, times: np.ndarray) -> np.ndarray:
        """Give the latest event time up to each row; a row that is ahead, as far as the rows behind it here tell, has no say."""
        clock, keys = self._clock, times.copy()
        before, verdicts = clock.taken, clock.take(times)
        if verdicts is not None:
            keys[(verdicts.ids - before)[~verdicts.passes & (verdicts.ids >= before)]] = BEGINNING
            if clock.held < FEW:
                keys[np.setdiff1d(np.flatnonzero(verdicts.kept), verdicts.ids - before)] = BEGINNING
        keys = np.maximum.accumulate(np.maximum(keys, self._seen_us))
        said = keys[keys > BEGINNING]  # what comes before the first row that has a say goes by that one
        return np.where(keys > BEGINNING, keys, said[0] if said.size else times)

    def take(self, rows: int, before_us: int | None = None) -> pd.DataFrame:
        """Take at most ``rows`` rows, and only those whose time is before ``before_us``."""
        n = min(rows, len(self.rows))
        if before_us is not None:
            n = min(n, int(np.searchsorted(self._keys, before_us, side="left")))
        piece = frames.cut(self.rows, 0, n)
        self._taken = self._keys[:n], self.event_us
        if n:
            self.event_us = int(self._keys[n - 1])
        self.rows, self._keys = self.rows.iloc[n:], self._keys[n:]
        return piece

    def put_back(self, piece: pd.DataFrame) -> None:
        """Put back the rows that were taken last."""
        keys, self.event_us = self._taken
        self.rows = frames.concat([piece, self.rows]) if len(piece) else self.rows
        self._keys = np.concatenate([keys, self._keys])
