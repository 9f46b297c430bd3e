"""How rare a value is, by a distribution of extremes fitted to the highest of the past."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.ranks import renew
from govlab.entities import entities_of, place_values
from govlab.errors import ArgumentError
from govlab.fields import Above, AtLeast, ColumnName, Duration, Tail
from govlab.frames import LARGEST, put
from govlab.step import Detector, Step

LEAST = 1e-300  # of a probability


@njit(cache=True, nogil=True)
def gpd_of(known, first):
    """Fit a generalised Pareto distribution to what the values from ``first`` on are above the one before; known is sorted.

    By probability-weighted moments (Hosking and Wallis), which need no search and are steadier than maximum likelihood for a
    few dozen peaks. Gives (shape, scale); scale 0 if all peaks are equal to the threshold.
    """
    n, least = known.size - first, known[first - 1]
    mean = weighted = 0.0
    for j in range(n):
        excess = known[first + j] - least
        mean += excess
        weighted += excess * (n - j - 0.65) / n
    mean, weighted = mean / n, weighted / n
    off = mean - 2.0 * weighted
    if mean <= 0.0 or off <= 0.0:
        return 0.0, mean
    # the moments exist for a shape below 1 only; one below 0 has an end, beyond which a few dozen peaks would call all impossible
    shape = min(max(2.0 - mean / off, 0.0), 0.9)
    return shape, mean * (1.0 - shape)


@njit(cache=True, nogil=True)
def gpd_tail(excess, shape, scale):
    """Give the probability of an excess at least as high, at least 1e-300."""
    z = excess / scale
    if shape < 1e-9:
        return max(math.exp(-min(z, 700.0)), LEAST)
    return max(math.exp(max(-math.log1p(shape * z) / shape, -690.0)), LEAST)


@njit(cache=True, nogil=True)
def gpd_quantile(p, shape, scale):
    """Give the excess that has this tail probability."""
    return -scale * math.log(p) if shape < 1e-9 else scale / shape * (p**-shape - 1.0)


@njit(cache=True, nogil=True)
def _fit(known, level, fit):
    """Set ``fit`` = [threshold, share of values above it, shape, scale] by values in rising order."""
    first = max(1, min(known.size - 1, int(level * known.size)))
    fit[0], fit[1] = known[first - 1], (known.size - first) / known.size
    fit[2], fit[3] = gpd_of(known, first)


@njit(cache=True, nogil=True)
def _upper(rank, x, fit):
    """Give the tail probability of x: above the threshold by the fit, else (or if there is no scale) its rank in the past."""
    if x > fit[0]:
        return fit[1] * gpd_tail(x - fit[0], fit[2], fit[3]) if fit[3] > 0.0 else rank
    return max(rank, fit[1])


@njit(cache=True, nogil=True)
def _score(slots, fresh, values, warm, refit, level, guard, tail, drift, count, mean, ring, ranked, fits, tails, scores):
    """Score and learn row by row; ``fits`` of the upper and of the lower tail, in which all signs are turned."""
    window = ring.shape[1]
    turned = np.empty(window)
    for i in range(slots.size):
        s, tails[i], scores[i] = slots[i], np.nan, np.nan
        if fresh[i]:
            count[s], mean[s] = 0, 0.0
        if not np.isfinite(values[i]):
            continue
        c = count[s]
        n = min(c, window)
        x = values[i]
        if drift > 0:
            mean[s] = x if c == 0 else mean[s]
            x -= mean[s]
        known = ranked[s]
        if c >= warm:
            if (c - warm) % refit == 0:
                _fit(known[:n], level, fits[s, 0])
                for j in range(n):
                    turned[j] = -known[n - 1 - j]
                _fit(turned[:n], level, fits[s, 1])
            low = np.searchsorted(known[:n], x)
            high = np.searchsorted(known[:n], x, side="right")
            tie = 0.5 * (high - low) + 0.5
            above, below = _upper((n - high + tie) / (n + 1.0), x, fits[s, 0]), _upper((low + tie) / (n + 1.0), -x, fits[s, 1])
            tails[i] = max(above if tail == 1 else (below if tail == -1 else min(1.0, 2.0 * min(above, below))), LEAST)
            scores[i] = -math.log10(tails[i]) if tails[i] < 1.0 else 0.0
            edge = guard if tail else 0.5 * guard
            # what is rarer than the guard is learned as if it were just that rare, so that a burst does not become usual
            if above < edge and tail >= 0 and fits[s, 0, 3] > 0.0:
                x = fits[s, 0, 0] + gpd_quantile(edge / fits[s, 0, 1], fits[s, 0, 2], fits[s, 0, 3])
            elif below < edge and tail <= 0 and fits[s, 1, 3] > 0.0:
                x = -fits[s, 1, 0] - gpd_quantile(edge / fits[s, 1, 1], fits[s, 1, 2], fits[s, 1, 3])
            x = min(max(x, -LARGEST), LARGEST)  # a quantile of huge values would overflow
        renew(ring[s], known, c, x)
        if drift > 0:
            mean[s] += x * max(1.0 / drift, 1.0 / (c + 1.0))
        count[s] += 1


class Spot(Detector):
    """Score a value by its tail probability, beyond the highest of the past by extreme value theory: -log10 p.

    A rank cannot tell a value a little above all of the past from one far above. What is above a high quantile follows,
    whatever the distribution, nearly a generalised Pareto one: that is fitted to the highest of the last ``window`` values,
    and gives p there; below the quantile p is the rank. On any column it is a detector; after a detector
    (``column="score"``) it turns scores into ``p`` (``give="p"``), so that a threshold is a rate of false alarms. Range: 0 to
    300. Cold start: NaN for the first ``warm`` values of an entity; NaN for a value that is missing or beyond 1e150, which is not
    learned. About 2 us a row and 16 * ``window`` bytes an entity.

    Parameters
    ----------
    column : str
        The column with the values.
    by : str, optional
        The column with the entity; None: all rows are one entity.
    tail : {"upper", "lower", "both"}
        Which side is anomalous (both: then the p is doubled).
    drift : int, at least 0
        Values are taken from their exponentially weighted mean over about so many rows (much as the paper's DSPOT), so that
        a level may wander. 0: as they are (SPOT).
    level : float, above 0 and below 1
        The quantile above which the distribution is fitted; the paper has 0.98.
    guard : float, above 0 and below 1
        A value that is less likely than this is learned as if it were exactly this likely, so that a burst does not become
        usual at once. (The paper learns nothing of it, and alarms for ever after a lasting change.) Below 1 - ``level``.
    window : int, at least 20
        Values in memory.
    warm : int, at least 20
        Values learned before the first is scored.
    refit : int, at least 1
        Values learned between two fits.
    give : {"score", "p"}
        Whether the rows get a ``score`` or, beside the score that they have, a ``p``.
    max_entities : int, at least 1
        Entities in memory; one more evicts the least recently seen.
    expire : str
        An entity unseen for longer (event time) starts afresh.

    References
    ----------
    Siffer, A. et al. (2017). Anomaly detection in streams with extreme value theory. doi:10.1145/3097983.3098144.
    The fit is by probability-weighted moments: Hosking, J. R. M., Wallis, J. R. (1987). doi:10.1080/00401706.1987.10488243.

    Examples
    --------
    >>> import govlab as gl
    >>> value = [float(i * 7 % 100) for i in range(300)]
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 303, "value": [*value, 50.0, 110.0, 150.0]})
    >>> score = gl.detectors.Spot("value", tail="upper", level=0.9).process(events)["score"]
    >>> [round(s, 1) for s in score.iloc[-3:]]
    [0.3, 2.7, 5.8]
    """

    column: ColumnName = "score"
    by: ColumnName | None = None
    tail: Tail = "upper"
    drift: Annotated[int, AtLeast(0)] = 0
    level: Annotated[float, Above(0, below=1)] = 0.98
    guard: Annotated[float, Above(0, below=1)] = 1e-4
    window: Annotated[int, AtLeast(20)] = 5_000
    warm: Annotated[int, AtLeast(20)] = 200
    refit: Annotated[int, AtLeast(1)] = 50
    give: Literal["score", "p"] = "score"
    max_entities: Annotated[int, AtLeast(1)] = 1_000
    expire: Duration = "30d"

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("value", "actor", "both", drift=10, level=0.8, guard=0.01, window=40, warm=20, refit=5, max_entities=8)

    def check(self) -> None:
        """Check the recipe."""
        if not self.guard < 1 - self.level:
            raise ArgumentError(f"Spot: guard={self.guard} must be below 1 - level={1 - self.level:.3g}.")

    def start(self) -> None:
        """Forget all entities."""
        self._entities = entities_of(self)
        self._count, self._mean, self._fits = np.zeros(0, "int64"), np.zeros(0), np.zeros((0, 2, 4))
        self._ring, self._ranked = np.zeros((0, self.window)), np.zeros((0, self.window))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        return self._tails(frame)[1]

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give on the rows with their ``score``, or their ``p``."""
        p, scores = self._tails(frame)
        return put(frame, p=p) if self.give == "p" else put(frame, score=scores)

    def _tails(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        slots, fresh, values = place_values(self, frame, "_count", "_mean", "_fits", "_ring", "_ranked")
        tails, scores = np.empty(len(frame)), np.empty(len(frame))
        side = {"upper": 1, "lower": -1, "both": 0}[self.tail]
        _score(
            slots, fresh, values, self.warm, self.refit, self.level, self.guard, side, self.drift, self._count, self._mean,
            self._ring, self._ranked, self._fits, tails, scores,
        )  # fmt: skip
        return tails, scores
