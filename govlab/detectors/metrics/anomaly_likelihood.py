"""Whether scores have lately been higher than they used to be."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.entities import entities_of, place_values
from govlab.errors import ArgumentError
from govlab.fields import Above, AtLeast, ColumnName, Duration
from govlab.frames import LARGEST
from govlab.step import Detector, Step


@njit(cache=True, nogil=True)
def log10_tail(z):
    """Give -log10 of the upper tail of the standard normal at z; finite for any finite z up to 1e150."""
    if z < 25.0:
        return -math.log10(0.5 * math.erfc(z / math.sqrt(2.0)))
    # there erfc nears the least of the floats: the first terms of its asymptotic series are exact to ten digits
    series = 1.0 - 1.0 / (z * z) + 3.0 / (z * z * z * z)
    return (0.5 * z * z + math.log(z) + 0.5 * math.log(2.0 * math.pi) - math.log(series)) / math.log(10.0)


@njit(cache=True, nogil=True)
def _merged(n, mean, square, more, other, others):
    """Give the mean and the sum of squares about it of two lots of numbers (Chan et al.)."""
    whole = n + more
    if whole == 0:
        return 0.0, 0.0
    off = other - mean
    return mean + off * more / whole, square + others + off * off * (n * more / whole)


@njit(cache=True, nogil=True)
def _score(slots, fresh, values, warm, short, floor, count, ring, after, newest, scores):
    """Score and learn row by row.

    The last ``long`` scores are the older part of one round of the ring, of which ``after`` holds mean and squares from
    each place to its end, and the ``newest`` of the next: nothing is ever subtracted, so an outlier leaves no trace.
    """
    long = ring.shape[1]
    for i in range(slots.size):
        s, x = slots[i], values[i]
        if fresh[i]:
            count[s] = 0
            newest[s, :] = 0.0
        if not np.isfinite(x):
            scores[i] = np.nan
            continue
        place = count[s] % long
        scores[i] = np.nan
        if count[s] >= warm:
            older = long - place if count[s] >= long else 0
            mean, square = newest[s, 0], newest[s, 1]
            if older > 0:
                mean, square = _merged(older, after[s, 0, place], after[s, 1, place], place, mean, square)
            lately = x
            for back in range(1, short):
                lately += ring[s, (count[s] - back) % long]
            off = lately / short - mean
            deviation = math.sqrt(square / min(count[s], long) + floor * floor)
            scores[i] = log10_tail(min(off / deviation, LARGEST))
        ring[s, place] = x
        newest[s, 0], newest[s, 1] = _merged(place, newest[s, 0], newest[s, 1], 1, x, 0.0)
        count[s] += 1
        if place == long - 1:
            mean, square = 0.0, 0.0
            for back in range(long):
                mean, square = _merged(back, mean, square, 1, ring[s, long - 1 - back], 0.0)
                after[s, 0, long - 1 - back], after[s, 1, long - 1 - back] = mean, square
            newest[s, :] = 0.0


class AnomalyLikelihood(Detector):
    """Score how far the mean of the last few scores is above the long-run mean: -log10 of the normal tail.

    A single high score of a noisy detector says little, a run of them much; where high scores are rare, one is enough. Put
    it after a detector, whose ``score`` it replaces, or on any column of numbers. Range: at least 0 (2 = one in a hundred,
    if the mean of the last few were normal with the deviation of one score, which makes it cautious). Cold start: NaN for the first
    ``warm`` scores of an entity; NaN for a score that is missing or beyond 1e150, which is not learned. About 90 ns a row and
    24 * ``long`` bytes an entity.

    Parameters
    ----------
    column : str
        The column with the scores.
    by : str, optional
        The column with the entity; None: all rows are one entity.
    long : int, at least 2
        Scores in the long-run mean and deviation (those before this row); 8,000 as in the paper.
    short : int, at least 1
        Scores in the mean beside it (this row and those just before); 10 as in the paper.
    warm : int, at least 1
        Scores learned before the first is scored, at least ``short``.
    floor : float, above 1e-150 and at most 1e+150
        Added to the deviation (as sqrt(variance + floor^2)), in the unit of the column: so a constant past does not
        make the next small change infinitely anomalous.
    max_entities : int, at least 1
        Entities in memory; one more evicts the least recently seen.
    expire : str
        An entity unseen for longer (event time) starts afresh.

    References
    ----------
    Lavin, A., Ahmad, S. (2015). Evaluating real-time anomaly detection algorithms - the Numenta Anomaly Benchmark.
    doi:10.1109/ICMLA.2015.141. Means are merged as by Chan, Golub and LeVeque (1983), doi:10.1080/00031305.1983.10483115.

    Examples
    --------
    >>> import govlab as gl
    >>> noisy = [0.0, 1.0] * 60
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 130, "score": [*noisy, *[1.0] * 10]})
    >>> score = gl.detectors.AnomalyLikelihood(long=500, short=6).process(events)["score"]
    >>> int(score.isna().sum()), [round(s, 2) for s in score.iloc[[119, 120, 125, 129]]]
    (100, [0.3, 0.43, 0.77, 0.76])
    """

    column: ColumnName = "score"
    by: ColumnName | None = None
    long: Annotated[int, AtLeast(2)] = 8_000
    short: Annotated[int, AtLeast(1)] = 10
    warm: Annotated[int, AtLeast(1)] = 100
    floor: Annotated[float, Above(1 / LARGEST, most=LARGEST)] = 0.001
    max_entities: Annotated[int, AtLeast(1)] = 1_000
    expire: Duration = "30d"

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("value", "actor", long=20, short=3, warm=5, max_entities=8)

    def check(self) -> None:
        """Check the recipe."""
        if not self.short <= min(self.long, self.warm):
            raise ArgumentError(f"AnomalyLikelihood: short={self.short} must not be above long={self.long} nor warm={self.warm}.")

    def start(self) -> None:
        """Forget all entities."""
        self._entities = entities_of(self)
        self._count, self._newest = np.zeros(0, "int64"), np.zeros((0, 2))
        self._ring, self._after = np.zeros((0, self.long)), np.zeros((0, 2, self.long))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        slots, fresh, values = place_values(self, frame, "_count", "_newest", "_ring", "_after")
        scores = np.empty(len(frame))
        _score(
            slots, fresh, values, self.warm, self.short, self.floor, self._count, self._ring, self._after, self._newest, scores
        )  # fmt: skip
        return scores
