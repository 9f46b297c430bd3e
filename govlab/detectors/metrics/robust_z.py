"""How far a value is from the median of the last ones, in median absolute deviations."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.entities import entities_of, place_values
from govlab.fields import Above, AtLeast, ColumnName, Duration, Tail
from govlab.frames import LARGEST
from govlab.step import Detector, Step


@njit(cache=True, nogil=True)
def _median(values):
    values.sort()
    n = values.size
    return values[n // 2] if n % 2 else 0.5 * (values[n // 2 - 1] + values[n // 2])


@njit(cache=True, nogil=True)
def _score(slots, fresh, values, warm, floor, tail, count, past, scores):
    window = past.shape[1]
    for i in range(slots.size):
        s, x = slots[i], values[i]
        if fresh[i]:
            count[s] = 0
        if not np.isfinite(x):
            scores[i] = np.nan
            continue
        n = min(count[s], window)
        if count[s] < warm:
            scores[i] = np.nan
        else:
            known = past[s, :n].copy()
            middle = _median(known)
            for j in range(n):
                known[j] = abs(known[j] - middle)
            # 1.4826: so that it estimates the standard deviation of a normal distribution
            deviation = 1.4826 * _median(known)
            z = (x - middle) / np.sqrt(deviation * deviation + floor * floor)
            scores[i] = z if tail == 1 else (-z if tail == -1 else abs(z))
        past[s, count[s] % window] = x
        count[s] += 1


class RobustZ(Detector):
    """Score a value by its distance from the median of the last ones of its entity, in median absolute deviations.

    A burst cannot drag the median along before it fills half of the window. Range: any number with one tail, at least 0
    with both. Cold start: NaN for the first ``warm`` values; NaN for a value that is missing or beyond 1e150, which is not
    learned. About 3 us a row and 8 * ``window`` bytes an entity.

    Parameters
    ----------
    column : str
        The column that is scored.
    by : str, optional
        The column with the entity; None: all rows are one entity.
    window : int, at least 3
        Values in memory.
    warm : int, at least 1
        Values learned before the first is scored.
    floor : float, above 1e-150 and at most 1e+150
        Added to the deviation, in the unit of the column; 1 suits counts.
    tail : {"upper", "lower", "both"}
        Which side is anomalous.
    max_entities : int, at least 1
        Entities in memory; one more evicts the least recently seen.
    expire : str
        An entity unseen for longer (event time) starts afresh.

    References
    ----------
    Iglewicz, B., Hoaglin, D. (1993). How to detect and handle outliers. Leys et al. (2013), doi:10.1016/j.jesp.2013.03.013.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 4, "count": [5, 5, 5, 25]})
    >>> gl.detectors.RobustZ("count", warm=3).process(events)["score"].to_list()
    [nan, nan, nan, 20.0]
    """

    column: ColumnName = "count"
    by: ColumnName | None = None
    window: Annotated[int, AtLeast(3)] = 101
    warm: Annotated[int, AtLeast(1)] = 11
    floor: Annotated[float, Above(1 / LARGEST, most=LARGEST)] = 1.0
    tail: Tail = "both"
    max_entities: Annotated[int, AtLeast(1)] = 10_000
    expire: Duration = "30d"

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("value", "actor", window=11, warm=3, max_entities=8)

    def start(self) -> None:
        """Forget all entities."""
        self._entities = entities_of(self)
        self._count, self._past = np.zeros(0, "int64"), np.zeros((0, self.window))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        slots, fresh, values = place_values(self, frame, "_count", "_past")
        scores = np.empty(len(frame))
        side = {"upper": 1, "lower": -1, "both": 0}[self.tail]
        _score(slots, fresh, values, self.warm, self.floor, side, self._count, self._past, scores)
        return scores
