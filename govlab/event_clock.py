"""The newest event time that can be trusted: judges rows by the rules of :mod:`govlab.ahead`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from govlab.ahead_kernel import (
    AT,
    DECIDED,
    FEW,
    HELD,
    ID,
    LONGEST,
    MANY,
    MOST_HELD,
    NEWEST,
    NEXT_ID,
    PART,
    PARTS,
    ROWS,
    WEIGHT,
    accept,
    calm,
    decide,
    judge,
    move,
)  # fmt: skip

__all__ = ["AHEAD_US", "FEW", "EventClock", "Verdicts"]

AHEAD_US = 3_600_000_000  # what sources go by, and pipelines that are not told otherwise

_NOTHING = np.zeros(0, "int64")


@dataclass(frozen=True)
class Verdicts:
    """What was decided.

    ``kept`` says which of the rows taken were held. Of rows that were held, now or before, and are no more: ``ids`` (rows are
    numbered from 0 on), ``when`` (the row taken at which it was decided), whether each ``passes``, ``far`` (us), ``by_arrival``.
    """

    kept: np.ndarray
    ids: np.ndarray
    when: np.ndarray
    passes: np.ndarray
    far: np.ndarray
    by_arrival: np.ndarray


class EventClock:
    """The newest event time that can be trusted. 1 to 2 ns a row; 10 to 20 ns while a row is held or counted.

    Parameters
    ----------
    ahead_us : int
        A row further ahead than this (us) is held.
    apart : bool
        Each partition has a clock of its own.
    """

    def __init__(self, ahead_us: int, apart: bool = False) -> None:
        self._ahead, self._apart = min(ahead_us, LONGEST), apart
        self._clocks, self._ids = np.zeros((1, 4), "int64"), np.zeros(0, "int64")
        self._scores, self._runs = np.zeros(1, "int64"), np.zeros((0, 5), "int64")
        self._held, self._counts = np.zeros((0, 5), "int64"), np.zeros(3, "int64")

    def start_at(self, time_us: int) -> None:
        """Begin as if rows up to a time had been accepted."""
        self._clocks[0] = time_us, 0, MANY, 0

    @property
    def held(self) -> int:
        """The number of rows held."""
        return int(self._counts[HELD])

    @property
    def taken(self) -> int:
        """The number of rows taken: the id of the next one."""
        return int(self._counts[NEXT_ID])

    @property
    def newest(self) -> int:
        """The newest time accepted (us), of one clock for all; 0 before the first."""
        return int(self._clocks[0, NEWEST])

    @property
    def oldest_held(self) -> int | None:
        """The id of the first row held."""
        return int(self._held[0, ID]) if self.held else None

    @property
    def farthest_held(self) -> int | None:
        """The latest time of the rows held (us)."""
        return int(self._held[: self.held, AT].max()) if self.held else None

    def take(
        self,
        times: np.ndarray,
        partitions: np.ndarray | None = None,
        arrivals: np.ndarray = _NOTHING,
        newest: np.ndarray = _NOTHING,
    ) -> Verdicts | None:
        """Judge the next rows (times in us); None if all pass at once. ``newest`` is filled with the clock at each row."""
        n = i = 0
        if not self._apart and not self._scores.any() and not self._counts[HELD]:
            i = calm(times, arrivals, self._ahead, self._clocks[0], newest)
            if i == times.size:
                self._counts[NEXT_ID] += times.size
                return None
        parts = np.zeros(times.size, "int64") if partitions is None else partitions.astype("int64")
        kept = np.zeros(times.size, bool)
        held = np.zeros((MOST_HELD, 5), "int64")
        held[: self.held] = self._held[: self.held]
        out = np.zeros((times.size - i + self.held, DECIDED), "int64")
        while True:
            i, n = judge(
                times, parts, arrivals, i, self._ahead, self._apart, self._clocks, self._ids, self._scores, self._runs, held,
                self._counts, out, n, kept, newest,
            )  # fmt: skip
            if i == times.size:
                break
            self._more_places()
        self._counts[NEXT_ID] += times.size
        self._held = held[: self.held].copy()
        return _verdicts(kept, out[:n])

    def _more_places(self) -> None:
        places = max(4, 2 * self._ids.size)
        for name, size in (("_ids", places), ("_scores", 1 + places), ("_runs", places)):
            old = getattr(self, name)
            new = np.zeros((size, *old.shape[1:]), "int64")
            new[: len(old)] = old
            setattr(self, name, new)
        if self._apart:
            clocks = np.zeros((places, 4), "int64")
            clocks[: len(self._clocks)] = self._clocks
            self._clocks = clocks

    def finish(self) -> Verdicts:
        """Decide on the rows that are held, at the end."""
        held, out, n = self._held.copy(), np.zeros((self.held, DECIDED), "int64"), 0
        for part in range(int(self._counts[PARTS])) if self._apart else (-1,):
            clock = self._clocks[max(part, 0)]
            mine = [p for p in range(int(self._counts[PARTS])) if part in (-1, p) and (held[: self.held, PART] == p).any()]
            if clock[ROWS] < MANY:
                n = self._pass_all(mine, clock, held, out, n)
                continue
            for place in (-1, *mine) if part == -1 else mine:
                if self._scores[1 + place] >= WEIGHT * FEW and self.held:
                    n = move(0, place, False, self._ahead, clock, self._scores, held, self._counts, out, n)
        while self.held:
            n = decide(0, 0, 0, held, self._counts, out, n)
        self._scores[:], self._runs[:], self._held = 0, 0, held[:0]
        return _verdicts(np.zeros(0, bool), out[:n])

    def _pass_all(self, parts: list[int], clock: np.ndarray, held: np.ndarray, out: np.ndarray, n: int) -> int:
        j = 0
        while j < self.held:
            if held[j, PART] in parts:
                accept(held[j, AT], clock)
                n = decide(j, 0, 1, held, self._counts, out, n)
            else:
                j += 1
        return n


def _verdicts(kept: np.ndarray, out: np.ndarray) -> Verdicts:
    ids, at, passes, far, by_arrival = out.T
    return Verdicts(kept, ids, at, passes.astype(bool), far, by_arrival.astype(bool))
