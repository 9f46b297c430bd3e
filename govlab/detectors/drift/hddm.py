"""HDDM_A: a mean that has moved, by Hoeffding's bound."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.drift.burst_gate import ANEW, OUT, WIDTH, close_gate, insiders, lets_in
from govlab.entities import entities_of, place_values
from govlab.errors import ArgumentError
from govlab.fields import Above, AtLeast, ColumnName, Duration, Tail
from govlab.frames import LARGEST
from govlab.step import Detector, Step

N, MEAN, LOW_N, LOW, HIGH_N, HIGH = range(6)


@njit(cache=True, nogil=True)
def _ratio(off, n, cut, level):
    """Give a difference of the mean of n values and of their first ``cut``, as a share of its bound."""
    if n == cut:
        return 0.0
    return off / math.sqrt(0.5 * (n - cut) / cut / n * math.log(2.0 / level))


@njit(cache=True, nogil=True)
def _learn(x, m, low, high, level, warm, side):
    """Learn a value and give the score; ``m`` is the state of its entity, forgotten at a drift.

    It is [values, mean, values and mean at the lowest cut, values and mean at the highest cut].
    """
    doubt = math.log(1.0 / level)
    x = (max(low, min(x, high)) - low) / (high - low)
    m[N] += 1.0
    m[MEAN] += (x - m[MEAN]) / m[N]
    bound = math.sqrt(0.5 / m[N] * doubt)
    if m[LOW_N] == 0.0 or m[LOW] + math.sqrt(0.5 / m[LOW_N] * doubt) >= m[MEAN] + bound:
        m[LOW_N], m[LOW] = m[N], m[MEAN]
    if m[HIGH_N] == 0.0 or m[HIGH] - math.sqrt(0.5 / m[HIGH_N] * doubt) <= m[MEAN] - bound:
        m[HIGH_N], m[HIGH] = m[N], m[MEAN]
    if m[N] < warm:
        return np.nan
    rise = _ratio(m[MEAN] - m[LOW], m[N], m[LOW_N], level)
    fall = _ratio(m[HIGH] - m[MEAN], m[N], m[HIGH_N], level)
    score = rise if side == 1 else (fall if side == -1 else max(rise, fall))
    if score > 1.0:
        m[:] = 0.0
    return score


@njit(cache=True, nogil=True)
def _score(slots, fresh, values, low, high, level, warm, side, hold, state, gate, scores):
    recipe = (low, high, level, warm, side)
    for i in range(slots.size):
        x, m, memory = values[i], state[slots[i]], gate[slots[i]]
        if fresh[i]:
            m[:] = 0.0
            close_gate(memory)
        scores[i] = np.nan
        said = OUT if np.isnan(x) else lets_in(x, hold, memory)
        if said == ANEW:
            m[:] = 0.0
            for y in insiders(memory):
                _learn(y, m, *recipe)
        elif said != OUT:
            scores[i] = _learn(x, m, *recipe)
            if scores[i] > 1.0:
                close_gate(memory)


class Hddm(Detector):
    """Score a rise of the mean over its lowest past level by Hoeffding's bound, as a share of the bound (HDDM_A).

    Needs no distribution, only that values are bounded: for errors (0 or 1), or shares. The lowest level is the mean of the
    first so many values at which mean + bound was least. A score above 1 is a drift; the detector then starts afresh.
    Range: any number, 0 while the mean is at its lowest. Cold start: NaN for the first ``warm - 1`` values, also after a drift;
    NaN for a value that is missing or beyond 1e150, and for one that the gate holds out, which are not learned. About 80 ns a
    row within a frame, 400 bytes an entity.

    Parameters
    ----------
    column : str
        The number to watch.
    by : str, optional
        The column with the entity; None: all rows are one entity.
    level : float, above 1e-150 and below 1
        Chance of a false alarm at a row, by the bound.
    low, high : float, above -1e+150 and at most 1e+150
        The least and the greatest value; those beyond count as these.
    warm : int, at least 1
        The first value that has a score, counted from 1; the score is of all values up to it.
    tail : {"upper", "lower", "both"}
        Tell a rise, a fall, or either.
    hold : int, at least 0
        A run of outliers (5 deviations) shorter than this is a burst, not a drift, and is held out; 0 = no gate. A stream
        of nothing but 0 and 1 has no outliers. Outliers among the first 30 values make the detector begin
        again without them.
    max_entities : int, at least 1
        Entities in memory; one more evicts the least recently seen.
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

    column: ColumnName = "error"
    by: ColumnName | None = None
    level: Annotated[float, Above(1 / LARGEST, below=1)] = 0.001
    low: Annotated[float, Above(-LARGEST, most=LARGEST)] = 0.0
    high: Annotated[float, Above(-LARGEST, most=LARGEST)] = 1.0
    warm: Annotated[int, AtLeast(1)] = 30
    tail: Tail = "upper"
    hold: Annotated[int, AtLeast(0)] = 30
    max_entities: Annotated[int, AtLeast(1)] = 10_000
    expire: Duration = "30d"

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("value", "actor", high=20.0, warm=5, tail="both", hold=3, max_entities=8)

    def check(self) -> None:
        """Check the recipe."""
        if not self.low < self.high:
            raise ArgumentError(f"Hddm: high={self.high!r}; expected a number above low={self.low!r}.")

    def start(self) -> None:
        """Forget all entities."""
        self._entities = entities_of(self)
        self._state, self._gate = np.zeros((0, 6)), np.zeros((0, WIDTH))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        slots, fresh, values = place_values(self, frame, "_state", "_gate")
        scores = np.empty(len(frame))
        side = {"upper": 1, "lower": -1, "both": 0}[self.tail]
        _score(
            slots, fresh, values, float(self.low), float(self.high), self.level, self.warm, side, self.hold, self._state,
            self._gate, scores,
        )  # fmt: skip
        return scores
