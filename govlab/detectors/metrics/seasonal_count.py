"""Counts against what is usual at this hour of the week."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.entities import entities_of, place_values
from govlab.errors import SchemaError
from govlab.fields import Above, AtLeast, ColumnName, Duration, Tail
from govlab.frames import time_us
from govlab.step import Detector, Step
from govlab.zones import Zone, local_us

HOURS = 168
HOUR_US = 3_600_000_000
FIRST = 30  # counts that tell together what is usual at first
MANY = 1e9  # counts beyond are as good as numbers of any kind
SEEN, LEVEL, SPREAD, EDGE = range(4)


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
    least = min(x, mu)
    if least > MANY:  # there only their ratio matters (it is a gamma distribution), and the logarithms of the factorials cancel
        x, mu = x * (MANY / least), mu * (MANY / least)
    x = min(x, 1e5 * MANY)
    p = size / (size + mu)
    log_pmf = math.lgamma(x + size) - math.lgamma(size) - math.lgamma(x + 1.0) + size * math.log(p) + x * math.log1p(-p)
    half = 0.5 * math.exp(log_pmf)
    # P(X <= x) = I_p(size, x + 1); the upper tail is worked out by itself, so that it does not vanish in 1 - cdf
    below = beta_inc(size, x, p) if x > 0 else 0.0
    above = beta_inc(x + 1.0, size, 1.0 - p)
    return below + half, above + half


@njit(cache=True, nogil=True)
def _usual(mu, spread):
    """Give the highest count that is usual where ``mu`` is the mean: 6 deviations above it."""
    return mu + 6.0 * math.sqrt(mu + spread * mu * mu)


@njit(cache=True, nogil=True)
def _edge(counts):
    """Give the highest of the first counts that is usual, by their median and the median distance from it."""
    ordered = np.sort(counts)
    middle = 0.5 * (ordered[(ordered.size - 1) // 2] + ordered[ordered.size // 2])
    off = np.sort(np.abs(ordered - middle))
    off = off[np.searchsorted(off, 0.0, side="right") :]  # where most are equal, the others tell the spread
    far = 0.5 * (off[(off.size - 1) // 2] + off[off.size // 2]) if off.size > 2 else 0.0
    return max(middle + 8.0 * 1.4826 * far, _usual(max(middle, 1.0), 0.1))


@njit(cache=True, nogil=True)
def _learn(seen, h, n, alpha, m, season, weight):
    """Learn a count, the n-th of its entity, of hour h."""
    if n == 0:
        m[LEVEL] = seen
        return
    mu, rate = max(m[LEVEL] * season[h], 1e-3), max(alpha, 1.0 / (n + 1.0))
    if mu >= 1.0:
        excess = ((seen - mu) * (seen - mu) - mu) / (mu * mu)
        m[SPREAD] = max(m[SPREAD] + rate * (max(-1.0, min(excess, 10.0)) - m[SPREAD]), 1e-4)
    m[LEVEL] += rate * (seen / max(season[h], 0.05) - m[LEVEL])
    weight[h] += 1.0
    if m[LEVEL] > 0.0:
        step = max(alpha, 1.0 / (weight[h] + 8.0))
        season[h] += step * (min(seen / m[LEVEL], 20.0) - season[h])


@njit(cache=True, nogil=True)
def _score(slots, fresh, hours, values, alpha, warm, tail, state, first, season, weight, scores):
    """``state`` = [counts seen, level, spread, highest usual count at first], ``first`` = the first counts and their hours."""
    few = min(warm, first.shape[1])
    for i in range(slots.size):
        s, h, x = slots[i], hours[i], values[i]
        m = state[s]
        if fresh[i]:
            m[SEEN], m[LEVEL], m[SPREAD] = 0.0, 0.0, 0.1
            season[s, :], weight[s, :] = 1.0, 0.0
        scores[i] = np.nan
        if not x >= 0.0:
            continue
        n = int(m[SEEN])
        m[SEEN] += 1.0
        if n < few:
            first[s, n, 0], first[s, n, 1] = x, h
            if n + 1 == few:
                m[EDGE] = _edge(first[s, :few, 0])
                for j in range(few):
                    _learn(min(first[s, j, 0], m[EDGE]), int(first[s, j, 1]), j, alpha, m, season[s], weight[s])
            continue
        mu = max(m[LEVEL] * season[s, h], 1e-3)
        # an extreme value is learned as if it were at the edge of what is usual, so that a burst does not become it
        edge = _usual(mu, m[SPREAD])
        if n >= warm:
            below, above = mid_tails(np.floor(x), mu, 1.0 / max(m[SPREAD], 1e-4))
            p = above if tail == 1 else (below if tail == -1 else min(1.0, 2.0 * min(above, below)))
            scores[i] = -math.log10(min(max(p, 1e-300), 1.0))
        else:
            edge = max(edge, m[EDGE])
        _learn(min(x, edge), h, n, alpha, m, season[s], weight[s])


class SeasonalCount(Detector):
    """Score a count by how rare it is at this hour of the week: -log10 of its mid-p value under a negative binomial.

    The mean is a level times a factor for the hour of the week, both learned; the spread is learned too. The hour is that
    of the column ``start`` where there is one, as windows have it, else that of ``time``. A count far above what is usual is
    learned as if it were at the edge of that; of the first 30 counts (or ``warm``, if that is less) their median tells what is.
    Range: 0 to 300 (2 = one in a hundred). Cold start: NaN for the first ``warm`` counts of an entity; NaN for a value that
    is missing, negative or beyond 1e150, which is not learned. 0.3 to 3 us a row, the most for counts of about a
    million, and 3.2 kB an entity.

    Parameters
    ----------
    column : str
        The column with the counts.
    by : str, optional
        The column with the entity; None: all rows are one entity.
    alpha : float, above 0 and at most 1
        Weight of a new count for the level.
    warm : int, at least 1
        Counts learned before the first is scored.
    tail : {"upper", "lower", "both"}
        Too many, too few, or either (then the p value is doubled).
    max_entities : int, at least 1
        Entities in memory; one more evicts the least recently seen.
    expire : str
        An entity unseen for longer (event time) starts afresh.
    zone : str, default "UTC"
        The zone by whose clocks the hour of the week is told (IANA name, such as ``"Europe/Berlin"``). An hour that comes twice
        when the clocks are changed is the same hour of the week both times; one that is left out has no count.

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

    column: ColumnName = "count"
    by: ColumnName | None = None
    alpha: Annotated[float, Above(0, most=1)] = 0.02
    warm: Annotated[int, AtLeast(1)] = 48
    tail: Tail = "both"
    max_entities: Annotated[int, AtLeast(1)] = 10_000
    expire: Duration = "60d"
    zone: Zone = "UTC"

    added = frozenset({"zone"})

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("count", "actor", warm=5, max_entities=8)

    def start(self) -> None:
        """Forget all entities."""
        self._entities = entities_of(self)
        self._state, self._first = np.zeros((0, EDGE + 1)), np.zeros((0, FIRST, 2))
        self._season, self._weight = np.zeros((0, HOURS)), np.zeros((0, HOURS))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        try:
            times = time_us(frame, "start" if "start" in frame else "time")
        except SchemaError as error:
            raise SchemaError(f"SeasonalCount takes the hour from 'start', where there is such a column: {error}") from error
        slots, fresh, values = place_values(self, frame, "_state", "_first", "_season", "_weight", times=times)
        # 1970 began on a Thursday: hour 0 is Monday, 0 h
        hours = (local_us(times, self.zone) // HOUR_US + 72) % HOURS
        scores = np.empty(len(frame))
        side = {"upper": 1, "lower": -1, "both": 0}[self.tail]
        _score(
            slots, fresh, hours, values, self.alpha, self.warm, side, self._state, self._first, self._season, self._weight, scores,
        )  # fmt: skip
        return scores
