"""What a plot remembers: a bounded number of rows, whatever passes through the stream."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pandas as pd

from govlab.plots.untrusted import plain

Times = np.ndarray[Any, np.dtype[np.datetime64]]
MONTH_US = 30 * 86_400_000_000


def utc(times: pd.Series) -> Times:
    """Give a column of times as naive UTC microseconds, the form that Bokeh draws without a guess.

    Parameters
    ----------
    times : pandas.Series
        datetime64, with or without a time zone (without means UTC).

    Returns
    -------
    numpy.ndarray
        datetime64[us], NaT where it was.
    """
    index = pd.DatetimeIndex(times)
    if index.tz is not None:
        index = index.tz_convert("UTC").tz_localize(None)
    return index.to_numpy().astype("datetime64[us]")


def near(times: np.ndarray[Any, Any], counts: np.ndarray[Any, Any], least: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Say which times are near the others: one wrong clock should not stretch a plot over a century.

    Those that are not are at most 1 in 100 at either end, and lie further from the rest than that is long, and than ``least``.

    Parameters
    ----------
    times : numpy.ndarray
        Whole numbers, in rising order.
    counts : numpy.ndarray
        How many events there are of each.
    least : int
        So far apart is never too far.
    """
    if not len(times):
        return np.ones(0, dtype=bool)
    passed, few = np.cumsum(counts), counts.sum() // 100
    low, high = (int(times[min(np.searchsorted(passed, n, side="right"), len(times) - 1)]) for n in (few, passed[-1] - few - 1))
    far = max(high - low, least)
    return (times >= low - far) & (times <= high + far)


