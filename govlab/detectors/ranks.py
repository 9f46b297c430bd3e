"""What detectors share that put a number beside those of the past."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def renew(ring, known, count, x):
    """Put a number into a ring, of which ``count`` were put in before, and among the same in rising order."""
    place, n = count % ring.size, min(count, ring.size)
    low = np.searchsorted(known[:n], x)
    last = np.searchsorted(known[:n], ring[place]) if n == ring.size else n  # where the oldest makes room
    if last < low:
        low -= 1
        known[last:low] = known[last + 1 : low + 1]
    else:
        known[low + 1 : last + 1] = known[low:last].copy()
    known[low] = ring[place] = x


@njit(cache=True, nogil=True)
def calibrate(slots, fresh, scores, warm, count, ring, ranked, out):
    """Give the mid-p of each score beside the past ones of its entity, and learn it."""
    window = ring.shape[1]
    for i in range(slots.size):
        s, x = slots[i], scores[i]
        if fresh[i]:
            count[s] = 0
        if np.isnan(x):
            out[i] = np.nan
            continue
        n = min(count[s], window)
        known = ranked[s]
        low = np.searchsorted(known[:n], x)
        high = np.searchsorted(known[:n], x, side="right")
        # as many as are higher, half of those that are equal, and half of itself
        out[i] = (n - high + 0.5 * (high - low) + 0.5) / (n + 1.0) if count[s] >= warm else np.nan
        renew(ring[s], known, count[s], x)
        count[s] += 1


@njit(cache=True, nogil=True)
def beside(raw, recent, count, record):
    """Give a sum if it is above the last ``record`` ones, else by how much it is not (zero or less); record 0: the sum."""
    top = -np.inf
    for j in range(min(count, record)):
        top = max(top, recent[j])
    return raw if raw > top else raw - top
