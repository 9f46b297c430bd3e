"""A burst is not a drift: the gate that keeps short runs of outliers from the drift detectors.

A value beyond the band, centre +- 5 deviations of the values let in, is held out; once ``hold`` of them have come in a row
they are let in, for then it is no burst. All smaller changes pass at once, so the gate costs them neither delay nor power.
The band is the median and the scaled median absolute deviation of the first 30 values, and then follows slowly what is let in.
As long as an entity has had nothing but 0 and 1, all is let in: a stream of errors has no outliers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

FIRST = 30  # values that make the first band; they are let in
BAND = 5.0  # a normal value is beyond it once in two million
RATE = 0.01  # at which the band follows
SEEN, CENTRE, SPREAD, RUN, WIDE = range(5)
WIDTH = 5 + FIRST  # numbers kept of an entity
TO_SPREAD = 1.2533141373155003  # from the mean absolute deviation of a normal to the standard deviation


@njit(cache=True, nogil=True)
def close_gate(memory):
    """Forget the band."""
    memory[:] = 0.0


@njit(cache=True, nogil=True)
def lets_in(x, hold, memory):
    """Tell whether a finite value is let in; ``memory`` is what is kept of its entity, ``hold`` = 0 lets all in."""
    if hold == 0:
        return True
    if memory[WIDE] == 0.0:
        if x == 0.0 or x == 1.0:
            return True
        memory[WIDE] = 1.0
    n = int(memory[SEEN])
    if n < FIRST:
        memory[5 + n] = x
        memory[SEEN] += 1.0
        if n + 1 == FIRST:
            first = np.sort(memory[5:])
            memory[CENTRE] = 0.5 * (first[FIRST // 2 - 1] + first[FIRST // 2])
            far = np.sort(np.abs(first - memory[CENTRE]))
            memory[SPREAD] = 1.4826 * 0.5 * (far[FIRST // 2 - 1] + far[FIRST // 2])
            if memory[SPREAD] == 0.0:
                total = 0.0
                for j in range(FIRST):
                    total += far[j]
                memory[SPREAD] = TO_SPREAD * total / FIRST
        return True
    off = x - memory[CENTRE]
    edge = BAND * memory[SPREAD] if memory[SPREAD] > 0.0 else np.inf
    if abs(off) > edge:
        memory[RUN] += 1.0
        if memory[RUN] < hold:
            return False
    else:
        memory[RUN] = 0.0
    memory[CENTRE] += RATE * max(-edge, min(off, edge))
    memory[SPREAD] += RATE * (TO_SPREAD * min(abs(off), edge) - memory[SPREAD])
    return True
