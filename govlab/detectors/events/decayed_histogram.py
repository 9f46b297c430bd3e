"""Decayed histograms: how rare is the value in each column, by itself."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.events.rows import (
    BINS,
    ROWS,
    SLOTS,
    Guarded,
    add,
    add_count,
    admit,
    codes,
    count_of,
    learned,
    matrix,
    position,
    read,
    whole,
)
from govlab.detectors.events.scale import learn_scale, place
from govlab.fields import AtLeast, Columns
from govlab.step import Step

_PRIOR = 0.5  # rows that each bin, and each category, is taken to hold from the start


@njit(cache=True, nogil=True)
def _score(rows, hashes, growth, warm, memory, guard, state, scale, bins, sketches, ring, watch, scores):
    point = np.empty(rows.shape[1])
    for i in range(rows.shape[0]):
        scores[i] = np.nan
        if not whole(rows, i):
            continue
        place(rows, i, scale, point)
        if state[0] >= warm:
            prior = _PRIOR * state[1]
            total = 0.0
            for d in range(rows.shape[1]):
                total += np.log((state[2] + BINS * prior) / (read(bins[d], position(point[d])) + prior))
            for c in range(hashes.shape[1]):
                total += np.log((state[2] + state[1]) / (count_of(sketches[c], hashes[i, c]) + prior))
            scores[i] = total
        if not admit(scores[i], guard, ring, watch):
            continue
        for d in range(rows.shape[1]):
            add(bins[d], position(point[d]), state[1])
        for c in range(hashes.shape[1]):
            add_count(sketches[c], hashes[i, c], state[1])
        learn_scale(rows, i, memory, scale)
        over = learned(state, growth)
        if over > 1.0:
            bins /= over
            sketches /= over


class DecayedHistogram(Guarded):
    """Score a row by how rare the value of each of its columns has lately been, each column by itself.

    The sum of -log p over the columns (nats): p of a number from a histogram, of a category from its share, both of past
    rows, which decay. Numbers are scaled inside, from rows before only (z, stretched by sign(z) log(1 + |z|)), so their units
    do not matter; a missing category is a category. It is the plain yardstick for the others: what it does not see is a
    rare combination of ordinary values. Range: from 0, about 10 for each rare column. Cold start: NaN for the first ``warm``
    rows; NaN for a row with a missing number, which is not learned. About 0.5 us a row with 8 columns; 1 KiB a number,
    64 KiB a category, and 20 bytes a row of ``patience``.

    Parameters
    ----------
    columns : list of str
        The features, numbers, those with long tails (counts, amounts) best as logarithms; may be empty if there are categories.
    categories : list of str
        Further features, texts or other values, each counted in a sketch (count-min, 2 x 4,096: of many
        thousand values at once the rare ones are no longer told apart).
    halflife : int, at least 1
        Rows learned after which a row counts half. 10,000 fill the bins and forget within days on a busy platform.
    warm : int, at least 1
        Rows learned before the first is scored.
    guard : float, at least 0 and at most 0.5
        From 0 (all rows are learned) to 0.5: a row whose score is among the highest ``guard`` share of the past is not
        learned, so that a burst cannot make itself normal. On most platforms less than 0.05 of all events are bad.
    patience : int, at least 1
        What stays extreme for more rows than this is the new normal and is learned; at least 1 / ``guard``.

    References
    ----------
    Goldstein, M., Dengel, A. (2012). Histogram-based outlier score (HBOS). KI-2012 poster track. There all rows are at hand;
    here they decay, and the mass at a value lies between its two nearest bins (Scott, D. W. (1985). Frequency polygons:
    theory and application. Journal of the American Statistical Association 80).

    Examples
    --------
    >>> import govlab as gl
    >>> x, kind = [i % 10 for i in range(299)] + [90], ["post", "like"] * 149 + ["post", "raid"]
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 300, "x": x, "kind": kind})
    >>> score = gl.detectors.DecayedHistogram(["x"], ["kind"], warm=100).process(events)["score"]   # scored, then learned
    >>> bool(score.iloc[:100].isna().all() and score.iloc[299] > score.iloc[200:299].max())
    True
    """

    columns: Columns = ("count",)
    categories: Columns = ()
    halflife: Annotated[int, AtLeast(1)] = 10_000
    warm: Annotated[int, AtLeast(1)] = 250
    guard: Annotated[float, AtLeast(0, most=0.5)] = 0.05
    patience: Annotated[int, AtLeast(1)] = 5_000

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(["value", "words"], ["actor", "kind"], halflife=60, warm=20, guard=0.1, patience=30)

    def start(self) -> None:
        """Forget all rows."""
        super().start()
        dims = len(self.columns)
        self._state, self._bins = np.array([0.0, 1.0, 0.0]), np.zeros((dims, BINS))
        self._sketches = np.zeros((len(self.categories), ROWS, SLOTS))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        rows, scores = matrix(frame, self.columns, "DecayedHistogram"), np.empty(len(frame))
        _score(
            rows, codes(frame, self.categories, "DecayedHistogram"), 2.0 ** (1.0 / self.halflife), self.warm,
            self.halflife / np.log(2.0), float(self.guard), self._state, self._scale, self._bins, self._sketches,
            self._ring, self._watch, scores,
        )  # fmt: skip
        return scores
