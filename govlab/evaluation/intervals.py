"""Figures with intervals: block bootstrap over incidents and days, and the time to detect with misses censored."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd

__all__ = ["detection_curve", "median_of", "ratio", "ratio_difference", "ratio_interval"]

LEAST_BLOCKS = 5
"""With fewer incidents or days than this an interval would say more about them than about the detector: None."""
NONE_COUNTED = -math.log(0.025)
"""Of so many expected events it would be odd to see none."""
Interval = tuple[float, float] | None


def ratio(part: np.ndarray, whole: np.ndarray) -> float | None:
    """Give the sum of the parts over the sum of the wholes; None where there is no whole.

    Examples
    --------
    >>> ratio(np.array([1, 0]), np.array([2, 2])), ratio(np.array([0]), np.array([0]))
    (0.25, None)
    """
    return float(part.sum() / whole.sum()) if whole.sum() > 0 else None


def _draws(n: int, seed: int, resamples: int) -> np.ndarray:
    # the same for all that are compared, so that differences are paired; few at a time would save memory that is not short
    return np.random.default_rng(seed).integers(0, n, (resamples, n))


def ratio_interval(part: np.ndarray, whole: np.ndarray, seed: int = 0, resamples: int = 1_000, share: bool = False) -> Interval:
    """Give the 95 % interval of a ratio, by drawing whole blocks (incidents, days) anew, as many as there are.

    Parameters
    ----------
    part, whole : ndarray of float64, shape (blocks,)
        Of each block: right alerts and alerts, say.
    seed, resamples : int
        How the blocks are drawn, and how often.
    share : bool
        Whether the parts are of the wholes.

    Returns
    -------
    (float, float) or None
        None with fewer than five blocks that have something, where the ratio is not defined, and where all blocks are the same, so
        that drawing them anew says nothing. But where none or all of the wholes were parts, it is the exact one of as many blocks
        (Clopper and Pearson), and where nothing at all was counted, that of a count of nothing (Poisson).

    Notes
    -----
    With few blocks it holds less often than it says. Measured over 1,500 drawn histories each: counts of 3 a day are in it for
    86 % of histories of 5 days, 92 % of 10, 91 % of 20, 94 % of 50; counts of one in two days for 98, 92, 93 and 95 %; shares of
    0.5 and 0.9 for 95 % and more with 5 incidents already. Days that are alike because they follow each other are not in this.

    References
    ----------
    Efron, B. (1979). Bootstrap methods: another look at the jackknife. doi:10.1214/aos/1176344552.
    """
    blocks = int((whole > 0).sum())
    if blocks < LEAST_BLOCKS:
        return None
    if share and part.sum() in (0.0, whole.sum()):
        edge = _edge(blocks)
        return (0.0, 1.0 - edge) if part.sum() == 0.0 else (edge, 1.0)
    if part.sum() == 0.0:
        return 0.0, float(NONE_COUNTED / whole.sum())
    drawn = _draws(part.size, seed, resamples)
    top, bottom = part[drawn].sum(axis=1), whole[drawn].sum(axis=1)
    return _middle(top[bottom > 0] / bottom[bottom > 0])


def _edge(blocks: int) -> float:
    """Give the least share of which it would not be odd that all of the blocks have it."""
    return float(0.025 ** (1 / blocks))


def _middle(values: np.ndarray) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return None if np.isclose(low, high, rtol=1e-12, atol=1e-12) else (float(low), float(high))


def ratio_difference(
    one: tuple[np.ndarray, np.ndarray],
    two: tuple[np.ndarray, np.ndarray],
    seed: int = 0,
    resamples: int = 1_000,
    share: bool = False,
) -> tuple[float | None, Interval]:
    """Give by how much the second ratio is above the first, with its 95 % interval, both over the same blocks (paired).

    Where both are nothing or all of the wholes, or the same in all blocks, the interval is as wide as so few blocks can say
    (the bounds of Clopper and Pearson put together, which is on the safe side); None as in :func:`ratio_interval`.
    """
    first, second = ratio(*one), ratio(*two)
    if first is None or second is None:
        return None, None
    blocks = min(int((whole > 0).sum()) for _, whole in (one, two))
    if blocks < LEAST_BLOCKS:
        return second - first, None
    found = second - first
    if share and ({first, second} <= {0.0, 1.0} or all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))):
        width = (1.0 - _edge(blocks)) * (1 if found == 0.0 else 2)
        return found, (max(-1.0, found - width), min(1.0, found + width))
    if first == second == 0.0:
        return found, (float(-NONE_COUNTED / one[1].sum()), float(NONE_COUNTED / two[1].sum()))
    drawn = _draws(one[0].size, seed, resamples)
    sums = [values[drawn].sum(axis=1) for values in (*one, *two)]
    good = (sums[1] > 0) & (sums[3] > 0)
    return found, _middle(sums[2][good] / sums[3][good] - sums[0][good] / sums[1][good])


def detection_curve(delay_s: np.ndarray, missed_after_s: np.ndarray) -> pd.DataFrame:
    """Give the share of incidents not yet detected as time goes by (Kaplan-Meier), with its 95 % interval (Greenwood, log-log).

    A miss never counts as a delay, and never as nothing: a detector that finds one incident in ten at once and misses nine
    stays at 0.9. An incident that was over unseen stays undetected for ever (it leaves the curve of those that were
    detected, not the number of all); only one that outlasted the history is censored.

    Parameters
    ----------
    delay_s : ndarray of float64, shape (n,)
        From the start of an incident to its first alert; NaN where it was missed.
    missed_after_s : ndarray of float64, shape (n,)
        For how long it was watched in vain; infinite where it was over unseen.

    Returns
    -------
    DataFrame
        ``after_s`` (increasing, from 0), ``undetected`` (from 1 downwards), and ``undetected_low`` and ``undetected_high``, NaN
        where all or none are undetected: nothing that was seen says how far that may be off.

    References
    ----------
    Kaplan, E. L., Meier, P. (1958). Nonparametric estimation from incomplete observations.
    doi:10.1080/01621459.1958.10501452.

    Examples
    --------
    >>> detection_curve(np.array([0.0, 30.0, np.nan, np.nan]), np.array([60.0, 60.0, 10.0, 60.0])).round(3)
       after_s  undetected  undetected_low  undetected_high
    0      0.0       0.750           0.128            0.961
    1     30.0       0.375           0.011            0.808
    """
    from scipy import stats  # half a second, for who judges alone

    found, watched = delay_s[~np.isnan(delay_s)], missed_after_s[np.isnan(delay_s)]
    beyond = max([*found, *watched[np.isfinite(watched)], 0.0]) + 1.0  # who is watched for ever is watched beyond all others
    rows = pd.DataFrame({"after_s": [0.0], "undetected": 1.0, "undetected_low": np.nan, "undetected_high": np.nan})
    if not found.size:
        return rows
    curve = stats.ecdf(stats.CensoredData(uncensored=found, right=np.minimum(watched, beyond))).sf
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)
        interval = curve.confidence_interval(0.95, method="log-log")
    columns = [curve.quantiles, curve.probabilities, interval.low.probabilities, interval.high.probabilities]
    steps = pd.DataFrame(dict(zip(rows, columns, strict=True)))[np.isin(curve.quantiles, found)]
    return steps.reset_index(drop=True) if found.min() == 0.0 else pd.concat([rows, steps], ignore_index=True)


def median_of(curve: pd.DataFrame) -> float | None:
    """Give when half of the incidents are detected; None where that never comes."""
    half = curve["after_s"][curve["undetected"] <= 0.5 + 1e-9]  # a product of shares may miss the half by a rounding
    return float(half.iloc[0]) if len(half) else None
