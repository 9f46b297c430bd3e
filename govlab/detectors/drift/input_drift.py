"""Input drift: the last rows are distributed otherwise than those before them, whatever the labels say."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.errors import ArgumentError
from govlab.fields import Above, AtLeast, Columns, at_least, some_columns
from govlab.frames import numbers, require, values
from govlab.hashing import hash_column, mix
from govlab.step import Detector, Step

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # the step of splitmix64
_CELLS = 64  # categories are hashed into so many
_TRIES = 100  # permutations at a check
_WIDER = 1.06  # by so much the quantile is raised, since the PSI of a few bins has a longer tail than a gamma distribution


@njit(cache=True, nogil=True)
def _draw(chance):
    """Give the next random number in [0, 1); ``chance`` is the state of splitmix64."""
    chance[0] += _GOLDEN
    return np.float64(mix(chance[0]) >> np.uint64(11)) * 2.0**-53


@njit(cache=True, nogil=True)
def _code(x, edges):
    """Give the bin of a number: between two edges, on one (values may repeat), or the last for a missing one."""
    if np.isnan(x):
        return 2 * edges.size + 1
    code = 0
    for edge in edges:
        code += (x > edge) + (x >= edge)
    return code


@njit(cache=True, nogil=True)
def _fix_edges(first, edges):
    for d in range(edges.shape[0]):
        known = np.sort(first[:, d])  # missing ones come last
        n = known.size
        while n > 0 and np.isnan(known[n - 1]):
            n -= 1
        for q in range(edges.shape[1]):
            edges[d, q] = known[n * (q + 1) // (edges.shape[1] + 1)] if n > 0 else 0.0


@njit(cache=True, nogil=True)
def _psi(counts, whole, recent, rows):
    """Give the population stability index of a column: ``counts`` of the recent rows, ``whole`` of those and the reference."""
    seen = 0
    for k in range(whole.size):
        seen += whole[k] > 0
    total = 0.0
    for k in range(whole.size):
        if whole[k] > 0:
            # half a row more in each bin, so that an empty one is not infinitely far
            p = (counts[k] + 0.5) / (recent + 0.5 * seen)
            q = (whole[k] - counts[k] + 0.5) / (rows - recent + 0.5 * seen)
            total += (p - q) * np.log(p / q)
    return total


@njit(cache=True, nogil=True)
def _check(past, last, codes, block, z, chance):
    """Give the greatest PSI of a column as a share of its threshold, the gamma quantile that fits the permuted ones."""
    recent, dims = last.shape
    rows = recent + past.shape[0]
    whole, counts = np.zeros((dims, codes), "int64"), np.zeros((dims, codes), "int64")
    for d in range(dims):
        for i in range(recent):
            counts[d, last[i, d]] += 1
            whole[d, last[i, d]] += 1
        for i in range(past.shape[0]):
            whole[d, past[i, d]] += 1
    actual, mean, square = np.zeros(dims), np.zeros(dims), np.zeros(dims)
    for d in range(dims):
        actual[d] = _psi(counts[d], whole[d], recent, rows)
    for t in range(_TRIES):
        counts[:] = 0
        need = recent // block
        for b in range(rows // block):
            if _draw(chance) * (rows // block - b) < need:
                need -= 1
                for i in range(b * block, (b + 1) * block):
                    for d in range(dims):
                        counts[d, last[i, d] if i < recent else past[i - recent, d]] += 1
        for d in range(dims):
            psi = _psi(counts[d], whole[d], recent, rows)
            off = psi - mean[d]
            mean[d] += off / (t + 1)
            square[d] += off * (psi - mean[d])
    worst = 0.0
    for d in range(dims):
        variance = square[d] / (_TRIES - 1)
        if variance > 1e-12 * mean[d] * mean[d] and mean[d] > 0.0:
            part = variance / (9.0 * mean[d] * mean[d])  # Wilson and Hilferty's quantile of a gamma
            threshold = mean[d] * (1.0 - part + z * np.sqrt(part)) ** 3
            worst = max(worst, actual[d] / threshold)
    return worst


@njit(cache=True, nogil=True)
def _score(points, cells, every, block, swap, z, codes, state, held, chance, first, edges, past, last, scores):
    """``state`` = [rows since the start or the last drift]; ``swap``: chance that a block that leaves enters the reference."""
    numeric, dims = points.shape[1], past.shape[1]
    row = np.zeros(dims, past.dtype)
    for i in range(points.shape[0]):
        n = state[0]
        state[0] += 1
        row[numeric:] = cells[i]
        if n < past.shape[0]:
            first[n] = points[i]
            past[n] = row
            if n + 1 == past.shape[0]:
                _fix_edges(first, edges)
                for j in range(past.shape[0]):
                    for d in range(numeric):
                        past[j, d] = _code(first[j, d], edges[d])
            scores[i] = np.nan
            continue
        for d in range(numeric):
            row[d] = _code(points[i, d], edges[d])
        at = n - past.shape[0]
        place = at % last.shape[0]
        if at >= last.shape[0] and place % block == 0 and _draw(chance) < swap:
            to = int(_draw(chance) * (past.shape[0] // block)) * block
            past[to : to + block] = last[place : place + block]
        last[place] = row
        if at + 1 >= last.shape[0] and (at + 1 - last.shape[0]) % every == 0:
            held[0] = _check(past, last, codes, block, z, chance)
        scores[i] = held[0]
        if held[0] > 1.0:
            state[0] = 0
            held[0] = np.nan


def _quantile(level: float) -> float:
    """Give the deviations that another PSI is beyond with a chance of ``level``, by the mean and variance of the permuted ones.

    They are estimates, so it is the quantile of Student's t (by Wallace's approximation, to 0.1 %), not of the normal.
    """
    n = _TRIES - 1
    z = -NormalDist().inv_cdf(level) * (8 * n + 3) / (8 * n + 1)
    return _WIDER * math.sqrt(1.0 + 1.0 / _TRIES) * math.copysign(math.sqrt(n * math.expm1(z * z / n)), z)


class InputDrift(Detector):
    """Score how far the distribution of the last rows is from that of the rows before, as a share of what chance allows.

    For each column: the population stability index (PSI) between the last ``window`` rows and a reference, a sample of
    the rows before them that forgets slowly; the threshold comes from permuting the two 100 times. The score is the greatest
    ratio of a column; it needs no labels. Numbers are put into quantile bins of the first ``reference`` rows, categories are hashed
    into 64 cells, and a missing value is a bin of its own. A burst counts for no more than its rows, however extreme
    they are. A score above 1 is a drift; the detector then starts afresh. Range: at least 0; checked every ``every`` rows,
    and between checks a row has the score of the last one. Cold start: NaN for the first ``reference + window - 1`` rows,
    also after a drift. About 4 us a row, in proportion to (``window`` + ``reference``) / ``every``; 10 bytes a column and row of
    ``reference`` and 2 of ``window``.

    The permutations take blocks of ``block`` rows as independent: where values stick for longer, the score is too high.

    Parameters
    ----------
    columns : list of str
        Numbers to watch.
    categories : list of str
        Categories to watch: any column, by the hash of its values.
    window : int, at least 10
        The last so many rows are compared.
    reference : int, at least 10
        Rows in the sample of the past.
    memory : int, at least 10
        Rows over which the sample forgets; at least ``reference``.
    every : int, at least 1
        Rows between checks.
    block : int, at least 1
        So many rows in a row are permuted as one: 1 for independent events, the length of a day for a metric with a daily
        cycle. ``window`` and ``reference`` must be multiples of it, and at least 10 times as long.
    bins : int, at least 2 and at most 100
        Bins of a number.
    level : float, above 1e-100 and at most 0.5
        Chance of a false alarm at a check. It comes 0.6 to 1.1 times as often, with
        categories of which one is very rare up to 1.3 times.
    seed : int, at least 0
        Another seed gives other permutations.

    References
    ----------
    Yurdakul, B., Naranjo, J. (2020). Statistical properties of the population stability index. doi:10.21314/JRMV.2020.227.
    The quantile of a gamma: Wilson, E. B., Hilferty, M. M. (1931), doi:10.1073/pnas.17.12.684; that of Student's t: Wallace, D. L.
    (1959), Bounds on normal approximations to Student's and the chi-square distributions, Ann. Math. Statist. 30.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 900, "kind": ["ab"[i % 2] for i in range(600)] + ["b"] * 300})
    >>> drift = gl.detectors.InputDrift(categories=["kind"], window=100, reference=200, memory=400, every=50)
    >>> int((drift.process(events)["score"] > 1).idxmax())
    649
    """

    columns: Columns = ()
    categories: Columns = ()
    window: Annotated[int, AtLeast(10)] = 500
    reference: Annotated[int, AtLeast(10)] = 1_000
    memory: Annotated[int, AtLeast(10)] = 10_000
    every: Annotated[int, AtLeast(1)] = 250
    block: Annotated[int, AtLeast(1)] = 1
    bins: Annotated[int, AtLeast(2, most=100)] = 10
    level: Annotated[float, Above(1e-100, most=0.5)] = 0.001
    seed: Annotated[int, AtLeast(0)] = 0

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(["value", "words"], ["kind", "actor"], window=20, reference=30, memory=60, every=10)

    def check(self) -> None:
        """Check the recipe."""
        some_columns(self)
        for field in ("window", "reference"):
            at_least(self, field, 10 * self.block)
        at_least(self, "memory", self.reference)
        if self.window % self.block or self.reference % self.block:
            raise ArgumentError(
                f"InputDrift: block={self.block!r}; expected a divisor of window={self.window} and reference={self.reference}."
            )

    def start(self) -> None:
        """Forget the past."""
        dims = len(self.columns) + len(self.categories)
        self._state, self._held = np.zeros(1, "int64"), np.full(1, np.nan)
        self._chance = np.random.default_rng(self.seed).integers(0, 2**63, 1).astype("uint64")
        self._first, self._edges = np.zeros((self.reference, len(self.columns))), np.zeros((len(self.columns), self.bins - 1))
        self._past, self._last = np.zeros((self.reference, dims), "int16"), np.zeros((self.window, dims), "int16")

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        require(frame, [*self.columns, *self.categories], "InputDrift")
        points = np.zeros((len(frame), len(self.columns)))
        cells = np.zeros((len(frame), len(self.categories)), "int16")
        for d, column in enumerate(self.columns):
            points[:, d] = numbers(frame, column)
        for d, column in enumerate(self.categories):
            cells[:, d] = hash_column(values(frame, column)) % np.uint64(_CELLS)
        scores = np.empty(len(frame))
        # one level for all columns together (Bonferroni)
        z = _quantile(self.level / self._past.shape[1])
        _score(
            points, cells, self.every, self.block, self.reference / self.memory, z, max(2 * self.bins, _CELLS), self._state,
            self._held, self._chance, self._first, self._edges, self._past, self._last, scores,
        )  # fmt: skip
        return scores
