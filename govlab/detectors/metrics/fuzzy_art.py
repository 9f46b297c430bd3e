"""How unlike all categories of the past the last rows are, at several scales."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.metrics.limits import ASKED, HIGH, LOW, lay, outgrown
from govlab.detectors.ranks import beside
from govlab.entities import entities_of, place_values
from govlab.fields import Above, AtLeast, ColumnName, Duration, at_least
from govlab.step import Detector, Step

USED, OPENED, SHOWN = range(3)  # what the counts of a scale count: categories held, ever opened, and blocks
CHOICE = 0.01  # the choice parameter: of categories that fit, the smaller is chosen
CLOSEST = 0.999  # no vigilance above it: it would make of a constant past a scale for what comes


@njit(cache=True, nogil=True)
def _code(past, t, k, low, span, code):
    """Write the complement-coded block that ends at row t: 2^k means of 2^k rows each, newest first."""
    d = 1 << k
    for b in range(d):
        total = 0.0
        for j in range(d):
            total += past[(t - b * d - j) % past.size]
        # one range of the past below it and one above it have room in 0..1
        code[b] = min(max((total / d - low + span) / (3.0 * span), 0.0), 1.0)
        code[d + b] = 1.0 - code[b]


@njit(cache=True, nogil=True)
def _show(code, d, vigilance, t, weights, last, counts):
    """Show a block to the categories: the chosen one learns it, or a new one opens; gives the highest match, and whether new."""
    chosen, choice, match = -1, -1.0, 0.0
    for c in range(counts[USED]):
        common = size = 0.0
        for i in range(2 * d):
            common += min(code[i], weights[c, i])
            size += weights[c, i]
        match = max(match, common / d)
        if common / d >= vigilance and common / (CHOICE + size) > choice:
            chosen, choice = c, common / (CHOICE + size)
    new = chosen < 0
    if new:
        chosen = counts[USED]
        if chosen < last.size:
            counts[USED] += 1
        else:
            chosen = np.argmin(last)
        weights[chosen, : 2 * d] = code[: 2 * d]
        counts[OPENED] += 1
    else:
        for i in range(2 * d):
            weights[chosen, i] = min(code[i], weights[chosen, i])
    last[chosen] = t
    counts[SHOWN] += 1
    return match, new


@njit(cache=True, nogil=True)
def _learn_again(past, first, end, reach, least, code, grid, vigilance, weights, last, counts):
    """Take the range of the rows from ``first`` to before ``reach``, set the vigilance by those before ``end``, and learn them."""
    lay(past, first, reach, grid)
    low, high = grid[LOW], grid[HIGH]
    if high <= low:
        return
    for k in range(vigilance.size):
        d, start = 1 << k, first + (1 << 2 * k) - 1
        unlike, n = 0.0, 0
        counts[k, :] = 0
        for t in range(start, end):
            _code(past, t, k, low, high - low, code)
            match, _ = _show(code, d, least, t, weights[k], last[k], counts[k])
            if t >= (start + end) // 2:
                unlike += 1.0 - match
                n += 1
        vigilance[k] = min(max(least, 1.0 - 2.0 * unlike / max(n, 1)), CLOSEST)
        counts[k, :] = 0
        for t in range(start, end):
            _code(past, t, k, low, high - low, code)
            _show(code, d, vigilance[k], t, weights[k], last[k], counts[k])


@njit(cache=True, nogil=True)
def _score(slots, fresh, values, warm, least, record, count, grid, ring, vigilance, weights, last, counts, recent, scores):
    history, code = ring.shape[1], np.zeros(weights.shape[3])
    for i in range(slots.size):
        s, scores[i] = slots[i], np.nan
        if fresh[i]:
            count[s], grid[s, ASKED] = 0, 0.0
        if not np.isfinite(values[i]):
            continue
        t, x = count[s], values[i]
        ring[s, t % history] = x
        count[s] += 1
        if t < warm:
            continue
        first, state = t - min(t, history - 1), (code, grid[s], vigilance[s], weights[s], last[s], counts[s])
        if t == warm or t % history == 0:
            _learn_again(ring[s], first, t, t, least, *state)
        if outgrown(x, grid[s]):
            _learn_again(ring[s], first, t, t + 1, least, *state)
        span = grid[s, HIGH] - grid[s, LOW]
        raw = 0.0
        if span > 0.0:
            for k in range(vigilance.shape[1]):
                _code(ring[s], t, k, grid[s, LOW], span, code)
                shown, opened = counts[s, k, SHOWN], counts[s, k, OPENED]
                match, new = _show(code, 1 << k, vigilance[s, k], t, weights[s, k], last[s, k], counts[s, k])
                if new:
                    raw += math.log((shown + opened + 1.0) / (opened + 0.5) * (1.0 - match) / (1.0 - vigilance[s, k]))
        scores[i] = beside(raw, recent[s], t - warm, record)
        if record > 0:
            recent[s, (t - warm) % record] = raw


class FuzzyArt(Detector):
    """Score the last rows by how unlike all known categories they are, at several scales, by adaptive resonance (fuzzy ART).

    At scale k the block is the last 2^k means of 2^k rows each, so blocks reach back 1, 4, 16 rows. A category is a box around
    the blocks that it learned. A block joins a category if it can grow around it within the vigilance, else it opens
    a new one, and that is the anomaly: with q categories ever opened by n blocks it has the probability
    (q + 1/2) / (n + q + 1). Its -log, and the log of how far the block is from the nearest category (1 = just too far), are
    summed over the scales. A state that stays strange would alarm at every row, so only a *local record* counts.

    Range: at least 0, in nats, and with ``record`` any number: what is no record gives by how much it is not (0 or less).
    Cold start: NaN for the first ``warm`` values of an entity; NaN for a value that is missing or beyond 1e150, which is not
    learned. About 1 us a row for a dozen categories, in proportion to their number; 110 kB an entity, as 8 * ``history`` + 8 *
    ``scales`` * ``categories`` * (2^``scales`` + 1) bytes.

    Parameters
    ----------
    column : str
        The column that is scored.
    by : str, optional
        The column with the entity; None: all rows are one entity.
    scales : int, at least 1 and at most 6
        How many scales; 6 reach back 1,024 rows.
    vigilance : float, above 0 and at most 0.999
        The least vigilance: 1 less the mean size of a category, in thirds of the range of the past. It
        is raised for each scale to 1 less twice the mean mismatch of the past, where that is smoother.
    categories : int, at least 1
        So many are known at each scale; one more takes the place of the one unused for the longest.
    record : int, at least 0
        Rows that a sum must be above in order to count. 0: every sum counts.
    history : int, at least 3
        Values that are remembered, more than ``warm``. Values are scaled by their range, never by what is to come; that, the
        vigilance and the categories are learned again when a value is more than that range outside of it, and every
        ``history`` values. What is more than 20 times the range of the middle 98 % beyond that (of the different values, where
        98 % are equal) is left out of the range, and counts as one range away from it: else one spike would make all else alike,
        and hide what comes later. Less than 20 would leave out what is merely rare (20 was found on NAB).
    warm : int, at least 2
        Values learned before the first is scored, at least twice the longest block.
    max_entities : int, at least 1
        Entities in memory; one more evicts the least recently seen.
    expire : str
        An entity unseen for longer (event time) starts afresh.

    References
    ----------
    Carpenter, G. A., Grossberg, S., Rosen, D. B. (1991). Fuzzy ART. doi:10.1016/0893-6080(91)90056-B. The use on blocks of a
    series is that of Hampton, M. (2021), ARTime, https://github.com/markNZed/ARTimeNAB.jl , which knows the range and
    length of the whole file, and has wavelets and two vigilances.

    Examples
    --------
    >>> import govlab as gl
    >>> value = [1.0, 2.0, 3.0, 2.0] * 50
    >>> value[101], value[170] = 3.0, 9.0  # in the wrong place, and never seen
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 200, "value": value})
    >>> score = gl.detectors.FuzzyArt(warm=50, record=30).process(events)["score"]
    >>> score[score > 0].index.to_list()
    [101, 170]
    """

    column: ColumnName = "value"
    by: ColumnName | None = None
    scales: Annotated[int, AtLeast(1, most=6)] = 3
    vigilance: Annotated[float, Above(0, most=CLOSEST)] = 0.9
    categories: Annotated[int, AtLeast(1)] = 200
    record: Annotated[int, AtLeast(0)] = 50
    history: Annotated[int, AtLeast(3)] = 8_192
    warm: Annotated[int, AtLeast(2)] = 150
    max_entities: Annotated[int, AtLeast(1)] = 64
    expire: Duration = "30d"

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("value", "actor", scales=2, categories=4, record=5, history=20, warm=8, max_entities=8)

    def check(self) -> None:
        """Check the recipe."""
        at_least(self, "warm", 2 * 4 ** (self.scales - 1))
        at_least(self, "history", self.warm + 1)

    def start(self) -> None:
        """Forget all entities."""
        self._entities = entities_of(self)
        self._count, self._grid, self._ring = np.zeros(0, "int64"), np.zeros((0, ASKED + 1)), np.zeros((0, self.history))
        self._vigilance, self._counts = np.zeros((0, self.scales)), np.zeros((0, self.scales, 3), "int64")
        self._weights = np.zeros((0, self.scales, self.categories, 2**self.scales))
        self._last, self._recent = np.zeros((0, self.scales, self.categories), "int64"), np.zeros((0, max(self.record, 1)))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        slots, fresh, values = place_values(
            self, frame, "_count", "_grid", "_ring", "_vigilance", "_weights", "_last", "_counts", "_recent"
        )
        scores = np.empty(len(frame))
        _score(
            slots, fresh, values, self.warm, self.vigilance, self.record, self._count, self._grid, self._ring, self._vigilance,
            self._weights, self._last, self._counts, self._recent, scores,
        )  # fmt: skip
        return scores
