"""Rows whose clock is wrong: a detector that counts by time is not to run ahead with one of them, nor to fall behind.

A row that is too far from the newest is a stray: it is scored NaN and not learned. When 30 in a row are, the clock has really
changed, and the detector starts afresh there.
"""

from __future__ import annotations

import numpy as np
from numba import njit

STRAY, FITS, AFRESH = range(3)
_STRAYS = 30


def far_us(times, lengths):
    """Give so many times the longest of some lengths, or what 64 bits hold."""
    return min(times * int(max(lengths)), 2**62)


@njit(cache=True, nogil=True)
def clock_of(t, far, clock):
    """Tell whether a row further than ``far`` from the newest has a wrong clock, or is the last of so many that they are right.

    clock = [newest time, strays in a row, whether there was a row]; from a row that says AFRESH on, all before is to be forgotten.
    """
    says = FITS
    if clock[2] and abs(t - clock[0]) > far:
        clock[1] += 1
        if clock[1] < _STRAYS:
            return STRAY
        says = AFRESH
    if says == AFRESH or not clock[2] or t > clock[0]:
        clock[0] = t
    clock[1], clock[2] = 0, 1
    return says


@njit(cache=True, nogil=True)
def clocks_of(times, far, clock):
    """Tell of each row what ``clock_of`` says."""
    says = np.empty(times.size, "int64")
    for i in range(times.size):
        says[i] = clock_of(times[i], far, clock)
    return says