class Once:
    """Lets every event through once, although a replay that seeks back, or a broker, delivers it again.

    An event is known by its position, the columns `partition` and `offset` that every reader sets, in order within a
    partition; frames without them pass.
    """

    def __init__(self) -> None:
        self._next: dict[int, int] = {}

    def __call__(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of `frame` that are beyond all positions seen so far."""
        if frame.empty or "partition" not in frame or "offset" not in frame:
            return frame
        partitions, offsets = frame["partition"].to_numpy(), frame["offset"].to_numpy()
        fresh = np.zeros(len(frame), dtype=bool)
        for partition in np.unique(partitions).tolist():
            here = partitions == partition
            fresh |= here & (offsets >= self._next.get(partition, 0))
            self._next[partition] = max(self._next.get(partition, 0), int(offsets[here].max()) + 1)
        return frame if fresh.all() else frame[fresh]


class Counts:
    """Events per time bucket, the newest `rows` buckets that had any.

    Parameters
    ----------
    every : str
        Width of a bucket, a pandas offset of fixed length.
    rows : int
        Buckets kept.
    """

    def __init__(self, every: str, rows: int) -> None:
        self.width_us = pd.Timedelta(every) // pd.Timedelta(1, "us")
        if self.width_us <= 0:
            raise ValueError(f"every={every!r} is not a length of time; give a pandas offset such as '1min'")
        self.rows, self.total, self.apart = rows, 0, 0
        self._counts: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, times: Times) -> None:
        """Count a frame's events; rows without a time are left out."""
        times = times[~np.isnat(times)]
        self.total += len(times)
        buckets, counts = np.unique(times.astype(np.int64) // self.width_us, return_counts=True)
        for bucket, count in zip(buckets.tolist(), counts.tolist(), strict=True):
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        if len(self._counts) > self.rows:
            for bucket in sorted(self._counts)[: len(self._counts) - self.rows]:
                del self._counts[bucket]

    def curve(self) -> tuple[Times, np.ndarray[Any, np.dtype[np.float64]]]:
        """Return bucket starts and counts in order of time, with the zeros that a quiet stretch needs to look quiet."""
        buckets = np.array(sorted(self._counts), dtype=np.int64)
        counts = np.array([self._counts[bucket] for bucket in buckets.tolist()], dtype=np.float64)
        drawn = near(buckets, counts, MONTH_US // self.width_us)
        self.apart = int(counts[~drawn].sum())
        buckets, counts = buckets[drawn], counts[drawn]
        gaps = np.flatnonzero(np.diff(buckets) > 1)
        edges = np.unique(np.concatenate([buckets[gaps] + 1, buckets[gaps + 1] - 1]))
        order = np.argsort(np.concatenate([buckets, edges]), kind="stable")
        starts = (np.concatenate([buckets, edges])[order] * self.width_us).astype("datetime64[us]")
        return starts, np.concatenate([counts, np.zeros(len(edges))])[order]


class Values:
    """The newest `rows` values of a column with their times, for one or a few keys.

    Parameters
    ----------
    rows : int
        Values kept, over all keys.
    keys : int
        Keys followed, the first that are seen; rows of others are counted in `ignored` and left out.
    """

    def __init__(self, rows: int, keys: int) -> None:
        self.rows, self.limit, self.total, self.ignored, self.apart = rows, keys, 0, 0, 0
        self.keys: dict[str, int] = {}  # as they are shown
        self._numbers: dict[object, int] = {}  # as they are
        self._times = np.empty(0, dtype="datetime64[us]")
        self._values = np.empty(0)
        self._ids = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._times)

    def add(self, times: Times, values: pd.Series, keys: pd.Series | None = None) -> None:
        """Take a frame's values; rows without a time are left out."""
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        ids = self._numbered(keys, len(times))
        self.total += len(times)
        self.ignored += int((ids < 0).sum())
        kept = ~np.isnat(times) & (ids >= 0)
        self._times = np.concatenate([self._times, times[kept]])[-self.rows :]
        self._values = np.concatenate([self._values, numbers[kept]])[-self.rows :]
        self._ids = np.concatenate([self._ids, ids[kept]])[-self.rows :]

    def _numbered(self, keys: pd.Series | None, length: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        if keys is None:
            self.keys.setdefault("", 0)
            return np.zeros(length, dtype=np.int64)
        codes, uniques = pd.factorize(keys)
        numbers = []
        for unique in uniques:
            if unique not in self._numbers and len(self._numbers) < self.limit:
                number = self._numbers[unique] = len(self._numbers)
                name = plain(unique, 24)
                self.keys[name if name not in self.keys else f"{name} ({number})"] = number
            numbers.append(self._numbers.get(unique, -1))
        return np.array([*numbers, -1], dtype=np.int64)[codes]

    def curves(self) -> dict[str, tuple[Times, np.ndarray[Any, np.dtype[np.float64]]]]:
        """Return times and values of each key in order of time."""
        order = np.argsort(self._times, kind="stable")
        drawn = near(self._times[order].astype(np.int64), np.ones(len(order)), MONTH_US)
        self.apart, order = int((~drawn).sum()), order[drawn]
        times, values, ids = self._times[order], self._values[order], self._ids[order]
        return {key: (times[ids == number], values[ids == number]) for key, number in self.keys.items()}


class Alerts:
    """The newest `rows` alerts, each once: a redelivered alert has the id it had and takes its own place.

    Parameters
    ----------
    rows : int
        Alerts kept.
    """

    columns = ("time", "entity", "detector", "severity", "reason", "score")

    def __init__(self, rows: int) -> None:
        self.rows, self.total = rows, 0
        self._rows: OrderedDict[object, tuple[object, ...]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, frame: pd.DataFrame) -> None:
        """Take a frame of alerts; a column it does not have is shown empty, `time` it must have."""
        times = utc(frame["time"])
        scores = pd.to_numeric(frame["score"], errors="coerce") if "score" in frame else [np.nan] * len(frame)
        texts = [frame[name] if name in frame else [None] * len(frame) for name in self.columns[1:-1]]
        ids = frame["id"] if "id" in frame else [None] * len(frame)
        for key, when, score, *words in zip(ids, times, scores, *texts, strict=True):
            name = self.total if key is None else key
            if name not in self._rows:
                self.total += 1
            self._rows[name] = (when, *(plain(word) for word in words), float(score))
            if len(self._rows) > self.rows:
                self._rows.popitem(last=False)

    def table(self) -> pd.DataFrame:
        """Return what is kept, in order of arrival, every text of it already made plain."""
        table = pd.DataFrame(list(self._rows.values()), columns=list(self.columns))
        return table.astype({"time": "datetime64[us]", "score": "float64"} | dict.fromkeys(self.columns[1:-1], object))
