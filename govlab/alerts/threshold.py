"""Alert where a score passes a fixed threshold."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd

from govlab.alerts.alert import alerts_of, no_alerts
from govlab.alerts.severity import Past
from govlab.errors import ArgumentError
from govlab.fields import Above, ColumnName
from govlab.frames import numbers, require
from govlab.step import Step


class Threshold(Step):
    """Alert on rows whose score is at least ``above``, or whose ``p`` is at most ``p_below``. 15 ns a row.

    Severity is by the row's ``p``, else by the rank of its score among all scores that this step has seen, see
    :mod:`govlab.alerts.severity`; the highest of these (32 KB) are all the state.

    Parameters
    ----------
    above : float, optional
        Alert when the score is at least this.
    p_below : float, above 0 and at most 1, optional
        Alert when the column ``p`` (see :class:`~govlab.detectors.calibrated.Calibrated`) is at most this.
    score : str
        The column with the score.
    entity : str, optional
        The column with the entity; by default the one by which the pipeline's steps work.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 2, "score": [1.0, 7.0], "actor": ["ann", "bob"]})
    >>> gl.alerts.Threshold(6, entity="actor").process(events)["entity"].to_list()
    ['bob']
    """

    above: float | None = None
    p_below: Annotated[float, Above(0, most=1)] | None = None
    score: ColumnName = "score"
    entity: ColumnName | None = None

    absorbs = True
    gives_alerts = True
    version = 2  # severity by rank

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(1.5, entity="actor")

    def check(self) -> None:
        """Check the recipe."""
        if (self.above is None) == (self.p_below is None):
            raise ArgumentError(
                "Threshold: give either above=<score> or p_below=<probability>, such as Threshold(6) or Threshold(p_below=0.001)."
            )
        numeric = isinstance(self.above, int | float | np.number) and not isinstance(self.above, bool)
        if self.above is not None and (not numeric or self.above != self.above):
            raise ArgumentError(f"Threshold: above={self.above!r}; expected a number.")

    def start(self) -> None:
        """Forget all scores."""
        self._past = Past()

    def alerts_by(self) -> str:
        """Give the column by which it alerts."""
        return self.score if self.p_below is None else "p"

    def alerts_from(self) -> float | None:
        """Give the score from which on a row alerts; None where it goes by ``p``."""
        return None if self.above is None else float(self.above)

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give alerts."""
        column = self.alerts_by()
        require(frame, [column, self.entity], "Threshold")
        values = numbers(frame, column)
        with np.errstate(invalid="ignore"):
            passed = values >= self.above if self.above is not None else values <= self.p_below
        rank = self._past.rank(values if self.above is not None else -values, passed)  # the lowest p is the most severe
        self.absorbed += len(frame)
        if not passed.any():
            return no_alerts()
        limit = self.above if self.above is not None else self.p_below
        return alerts_of(self, frame[passed], column, np.full(int(passed.sum()), float(limit)), rank)  # type: ignore[arg-type]
