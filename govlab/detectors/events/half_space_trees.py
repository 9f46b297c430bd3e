"""Half-space trees: how empty the region of a point was in the last window."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.events.rows import Guarded, admit, matrix, whole
from govlab.detectors.events.scale import MEMORY, learn_scale, spread
from govlab.fields import AtLeast, SomeColumns
from govlab.step import Step

_LIMIT = 0.1  # a node with less than this share of the window is as good as empty (Tan's sizeLimit)


@njit(cache=True, nogil=True)
def _score(rows, features, splits, depth, window, guard, state, scale, now, past, ring, watch, scores):
    """State = [rows learned, windows done]. ``now`` and ``past`` are the masses of the nodes, in heap order from 1."""
    trees, dims = features.shape[0], rows.shape[1]
    point = np.empty(dims)
    limit = _LIMIT * window
    for i in range(rows.shape[0]):
        if not whole(rows, i):
            scores[i] = np.nan
            continue
        spread(rows, i, scale, point)
        total = 0.0
        for t in range(trees):
            node, found = 1, False
            for level in range(depth + 1):
                if not found and (past[t, node] < limit or level == depth):
                    total += past[t, node] * 2.0**level
                    found = True
                now[t, node] += 1
                if level < depth:
                    node = 2 * node + (1 if point[features[t, node]] > splits[t, node] else 0)
        scores[i] = 1.0 - total / (trees * window * 2.0**depth) if state[1] > 0 else np.nan
        if not admit(scores[i], guard, ring, watch):
            _forget(point, features, splits, depth, now)
            continue
        learn_scale(rows, i, MEMORY, scale)
        state[0] += 1
        if state[0] % window == 0:
            past[:] = now
            now[:] = 0
            state[1] += 1


@njit(cache=True, nogil=True)
def _forget(point, features, splits, depth, now):
    """Take a row out of the masses again: seldom, and cheaper than to go down each tree twice for every row."""
    for t in range(features.shape[0]):
        node = 1
        for level in range(depth + 1):
            now[t, node] -= 1
            if level < depth:
                node = 2 * node + (1 if point[features[t, node]] > splits[t, node] else 0)


class HalfSpaceTrees(Guarded):
    """Score a point by how empty its region was in the last window of points, over random trees of half-spaces.

    Features are scaled inside, from rows before only (0 to 1 within 3 deviations), so their units do not matter. Range [0, 1],
    near 1 = empty region. Cold start: NaN until the first ``window`` rows are learned; NaN for a row with a missing value,
    which is not learned. About 2 us a row with 25 trees of depth 8, and 28 * trees * 2^(depth+1) bytes.

    Parameters
    ----------
    columns : list of str
        The features, numbers; those with long tails (counts, amounts) best as logarithms.
    trees : int, at least 1
        Number of trees.
    depth : int, at least 1 and at most 15
        Depth of a tree.
    window : int, at least 2
        So many rows make the masses with which the next are scored.
    seed : int, at least 0
        Another seed gives other trees.
    guard : float, at least 0 and at most 0.5
        From 0 (all rows are learned, as published) to 0.5: a row whose score is among the highest ``guard`` share of the past
        is not learned, so that a burst cannot make itself normal. On most platforms less than 0.05 of all events are bad.
    patience : int, at least 1
        What stays extreme for more rows than this is the new normal and is learned; at least 1 / ``guard``. With a guard,
        20 bytes a row of it.

    References
    ----------
    Tan, S. C., Ting, K. M., Liu, T. F. (2011). Fast anomaly detection for streaming data. IJCAI 22.
    doi:10.5591/978-1-57735-516-8/IJCAI11-254.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 300, "x": [i % 10 for i in range(299)] + [90]})
    >>> score = gl.detectors.HalfSpaceTrees(["x"], window=100).process(events)["score"]
    >>> bool(score.iloc[:100].isna().all() and score.iloc[299] > score.iloc[200:299].max())
    True
    """

    columns: SomeColumns = ("count",)
    trees: Annotated[int, AtLeast(1)] = 25
    depth: Annotated[int, AtLeast(1, most=15)] = 8
    window: Annotated[int, AtLeast(2)] = 250
    seed: Annotated[int, AtLeast(0)] = 0
    guard: Annotated[float, AtLeast(0, most=0.5)] = 0.05
    patience: Annotated[int, AtLeast(1)] = 5_000

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(["value", "words"], trees=5, depth=4, window=60)

    def start(self) -> None:
        """Grow the trees, and forget all masses."""
        super().start()
        rng = np.random.default_rng(self.seed)
        nodes, dims = 2 ** (self.depth + 1), len(self.columns)
        self._features = rng.integers(0, dims, (self.trees, nodes)).astype("int32")
        self._splits = np.zeros((self.trees, nodes))
        for tree in range(self.trees):
            # a work range that is wider than the data and off centre, cut in half at every node (Tan, section 3)
            centre = rng.random(dims)
            reach = 2.0 * np.maximum(centre, 1.0 - centre)
            self._split(tree, 1, centre - reach, centre + reach)
        self._now, self._past = np.zeros((self.trees, nodes)), np.zeros((self.trees, nodes))
        self._state = np.zeros(2, "int64")

    def _split(self, tree: int, node: int, low: np.ndarray, high: np.ndarray) -> None:
        feature = self._features[tree, node]
        middle = self._splits[tree, node] = 0.5 * (low[feature] + high[feature])
        if 2 * node + 1 < self._splits.shape[1]:
            for child, side in ((2 * node, high), (2 * node + 1, low)):
                kept = side[feature]
                side[feature] = middle
                self._split(tree, child, low, high)
                side[feature] = kept

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        rows, scores = matrix(frame, self.columns, "HalfSpaceTrees"), np.empty(len(frame))
        _score(
            rows, self._features, self._splits, self.depth, self.window, float(self.guard), self._state, self._scale,
            self._now, self._past, self._ring, self._watch, scores,
        )  # fmt: skip
        return scores
