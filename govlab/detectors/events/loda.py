"""LODA: decayed histograms of sparse random projections."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.events.rows import (
    BINS,
    Guarded,
    add,
    admit,
    learned,
    matrix,
    position,
    read,
    whole,
)
from govlab.detectors.events.scale import learn_scale, place
from govlab.fields import AtLeast, SomeColumns
from govlab.step import Step

_PRIOR = 0.5  # rows that each bin is taken to hold from the start, so that an empty one is not impossible


@njit(cache=True, nogil=True)
def _score(rows, features, weights, growth, warm, memory, guard, state, scale, bins, ring, watch, scores):
    point = np.empty(rows.shape[1])
    at = np.empty(features.shape[0])
    for i in range(rows.shape[0]):
        scores[i] = np.nan
        if not whole(rows, i):
            continue
        place(rows, i, scale, point)
        for k in range(features.shape[0]):
            x = 0.0
            for f in range(features.shape[1]):
                x += weights[k, f] * point[features[k, f]]
            at[k] = position(x)
        if state[0] >= warm:
            total = 0.0
            for k in range(features.shape[0]):
                total += np.log(read(bins[k], at[k]) + _PRIOR * state[1])
            scores[i] = np.log(state[2] + BINS * _PRIOR * state[1]) - total / features.shape[0]
        if not admit(scores[i], guard, ring, watch):
            continue
        for k in range(features.shape[0]):
            add(bins[k], at[k], state[1])
        learn_scale(rows, i, memory, scale)
        over = learned(state, growth)
        if over > 1.0:
            bins /= over


class Loda(Guarded):
    """Score a row by how thin the past is where it falls, on average over random projections of its numbers.

    The mean of -log p over the projections (nats), p from a histogram of the past whose rows decay. Features are scaled
    inside, from rows before only (z, stretched by sign(z) log(1 + |z|)), so their units do not matter. Range: about 0 to 12,
    higher = emptier. Cold start: NaN for the first ``warm`` rows; NaN for a row with a missing value, which is not learned.
    About 1.2 us a row with 100 projections, and 1 KiB a projection and 20 bytes a row of ``patience``.

    Parameters
    ----------
    columns : list of str
        The features, numbers; those with long tails (counts, amounts) best as logarithms. A projection takes the square root
        of their number (rounded up), at random.
    projections : int, at least 1
        Number of projections. 100 leave the mean a tenth of the noise of one.
    halflife : int, at least 1
        Rows learned after which a row counts half. 10,000 fill the bins and forget within days on a busy platform.
    warm : int, at least 1
        Rows learned before the first is scored.
    guard : float, at least 0 and at most 0.5
        From 0 (all rows are learned) to 0.5: a row whose score is among the highest ``guard`` share of the past is not
        learned, so that a burst cannot make itself normal. On most platforms less than 0.05 of all events are bad.
    patience : int, at least 1
        What stays extreme for more rows than this is the new normal and is learned; at least 1 / ``guard``.
    seed : int, at least 0
        Another seed gives other projections.

    References
    ----------
    Pevny, T. (2016). Loda: lightweight on-line detector of anomalies. Machine Learning 102. doi:10.1007/s10994-015-5521-0.
    There the histograms are those of the last window, and all is learned.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 300, "x": [i % 10 for i in range(299)] + [90]})
    >>> score = gl.detectors.Loda(["x"], warm=100).process(events)["score"]   # row i is scored before it is learned
    >>> bool(score.iloc[:100].isna().all() and score.iloc[299] > score.iloc[200:299].max())
    True
    """

    columns: SomeColumns = ("count",)
    projections: Annotated[int, AtLeast(1)] = 100
    halflife: Annotated[int, AtLeast(1)] = 10_000
    warm: Annotated[int, AtLeast(1)] = 250
    guard: Annotated[float, AtLeast(0, most=0.5)] = 0.05
    patience: Annotated[int, AtLeast(1)] = 5_000
    seed: Annotated[int, AtLeast(0)] = 0

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(["value", "words", "count"], projections=8, halflife=60, warm=20, guard=0.1, patience=30)

    def start(self) -> None:
        """Draw the projections, and forget all rows."""
        super().start()
        rng = np.random.default_rng(self.seed)
        dims = len(self.columns)
        some = int(np.ceil(np.sqrt(dims)))
        self._features, self._weights = np.zeros((self.projections, some), "int64"), np.zeros((self.projections, some))
        for k in range(self.projections):
            self._features[k] = rng.choice(dims, some, replace=False)
            drawn = rng.normal(size=some)
            self._weights[k] = drawn / np.sqrt((drawn * drawn).sum())  # of length one, so that one width of bin suits all
        self._state, self._bins = np.array([0.0, 1.0, 0.0]), np.zeros((self.projections, BINS))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        rows, scores = matrix(frame, self.columns, "Loda"), np.empty(len(frame))
        _score(
            rows, self._features, self._weights, 2.0 ** (1.0 / self.halflife), self.warm, self.halflife / np.log(2.0),
            float(self.guard), self._state, self._scale, self._bins, self._ring, self._watch, scores,
        )  # fmt: skip
        return scores
