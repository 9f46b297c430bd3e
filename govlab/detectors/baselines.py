"""Baselines that know nothing: what does not beat them is not worth its keep."""

from __future__ import annotations

import numpy as np
import pandas as pd

from govlab.errors import ArgumentError
from govlab.fields import ColumnName
from govlab.frames import numbers, require
from govlab.hashing import hash_column
from govlab.step import Detector


class Never(Detector):
    """Score every row 0: nothing is ever anomalous. Range {0}; warm at once; 1 ns a row.

    Examples
    --------
    >>> import govlab as gl
    >>> gl.detectors.Never().process(gl.event_frame({"time": ["2026-03-02T00:00:00Z"]}))["score"].to_list()
    [0.0]
    """

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row, shape (n,)."""
        return np.zeros(len(frame))


class Always(Detector):
    """Score every row 1: all is anomalous. Range {1}; warm at once; 1 ns a row.

    Examples
    --------
    >>> import govlab as gl
    >>> gl.detectors.Always().process(gl.event_frame({"time": ["2026-03-02T00:00:00Z"]}))["score"].to_list()
    [1.0]
    """

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row, shape (n,)."""
        return np.ones(len(frame))


class Random(Detector):
    """Score every row at random, evenly between 0 and 1: what alerts by chance would catch.

    The score is a hash of the seed and the number of the row, so it depends on nothing else. Range [0, 1); warm at once;
    10 ns a row.

    Parameters
    ----------
    seed : int
        Another seed gives other scores.

    Examples
    --------
    >>> import govlab as gl
    >>> scored = gl.detectors.Random(seed=1).process(gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 2}))
    >>> bool(scored["score"].between(0, 1).all())
    True
    """

    seed: int = 0

    def check(self) -> None:
        """Check the recipe."""
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ArgumentError(f"Random: seed={self.seed!r}; expected a whole number.")

    def start(self) -> None:
        """Begin at row 0."""
        self._row = 0
        self._first = np.uint64((self.seed * 1_000_003_000_017) % 2**64).astype("int64")

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row, shape (n,)."""
        numbers = pd.Series(np.arange(self._row, self._row + len(frame)) + self._first)
        self._row += len(frame)
        return (hash_column(numbers) >> np.uint64(11)).astype("float64") / 2.0**53


class Volume(Detector):
    """Score every row by a column as it is: the bigger, the more anomalous. Warm at once; 2 ns a row.

    Parameters
    ----------
    column : str
        The column; a missing value scores NaN.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 2, "count": [3, 8]})
    >>> gl.detectors.Volume("count").process(events)["score"].to_list()
    [3.0, 8.0]
    """

    column: ColumnName = "count"

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row, shape (n,)."""
        require(frame, [self.column], "Volume")
        return numbers(frame, self.column).copy()
