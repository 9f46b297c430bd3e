"""What a detector scored and why not the rest, for whoever wonders why nothing was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from govlab.frames import values
from govlab.step import Detector

__all__ = ["Scored"]

HIGHEST = 5


@dataclass
class Scored:
    """Counts of the rows that passed a detector. About 2 ns a row.

    Attributes
    ----------
    step : str
        Name of the detector.
    rows, scored : int
        Rows that passed, and those of them that got a score.
    unscored : dict
        The other rows, by the reason.
    highest : list of float
        The five highest scores, in falling order.
    """

    step: str
    rows: int = 0
    scored: int = 0
    unscored: dict[str, int] = field(default_factory=dict)
    highest: list[float] = field(default_factory=list)

    def add(self, detector: Detector, frame: pd.DataFrame) -> None:
        """Count the rows that a detector emitted."""
        scores = np.asarray(values(frame, "score"))
        missing = np.isnan(scores)
        count = int(np.count_nonzero(missing))
        self._add(len(scores), len(scores) - count, detector.unscored(frame[missing]) if count else {}, scores)

    def __add__(self, other: Scored) -> Scored:
        """Add what the same detector counted elsewhere, as in another shard."""
        whole = Scored(self.step, self.rows, self.scored, dict(self.unscored), list(self.highest))
        whole._add(other.rows, other.scored, other.unscored, np.array(other.highest))
        return whole

    def _add(self, rows: int, scored: int, unscored: Mapping[str, int], scores: np.ndarray) -> None:
        self.rows, self.scored = self.rows + rows, self.scored + scored
        for reason, n in unscored.items():
            self.unscored[reason] = self.unscored.get(reason, 0) + n
        least = self.highest[-1] if len(self.highest) == HIGHEST else -np.inf
        if scored and np.nanmax(scores) > least:
            found = scores[scores > least] if len(self.highest) == HIGHEST else scores[~np.isnan(scores)]
            found = np.partition(found, -HIGHEST)[-HIGHEST:] if found.size > HIGHEST else found
            self.highest = sorted([*self.highest, *found.tolist()], reverse=True)[:HIGHEST]

    def to_dict(self) -> dict[str, Any]:
        """Give the counts as plain values."""
        return dict(vars(self))
