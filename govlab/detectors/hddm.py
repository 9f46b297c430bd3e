"""HDDM_A: a mean that has moved, by Hoeffding's bound."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numba import njit

from govlab.entities import check_entities, entities_of, place_rows
from govlab.errors import ArgumentError
from govlab.frames import numbers
from govlab.step import Detector, Step, above, at_least, one_of

N, MEAN, LOW_N, LOW, HIGH_N, HIGH = range(6)


@njit(cache=True, nogil=True)
def _ratio(off, n, cut, level):
    """Give a difference of the mean of n values and of their first ``cut``, as a share of its bound."""
    if n == cut:
        return 0.0
    return off / math.sqrt(0.5 * (n - cut) / cut / n * math.log(2.0 / level))


@njit(cache=True, nogil=True)
def _score(slots, fresh, values, low, high, level, warm, side, state, scores):
    """``state`` = [rows, mean, rows and mean at the lowest cut, rows and mean at the highest cut] of each entity."""
    doubt = math.log(1.0 / level)
    for i in range(slots.size):
        x, m = values[i], state[slots[i]]
        if fresh[i]:
            m[:] = 0.0
        scores[i] = np.nan
        if not np.isfinite(x):
            continue
        x = (max(low, min(x, high)) - low) / (high - low)
        m[N] += 1.0
        m[MEAN] += (x - m[MEAN]) / m[N]
        bound = math.sqrt(0.5 / m[N] * doubt)
        if m[LOW_N] == 0.0 or m[LOW] + math.sqrt(0.5 / m[LOW_N] * doubt) >= m[MEAN] + bound:
            m[LOW_N], m[LOW] = m[N], m[MEAN]
        if m[HIGH_N] == 0.0 or m[HIGH] - math.sqrt(0.5 / m[HIGH_N] * doubt) <= m[MEAN] - bound:
            m[HIGH_N], m[HIGH] = m[N], m[MEAN]
        if m[N] < warm:
            continue
        rise = _ratio(m[MEAN] - m[LOW], m[N], m[LOW_N], level)
        fall = _ratio(m[HIGH] - m[MEAN], m[N], m[HIGH_N], level)
        scores[i] = rise if side == 1 else (fall if side == -1 else max(rise, fall))
        if scores[i] > 1.0:
            m[:] = 0.0


class Hddm(Detector):
    """Score a rise of the mean over its lowest past level by Hoeffding's bound, as a share of the bound (HDDM_A).

    Needs no distribution, only that values are bounded: for errors (0 or 1), or shares. The lowest level is the mean of the
    first so many values at which mean + bound was least. A score above 1 is a drift; the detector then starts afresh.
    Range: any number, 0 while the mean is at its lowest. Cold start: NaN for the first ``warm`` values, also after a drift;
    NaN for a missing or infinite value, which is not learned. About 35 ns a row within a frame, 100 bytes an entity.

    A burst is not gated here: values are bounded already, and a stream of errors has no outliers.

    Parameters
    ----------
    column : str
        The number to watch.
    by : str, optional
        The column with the entity; None: all rows are one entity.
    level : float
        Chance of a false alarm at a row, by the bound, above 0 and below 1.
    low, high : float
        The least and the greatest value; those beyond count as these.
    warm : int
        So many values are learned before the first is scored.
    tail : {"upper", "lower", "both"}
        Tell a rise, a fall, or either.
    max_entities : int
        So many entities are known at once; one more takes the place of the one unseen for the longest.
    expire : str
        An entity unseen for longer (event time) starts afresh.

    References
    ----------
    Frias-Blanco, I. et al. (2015). Online and non-parametric drift detection methods based on Hoeffding's bounds.
    doi:10.1109/TKDE.2014.2345382.

    Examples
    --------
    >>> import govlab as gl
    >>> errors = [int(i % 4 == 0 or i >= 400) for i in range(600)]
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 600, "error": errors})
    >>> score = gl.detectors.Hddm("error").process(events)["score"]
    >>> int((score > 1).idxmax())
    406
    """

    column: str = "error"
    by: str | None = None
    level: float = 0.001
    low: float = 0.0
    high: float = 1.0
    warm: int = 30
    tail: str = "upper"
    max_entities: int = 10_000
    expire: str = "30d"

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("value", "actor", high=20.0, warm=5, tail="both", max_entities=8)

    def check(self) -> None:
        """Check the recipe."""
        above(self, "level", 0, most=1)
        above(self, "low", -math.inf)
        above(self, "high", self.low)
        if self.level == 1:
            raise ArgumentError(f"Hddm: level={self.level!r}; expected a number below 1.")
        at_least(self, "warm", 1)
        one_of(self, "tail", ("upper", "lower", "both"))
        check_entities(self)

    def start(self) -> None:
        """Forget all entities."""
        self._entities = entities_of(self)
        self._state = np.zeros((0, 6))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        slots, fresh = place_rows(self, frame, "_state")
        scores = np.empty(len(frame))
        side = {"upper": 1, "lower": -1, "both": 0}[self.tail]
        _score(
            slots, fresh, numbers(frame, self.column), float(self.low), float(self.high), self.level, self.warm, side, self._state,
            scores,
        )  # fmt: skip
        return scores
