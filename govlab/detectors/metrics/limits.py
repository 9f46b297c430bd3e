"""The range of the past, without what is far from its middle: over it lie grids and categories, never over what is to come."""

import numpy as np
from numba import njit

LOW, HIGH, FENCE_LOW, FENCE_HIGH, ASKED = range(5)  # of a grid
CUT = 100  # one value in so many, at both ends, is not in the middle
FENCE = 20.0


@njit(cache=True, nogil=True)
def lay(past, first, reach, grid):
    """Set the limits of the rows from ``first`` to before ``reach``: the range of those within a fence, and the fence.

    It is ``FENCE`` times the range of the middle values on both sides of that. There is none where the middle is one value,
    even if each value is taken once only.
    """
    known = np.empty(reach - first)
    for t in range(first, reach):
        known[t - first] = past[t % past.size]
    known.sort()
    grid[FENCE_LOW], grid[FENCE_HIGH], some = -np.inf, np.inf, known
    for _ in range(2):
        cut = max(1, some.size // CUT)
        if 2 * cut < some.size and some[cut] < some[-1 - cut]:
            span = FENCE * (some[-1 - cut] - some[cut])
            grid[FENCE_LOW], grid[FENCE_HIGH], grid[ASKED] = some[cut] - span, some[-1 - cut] + span, 0.0
            break
        some = np.unique(known)
    grid[LOW] = known[np.searchsorted(known, grid[FENCE_LOW])]
    grid[HIGH] = known[np.searchsorted(known, grid[FENCE_HIGH], side="right") - 1]


@njit(cache=True, nogil=True)
def outgrown(x, grid):
    """Tell whether the limits are to be set again: a value is more than their range outside of them, or there is no fence.

    What is beyond the fence, or comes while there is none, may move it: that is tried at the first such value, the second, the
    fourth, and so on.
    """
    span = grid[HIGH] - grid[LOW]
    outside = not grid[LOW] - span <= x <= grid[HIGH] + span
    if outside and grid[FENCE_LOW] <= x <= grid[FENCE_HIGH]:
        return True
    if outside or grid[FENCE_HIGH] == np.inf:
        grid[ASKED] += 1.0
        n = np.int64(grid[ASKED])
        return n & (n - 1) == 0
    return False
