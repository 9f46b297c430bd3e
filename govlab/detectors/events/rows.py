"""What detectors of rows share: columns as arrays, decayed bins, and the guard; their scale is in scale.py.

The guard keeps a burst from making itself normal. A row is *extreme*, and is not learned, when its score is above the
highest ``guard`` share of a reference: a ring of the last ``2.5 * patience`` scores. All scores enter the reference, also
extreme ones, since a reference of unremarkable scores alone would tighten for ever; but an extreme one enters only for a
token. A row earns ``2 * guard`` tokens, up to ``guard * patience / 2`` of them (at least one). So in quiet times, when a
share of ``guard`` is extreme, each enters. In a burst few do, and, once the reference is full, about ``patience`` rows pass
before these alone fill its highest share. From then on the new is the normal and is learned: this is what brings a detector
back when the world has changed. Refusing is better than learning with a small weight: a
thousand small weights are large. The guard protects only from rows that stand out when they first come. The reference is
read once in ``patience / 8`` rows, from the first ``patience / 2`` scores on; until then all is learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.events.scale import new_scale
from govlab.errors import ArgumentError
from govlab.fields import at_least, some_columns
from govlab.frames import LARGEST, numbers, require
from govlab.hashing import hash_column, mix
from govlab.step import Detector

BINS = 129  # of a stretched z (see place), a quarter wide, so from -16 to 16: Scott's rule for some thousand rows
SLOTS = 4096  # of a row of a count-min sketch: enough for some thousand values at once
ROWS = 2  # of a count-min sketch
SEEN, ENTERED, TOKENS, LIMIT, PATIENCE = range(5)  # the state of the guard


class Guarded(Detector):
    """A detector of ``columns`` (or ``categories``), whose ``guard`` and ``patience`` keep a burst out of what it learns."""

    def check(self) -> None:
        """Check the columns, and that the guard is not a share too small to count, nor of fewer rows than one."""
        me: Any = self
        some_columns(me)
        if 0 < me.guard < 1e-6:
            raise ArgumentError(f"{type(me).__name__}: guard={me.guard!r}; expected 0, or at least 1e-6.")
        at_least(me, "patience", int(np.ceil(1.0 / me.guard)) if me.guard else 1)

    def start(self) -> None:
        """Forget the scale of the columns, and the scores that the guard goes by, see :func:`admit`."""
        me: Any = self
        self._scale = new_scale(len(me.columns))
        self._ring = np.zeros(5 * me.patience // 2 if me.guard else 0)
        self._watch = np.array([0.0, 0.0, 0.0, np.inf, me.patience])


def matrix(frame: pd.DataFrame, columns: Sequence[str], who: str) -> np.ndarray:
    """Give columns of numbers, float64, shape (n, columns); missing values as NaN."""
    require(frame, columns, who)
    rows = np.empty((len(frame), len(columns)))
    for d, column in enumerate(columns):
        rows[:, d] = numbers(frame, column)
    return rows


def codes(frame: pd.DataFrame, categories: Sequence[str], who: str) -> np.ndarray:
    """Give the hashes of categories, uint64, shape (n, categories); a missing one is a category too."""
    require(frame, categories, who)
    hashes = np.empty((len(frame), len(categories)), "uint64")
    for c, column in enumerate(categories):
        hashes[:, c] = hash_column(frame[column])
    return hashes


@njit(cache=True, nogil=True)
def _smallest(values, k):
    """Give the k-th smallest (from 0) of some values, which change places; np.partition takes seconds to compile."""
    low, high = 0, values.size - 1
    while low < high:
        pivot, i, j = values[(low + high) // 2], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return values[k]


@njit(cache=True, nogil=True)
def admit(score, guard, ring, state):
    """Tell whether a row with this score is to be learned. A NaN is, as no score says anything against it."""
    if guard == 0.0 or np.isnan(score):
        return True
    patience = int(state[PATIENCE])
    # scores that differ by rounding alone are equal
    extreme = score - state[LIMIT] > 1e-9 * abs(state[LIMIT])
    state[TOKENS] = min(max(1.0, 0.5 * guard * patience), state[TOKENS] + 2.0 * guard)
    if not extreme or state[TOKENS] >= 1.0:
        ring[int(state[ENTERED]) % ring.size] = score
        state[ENTERED] += 1
        if extreme:
            state[TOKENS] -= 1.0
    state[SEEN] += 1
    if state[SEEN] % max(1, patience // 8) == 0 and 2 * state[ENTERED] >= patience:
        held = int(min(state[ENTERED], ring.size))
        at = held - 1 - int(guard * held)
        state[LIMIT] = _smallest(ring[:held].copy(), at)
    return not extreme


@njit(cache=True, nogil=True)
def learned(state, growth):
    """Count a row as learned, in [rows, weight of the next row, sum of the weights]: weights grow, instead of counts decaying.

    Gives what all counts must be divided by, nearly always 1: it keeps them finite.
    """
    state[0] += 1
    state[2] += state[1]
    state[1] *= growth
    over = state[1] if state[1] > 1e100 else 1.0
    state[2] /= over
    state[1] /= over
    return over


@njit(cache=True, nogil=True)
def whole(rows, i):
    """Tell whether a row has no gap."""
    gaps = 0
    for d in range(rows.shape[1]):
        gaps += not abs(rows[i, d]) <= LARGEST
    return gaps == 0


@njit(cache=True, nogil=True, inline="always")
def position(x):
    """Give the position of a stretched value among the bins."""
    return max(0.0, min(BINS - 1 - 1e-9, 4.0 * x + 64.0))


@njit(cache=True, nogil=True, inline="always")
def read(bins, at):
    """Give the mass at a position, between the two nearest bins: so no value jumps where a scale moves it over an edge."""
    low = int(at)
    part = at - low
    return (1.0 - part) * bins[low] + part * bins[low + 1]


@njit(cache=True, nogil=True, inline="always")
def add(bins, at, weight):
    """Add a mass at a position, shared by the two nearest bins."""
    low = int(at)
    part = at - low
    bins[low] += (1.0 - part) * weight
    bins[low + 1] += part * weight


@njit(cache=True, nogil=True, inline="always")
def slot(code, row, slots):
    """Give the place of a hash in a row of a sketch; ``slots`` is a power of two."""
    return np.int64(mix(code + np.uint64(row + 1) * np.uint64(0x9E3779B97F4A7C15)) & np.uint64(slots - 1))


@njit(cache=True, nogil=True)
def count_of(sketch, code):
    """Give the count of a hash: the least of its places (count-min)."""
    least = np.inf
    for r in range(sketch.shape[0]):
        least = min(least, sketch[r, slot(code, r, sketch.shape[1])])
    return least


@njit(cache=True, nogil=True)
def add_count(sketch, code, weight):
    """Add to the count of a hash; its places are raised to the new count only (conservative update)."""
    least = count_of(sketch, code) + weight
    for r in range(sketch.shape[0]):
        at = slot(code, r, sketch.shape[1])
        sketch[r, at] = max(sketch[r, at], least)


@njit(cache=True, nogil=True, inline="always")
def chained(code, value):
    """Give the hash of a sequence with one more value: equal values do not cancel out, nor does their order get lost."""
    return mix((code + np.uint64(0x9E3779B97F4A7C15)) ^ value)
