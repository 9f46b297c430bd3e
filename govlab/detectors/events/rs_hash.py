"""RS-Hash: decayed counts of random subspace cells, in count-min sketches."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.events.rows import (
    Guarded,
    add_count,
    admit,
    chained,
    codes,
    count_of,
    learned,
    matrix,
    whole,
)
from govlab.detectors.events.scale import learn_scale, spread
from govlab.fields import AtLeast, Columns
from govlab.step import Step

_ROWS, _SLOTS = 2, 2048  # of a sketch; a component has at most about ``sample`` cells that matter


@njit(cache=True, nogil=True)
def _score(rows, hashes, widths, sizes, features, shifts, growth, warm, memory, guard, state, scale, sketches, ring, watch, scores):
    dims = rows.shape[1]
    point, cells = np.empty(dims), np.empty(sizes.size, "uint64")
    for i in range(rows.shape[0]):
        scores[i] = np.nan
        if not whole(rows, i):
            continue
        spread(rows, i, scale, point)
        for j in range(sizes.size):
            code = np.uint64(0)
            for f in range(sizes[j]):
                d = features[j, f]
                if d < dims:
                    code = chained(code, np.uint64(np.int64(np.floor((point[d] + shifts[j, f]) / widths[j]))))
                else:
                    code = chained(code, hashes[i, d - dims])
            cells[j] = code
        if state[0] >= warm:
            total = 0.0
            for j in range(sizes.size):
                total += np.log2(count_of(sketches[j], cells[j]) + state[1])
            scores[i] = np.log2(state[2] + state[1]) - total / sizes.size
        if not admit(scores[i], guard, ring, watch):
            continue
        for j in range(sizes.size):
            add_count(sketches[j], cells[j], state[1])
        learn_scale(rows, i, memory, scale)
        over = learned(state, growth)
        if over > 1.0:
            sketches /= over


class RsHash(Guarded):
    """Score a row by how few past rows fell into its cell, on average over grids that are random in columns, width and shift.

    The mean of -log2 of the share of the cell (bits). Each grid is over some columns only, so it also sees a rare combination
    of ordinary values. Numbers are scaled inside, from rows before only (0 to 1 within 3 deviations), so their units do not
    matter; a category is a side of the cell by itself, a missing one too. Range: about 0 to 14, higher = emptier. Cold start:
    NaN for the first ``warm`` rows; NaN for a row with a missing number, which is not learned. About 3 us a row with 50
    grids, and 32 KiB a grid and 20 bytes a row of ``patience``.

    Parameters
    ----------
    columns : list of str
        The features, numbers, those with long tails (counts, amounts) best as logarithms; may be empty if there are categories.
    categories : list of str
        Further features, texts or other values.
    components : int, at least 1
        Number of grids. 50 leave the mean a seventh of the noise of one.
    sample : int, at least 2
        As if so many rows had filled the grids: the more, the finer the cells and the more columns a grid has.
    halflife : int, at least 1
        Rows learned after which a row counts half. 10,000 fill the cells and forget within days on a busy platform.
    warm : int, at least 1
        Rows learned before the first is scored.
    guard : float, at least 0 and at most 0.5
        From 0 (all rows are learned) to 0.5: a row whose score is among the highest ``guard`` share of the past is not
        learned, so that a burst cannot make itself normal. On most platforms less than 0.05 of all events are bad.
    patience : int, at least 1
        What stays extreme for more rows than this is the new normal and is learned; at least 1 / ``guard``.
    seed : int, at least 0
        Another seed gives other grids.

    References
    ----------
    Sathe, S., Aggarwal, C. C. (2016). Subspace outlier detection in linear time with randomized hashing. ICDM.
    doi:10.1109/ICDM.2016.0057. There features are scaled by their extremes, which one wild value ruins.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 300, "x": [i % 10 for i in range(299)] + [90]})
    >>> score = gl.detectors.RsHash(["x"], warm=100).process(events)["score"]   # row i is scored before it is learned
    >>> bool(score.iloc[:100].isna().all() and score.iloc[299] > score.iloc[200:299].max())
    True
    """

    columns: Columns = ("count",)
    categories: Columns = ()
    components: Annotated[int, AtLeast(1)] = 50
    sample: Annotated[int, AtLeast(2)] = 1_000
    halflife: Annotated[int, AtLeast(1)] = 10_000
    warm: Annotated[int, AtLeast(1)] = 250
    guard: Annotated[float, AtLeast(0, most=0.5)] = 0.05
    patience: Annotated[int, AtLeast(1)] = 5_000
    seed: Annotated[int, AtLeast(0)] = 0

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(["value", "words"], ["kind"], components=6, sample=100, halflife=60, warm=20, guard=0.1, patience=30)

    def start(self) -> None:
        """Draw the grids (width, number of columns, columns, shifts, in this order for each), and forget all rows."""
        super().start()
        rng = np.random.default_rng(self.seed)
        dims, n = len(self.columns) + len(self.categories), self.components
        self._widths, self._sizes = np.zeros(n), np.zeros(n, "int64")
        self._features, self._shifts = np.zeros((n, dims), "int64"), np.zeros((n, dims))
        edge = 1.0 / np.sqrt(self.sample)
        for j in range(n):
            width = self._widths[j] = edge + (1.0 - 2.0 * edge) * rng.random()
            # a grid of so many columns has between the square root of ``sample`` and ``sample`` cells
            most = np.log(self.sample) / np.log(max(2.0, 1.0 / width))
            low, high = int(np.ceil(1.0 + 0.5 * most)), int(np.floor(most))
            size = self._sizes[j] = min(dims, int(rng.integers(low, max(low, high) + 1)))
            self._features[j, :size] = rng.choice(dims, size, replace=False)
            self._shifts[j, :size] = rng.random(size) * width
        self._state, self._sketches = np.array([0.0, 1.0, 0.0]), np.zeros((n, _ROWS, _SLOTS))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        rows, scores = matrix(frame, self.columns, "RsHash"), np.empty(len(frame))
        _score(
            rows, codes(frame, self.categories, "RsHash"), self._widths, self._sizes, self._features, self._shifts,
            2.0 ** (1.0 / self.halflife), self.warm, self.halflife / np.log(2.0), float(self.guard), self._state, self._scale,
            self._sketches, self._ring, self._watch, scores,
        )  # fmt: skip
        return scores
