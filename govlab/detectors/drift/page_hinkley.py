"""Page-Hinkley: a cumulative sum that tells when the mean has moved."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.drift.burst_gate import ANEW, OUT, WIDTH, close_gate, insiders, lets_in
from govlab.entities import entities_of, place_values
from govlab.fields import Above, AtLeast, ColumnName, Duration, Tail
from govlab.frames import LARGEST
from govlab.step import Detector, Step

_MOST = 4.0  # deviations that one value counts for at most: else one rare error (z of 30) would be a drift
# all are of the differences from the FIRST value, so that far from 0 a small change does not drown in rounding
N, FIRST, MEAN, SQUARE, UP, DOWN, LOW, HIGH = range(8)


@njit(cache=True, nogil=True)
def _learn(x, m, delta, threshold, alpha, warm, side, scaled):
    """Learn a value and give the score; ``m`` is the state of its entity, forgotten at a drift.

    It is [values, the first, mean, sum of squares, both sums, the least of one and the greatest of the other].
    """
    if m[N] == 0.0:
        m[FIRST] = x
    x -= m[FIRST]
    m[N] += 1.0
    off = x - m[MEAN]
    m[MEAN] += off / m[N]
    m[SQUARE] += off * (x - m[MEAN])
    step = x - m[MEAN]
    if scaled:
        deviation = np.sqrt(m[SQUARE] / m[N])
        step = max(-_MOST, min(step / deviation, _MOST)) if deviation > 0.0 else 0.0
    m[UP] = alpha * m[UP] + step - delta
    m[DOWN] = alpha * m[DOWN] + step + delta
    m[LOW] = m[UP] if m[N] == 1.0 else min(m[LOW], m[UP])
    m[HIGH] = m[DOWN] if m[N] == 1.0 else max(m[HIGH], m[DOWN])
    if m[N] < warm:
        return np.nan
    rise, fall = m[UP] - m[LOW], m[HIGH] - m[DOWN]
    score = (rise if side == 1 else (fall if side == -1 else max(rise, fall))) / threshold
    if score > 1.0:
        m[:] = 0.0
    return score


@njit(cache=True, nogil=True)
def _score(slots, fresh, values, delta, threshold, alpha, warm, side, scaled, hold, state, gate, scores):
    recipe = (delta, threshold, alpha, warm, side, scaled)
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


class PageHinkley(Detector):
    """Score a change of the mean by the Page-Hinkley statistic, as a share of its threshold.

    The statistic is how far the sum of (value - mean so far - ``delta``) is above its least value, and the mirror image
    of that for a fall. A score above 1 is a drift; the detector then starts afresh. Range: at least 0. Cold start: NaN
    for the first ``warm - 1`` values, also after a drift; NaN for a value that is missing or beyond 1e150, and for one that the
    gate holds out, which are not learned. About 70 ns a row within a frame, 400 bytes an entity.

    Parameters
    ----------
    column : str
        The number to watch: an error (0 or 1), a metric, a score.
    by : str, optional
        The column with the entity; None: all rows are one entity.
    delta : float, at least 0 and at most 1e+150
        Change of the mean that is let pass; in standard deviations, or in the unit of the column (``units``).
    threshold : float, above 1e-150 and at most 1e+150
        The statistic above which there is a drift, in the same unit. With 0.25 and 20, independent values give a false
        alarm about once in 100,000 rows (Siegmund's approximation: 200,000 for each side), and a shift by one deviation
        is told after about 25, by half a deviation after about 65.
    alpha : float, above 0 and at most 1
        What the sums keep of themselves at each row. Below 1, ``delta`` no longer pulls the sum
        down after some 1 / (1 - ``alpha``) rows, and false alarms come about that often.
    warm : int, at least 1
        The first value that has a score, counted from 1; the score is of all values up to it.
    tail : {"both", "upper", "lower"}
        Tell a rise, a fall, or either.
    units : {"deviations", "raw"}
        Whether values are divided by their standard deviation since the last drift (and cut at 4 of them), so that their
        unit does not matter. "raw" with ``delta=0.005, threshold=50, alpha=0.9999`` is
        what other libraries do.
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
    Page, E. S. (1954). Continuous inspection schemes. doi:10.1093/biomet/41.1-2.100. Siegmund, D. (1985). Sequential
    analysis. doi:10.1007/978-1-4757-1862-1.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 300, "value": [i % 2 + 2 * (i >= 200) for i in range(300)]})
    >>> score = gl.detectors.PageHinkley("value").process(events)["score"]
    >>> int((score > 1).idxmax())
    206
    """

    column: ColumnName = "value"
    by: ColumnName | None = None
    delta: Annotated[float, AtLeast(0, most=LARGEST)] = 0.25
    threshold: Annotated[float, Above(1 / LARGEST, most=LARGEST)] = 20.0
    alpha: Annotated[float, Above(0, most=1)] = 1.0
    warm: Annotated[int, AtLeast(1)] = 30
    tail: Tail = "both"
    units: Literal["deviations", "raw"] = "deviations"
    hold: Annotated[int, AtLeast(0)] = 30
    max_entities: Annotated[int, AtLeast(1)] = 10_000
    expire: Duration = "30d"

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("value", "actor", threshold=2.0, warm=5, hold=3, max_entities=8)

    def start(self) -> None:
        """Forget all entities."""
        self._entities = entities_of(self)
        self._state, self._gate = np.zeros((0, HIGH + 1)), np.zeros((0, WIDTH))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        slots, fresh, values = place_values(self, frame, "_state", "_gate")
        scores = np.empty(len(frame))
        side = {"upper": 1, "lower": -1, "both": 0}[self.tail]
        _score(
            slots, fresh, values, self.delta, self.threshold, self.alpha, self.warm, side,
            self.units == "deviations", self.hold, self._state, self._gate, scores,
        )  # fmt: skip
        return scores
