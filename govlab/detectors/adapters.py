"""Detectors of others: river, scikit-learn, and any function."""

from __future__ import annotations

import copy
from collections.abc import Callable as Function
from typing import Annotated, Any

import numpy as np
import pandas as pd

from govlab.detectors.events.rows import matrix, whole
from govlab.detectors.events.scale import MEMORY, learn_scale, new_scale, squash, standard
from govlab.errors import ArgumentError
from govlab.fields import AtLeast, SomeColumns
from govlab.frames import LARGEST
from govlab.registry import extra
from govlab.step import Detector, Step

BLOCK = 64


class River(Detector):
    """Score with an anomaly detector of river: scored first, then learned, on features scaled into (0, 1).

    The model is copied for each fresh run. Range and cost are the model's. Cold start: NaN for the first ``warm`` rows; NaN
    for a row with a missing value, which is not learned.

    Parameters
    ----------
    model : river.anomaly.base.AnomalyDetector
        Anything with ``score_one(x)`` (higher = more anomalous) and ``learn_one(x)``.
    columns : list of str
        The features, numbers.
    scale : bool
        Scale inside, from the rows before; without, some models of river are silently blind.
    warm : int, at least 0
        Rows learned before the first is scored.

    Examples
    --------
    >>> import govlab as gl
    >>> from river import anomaly
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 300, "x": [i % 10 for i in range(299)] + [90]})
    >>> score = gl.detectors.River(anomaly.HalfSpaceTrees(window_size=100, seed=1), ["x"]).process(events)["score"]
    >>> bool(score.iloc[299] > score.iloc[200:299].max())
    True
    """

    model: Any = None
    columns: SomeColumns = ()
    scale: bool = True
    warm: Annotated[int, AtLeast(0)] = 100

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        anomaly = extra("river.anomaly", "pip install 'govlab[river]'")
        return cls(anomaly.HalfSpaceTrees(n_trees=3, height=4, window_size=50, seed=1), ["value", "words"], warm=20)

    def check(self) -> None:
        """Check the recipe."""
        if self.model is None:
            extra("river", "pip install 'govlab[river]'")
        if not hasattr(self.model, "score_one") or not hasattr(self.model, "learn_one"):
            raise ArgumentError(
                f"River: model={self.model!r}; expected score_one(x) and learn_one(x), such as river.anomaly.HalfSpaceTrees()."
            )
        if getattr(self.model, "seed", 0) is None:
            raise ArgumentError(f"River: model={self.model!r} has no seed, so no run could be repeated; give it one.")

    def start(self) -> None:
        """Take a fresh copy of the model."""
        self._model = self.model.clone() if hasattr(self.model, "clone") else copy.deepcopy(self.model)
        self._scale, self._rows = new_scale(len(self.columns)), 0

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        rows, scores, point = matrix(frame, self.columns, "River"), np.full(len(frame), np.nan), np.empty(len(self.columns))
        for i in range(len(frame)):
            if not whole(rows, i):
                continue
            if self.scale:
                squash(rows, i, self._scale, point)
            x = dict(zip(self.columns, (point if self.scale else rows[i]).tolist(), strict=True))
            if self._rows >= self.warm:
                scores[i] = self._model.score_one(x)
            self._model.learn_one(x)
            learn_scale(rows, i, MEMORY, self._scale)
            self._rows += 1
        return scores


