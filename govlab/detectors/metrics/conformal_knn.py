"""Conformal k nearest neighbours: how rare is this value, and how rare is this shape, beside all that was seen."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pandas as pd
from numba import njit

from govlab import frames
from govlab.detectors.ranks import beside
from govlab.errors import SchemaError
from govlab.fields import AtLeast, ColumnName, at_least
from govlab.keys import grow
from govlab.step import Detector, Step

FILL, LEARNED, VALUES, SHAPES, RAWS = range(5)  # what the counts of an entity count
LEAST = 64  # places of an entity at first; they double


@njit(cache=True, nogil=True)
def _kth(x, t, m, k, history, work):
    """Give the squared distance from the block of m values that ends at t to its k-th nearest earlier one, or -1.

    Only blocks that share no value with it count: the block one step back is always near, and says nothing.
    Each sum runs from the newest value to the oldest, so equal blocks tie to the last bit.
    """
    low = max(m - 1, t - history)
    n = t - m + 1 - low
    if n < k:
        return -1.0
    for q in range(n):
        work[q] = 0.0
    i = 0
    while i + 4 <= m:  # four terms a pass: the passes are bound by loads and stores, and this halves the time
        c0, c1, c2, c3 = x[t - i], x[t - i - 1], x[t - i - 2], x[t - i - 3]
        at = low - i
        y0, y1, y2, y3 = x[at : at + n], x[at - 1 : at - 1 + n], x[at - 2 : at - 2 + n], x[at - 3 : at - 3 + n]
        for q in range(n):
            d0, d1, d2, d3 = c0 - y0[q], c1 - y1[q], c2 - y2[q], c3 - y3[q]
            work[q] = (((work[q] + d0 * d0) + d1 * d1) + d2 * d2) + d3 * d3
        i += 4
    while i < m:
        c0 = x[t - i]
        y0 = x[low - i : low - i + n]
        for q in range(n):
            d0 = c0 - y0[q]
            work[q] += d0 * d0
        i += 1
    best = work[work.size - k :]
    best[:] = np.inf
    for q in range(n):
        distance = work[q]
        if distance < best[k - 1]:
            place = k - 1
            while place > 0 and best[place - 1] > distance:
                best[place] = best[place - 1]
                place -= 1
            best[place] = distance
    return best[k - 1]


@njit(cache=True, nogil=True)
def _nats(past, count, a):
    """Give -log p of a distance beside the past ones (a ring with ``count`` ever written)."""
    n = min(count, past.size)
    above = 0
    equal = 0
    for j in range(n):
        above += past[j] > a
        equal += past[j] == a
    return -np.log((above + 0.5 * equal + 0.5) / (n + 1))


@njit(cache=True, nogil=True)
def _raw(x, t, shape, k, history, near_value, near_shape, counts, work):
    """Give the sum of -log p of the row at t (NaN before there is a past), and its two distances."""
    a = _kth(x, t, 1, k, history, work)
    b = _kth(x, t, shape, k, history, work)
    if counts[VALUES] == 0 or counts[SHAPES] == 0:
        return np.nan, a, b
    return _nats(near_value, counts[VALUES], a) + _nats(near_shape, counts[SHAPES], b), a, b


@njit(cache=True, nogil=True)
def _run(xs, scores, values, near_value, near_shape, recent, counts, shape, k, history, calibration, warm, work):
    """Score each row and then learn it, in order."""
    for i in range(xs.size):
        if counts[FILL] == values.size:  # full: what later rows can reach moves to the front
            keep = history + shape - 1
            for j in range(keep):
                values[j] = values[values.size - keep + j]
            counts[FILL] = keep
        t = counts[FILL]
        values[t] = xs[i]
        raw, a, b = _raw(values, t, shape, k, history, near_value, near_shape, counts, work)
        if counts[LEARNED] >= warm:
            scores[i] = beside(raw, recent, counts[RAWS], recent.size)
        if a >= 0.0:
            near_value[counts[VALUES] % calibration] = a
            counts[VALUES] += 1
        if b >= 0.0:
            near_shape[counts[SHAPES] % calibration] = b
            counts[SHAPES] += 1
        if raw == raw and recent.size > 0:
            recent[counts[RAWS] % recent.size] = raw
            counts[RAWS] += 1
        counts[FILL] += 1
        counts[LEARNED] += 1


class _Memory:
    """What is kept of one entity. Unused places hold zeros, not chance, so that equal states pickle to equal bytes."""

    def __init__(self, record: int) -> None:
        self.past, self.near_value, self.near_shape = np.zeros(0), np.zeros(0), np.zeros(0)
        self.recent = np.zeros(record)
        self.counts = np.zeros(5, "int64")

    def make_room(self, rows: int, values: int, calibration: int) -> None:
        """Double the arrays until so many more rows fit, up to their bounds; their sizes do not depend on the cut."""
        self.past = grow(self.past, _size(self.counts[FILL] + rows, values))
        self.near_value = grow(self.near_value, _size(self.counts[VALUES] + rows, calibration))
        self.near_shape = grow(self.near_shape, _size(self.counts[SHAPES] + rows, calibration))


def _size(need: int, most: int) -> int:
    return min(max(LEAST, 1 << (int(need) - 1).bit_length()), most)


class ConformalKnn(Detector):
    """Score a value by its distance, and the shape it ends by its distance, to the k-th nearest of the past.

    For blocks of one value and of ``shape`` values: the distance a_t of the newest block to its ``k``-th nearest among
    the earlier blocks that do not overlap it, and p_t, the share of past distances that were as large. The evidence is
    the sum of the two -log p. It needs no scale, season or distribution, and looks at nothing but the past. A level
    that stays strange would alarm at every row, so only a *local record* counts: see Notes for the score.

    Parameters
    ----------
    column : str, default "value"
        The number to watch (any unit; float64).
    by : str, optional
        The entity: each has its own state. ``None``: the stream is one. A missing entity is one too.
    k : int, at least 1, default 3
        Which neighbour: what has happened fewer than ``k`` times is still strange.
    shape : int, at least 2, default 20
        Rows in the longer block.
    history : int, at least 5, default 8192
        Neighbours are looked for among the blocks that end in the last so many rows (four weeks at 5 minutes). It must
        span what is normal: a week that it does not hold is new again every week.
    calibration : int, at least 1, default 16384
        Past distances that p is read off: the smallest p is 0.5 / (calibration + 1). Longer than ``history``, since an
        alarm once in 10,000 rows cannot be read off 8,192, and a row here is one comparison, not ``shape`` products.
    record : int, at least 0, default 50
        Rows that a score must be above in order to count. 0: every row counts, as other detectors need it that take in the score.
    warm : int, at least 5, default 150
        Rows that an entity must have learned before it is scored; at least ``2 * shape + k``.
    max_entities : int, at least 1, default 256
        So many entities have state, those that came first; they are never forgotten, and the score of any further one is NaN.

    Raises
    ------
    ArgumentError
        A parameter is out of its range; the message names it.
    SchemaError
        A frame lacks the column, or it holds no numbers.

    Notes
    -----
    Score
        In nats, within +-2 log(2 (calibration + 1)), about 21. Above zero: a local record, and the score is
        its evidence. Zero or less: no record, and the score is how far it fell short of the highest of the last
        ``record`` rows. So a threshold above zero never fires on the echo of an event, and entities that have
        learned equally much share one scale.
    Cold start
        NaN for the first ``warm`` rows of an entity. A value that is missing or beyond 1e150 scores NaN and is not learned:
        the shapes run over the gap.
    Cost
        About ``history * (shape + 1)`` products and ``2 * calibration`` comparisons a row, whatever the data: 20 to 40
        microseconds with full defaults. Memory in proportion to the rows seen, at most 16 (history + calibration) bytes
        an entity, 0.4 MB with the defaults.
    Anomalies are learned
        Whatever their score: what has happened ``k`` times is normal.

    References
    ----------
    Burnaev, E. & Ishimtsev, V. (2016). Conformalized density- and distance-based anomaly detection in time-series data.
    https://doi.org/10.48550/arXiv.1608.04585 . There the distances are Mahalanobis and blocks may overlap; here they
    are Euclidean, two block lengths are summed, and blocks that overlap the newest do not count.

    Examples
    --------
    >>> value = np.tile([1.0, 2.0, 3.0, 2.0], 75)
    >>> value[280] = 9.0
    >>> events = frames.event_frame({"time": pd.date_range("2026-03-02", periods=300, freq="5min"), "value": value})
    >>> scores = ConformalKnn(shape=4, warm=50).process(events)["score"]   # row i is scored before it is learned
    >>> int(scores.isna().sum()), int(scores.idxmax())
    (50, 280)
    """

    column: ColumnName = "value"
    by: ColumnName | None = None
    k: Annotated[int, AtLeast(1)] = 3
    shape: Annotated[int, AtLeast(2)] = 20
    history: Annotated[int, AtLeast(5)] = 8192
    calibration: Annotated[int, AtLeast(1)] = 16384
    record: Annotated[int, AtLeast(0)] = 50
    warm: Annotated[int, AtLeast(5)] = 150
    max_entities: Annotated[int, AtLeast(1)] = 256

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("value", "actor", shape=3, history=40, record=5, calibration=60, warm=10, max_entities=8)

    def check(self) -> None:
        """Check the recipe."""
        at_least(self, "history", self.shape + self.k)  # else no earlier block
        at_least(self, "warm", 2 * self.shape + self.k)  # else no past distance

    def start(self) -> None:
        """Forget all entities."""
        self._entities: dict[Any, _Memory] = {}

    def score_one(self, x: dict[str, Any]) -> float:
        """Score one row; changes nothing."""
        value, memory = _number(x[self.column]), self._entities.get(self._key(x))
        if memory is None or not np.isfinite(value) or memory.counts[LEARNED] < self.warm:
            return float("nan")
        m, fill, work = memory, memory.counts[FILL], np.empty(self.history + self.k)
        y = np.append(m.past[max(0, fill - self.history - self.shape + 1) : fill], value)
        raw, _, _ = _raw(y, y.size - 1, self.shape, self.k, self.history, m.near_value, m.near_shape, m.counts, work)
        return float(beside(raw, m.recent, m.counts[RAWS], self.record))

    def learn_one(self, x: dict[str, Any]) -> None:
        """Learn one row."""
        value = _number(x[self.column])
        if np.isfinite(value):
            self._score_learn(self._key(x), np.array([value]))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, in order; float64, shape (n,)."""
        frames.require(frame, (self.column, self.by), "ConformalKnn")
        values = frames.measures(frame, self.column)
        scores = np.full(len(frame), np.nan)
        rows = np.flatnonzero(np.isfinite(values))
        for key, places in self._by_entity(frame, rows):
            scores[places] = self._score_learn(key, values[places])
        return scores

    def _by_entity(self, frame: pd.DataFrame, rows: np.ndarray) -> list[tuple[Any, np.ndarray]]:
        """Deal the rows to their entities, which do not touch each other; both stay in the order in which they came."""
        if self.by is None or not rows.size:
            return [(None, rows)] if rows.size else []
        try:
            codes, found = pd.factorize(frame[self.by].iloc[rows], use_na_sentinel=False)
        except TypeError as error:
            raise SchemaError(f"column {self.by!r} holds values that name no entity ({error}); make text of them first.") from error
        numbers: dict[Any, int] = {}
        codes = np.array([numbers.setdefault(_name(name), len(numbers)) for name in found.tolist()])[codes]
        ends = np.cumsum(np.bincount(codes))
        return list(zip(numbers, np.split(rows[np.argsort(codes, kind="stable")], ends[:-1]), strict=True))

    def _key(self, x: dict[str, Any]) -> Any:
        return None if self.by is None else _name(x[self.by])

    def _score_learn(self, key: Any, xs: np.ndarray) -> np.ndarray:
        scores = np.full(xs.size, np.nan)
        memory = self._entities.get(key)
        if memory is None:
            if len(self._entities) >= self.max_entities:
                return scores
            memory = self._entities[key] = _Memory(self.record)
        memory.make_room(xs.size, 2 * self.history + self.shape, self.calibration)
        m, recipe = memory, (self.shape, self.k, self.history, self.calibration, self.warm, np.empty(self.history + self.k))
        _run(xs, scores, m.past, m.near_value, m.near_shape, m.recent, m.counts, *recipe)
        return scores


def _number(value: Any) -> float:
    x = float("nan") if value is None or value is pd.NA else float(value)
    return x if abs(x) <= frames.LARGEST else float("nan")


def _name(value: Any) -> Any:
    """Give an entity's name as a key; all kinds of missing are one, since NaN is not equal to itself."""
    return None if value is None or value is pd.NA or value is pd.NaT or value != value else value
