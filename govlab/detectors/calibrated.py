"""From a score to a tail probability, by the scores of the past."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd

from govlab.detectors.ranks import calibrate
from govlab.entities import entities_of, place_rows
from govlab.fields import AtLeast, ColumnName
from govlab.frames import numbers, put, require
from govlab.step import Step


class Calibrated(Step):
    """Add ``p``: how likely a score as high as this one is, by the last scores (mid-p of the empirical tail).

    Range (0, 1); the least is 0.5 / (``window`` + 1). Cold start: NaN for the first ``warm`` scores; NaN for a missing score.
    About 1 us a row and 16 * ``window`` bytes an entity.

    Parameters
    ----------
    by : str, optional
        The column with the entity, for scores that are not comparable between entities; None: all rows together.
    window : int, at least 2
        Scores in memory.
    warm : int, at least 1
        So many scores are learned before the first ``p`` is given.
    score : str
        The column with the score.
    max_entities : int, at least 1
        Entities in memory; one more evicts the least recently seen.

    References
    ----------
    Laxhammar, R., Falkman, G. (2015). Inductive conformal anomaly detection. doi:10.1007/s10472-013-9381-7.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 4, "score": [1.0, 2.0, 3.0, 9.0]})
    >>> gl.detectors.Calibrated(warm=3).process(events)["p"].to_list()
    [nan, nan, nan, 0.125]
    """

    by: ColumnName | None = None
    window: Annotated[int, AtLeast(2)] = 5_000
    warm: Annotated[int, AtLeast(1)] = 100
    score: ColumnName = "score"
    max_entities: Annotated[int, AtLeast(1)] = 1_000

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("actor", window=20, warm=5, max_entities=8)

    def start(self) -> None:
        """Forget all scores."""
        self._entities = entities_of(self)
        self._count = np.zeros(0, "int64")
        self._ring, self._ranked = np.zeros((0, self.window)), np.zeros((0, self.window))

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give on the rows with their ``p``."""
        require(frame, [self.score, self.by], "Calibrated")
        scores, out = numbers(frame, self.score), np.empty(len(frame))
        slots, fresh = place_rows(self, frame, "_count", "_ring", "_ranked")  # after all that may refuse the frame
        calibrate(slots, fresh, scores, self.warm, self._count, self._ring, self._ranked, out)
        return put(frame, p=out)