class Sklearn(Detector):
    """Score with an outlier detector of scikit-learn, fitted anew at fixed numbers of rows to a window of the past.

    The sign is turned (higher = more anomalous). Rows are scored in blocks of fixed size, each row at the place that its
    number gives it, since the last bits of scikit-learn's arithmetic depend on the size of the batch. Cold start: NaN until
    the first fit, after ``warm`` rows; NaN for a row with a missing value, which is not learned. Cost: the model's.

    Parameters
    ----------
    model : scikit-learn estimator
        With ``fit(X)`` and ``score_samples(X)``: IsolationForest, OneClassSVM, LocalOutlierFactor(novelty=True). Give it a
        ``random_state`` if it has one.
    columns : list of str
        The features, numbers.
    refit : int, at least 2
        So many rows after a fit comes the next.
    window : int, at least 2
        It is fitted to so many of the last rows.
    warm : int, at least 2
        So many rows before the first fit.
    scale : bool
        Fit and score with each feature scaled by the mean and deviation of the window, on which no single wild value has a hold.

    Examples
    --------
    >>> import govlab as gl
    >>> from sklearn.ensemble import IsolationForest
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 200, "x": [i % 10 for i in range(199)] + [90]})
    >>> forest = IsolationForest(n_estimators=10, random_state=1)
    >>> score = gl.detectors.Sklearn(forest, ["x"], warm=100).process(events)["score"]
    >>> bool(score.iloc[:100].isna().all() and score.iloc[199] == score.max())
    True
    """

    model: Any = None
    columns: SomeColumns = ()
    refit: Annotated[int, AtLeast(2)] = 1_000
    window: Annotated[int, AtLeast(2)] = 5_000
    warm: Annotated[int, AtLeast(2)] = 500
    scale: bool = True

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        from sklearn.ensemble import IsolationForest

        return cls(IsolationForest(n_estimators=5, random_state=1), ["value", "words"], refit=150, window=120, warm=50)

    def check(self) -> None:
        """Check the recipe."""
        if not hasattr(self.model, "fit") or not hasattr(self.model, "score_samples"):
            hint = " (LocalOutlierFactor needs novelty=True)" if type(self.model).__name__ == "LocalOutlierFactor" else ""
            raise ArgumentError(f"Sklearn: model={self.model!r}; expected one with fit(X) and score_samples(X){hint}.")
        params = self.model.get_params() if hasattr(self.model, "get_params") else {}
        if any(value is None for name, value in params.items() if name.endswith("random_state")):
            raise ArgumentError(f"Sklearn: model={self.model!r} has no random_state, so no run could be repeated; give it one.")

    def start(self) -> None:
        """Forget the fitted model and the window."""
        self._fitted: Any = None
        self._past = np.zeros((self.window, len(self.columns)))
        self._rows = 0

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        values = matrix(frame, self.columns, "Sklearn")
        good = np.flatnonzero((np.abs(values) <= LARGEST).all(axis=1))
        scores, i = np.full(len(frame), np.nan), 0
        while i < good.size:
            # up to the next fit or the end of the block, whichever comes first
            stop = self.warm if self._rows < self.warm else self._rows + self.refit - (self._rows - self.warm) % self.refit
            n = min(good.size - i, stop - self._rows, BLOCK - self._rows % BLOCK)
            rows = values[good[i : i + n]]
            if self._fitted is not None:
                block = np.zeros((BLOCK, len(self.columns)))
                at = self._rows % BLOCK
                block[at : at + n] = standard(rows, self._scale) if self.scale else rows
                scores[good[i : i + n]] = -self._fitted.score_samples(block)[at : at + n]
            self._past[np.arange(self._rows, self._rows + n) % self.window] = rows
            self._rows += n
            i += n
            if self._rows == stop:
                self._fit()
        return scores

    def _fit(self) -> None:
        from sklearn.base import clone

        rows = np.roll(self._past, -(self._rows % self.window), axis=0) if self._rows > self.window else self._past[: self._rows]
        if self.scale:
            self._scale = new_scale(len(self.columns))
            for i in range(len(rows)):
                learn_scale(rows, i, MEMORY, self._scale)
            rows = standard(rows, self._scale)
        self._fitted = clone(self.model).fit(rows)


def _half(x: dict[str, Any]) -> float:
    return float(x["count"]) / 2


class Callable(Detector):
    """Score with any function of a row. Range, warm-up and cost are the function's; it keeps no state.

    Parameters
    ----------
    function : callable
        ``function(x) -> float``, where ``x`` is the row as a dict.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 2, "words": [3, 80]})
    >>> gl.detectors.Callable(lambda x: x["words"] / 10).process(events)["score"].to_list()
    [0.3, 8.0]
    """

    function: Function[[dict[str, Any]], float] = float  # type: ignore[assignment]

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(_half)

    def check(self) -> None:
        """Check the recipe."""
        if not callable(self.function) or self.function is float:
            raise ArgumentError(f"Callable: function={self.function!r}; expected a function of a row (a dict) that gives a number.")

    def score_one(self, x: dict[str, Any]) -> float:
        """Score one row."""
        return float(self.function(x))

    def learn_one(self, x: dict[str, Any]) -> None:
        """Learn nothing."""
