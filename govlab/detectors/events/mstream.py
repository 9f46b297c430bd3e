"""MStream: is there lately more of what this row is than there has been all along."""

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
    chained,
    codes,
    count_of,
    matrix,
    position,
    read,
    whole,
)
from govlab.detectors.events.scale import learn_scale, place
from govlab.detectors.wrong_clock import AFRESH, STRAY, clock_of, far_us
from govlab.fields import Above, AtLeast, Columns, Duration
from govlab.frames import duration_us, time_us
from govlab.hashing import mix
from govlab.step import Step

_BITS = 8  # of the signature of the numbers in the joint hash
_FAR = 10_000  # ticks: a row that is so far from the newest tick has a wrong clock


@njit(cache=True, nogil=True)
def _chi2(now, total, ticks, lately):
    """Give (now - expected)^2 t / (expected (t - 1)), zero if there is no more than expected; the row itself is counted."""
    expected = lately * (total + 1.0) / ticks
    more = now + 1.0 - expected
    return more * more / expected * ticks / (ticks - 1.0) if more > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _score(
    times, rows, hashes, signs, every, alpha, warm, memory, guard, far, state, clock, ticked, scale, bins, sketches, ring, watch,
    scores,
):  # fmt: skip
    """Keep ``bins`` and ``sketches`` [now, total]; state = [weight of now], ticked = [first tick, newest tick].

    The weight of what is new grows with each tick, instead of all that is now decaying.
    """
    dims, cats = rows.shape[1], hashes.shape[1]
    point = np.empty(dims)
    for i in range(rows.shape[0]):
        scores[i] = np.nan
        if not whole(rows, i):
            continue
        fits = clock_of(times[i], far, clock)
        if fits == STRAY:
            continue
        if fits == AFRESH:
            bins[:], sketches[:], state[0], ticked[1] = 0.0, 0.0, 1.0, ticked[0] - 1
        tick = times[i] // every
        if ticked[1] < ticked[0]:
            ticked[0] = ticked[1] = tick
        if tick > ticked[1]:
            # after very many ticks nothing is left: the bound keeps the weight finite
            state[0] *= (1.0 / alpha) ** min(np.float64(tick - ticked[1]), 40.0 / -np.log10(alpha))
            ticked[1] = tick
            if state[0] > 1e100:
                bins[0] /= state[0]
                sketches[0] /= state[0]
                state[0] = 1.0
        ticks = ticked[1] - ticked[0] + 1.0
        lately = (1.0 - alpha**ticks) / (1.0 - alpha)
        place(rows, i, scale, point)
        joint = np.uint64(0)
        for b in range(signs.shape[0]):
            side = 0.0
            for d in range(dims):
                side += signs[b, d] * point[d]
            joint = (joint << np.uint64(1)) | np.uint64(side > 0.0)
        joint = mix(joint)
        for c in range(cats):
            joint = chained(joint, hashes[i, c])
        if ticks > warm:
            total = _chi2(count_of(sketches[0, cats], joint) / state[0], count_of(sketches[1, cats], joint), ticks, lately)
            for d in range(dims):
                at = position(point[d])
                total += _chi2(read(bins[0, d], at) / state[0], read(bins[1, d], at), ticks, lately)
            for c in range(cats):
                code = hashes[i, c]
                total += _chi2(count_of(sketches[0, c], code) / state[0], count_of(sketches[1, c], code), ticks, lately)
            scores[i] = np.log1p(total)
        learned = admit(scores[i], guard, ring, watch)
        # what is now is counted in any case; what has been all along is not what a burst says
        for layer in range(2 if learned else 1):
            weight = state[0] if layer == 0 else 1.0
            for d in range(dims):
                add(bins[layer, d], position(point[d]), weight)
            for c in range(cats):
                add_count(sketches[layer, c], hashes[i, c], weight)
            add_count(sketches[layer, cats], joint, weight)
        if learned:
            learn_scale(rows, i, memory, scale)


