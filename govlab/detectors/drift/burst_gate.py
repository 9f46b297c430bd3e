"""A burst is not a drift: the gate that keeps short runs of outliers from the drift detectors.

A value beyond the band, centre +- 5 deviations of the values let in, is held out; once ``hold`` of them have come in a row
they are let in, for then it is no burst. All smaller changes pass at once, so the gate costs them neither delay nor power.
The band is the median and the scaled median distance from it of the first 30 values, and then follows slowly what is let in.

- The first 30 values are let in, as there is no band yet. If some of them turn out to be beyond it, the detector begins again
  with the others: it would not forget an outlier before the next drift, and might be too blind to tell that.
- Values that have all been equal make no band: those that differ are held out, until 30 of them, in a row or not, make one.
- Where most are equal the band is that of the values that differ, around the constant, and follows these alone.
- As long as an entity has had nothing but 0 and 1, all is let in: a stream of errors has no outliers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

FIRST = 30  # values that make a band
BAND = 5.0  # a normal value is beyond it once in two million
RATE = 0.01  # at which the band follows
OUT, IN, ANEW = range(3)  # what the gate says of a value
# HELD values that differ from a constant are kept, the first of them SINCE values ago; RARE: they made the band
SEEN, CENTRE, SPREAD, RUN, WIDE, RARE, HELD, SINCE, KEPT = range(9)
WIDTH = KEPT + FIRST  # numbers kept of an entity
MEDIAN_TO_SPREAD = 1.4826  # from the median distance of a normal to the standard deviation
TO_SPREAD = 1.2533141373155003  # from its mean distance


@njit(cache=True, nogil=True)
def close_gate(memory):
    """Forget the band."""
    memory[:] = 0.0


@njit(cache=True, nogil=True)
def _make_band(memory, since):
    """Make the band of the values kept, which came within the last ``since`` ones."""
    kept = np.sort(memory[KEPT:])
    if since == FIRST:  # else what is kept is the rare kind of a column that stays at its constant
        memory[CENTRE] = 0.5 * (kept[FIRST // 2 - 1] + kept[FIRST // 2])
    off = np.sort(np.abs(kept - memory[CENTRE]))
    equal = np.searchsorted(off, 0.0, side="right")
    memory[RARE] = 1.0 if equal > FIRST // 2 or since > FIRST else 0.0
    memory[HELD] = memory[SINCE] = memory[SPREAD] = 0.0
    if FIRST - equal > 2:  # one or two odd values say nothing of a spread
        some = off[equal if memory[RARE] else 0 :]
        memory[SPREAD] = MEDIAN_TO_SPREAD * 0.5 * (some[(some.size - 1) // 2] + some[some.size // 2])


@njit(cache=True, nogil=True)
def insiders(memory):
    """Give those of the first 30 values that are within the band which they make."""
    kept = memory[KEPT:]
    return kept[np.abs(kept - memory[CENTRE]) <= BAND * memory[SPREAD]]


@njit(cache=True, nogil=True)
def _judge(x, hold, memory):
    n = int(memory[SEEN])
    if n < FIRST:
        memory[KEPT + n] = x
        memory[SEEN] += 1.0
        if n + 1 < FIRST:
            return IN
        _make_band(memory, FIRST)
        return IN if insiders(memory).size == FIRST else ANEW
    off, edge = x - memory[CENTRE], BAND * memory[SPREAD]
    if memory[SPREAD] == 0.0 and (off != 0.0 or memory[HELD] > 0.0):
        memory[SINCE] += 1.0
        if off != 0.0:
            memory[KEPT + int(memory[HELD])] = x
            memory[HELD] += 1.0
        if memory[HELD] == FIRST:
            _make_band(memory, memory[SINCE])
            memory[RUN] = 0.0
            return IN
    if abs(off) > edge:
        memory[RUN] += 1.0
        if memory[RUN] < hold:
            return OUT
    else:
        memory[RUN] = 0.0
    if memory[RARE] == 0.0:
        memory[CENTRE] += RATE * max(-edge, min(off, edge))
    if memory[RARE] == 0.0 or off != 0.0:
        memory[SPREAD] += RATE * (TO_SPREAD * min(abs(off), edge) - memory[SPREAD])
    return IN


@njit(cache=True, nogil=True)
def lets_in(x, hold, memory):
    """Tell what becomes of a finite value; ``memory`` is what is kept of its entity, ``hold`` = 0 lets all in.

    OUT: the detector does not learn it; IN: it does; ANEW: it begins again with the `insiders` alone.
    """
    if hold == 0:
        return IN
    if x != 0.0 and x != 1.0:
        memory[WIDE] = 1.0
    said = _judge(x, hold, memory)
    return said if memory[WIDE] > 0.0 else IN
