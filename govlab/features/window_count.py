"""Counts, sums and distinct values in windows of event time, for each key."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pandas as pd

from govlab.errors import ArgumentError
from govlab.features.window_kernel import CELL, LISTED, LIVE, NEED, NEWEST, NEXT, NONE, OUT, close, refill, run_rows
from govlab.fields import AtLeast, ColumnName, Duration, Wait
from govlab.frames import build, duration_us, numbers, require, time_us
from govlab.hashing import hash_column
from govlab.keys import KeyIndex, grow
from govlab.step import Step
from govlab.zones import DAY_US, LocalWindows, Zone, windows_of

_NO_ROWS, _NO_ZONE = np.zeros(0, "int64"), np.zeros((3, 0), "int64")


class WindowCount(Step):
    """Count the events of each key in windows of event time, and sum up or tell apart another column.

    A window closes at the row that moves the watermark (newest event time - ``lateness``) to its end, and comes out then,
    keys in the order in which they came into it. A row whose windows have all closed goes to the side ``late``. What is
    still open comes out at the end of the stream. 60-100 ns a row; 60 bytes for each
    key known and each place of the ring, which has (lateness + size) / every + 2 places.

    Parameters
    ----------
    by : str, optional
        The column with the key; None: one count over all rows.
    every : str, default "1min"
        A window starts so often.
    size : str, optional
        Its length, a multiple of ``every`` (sliding windows); by default ``every`` (tumbling windows).
    lateness : str, default "0s"
        A window waits so long (event time) for late rows.
    value : str, optional
        Also give ``sum``, over this column; a missing value adds nothing.
    distinct : str, optional
        Also give ``distinct``, the number of different values of this column (such as actors).
    fill : bool, default False
        Also give windows without an event (count 0), for a key seen within ``expire``: without them an outage is not seen.
    expire : str, default "1d"
        How long empty windows are given after the last event of a key.
    max_entities : int, at least 1
        So many keys have open windows at once; rows of further ones go to the side ``overflow``.
    zone : str, default "UTC"
        The zone by whose clocks windows begin (IANA name, such as ``"Europe/Berlin"``): ``every="1d"`` begins at local midnight,
        and lasts 23 or 25 hours when the clocks are changed. Of an hour that comes twice, each is a window of its own; one
        that is left out has none. ``every`` is then whole days (from 1970-01-01 on, a Thursday) or a part of one.

    Notes
    -----
    Given on: ``time`` (end of the window), ``start``, the key, ``count`` (int64), ``sum`` (float64), ``distinct`` (int64);
    ``partition`` and ``offset`` of its last row; ``first_offset`` and ``last_offset`` of its rows (-1: several partitions).

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:10Z", "2026-03-02T00:00:20Z", "2026-03-02T00:01:00Z"]})
    >>> gl.Pipeline(gl.features.WindowCount(every="1min")).run(events).rows["count"].to_list()
    [2, 1]
    """

    by: ColumnName | None = None
    every: Duration = "1min"
    size: Duration | None = None
    lateness: Wait = "0s"
    value: ColumnName | None = None
    distinct: ColumnName | None = None
    fill: bool = False
    expire: Duration = "1d"
    max_entities: Annotated[int, AtLeast(1)] = 1_000_000
    zone: Zone = "UTC"

    added = frozenset({"zone"})

    absorbs = True

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("actor", "1min", "3min", "30s", value="value", distinct="kind", max_entities=8)

    def check(self) -> None:
        """Check the recipe."""
        self._every, self._size = duration_us(self.every), duration_us(self.every if self.size is None else self.size)
        self._lateness, self._expire = duration_us(self.lateness, zero=True), duration_us(self.expire)
        if self._size % self._every:
            raise ArgumentError(f"WindowCount: size={self.size!r} must be a multiple of every={self.every!r}.")
        if self._size // self._every > 10_000:
            raise ArgumentError(f"WindowCount: size={self.size!r} is over 10,000 times every={self.every!r}; take a longer every.")
        if self.zone != "UTC" and self._every % DAY_US and DAY_US % self._every:
            raise ArgumentError(
                f"WindowCount: every={self.every!r} with zone={self.zone!r}; expected whole days, or a length that divides a day."
            )

    def start(self) -> None:
        """Close all windows and forget all keys."""
        self._index = KeyIndex()
        ring = -(-(self._lateness + self._size) // self._every) + 2
        if self.zone != "UTC":  # when clocks are changed there are more, shorter windows
            ring += 3 + (self._lateness + self._size + self._expire * self.fill) // (7 * DAY_US)
        self._cells = np.zeros((ring, 0), CELL)
        self._touched, self._touches = np.zeros((ring, 0), "int32"), np.zeros(ring, "int64")
        self._sets, self._set_sizes = np.zeros((ring, 0), "uint64"), np.zeros(ring, "int64")
        self._open = np.zeros(0, "int32")  # open windows of each key
        # last and first event of each key since it came; for fill, the keys in the order in which they came
        self._seen, self._born, self._listed = np.zeros(0, "int64"), np.zeros(0, "int64"), np.zeros(0, "int32")
        # see window_kernel for the places
        self._state = np.array([NONE, NONE, 0, 0, 0, 0])
        self._out, self._position = np.zeros(0, OUT), (np.zeros(1, "int32"), np.zeros(1, "int64"))

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Take rows and give on the windows that close at them."""
        require(frame, [self.by, self.value, self.distinct], "WindowCount")
        n = len(frame)
        ids = np.zeros(n, "int64") if self.by is None else self._index.encode(frame[self.by])
        self._make_room(n)
        items = np.zeros(0, "uint64")
        if self.distinct is not None:
            items = hash_column(frame[self.distinct])
            items = items if self.by is None else items ^ (hash_column(frame[self.by]) * np.uint64(0x9E3779B97F4A7C15))
        amounts = np.zeros(0)
        if self.value is not None:
            amounts = np.nan_to_num(numbers(frame, self.value), posinf=np.inf, neginf=-np.inf)
        fate = np.zeros(n, "uint8")
        given = self._run(ids, frame, amounts, items, fate)
        if fate.any():
            self.divert("late", frame[fate == 1], f"its window had closed (lateness {self.lateness})")
            self.divert("overflow", frame[fate == 2], f"{self.max_entities} keys have open windows (max_entities)")
        self.absorbed += int((fate == 0).sum())
        out = self._windows(given, frame.index)
        self._forget_keys()
        return out

    def _run(self, ids: np.ndarray, frame: pd.DataFrame, amounts: np.ndarray, items: np.ndarray, fate: np.ndarray) -> np.ndarray:
        times = time_us(frame)
        windows = marks = _NO_ROWS
        if (local := self._local) is not None:
            windows, marks = local.number(times), local.number(times - self._lateness)
        partitions, offsets = numbers(frame, "partition", "int32"), numbers(frame, "offset", "int64")
        i = given = 0
        while True:
            i, given = run_rows(
                i, ids, times, windows, marks, self._table(), amounts, items, partitions, offsets, self._every, self._size,
                self._lateness, self._expire if self.fill else -1, self.max_entities, self._cells, self._touched, self._touches,
                self._sets, self._set_sizes, self._open, self._seen, self._born, self._listed, self._state, fate, self._out, given,
            )  # fmt: skip
            if i == ids.size:
                break
            self._more_room(given)
        if ids.size:
            self._position = partitions[-1:].copy(), offsets[-1:].copy()
        return self._out[:given]

    def _more_room(self, given: int) -> None:
        larger = np.zeros(max(self._out.size * 2, given + int(self._state[NEED]), 1024), OUT)
        larger[:given] = self._out[:given]
        self._out = larger

    def finish(self) -> pd.DataFrame:
        """Give on the windows still open."""
        if self._state[NEWEST] == NONE:
            return self._windows(self._out[:0], pd.RangeIndex(0))
        after = int(self._number(self._state[NEWEST : NEWEST + 1])[0]) + 1
        shut = after - int(self._state[NEXT])
        self._state[NEED] = int(self._state[LISTED]) * shut if self.fill else int(self._touches.sum())
        self._more_room(0)
        given = close(
            0, after, self._every, self._size, self._table(), self._expire if self.fill else -1, *self._position, self._cells,
            self._touched, self._touches, self._sets, self._set_sizes, self._open, self._seen, self._born, self._listed,
            self._state, self._out, 0,
        )  # fmt: skip
        return self._windows(self._out[:given], pd.RangeIndex(given))

    @property
    def _local(self) -> LocalWindows | None:
        return windows_of(self.zone, self._every)

    def _table(self) -> np.ndarray:
        return _NO_ZONE if self._local is None else self._local.table

    def _number(self, times: np.ndarray) -> np.ndarray:
        return times // self._every if self._local is None else self._local.number(times)

    def _begins(self, windows: np.ndarray) -> np.ndarray:
        return windows * self._every if self._local is None else self._local.start(windows)

    def _make_room(self, n: int) -> None:
        keys = max(len(self._index), 1)
        if keys > self._open.size:
            keys *= 2
            self._cells, self._touched = (_widen(a, keys) for a in (self._cells, self._touched))
            self._open, self._listed = grow(self._open, keys), grow(self._listed, keys)
            self._seen, self._born = grow(self._seen, keys, NONE), grow(self._born, keys)
        if self.distinct is not None:
            size, most = max(self._sets.shape[1], 256), int(self._set_sizes.max()) + n
            while size < most * 2:
                size *= 2
            if size > self._sets.shape[1]:
                sets = np.zeros((self._sets.shape[0], size), "uint64")
                for old, new in zip(self._sets, sets, strict=True):
                    refill(old, new)
                self._sets = sets

    def _windows(self, out: np.ndarray, labels: pd.Index) -> pd.DataFrame:
        cell, first = out["cell"], out["window"]
        data: dict[str, Any] = {"time": self._begins(first + self._size // self._every), "start": self._begins(first)}
        if self.by is not None:
            data[self.by] = self._index.take(out["key"])
        data["count"] = cell["count"].copy()
        if self.value is not None:
            data["sum"] = cell["sum"].copy()
        if self.distinct is not None:
            data["distinct"] = cell["distinct"].copy()
        data["partition"], data["offset"] = cell["partition"].copy(), cell["offset"].copy()
        mixed = cell["mixed"] == 1
        data["first_offset"], data["last_offset"] = (np.where(mixed, -1, cell[name]) for name in ("first", "last"))
        return build(data, pd.Index(labels.to_numpy()[out["row"]]) if len(labels) else None)

    def _forget_keys(self) -> None:
        """Drop the names of keys without open windows, once they are many."""
        live = int(self._state[LIVE])
        if self.by is None or len(self._index) < 4 * live + min(2 * self.max_entities, 65_536):
            return
        kept = np.flatnonzero(
            (self._open[: len(self._index)] > 0) | (self._seen[: len(self._index)] != NONE if self.fill else False)
        )
        moved = self._index.keep(kept)
        for name in ("_cells", "_touched"):
            setattr(
                self,
                name,
                np.ascontiguousarray(getattr(self, name)[:, kept]) if name == "_cells" else self._touched[:, : kept.size].copy(),
            )
        for s in range(self._touches.size):
            n = int(self._touches[s])
            self._touched[s, :n] = moved[self._touched[s, :n]]
        self._listed[: self._state[LISTED]] = moved[self._listed[: self._state[LISTED]]]
        self._open, self._seen, self._born = self._open[kept].copy(), self._seen[kept].copy(), self._born[kept].copy()
        self._listed = self._listed[: kept.size].copy()

    def __getstate__(self) -> dict[str, Any]:
        # only what is in use: the open windows, not the places for all keys
        keys = len(self._index)
        touched = [self._touched[s, :n].copy() for s, n in enumerate(self._touches)]
        kept = {
            "_touched": touched,
            "_cells": [self._cells[s, those] for s, those in enumerate(touched)],
            "_sets": [self._sets[s][self._sets[s] != 0] for s in range(len(self._sets))],
            "_places": (max(keys, 1), self._sets.shape[1]),
            "_listed": self._listed[: self._state[LISTED]].copy(),
        }
        fill = (
            {"_seen": self._seen[:keys].copy(), "_born": self._born[:keys].copy()} if self.fill else {"_seen": None, "_born": None}
        )
        return self.__dict__ | kept | fill | {"_open": None, "_out": self._out[:0]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        keys, size = state.pop("_places")
        cells, touched, sets = state.pop("_cells"), state.pop("_touched"), state.pop("_sets")
        self.__dict__.update(state)
        ring = len(touched)
        self._cells, self._touched = np.zeros((ring, keys), CELL), np.zeros((ring, keys), "int32")
        self._open, self._listed = np.zeros(keys, "int32"), grow(self._listed, keys)
        self._sets = np.zeros((ring, size), "uint64")
        for s in range(ring):
            self._cells[s, touched[s]], self._touched[s, : touched[s].size] = cells[s], touched[s]
            self._open[touched[s]] += 1
            refill(sets[s], self._sets[s])
        self._seen = np.full(keys, NONE) if self._seen is None else grow(self._seen, keys, NONE)
        self._born = np.zeros(keys, "int64") if self._born is None else grow(self._born, keys)


def _widen(array: np.ndarray, columns: int) -> np.ndarray:
    wide = np.zeros((array.shape[0], columns), array.dtype)
    wide[:, : array.shape[1]] = array
    return wide