class Mstream(Guarded):
    """Score a row by how much more there is lately of its values, and of their combination, than there has been all along.

    log(1 + the sum of chi2) over the columns and their joint hash: the count of the last ticks against what the total of all
    ticks leads one to expect. So it finds bursts of alike rows, not single odd ones. Numbers are scaled inside, from rows
    before only (z, stretched by sign(z) log(1 + |z|)); a missing category is a category. Range: from 0, not bounded, about
    ln of the square of the excess in deviations. Cold start: NaN for the first ``warm`` ticks; NaN for a row with a missing
    number, and for one more than 10,000 ticks from the newest, which are not learned: a clock was wrong. When 30 in a row are,
    it starts afresh there. About 0.5 us a row with 8 columns; 2 KiB a number, 128 KiB a category, and 20 bytes a
    row of ``patience``.

    Parameters
    ----------
    columns : list of str
        The features, numbers, those with long tails (counts, amounts) best as logarithms; may be empty if there are categories.
    categories : list of str
        Further features, texts or other values, each counted in a sketch (count-min, 2 x 4,096: of many
        thousand values at once the rare ones are no longer told apart).
    every : str
        Length of a tick (event time), such as "1h": bursts of a few ticks are found. A late row counts for the newest tick.
    alpha : float, above 0 and at most 0.999
        What a count of late keeps at each tick. 0.8 (as published) looks back about five ticks.
    halflife : int, at least 1
        Rows learned after which a row counts half for the scales of the numbers.
    warm : int, at least 1
        Ticks learned before the first row is scored. Ten give a mean that is worth the name.
    guard : float, at least 0 and at most 0.5
        From 0 (all rows are learned) to 0.5: a row whose score is among the highest ``guard`` share of the past counts for
        lately, but not for the total, so that a burst cannot make itself normal (as in MIDAS-F).
    patience : int, at least 1
        What stays extreme for more rows than this is the new normal and is learned; at least 1 / ``guard``.
    seed : int, at least 0
        Another seed gives other joint hashes.

    References
    ----------
    Bhatia, S., Jain, A., Li, P., Kumar, R., Hooi, B. (2021). MStream: fast anomaly detection in multi-aspect streams. WWW.
    doi:10.1145/3442381.3450023. There a decayed count is held against the mean of one tick, so a steady rate scores the
    higher the busier it is; here it is held against what a steady rate would have left of itself.

    Examples
    --------
    >>> import govlab as gl
    >>> times = pd.date_range("2026-03-02", periods=300, freq="1min", tz="UTC")
    >>> events = gl.event_frame({"time": times, "kind": ["post", "like"] * 140 + ["raid"] * 20})
    >>> score = gl.detectors.Mstream([], ["kind"], every="5min").process(events)["score"]   # scored, then learned
    >>> bool(score.iloc[:50].isna().all() and score.iloc[285:].min() > score.iloc[50:280].max())
    True
    """

    columns: Columns = ("count",)
    categories: Columns = ()
    every: Duration = "1h"
    alpha: Annotated[float, Above(0, most=0.999)] = 0.8
    halflife: Annotated[int, AtLeast(1)] = 10_000
    warm: Annotated[int, AtLeast(1)] = 10
    guard: Annotated[float, AtLeast(0, most=0.5)] = 0.01
    patience: Annotated[int, AtLeast(1)] = 5_000
    seed: Annotated[int, AtLeast(0)] = 0

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(["value", "words"], ["actor", "kind"], "1min", halflife=60, warm=3, guard=0.1, patience=30)

    def start(self) -> None:
        """Draw the signature, and forget all rows."""
        super().start()
        dims, cats = len(self.columns), len(self.categories)
        self._signs = np.random.default_rng(self.seed).normal(size=(_BITS if dims else 0, dims))
        self._state, self._clock, self._ticked = np.ones(1), np.zeros(3, "int64"), np.array([0, -1])
        self._bins, self._sketches = np.zeros((2, dims, BINS)), np.zeros((2, cats + 1, ROWS, SLOTS))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        rows, scores = matrix(frame, self.columns, "Mstream"), np.empty(len(frame))
        every = duration_us(self.every)
        _score(
            time_us(frame), rows, codes(frame, self.categories, "Mstream"), self._signs, every, float(self.alpha), self.warm,
            self.halflife / np.log(2.0), float(self.guard), far_us(_FAR, [every]), self._state, self._clock, self._ticked,
            self._scale, self._bins, self._sketches, self._ring, self._watch, scores,
        )  # fmt: skip
        return scores
