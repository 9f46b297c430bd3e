"""How severe an alert is: the same three words with the same meaning for every detector.

Scores of different detectors have no common unit, but how rare a score is beside those before it has one. So severity comes
from a probability: the row's own ``p`` where it has one, else the share of the scores of the past that are higher, with half
of those that are equal and half of the score itself (the mid-p that :class:`~govlab.detectors.calibrated.Calibrated` gives).
Only the order of the scores counts: any rising function of a score makes the same severities.

- ``high``: p is at most 1 in 10,000; or at most 1 in 1,000 and the score is higher than all of at least 1,000 before it;
- ``medium``: p is at most 1 in 1,000; or at most 1 in 100 and the score is higher than all of at least 100 before it;
- ``low``: all others. So before 100 scores were seen nothing is more than ``low``, and before 1,000 ``high``, unless p says it.

The past is that of the step that alerts (all entities together, whatever its memory). Scores from before the last 1,000,000
count half, those from before that a quarter, and so on. Of what lasts, the first rows are severe: the others are no longer rare.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["Past", "severities"]

KEPT = 1_024  # the least of so many different scores is not among the highest 1 in 1,000 of MOST rows
MOST = 1_000_000


@njit(cache=True, nogil=True)
def place_of(top, low, n, x):
    """Give the place of the first score, in top[low:n] in rising order, that is at least ``x``."""
    size = n - low
    while size > 0:
        half = (size + 1) // 2
        low += half * (top[low + half - 1] < x)  # no branch, whose outcome no processor could foresee
        size -= half
    return low


@njit(cache=True, nogil=True)
def _halve(top, count, low, state):
    """Let all rows count half: of the rows at or above each score there are half as many."""
    kept, before, after = state[0], 0, 0
    for j in range(state[0] - 1, low - 1, -1):
        before += count[j]
        half = (before + 1) // 2
        if half > after:
            kept -= 1
            top[kept], count[kept] = top[j], half - after
        after = half
    size = state[0] - kept
    top[:size], count[:size] = top[kept : state[0]].copy(), count[kept : state[0]].copy()
    state[0], state[1] = size, state[1] // 2


@njit(cache=True, nogil=True)
def _rank(values, wanted, top, count, state, most, p, record):
    """Write the mid-p of the wanted rows and, where one is the highest, of how many; learn all.

    The scores that count are the last half of ``top``, in rising order. state = [scores in top, rows].
    """
    asked, kept = 0, top.size // 2
    for i in range(values.size):
        x = values[i]
        if wanted[i]:
            p[asked], record[asked] = np.nan, 0
        if not np.isnan(x):
            n = state[0]
            low = max(0, n - kept)
            if wanted[i] or n < kept or x >= top[low]:
                j = place_of(top, low, n, x)
                known = j < n and top[j] == x
                if wanted[i]:
                    equal = count[j] if known else 0
                    above = np.sum(count[j:n]) - equal
                    p[asked] = (above + 0.5 * equal + 0.5) / (state[1] + 1.0)
                    record[asked] = state[1] if above + equal == 0 else 0
                if known:
                    count[j] += 1
                elif n < kept or j > low:
                    for k in range(n, j, -1):
                        top[k], count[k] = top[k - 1], count[k - 1]
                    top[j], count[j] = x, 1
                    state[0] = n + 1
                    if n + 1 == top.size:
                        top[:kept], count[:kept], state[0] = top[-kept:], count[-kept:], kept
            state[1] += 1
            if state[1] >= most:
                _halve(top, count, max(0, state[0] - kept), state)
        asked += wanted[i]


class Past:
    """The highest different scores of the past, with how many rows had each; 32 KB, and 5 to 15 ns a row.

    Examples
    --------
    >>> scores = np.arange(2_000.0)
    >>> p, record = Past().rank(scores, scores == 1_999)
    >>> p.tolist(), record.tolist()
    ([0.00025], [1999])
    """

    def __init__(self, kept: int = KEPT, most: int = MOST) -> None:
        self._top, self._count, self._state = np.zeros(2 * kept), np.zeros(2 * kept, "int64"), np.zeros(2, "int64")
        self._most = most

    def rank(self, values: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rank the wanted rows, each beside all rows before it, and learn all.

        Returns
        -------
        p : ndarray of float64
            Of each wanted row: the share of the past that is higher (mid-p). Exact where it is at most 1 in 1,000.
        record : ndarray of int64
            Of each wanted row: how many rows it is higher than, if it is higher than all of the past, else 0.
        """
        asked = int(wanted.sum())
        p, record = np.empty(asked), np.empty(asked, "int64")
        _rank(values, wanted, self._top, self._count, self._state, self._most, p, record)
        return p, record


def severities(p: np.ndarray, rank: tuple[np.ndarray, np.ndarray]) -> list[str]:
    """Give the severity of alerts by their own p (NaN where they have none) and by their rank."""
    share, record = rank
    with np.errstate(invalid="ignore"):
        rare = np.where(np.isnan(p), share, p)
        high = (rare <= 1e-4) | ((rare <= 1e-3) & (record >= 1_000))
        medium = (rare <= 1e-3) | ((rare <= 1e-2) & (record >= 100))
    return ["high" if h else "medium" if m else "low" for h, m in zip(high.tolist(), medium.tolist(), strict=True)]
