"""Counts against what is usual at this hour of the week."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numba import njit

from govlab.entities import check_entities, entities_of, place_values
from govlab.frames import time_us
from govlab.step import Detector, Step, above, at_least, one_of

HOURS = 168
HOUR_US = 3_600_000_000


@njit(cache=True, nogil=True)
def beta_inc(a, b, x):
    """Give the regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz's method)."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    swap = x > (a + 1.0) / (a + b + 2.0)
    if swap:
        a, b, x = b, a, 1.0 - x
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > 1e-300 else 1e-300)
    f = d
    for m in range(1, 10_000):
        for odd in range(2):
            if odd == 0:
                term = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
            else:
                term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) > 1e-300 else 1e-300)
            c = 1.0 + term / c
            c = c if abs(c) > 1e-300 else 1e-300
            f *= c * d
        if abs(c * d - 1.0) < 1e-12:
            break
    part = front * f / a
    return 1.0 - part if swap else part


@njit(cache=True, nogil=True)
def mid_tails(x, mu, size):
    """Give the mid-p tails (P(X < x) + P(X = x)/2, P(X > x) + P(X = x)/2) of a negative binomial with mean mu."""
    p = size / (size + mu)
    log_pmf = math.lgamma(x + size) - math.lgamma(size) - math.lgamma(x + 1.0) + size * math.log(p) + x * math.log1p(-p)
    half = 0.5 * math.exp(log_pmf)
    # P(X <= x) = I_p(size, x + 1); the upper tail is worked out by itself, so that it does not vanish in 1 - cdf
    below = beta_inc(size, x, p) if x > 0 else 0.0
    above = beta_inc(x + 1.0, size, 1.0 - p)
    return below + half, above + half


@njit(cache=True, nogil=True)
def _score(slots, fresh, hours, values, alpha, warm, tail, count, level, spread, season, weight, scores):
    for i in range(slots.size):
        s, h, x = slots[i], hours[i], values[i]
        if fresh[i]:
            count[s], level[s], spread[s] = 0, 0.0, 0.1
            season[s, :], weight[s, :] = 1.0, 0.0
        if not 0.0 <= x < np.inf:
            scores[i] = np.nan
            continue
        mu = max(level[s] * season[s, h], 1e-3)
        if count[s] < warm:
            scores[i] = np.nan
        else:
            below, above = mid_tails(np.floor(x), mu, 1.0 / max(spread[s], 1e-4))
            p = above if tail == 1 else (below if tail == -1 else min(1.0, 2.0 * min(above, below)))
            scores[i] = -math.log10(min(max(p, 1e-300), 1.0))
        if count[s] == 0:
            level[s] = x
        else:
            rate = max(alpha, 1.0 / (count[s] + 1.0))
            # an extreme value is learned as if it were at the edge of what is usual, so that a burst does not become it
            edge = mu + 6.0 * math.sqrt(mu + spread[s] * mu * mu) if count[s] >= warm else np.inf
            seen = min(x, edge)
            if mu >= 1.0:
                excess = ((seen - mu) * (seen - mu) - mu) / (mu * mu)
                spread[s] += rate * (max(-1.0, min(excess, 10.0)) - spread[s])
                spread[s] = max(spread[s], 1e-4)
            level[s] += rate * (seen / max(season[s, h], 0.05) - level[s])
            weight[s, h] += 1.0
            if level[s] > 0.0:
                step = max(alpha, 1.0 / (weight[s, h] + 8.0))
                season[s, h] += step * (min(seen / level[s], 20.0) - season[s, h])
        count[s] += 1


class SeasonalCount(Detector):
    """Score a count by how rare it is at this hour of the week: -log10 of its mid-p value under a negative binomial.

    The mean is a level times a factor for the hour of the week (UTC), both learned; the spread is learned too. Range: at
    least 0 (2 = one in a hundred). Cold start: NaN for the first ``warm`` counts of an entity; NaN for a missing,
    negative or infinite value, which is not learned. About 1 us a row and 2.8 kB an entity.

    Parameters
    ----------
    column : str
        The column with the counts.
    by : str, optional
        The column with the entity; None: all rows are one entity.
    alpha : float
        Weight of a new count for the level, above 0 and at most 1.
    warm : int
        So many counts are learned before the first is scored.
    tail : {"upper", "lower", "both"}
        Too many, too few, or either (then the p value is doubled).
    max_entities : int
        So many entities are known at once; one more takes the place of the one unseen for the longest.
    expire : str
        An entity unseen for longer (event time) starts afresh.

    References
    ----------
    Mid-p: Lancaster, H. O. (1961), doi:10.1080/01621459.1961.10482098. Surveillance of counts with a negative binomial:
    Noufaily et al. (2013), doi:10.1002/sim.5595.

    Examples
    --------
    >>> import govlab as gl
    >>> hours = [f"2026-03-02T{h:02}:00:00Z" for h in range(24)] + ["2026-03-03T00:00:00Z"]
    >>> events = gl.event_frame({"time": hours, "count": [10] * 24 + [60]})
    >>> score = gl.detectors.SeasonalCount("count", warm=20).process(events)["score"]
    >>> bool(score.iloc[:20].isna().all() and score.iloc[23] < 1 < 3 < score.iloc[24])
    True
    """

    column: str = "count"
    by: str | None = None
    alpha: float = 0.02
    warm: int = 48
    tail: str = "both"
    max_entities: int = 10_000
    expire: str = "60d"

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("count", "actor", warm=5, max_entities=8)

    def check(self) -> None:
        """Check the recipe."""
        above(self, "alpha", 0, most=1)
        at_least(self, "warm", 1)
        one_of(self, "tail", ("upper", "lower", "both"))
        check_entities(self)

    def start(self) -> None:
        """Forget all entities."""
        self._entities = entities_of(self)
        self._count, self._level, self._spread = np.zeros(0, "int64"), np.zeros(0), np.zeros(0)
        self._season, self._weight = np.zeros((0, HOURS)), np.zeros((0, HOURS))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        times = time_us(frame, "start" if "start" in frame else "time")
        slots, fresh, values = place_values(self, frame, "_count", "_level", "_spread", "_season", "_weight", times=times)
        # 1970 began on a Thursday: hour 0 is Monday, 0 h
        hours = (times // HOUR_US + 72) % HOURS
        scores = np.empty(len(frame))
        side = {"upper": 1, "lower": -1, "both": 0}[self.tail]
        _score(
            slots, fresh, hours, values, self.alpha, self.warm, side, self._count, self._level, self._spread, self._season,
            self._weight, scores,
        )  # fmt: skip
        return scores
