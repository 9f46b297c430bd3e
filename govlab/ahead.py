"""The guard on event time: one row whose clock is wrong moves nothing far.

Everything that follows event time follows the newest time seen. So a row further ahead than a bound is *held* until the rows
after it tell whether it was wrong (it goes to the side ``ahead``) or the clock has really moved (it passes on). Decided row by
row, so that no answer depends on how the rows were cut into frames; there is no wall clock in it.

The rules
---------
- A row is ahead if its time is more than ``ahead`` (1 h), and more than three times the longest gap that was accepted, after the
  newest time accepted. The gap is remembered by rows: it is halved every 1,000; of one over 1,200 days no more than these. Where
  a row has ``arrival`` or ``message_time``, it is ahead if its time is more than ``ahead`` after that, whatever its neighbours
  say.
- A row that is ahead counts 3, any other takes 1 away (never below 0), over all rows and for each source partition by itself.
  When the count of its partition is 0 again, it goes aside. At 90 (30 in a row, or a lasting share above a quarter of all rows or
  of those of the partition) the clock has moved: of the held rows those around their median pass, in order. Early on it
  takes fewer: as many as were accepted, at least 4.
- Rows in order that are as far from each other as from the row before them (at least a third) are a sparse series, and pass: the
  second of the run at the latest, the fourth once 30 rows were accepted.
- The first row waits for the second one: if that is far behind it, the first is the one that is ahead.
- At the end, held rows pass if fewer than 30 were accepted, or if they are more than 3 in a row; else they go aside.
- At most 256 are held; then the oldest goes aside.

Two or more wrong rows that agree, before any right one, are believed; nothing in the rows says otherwise (``arrival`` does).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pandas as pd

from govlab.event_clock import EventClock, Verdicts
from govlab.frames import TIME, time_us, values

__all__ = ["Guard"]

ARRIVALS = ("arrival", "message_time")


class Guard:
    """Keeps rows whose clock is ahead from the steps of a pipeline: it holds them, and passes them on or puts them aside.

    Parameters
    ----------
    ahead_us, apart
        As of :class:`EventClock`.
    """

    def __init__(self, ahead_us: int, apart: bool = False) -> None:
        self.clock = EventClock(ahead_us, apart)
        self._rows: dict[int, pd.DataFrame] = {}  # the rows held, by their id
        self._aside: list[tuple[pd.DataFrame, list[str]]] = []

    def held(self) -> int:
        """Count the rows held."""
        return len(self._rows)

    def take_aside(self) -> list[tuple[pd.DataFrame, list[str]]]:
        """Hand over the rows put aside since the last call, with the reason of each."""
        aside, self._aside = self._aside, []
        return aside

    def process(self, frame: pd.DataFrame) -> list[pd.DataFrame]:
        """Give the rows that pass on, in pieces; the index says at which row each passes."""
        if TIME not in frame.columns or not isinstance(values(frame, TIME).dtype, pd.DatetimeTZDtype):
            return [frame]  # no event frame; the steps say what they need
        before = self.clock.taken
        partitions = np.asarray(values(frame, "partition")) if "partition" in frame.columns else None
        verdicts = self.clock.take(time_us(frame), partitions, _arrivals(frame))
        if verdicts is None:
            return [frame]
        free = np.flatnonzero(~verdicts.kept)
        pieces: list[pd.DataFrame] = []
        places: list[np.ndarray] = []  # of rows of this frame that are not yet in a piece, and where each passes
        labels: list[np.ndarray] = []
        done = 0
        for at, numbers in self._decided(verdicts, before):
            upto = int(np.searchsorted(free, at))
            places.append(free[done:upto])
            labels.append(free[done:upto])
            done = upto
            ids = verdicts.ids[numbers]
            if ids[0] >= before:
                places.append(ids - before)
                labels.append(np.full(len(ids), at))
                continue
            pieces += [_piece(frame, places, labels), self._rows.pop(int(ids[0])).set_axis(frame.index[[at]])]
            places, labels = [], []
        places.append(free[done:])
        labels.append(free[done:])
        pieces.append(_piece(frame, places, labels))
        for _, numbers in self._decided(verdicts, before, passes=False):
            ids = verdicts.ids[numbers]
            self._put_aside(frame.iloc[ids - before] if ids[0] >= before else self._rows.pop(int(ids[0])), verdicts, numbers)
        for i in np.setdiff1d(np.flatnonzero(verdicts.kept), verdicts.ids - before).tolist():
            self._rows[before + i] = frame.iloc[[i]]
        return [piece for piece in pieces if len(piece)] or [frame.iloc[:0]]

    def finish(self) -> list[pd.DataFrame]:
        """Give the held rows that pass at the end, in order."""
        verdicts, pieces = self.clock.finish(), []
        for n, (name, passes) in enumerate(zip(verdicts.ids.tolist(), verdicts.passes.tolist(), strict=True)):
            rows = self._rows.pop(name)
            if passes:
                pieces.append(rows)
            else:
                self._put_aside(rows, verdicts, [n])
        return pieces

    def _decided(self, verdicts: Verdicts, before: int, passes: bool = True) -> Iterator[tuple[int, list[int]]]:
        """Give (the row at which, the numbers of the verdicts): rows of this frame together, earlier ones one by one."""
        ids, when = verdicts.ids.tolist(), verdicts.when.tolist()
        some = np.flatnonzero(verdicts.passes == passes).tolist()
        for (at, _), numbers in itertools.groupby(some, lambda n: (when[n] if passes else 0, min(ids[n], before))):
            yield at, list(numbers)

    def _put_aside(self, rows: pd.DataFrame, verdicts: Verdicts, numbers: list[int]) -> None:
        self._aside.append((rows, [_reason(verdicts, n) for n in numbers]))


def _reason(verdicts: Verdicts, n: int) -> str:
    of = "its arrival" if verdicts.by_arrival[n] else "the events beside it"
    return f"its time is {_length(int(verdicts.far[n]))} ahead of {of}"


def _piece(frame: pd.DataFrame, places: list[np.ndarray], labels: list[np.ndarray]) -> pd.DataFrame:
    if not places:
        return frame.iloc[:0]
    return frame.iloc[np.concatenate(places)].set_axis(frame.index[np.concatenate(labels)])


def _arrivals(frame: pd.DataFrame) -> np.ndarray:
    """Give when each row arrived (us; NONE where it is missing), where the frame has such a column."""
    for name in ARRIVALS:
        if name in frame.columns and isinstance(values(frame, name).dtype, pd.DatetimeTZDtype):
            return time_us(frame, name)  # a missing one is the least number
    return np.zeros(0, "int64")


def _length(us: int) -> str:
    for size, unit in ((86_400_000_000, "days"), (3_600_000_000, "h"), (60_000_000, "min")):
        if us >= 2 * size:
            return f"{us / size:,.1f} {unit}".replace(".0 ", " ")
    return f"{us / 1e6:g} s"
