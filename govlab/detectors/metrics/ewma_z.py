"""How far a value is from its exponentially weighted mean, in standard deviations."""

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
def _score(slots, fresh, values, alpha, warm, floor, tail, count, mean, variance, scores):
    for i in range(slots.size):
        s, x = slots[i], values[i]
        if fresh[i]:
            count[s], mean[s], variance[s] = 0, 0.0, 0.0
        if not np.isfinite(x):
            scores[i] = np.nan
            continue
        off = x - mean[s]
        if count[s] < warm:
            scores[i] = np.nan
        else:
            z = off / np.sqrt(variance[s] + floor * floor)
            scores[i] = z if tail == 1 else (-z if tail == -1 else abs(z))
        if count[s] == 0:
            mean[s] = x
        else:
            mean[s] += alpha * off
            variance[s] = (1.0 - alpha) * (variance[s] + alpha * off * off)
        count[s] += 1


class EwmaZ(Detector):
    """Score a value by its distance from the exponentially weighted mean of its entity, in standard deviations.

    Range: any number, around 0 for an ordinary value with one tail, at least 0 with both. Cold start: NaN for the first
    ``warm`` values of an entity; NaN for a value that is missing or beyond 1e150, which is not learned.
    About 120 ns a row, 100 bytes an entity.

    Parameters
    ----------
    column : str
        The column that is scored.
    by : str, optional
        The column with the entity; None: all rows are one entity.
    alpha : float, above 0 and at most 1
        Weight of a new value.
    warm : int, at least 1
        Values learned before the first is scored.
    floor : float, above 1e-150 and at most 1e+150
        Added to the deviation (as sqrt(variance + floor^2)), in the unit of the column: so a constant past does not
        make the next small change infinitely anomalous. 1 suits counts.
    tail : {"upper", "lower", "both"}
        Which side is anomalous.
    max_entities : int, at least 1
        Entities in memory; one more evicts the least recently seen.
    expire : str
        An entity unseen for longer (event time) starts afresh.

    References
    ----------
    Roberts, S. W. (1959). Control chart tests based on geometric moving averages. doi:10.1080/00401706.1959.10489860.
    The variance is updated as by Finch (2009), Incremental calculation of weighted mean and variance.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 7, "count": [5, 5, 5, 5, 5, 5, 25]})
    >>> gl.detectors.EwmaZ("count").process(events)["score"].to_list()
    [nan, nan, nan, nan, nan, 0.0, 20.0]
    """

    column: ColumnName = "count"
    by: ColumnName | None = None
    alpha: Annotated[float, Above(0, most=1)] = 0.1
    warm: Annotated[int, AtLeast(1)] = 5
    floor: Annotated[float, Above(1 / LARGEST, most=LARGEST)] = 1.0
    tail: Tail = "upper"
    max_entities: Annotated[int, AtLeast(1)] = 1_000_000
    expire: Duration = "30d"

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("value", "actor", max_entities=8)

    def start(self) -> None:
        """Forget all entities."""
        self._entities = entities_of(self)
        self._count, self._mean, self._variance = np.zeros(0, "int64"), np.zeros(0), np.zeros(0)

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        slots, fresh, values = place_values(self, frame, "_count", "_mean", "_variance")
        scores = np.empty(len(frame))
        side = {"upper": 1, "lower": -1, "both": 0}[self.tail]
        _score(slots, fresh, values, self.alpha, self.warm, self.floor, side, self._count, self._mean, self._variance, scores)
        return scores
