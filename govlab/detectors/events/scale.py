"""A running scale of each column that no single value ruins, learned from past rows only.

For each column a mean and a variance, exponential from ``memory`` rows on. A value more than 8 deviations off is *out of
scale* and counts as one that is 8 off. So that a scale that is wrong from the start, or has become so, does not last:

- the first 30 values make it by their median and the median distance from it;
- when 30 values in a row were out of scale, they make it anew in the same way: another unit, another level
  (values that become much smaller are only followed within ``memory``);
- a column that has been constant has no scale: values other than the constant are 8 deviations off and not learned, until
  30 of them, in a row or not, make one. So the first value of a rare kind may be as wild as it likes.
"""

from __future__ import annotations

import numpy as np
from numba import njit

FIRST = 30
EDGE = 8.0  # a normal value is never so far off
MEMORY = 10_000.0  # rows, where a detector has no memory of its own
TO_DEVIATION = 1.4826  # from the median distance of a normal to the standard deviation
LEARNED, MEAN, VARIANCE, HELD, SINCE = range(5)  # HELD values out of scale are kept, the first of them SINCE rows ago


def new_scale(dims: int) -> np.ndarray:
    """Give the scale of columns of which nothing is known, shape (dims, 5 + 30)."""
    return np.zeros((dims, SINCE + 1 + FIRST))


@njit(cache=True, nogil=True)
def z_of(x, scale):
    """Give the distance from the mean in deviations, within +-1e6; what differs from a constant past is 8 deviations off."""
    if scale[VARIANCE] > 0.0:
        return max(-1e6, min(1e6, (x - scale[MEAN]) / np.sqrt(scale[VARIANCE])))
    return 0.0 if x == scale[MEAN] or scale[LEARNED] == 0.0 else np.copysign(EDGE, x - scale[MEAN])


@njit(cache=True, nogil=True)
def squash(rows, i, scale, point):
    """Put a logistic of the z of a row, in (0, 1), in ``point``."""
    for d in range(rows.shape[1]):
        point[d] = 1.0 / (1.0 + np.exp(-max(-30.0, min(30.0, z_of(rows[i, d], scale[d])))))


@njit(cache=True, nogil=True)
def standard(rows, scale):
    """Give the z's of rows."""
    out = np.empty_like(rows)
    for i in range(rows.shape[0]):
        for d in range(rows.shape[1]):
            out[i, d] = z_of(rows[i, d], scale[d])
    return out


@njit(cache=True, nogil=True)
def spread(rows, i, scale, point):
    """Put a row in ``point``: 0 to 1 within 3 deviations of the mean, and at most 1,000 for the wildest."""
    for d in range(rows.shape[1]):
        point[d] = max(-1e3, min(1e3, 0.5 + z_of(rows[i, d], scale[d]) / 6.0))


@njit(cache=True, nogil=True)
def place(rows, i, scale, point):
    """Put the stretched z of a row in ``point``: sign(z) log(1 + |z|), so that a wild value is far off, but not miles."""
    for d in range(rows.shape[1]):
        z = z_of(rows[i, d], scale[d])
        point[d] = np.log1p(z) if z >= 0.0 else -np.log1p(-z)


@njit(cache=True, nogil=True)
def _median(ordered):
    middle = ordered.size // 2
    return ordered[middle] if ordered.size % 2 else 0.5 * (ordered[middle - 1] + ordered[middle])


@njit(cache=True, nogil=True)
def _renew(scale, since):
    """Make a scale of the values held, which came within the last ``since`` rows."""
    values = np.sort(scale[SINCE + 1 :])
    # where most rows were as before, what is held is the rare kind of a column that stays at its constant
    rare = since >= 2 * FIRST
    centre = scale[MEAN] if rare else _median(values)
    off = np.sort(np.abs(values - centre))
    n = off.size - np.searchsorted(off, 0.0, side="right")
    scale[MEAN], scale[VARIANCE], scale[LEARNED] = centre, 0.0, since
    if n > 2:  # one or two odd values say nothing of a scale
        spread = TO_DEVIATION * _median(off[off.size - n :])
        scale[VARIANCE] = n / since * spread * spread
    scale[HELD] = scale[SINCE] = 0.0


@njit(cache=True, nogil=True)
def learn_scale(rows, i, memory, scale):
    """Learn a row's values."""
    for d in range(rows.shape[1]):
        s, x = scale[d], rows[i, d]
        off = x - s[MEAN]
        if s[LEARNED] < FIRST:
            s[SINCE + 1 + int(s[LEARNED])] = x
        else:
            edge = EDGE * np.sqrt(s[VARIANCE])
            out = abs(off) > edge
            if out:
                s[SINCE + 1 + int(s[HELD])] = x
                s[HELD] += 1.0
            elif s[VARIANCE] > 0.0:
                s[HELD] = s[SINCE] = 0.0  # not in a row
            if s[HELD] > 0.0:
                s[SINCE] += 1.0
            if s[HELD] == FIRST:
                _renew(s, s[SINCE])
                continue
            if out:
                off = max(-edge, min(off, edge))
        rate = 1.0 / min(s[LEARNED] + 1.0, memory)
        s[MEAN] += rate * off
        s[VARIANCE] = (1.0 - rate) * (s[VARIANCE] + rate * off * off)
        s[LEARNED] += 1.0
        if s[LEARNED] == FIRST:
            _renew(s, s[LEARNED])
