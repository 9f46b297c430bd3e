"""Days are local: windows that begin when the clocks of a zone say so, numbered one after the other, and the hour of the week."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
import pandas as pd
from numba import njit

from govlab.errors import ArgumentError
from govlab.fields import Is

__all__ = ["LocalWindows", "Zone", "local_us", "start_of", "windows_of"]

DAY_US = 86_400_000_000


def _zone(value: Any, where: str) -> Any:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        near = get_close_matches(str(value), available_timezones(), 1)  # of 600 names
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ArgumentError(f"{where}={value!r} is no time zone; expected an IANA name such as 'Europe/Berlin'.{hint}") from error
    return value


Zone = Annotated[str, Is(_zone)]


@lru_cache(maxsize=16)
def _periods(zone: str) -> tuple[np.ndarray, np.ndarray]:
    """Give when the clocks of a zone are changed, from 1900 to 2100, and the offset from then on (us); the first from ever on."""
    grid = np.arange(-25_567, 47_482) * DAY_US
    offsets = _offsets(grid, zone)
    low, high = grid[:-1][np.diff(offsets) != 0], grid[1:][np.diff(offsets) != 0]
    before = _offsets(low, zone)
    while low.size and (high - low).max() > 1:
        middle = (low + high) // 2
        same = _offsets(middle, zone) == before
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return np.concatenate([[np.iinfo("int64").min], high]), np.concatenate([offsets[:1], _offsets(high, zone)])


def _offsets(times: np.ndarray, zone: str) -> np.ndarray:
    local = pd.DatetimeIndex(times.view("M8[us]"), tz="UTC").tz_convert(ZoneInfo(zone)).tz_localize(None)
    return np.asarray(local.as_unit("us").asi8 - times)


def local_us(times: np.ndarray, zone: str) -> np.ndarray:
    """Give what the clocks of a zone say at some moments (us), as microseconds since 1970-01-01 of those clocks."""
    if zone == "UTC":
        return times
    starts, offsets = _periods(zone)
    return times + offsets[np.searchsorted(starts, times, side="right") - 1]


class LocalWindows:
    """Windows of a zone: one begins whenever its clocks say a multiple of ``every``, or leap over one.

    A day lasts 23 or 25 hours when the clocks are changed. An hour that comes twice makes two windows of an hour; one that is
    left out makes none. About 20 ns a row.

    Parameters
    ----------
    zone : str
        IANA name.
    every_us : int
        A whole number of days, or a part of one.
    """

    def __init__(self, zone: str, every_us: int) -> None:
        self.every = every_us
        self.starts, self.offsets = _periods(zone)
        # of each period: the number of its first window, what its clocks say there (in windows), whether one begins with it
        first = [0]
        said = [0]
        begins = [False]
        for start, old, new in zip(self.starts[1:].tolist(), self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True):
            last = (start - 1 + old) // every_us
            number = first[-1] + max(0, last - said[-1])
            now = (start + new) // every_us
            again = (start + new) % every_us == 0 and every_us < DAY_US
            begin = again or now > last
            first.append(number + begin)
            said.append(now if begin else max(last, said[-1]))
            begins.append(begin)
        self.first, self.said = np.array(first), np.array(said)
        # for start_of: the first window that begins in each period, its beginning, and what is usual from then on
        begun = np.array(begins)
        usual = self.said * every_us - self.offsets
        self.table = np.stack([self.first + ~begun, np.where(begun, self.starts, usual + every_us), usual - self.first * every_us])

    def number(self, times: np.ndarray) -> np.ndarray:
        """Give the number of the window of each moment (us); it never falls as time goes on."""
        p = np.searchsorted(self.starts, times, side="right") - 1
        beyond = (times + self.offsets[p]) // self.every - self.said[p]
        return np.asarray(self.first[p] + np.where(p > 0, np.maximum(0, beyond), beyond))

    def start(self, numbers: np.ndarray) -> np.ndarray:
        """Give when the windows of some numbers begin (us)."""
        p = np.maximum(0, np.searchsorted(self.table[0], numbers, side="right") - 1)
        return np.where((p > 0) & (numbers == self.table[0, p]), self.table[1, p], self.table[2, p] + numbers * self.every)


@lru_cache(maxsize=64)
def windows_of(zone: str, every_us: int) -> LocalWindows | None:
    """Give the windows of a zone, made once; None for UTC, which needs no table."""
    return None if zone == "UTC" else LocalWindows(zone, every_us)


@njit(cache=True, nogil=True)
def start_of(number, every, table):
    """Give when a window begins (us): of a zone, by its table; of UTC, where the table is empty, every so often since 1970."""
    if table.shape[1] == 0:
        return number * every
    p = max(0, np.searchsorted(table[0], number, side="right") - 1)
    return table[1, p] if p > 0 and number == table[0, p] else table[2, p] + number * every
