"""KitNET: an ensemble of small autoencoders, and one more over their errors."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.events.rows import Guarded, admit, matrix, whole
from govlab.detectors.events.scale import MEMORY, learn_scale, new_scale, spread
from govlab.fields import Above, AtLeast, SomeColumns, at_least
from govlab.step import Step


@njit(cache=True, nogil=True)
def _error(x, weights, hidden_bias, bias, size, units, hidden, errors):
    """Put the hidden layer and the errors of an autoencoder with tied weights; give their root mean square."""
    for j in range(units):
        hidden[j] = hidden_bias[j]
    for k in range(size):
        for j in range(units):
            hidden[j] += x[k] * weights[k, j]
    for j in range(units):
        hidden[j] = 1.0 / (1.0 + np.exp(-hidden[j]))
    total = 0.0
    for k in range(size):
        s = bias[k]
        for j in range(units):
            s += hidden[j] * weights[k, j]
        errors[k] = x[k] - 1.0 / (1.0 + np.exp(-s))
        total += errors[k] * errors[k]
    return np.sqrt(total / size)


@njit(cache=True, nogil=True)
def _train(x, weights, hidden_bias, bias, size, units, rate, hidden, errors, back):
    """Go one step down the gradient. What is learned lies in [0, 1], which is all that the outputs can reach."""
    for k in range(size):
        x[k] = max(0.0, min(1.0, x[k]))
    _error(x, weights, hidden_bias, bias, size, units, hidden, errors)
    for j in range(units):
        back[j] = 0.0
    for k in range(size):
        for j in range(units):
            back[j] += errors[k] * weights[k, j]
    for j in range(units):
        back[j] *= hidden[j] * (1.0 - hidden[j])
        hidden_bias[j] += rate * back[j]
    for k in range(size):
        for j in range(units):
            weights[k, j] += rate * (x[k] * back[j] + errors[k] * hidden[j])
        bias[k] += rate * errors[k]


@njit(cache=True, nogil=True)
def _map(rows, mapping, state, scale, sums, products):
    """Learn which columns go together; gives the row after the last that was taken. State = [rows learned]."""
    dims = rows.shape[1]
    point = np.empty(dims)
    for i in range(rows.shape[0]):
        if state[0] == mapping:
            return i
        if not whole(rows, i):
            continue
        spread(rows, i, scale, point)
        for d in range(dims):
            point[d] = max(0.0, min(1.0, point[d]))  # as what is trained: a wild row alone would make columns go together
            sums[d] += point[d]
            for e in range(dims):
                products[d, e] += point[d] * point[e]
        learn_scale(rows, i, MEMORY, scale)
        state[0] += 1
    return rows.shape[0]


@njit(cache=True, nogil=True)
def _score(
    rows, first, members, sizes, units, weights, hidden_bias, bias, rate, warm, guard, state, scale,
    error_scale, ring, watch, scores,
):  # fmt: skip
    dims, groups = rows.shape[1], sizes.size - 1
    point, told = np.empty(dims), np.empty(groups)
    inputs = np.empty((groups + 1, weights.shape[1]))
    found = np.empty((1, groups))
    hidden, errors, back = np.empty(weights.shape[2]), np.empty(weights.shape[1]), np.empty(weights.shape[2])
    for i in range(first, rows.shape[0]):
        if not whole(rows, i):
            continue
        spread(rows, i, scale, point)
        for g in range(groups):
            for k in range(sizes[g]):
                inputs[g, k] = point[members[g, k]]
            found[0, g] = _error(inputs[g], weights[g], hidden_bias[g], bias[g], sizes[g], units[g], hidden, errors)
        spread(found, 0, error_scale, told)
        g = groups
        for k in range(groups):
            inputs[g, k] = told[k]
        if state[0] >= warm:
            scores[i] = _error(inputs[g], weights[g], hidden_bias[g], bias[g], groups, units[g], hidden, errors)
        if not admit(scores[i], guard, ring, watch):
            continue
        for g in range(groups + 1):
            _train(inputs[g], weights[g], hidden_bias[g], bias[g], sizes[g], units[g], rate, hidden, errors, back)
        learn_scale(found, 0, MEMORY, error_scale)
        learn_scale(rows, i, MEMORY, scale)
        state[0] += 1


def _clusters(distance: np.ndarray, most: int) -> list[list[int]]:
    """Cut the tree of single linkage into its largest branches of at most ``most`` columns."""
    dims = len(distance)
    groups, closed = [[d] for d in range(dims)], [False] * dims
    of = list(range(dims))
    for _, d, e in sorted((distance[i, j], i, j) for i in range(dims) for j in range(i + 1, dims)):
        a, b = of[d], of[e]
        if a == b:
            continue
        if closed[a] or closed[b] or len(groups[a]) + len(groups[b]) > most:
            closed[a] = closed[b] = True  # the branch that holds both is too large, and so is all above it
            continue
        groups[a] += groups[b]
        for member in groups[b]:
            of[member] = a
        groups[b] = []
    return sorted(sorted(group) for group in groups if group)


class Kitnet(Guarded):
    """Score a row by how badly small autoencoders, that have learned the past, rebuild it.

    Columns that go together share an autoencoder; one more rebuilds their errors, and its root mean square error is the
    score. Columns and errors are scaled inside, from rows before only (0 to 1 within 3 deviations of the mean), so their
    units do not matter. Range: 0 to about 1,000, mostly below 1. Cold start: NaN for the first ``warm`` rows; NaN for a row
    with a missing value, which is not learned. Unlike the published one it goes on learning all the time, and does not scale
    by the extremes, which one wild value ruins. About 1 us a row with 9 columns; 8 bytes a weight, and 20 bytes a row of
    ``patience``.

    Parameters
    ----------
    columns : list of str
        The features, numbers; those with long tails (counts, amounts) best as logarithms.
    group : int, at least 1
        So many columns at most share an autoencoder (10 as published).
    hidden : float, above 0 and at most 1
        Units of the hidden layer, as a share of the inputs.
    rate : float, above 0 and at most 1
        Size of a step down the gradient.
    mapping : int, at least 2
        Rows learned to see which columns go together.
    warm : int, at least 3
        So many rows are learned, those of the mapping among them, before the first is scored; more than ``mapping``.
    guard : float, at least 0 and at most 0.5
        From 0 (all rows are learned) to 0.5: a row whose score is among the highest ``guard`` share of the past is not
        learned, so that a burst cannot make itself normal. On most platforms less than 0.05 of all events are bad.
    patience : int, at least 1
        What stays extreme for more rows than this is the new normal and is learned; at least 1 / ``guard``.
    seed : int, at least 0
        Another seed gives other weights at the start.

    References
    ----------
    Mirsky, Y., Doitshman, T., Elovici, Y., Shabtai, A. (2018). Kitsune: an ensemble of autoencoders for online network
    intrusion detection. NDSS. doi:10.14722/ndss.2018.23204.

    Examples
    --------
    >>> import govlab as gl
    >>> x = np.sin(np.arange(3_000))
    >>> y = np.where(np.arange(3_000) == 2_999, -x, x)   # the last is no wild value, but the columns do not agree
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 3_000, "x": x, "y": y})
    >>> score = gl.detectors.Kitnet(["x", "y"], mapping=100, warm=1_000).process(events)["score"]   # scored, then learned
    >>> int(score.isna().sum()), bool(score.iloc[2_999] > 2 * score.iloc[1_500:2_999].max())
    (1000, True)
    """

    columns: SomeColumns = ("count",)
    group: Annotated[int, AtLeast(1)] = 10
    hidden: Annotated[float, Above(0, most=1)] = 0.75
    rate: Annotated[float, Above(0, most=1)] = 0.1
    mapping: Annotated[int, AtLeast(2)] = 500
    warm: Annotated[int, AtLeast(3)] = 2_000
    guard: Annotated[float, AtLeast(0, most=0.5)] = 0.05
    patience: Annotated[int, AtLeast(1)] = 5_000
    seed: Annotated[int, AtLeast(0)] = 0

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(["value", "words", "count"], group=2, mapping=20, warm=40, guard=0.1, patience=30)

    def check(self) -> None:
        """Check the recipe."""
        at_least(self, "warm", self.mapping + 1)
        super().check()

    def start(self) -> None:
        """Forget all rows."""
        super().start()
        dims = len(self.columns)
        self._state = np.zeros(1, "int64")
        self._sums, self._products = np.zeros(dims), np.zeros((dims, dims))
        self._net: tuple[np.ndarray, ...] = ()

    def _build(self) -> None:
        """Group the columns by 1 - correlation, and draw the weights of the autoencoders."""
        n, dims = self.mapping, len(self.columns)
        variance = np.array([n * self._products[d, d] - self._sums[d] ** 2 for d in range(dims)])
        distance = np.ones((dims, dims))
        for d in range(dims):
            for e in range(dims):
                if variance[d] > 0 and variance[e] > 0:
                    shared = n * self._products[d, e] - self._sums[d] * self._sums[e]
                    distance[d, e] = 1.0 - shared / np.sqrt(variance[d] * variance[e])
        groups = _clusters(distance, self.group)
        sizes = np.array([*map(len, groups), len(groups)])
        units = np.ceil(self.hidden * sizes).astype("int64")
        members = np.zeros((len(groups), sizes.max()), "int64")
        weights = np.zeros((len(sizes), sizes.max(), units.max()))
        rng = np.random.default_rng(self.seed)
        for g, size in enumerate(sizes):
            members[g : g + 1, :size] = groups[g] if g < len(groups) else 0
            weights[g, :size, : units[g]] = rng.uniform(-1.0 / size, 1.0 / size, (size, units[g]))
        hidden_bias, bias = np.zeros((len(sizes), units.max())), np.zeros((len(sizes), sizes.max()))
        self._net = members, sizes, units, weights, hidden_bias, bias
        self._error_scale = new_scale(len(groups))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        rows, scores = matrix(frame, self.columns, "Kitnet"), np.full(len(frame), np.nan)
        first = 0
        if not self._net:
            first = _map(rows, self.mapping, self._state, self._scale, self._sums, self._products)
            if self._state[0] < self.mapping:
                return scores
            self._build()
        _score(
            rows, first, *self._net, float(self.rate), self.warm, float(self.guard), self._state, self._scale, self._error_scale,
            self._ring, self._watch, scores,
        )  # fmt: skip
        return scores
