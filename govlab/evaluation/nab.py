"""The score of the Numenta Anomaly Benchmark (v1.1): early detections of labelled windows, less the false ones.

Rows are numbered from 0 in each file. The first ``min(floor(0.15 N), 750)`` rows (probation) are never scored. With
sigma(y) = 2 / (1 + exp(5 y)) - 1, and -1 for y > 3:

- in a window [l, r] of w = r - l + 1 rows a detection at i is worth tp sigma(-(r - i + 1) / w) / sigma(-1), and a
  window is worth its best detection, or -fn without one;
- outside, a detection is worth fp sigma((i - r') / (w' - 1)), with the last window before it (primed), or -fp without
  one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from govlab.errors import ArgumentError, did_you_mean

__all__ = ["PROFILES", "NabResult", "nab_score"]

PROFILES: dict[str, tuple[float, float, float]] = {
    "standard": (1.0, 1.0, 0.11),
    "low_fp": (1.0, 1.0, 0.22),
    "low_fn": (1.0, 2.0, 0.11),
}
"""Profile -> what a found window is worth, what a missed one costs, what a false detection costs at most."""

Windows = Mapping[str, Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class NabResult:
    """What a detector got.

    Attributes
    ----------
    score : float
        100 = every window found at its first row and nothing else; 0 = no detection at all; may be negative.
    threshold : float
        A row is a detection when its score is at least this; ``inf`` where never to detect is best.
    oracle : bool
        Whether the threshold was chosen on the labels it is judged by, as the benchmark's rules have it.
    found, windows : int
        Windows with a detection, and all windows.
    detections, false_detections : int
        Rows detected, and those of them outside all windows.
    """

    score: float
    threshold: float
    oracle: bool
    found: int
    windows: int
    detections: int
    false_detections: int


def nab_score(
    scores: Mapping[str, np.ndarray], windows: Windows, profile: str = "standard", threshold: float | None = None
) -> NabResult:
    """Score a detector on a corpus by NAB's rules.

    Parameters
    ----------
    scores : mapping of str to ndarray of float64, shape (N,)
        One score for each row of each file, higher = more anomalous. NaN is never a detection. Not float32: that makes
        ties, which move published results by ten points.
    windows : mapping of str to sequence of (int, int)
        The labelled windows of each file: first and last row, both inclusive, in order and apart.
    profile : {"standard", "low_fp", "low_fn"}
        The costs, see `PROFILES`.
    threshold : float, optional
        One for the whole corpus. ``None``: the one that gives the highest score (ties: the highest threshold), as the
        benchmark's rules have it; it was then chosen on the labels, and the result says ``oracle``.

    Returns
    -------
    NabResult
        Cost n log n in the rows of the corpus: 0.1 s for all of NAB.

    Raises
    ------
    ArgumentError
        The profile is not known, the threshold is NaN, the files of scores and windows differ, a window is out of its file or
        overlaps the one before it, scores are no one-dimensional float64, or there is no window at all (the score is undefined).

    References
    ----------
    Lavin, A. & Ahmad, S. (2015). Evaluating real-time anomaly detection algorithms - the Numenta Anomaly Benchmark.
    https://doi.org/10.1109/ICMLA.2015.141

    Examples
    --------
    >>> value = np.zeros(20)
    >>> value[10] = 1.0
    >>> result = nab_score({"a.csv": value}, {"a.csv": [(10, 14)]})
    >>> result.score, result.threshold, result.found, result.false_detections
    (100.0, 1.0, 1, 0)
    """
    if profile not in PROFILES:
        raise ArgumentError(f"there is no profile {profile!r}. {did_you_mean(profile, PROFILES)}")
    if threshold is not None and threshold != threshold:
        raise ArgumentError("threshold is NaN, above which nothing is; give a number, or None for the best.")
    if set(scores) != set(windows):
        odd = sorted(set(scores) ^ set(windows))
        raise ArgumentError(f"scores and windows must be of the same files; only one of them has {odd[:5]}.")
    tp, fn, fp = PROFILES[profile]
    total = sum(len(spans) for spans in windows.values())
    if not total:
        raise ArgumentError("there is no window in any file, so the score is undefined; give files with windows.")

    parts, first = [], 0
    for name in sorted(scores):
        parts.append(_rows(name, scores[name], windows[name], first))
        first += len(windows[name])
    score, window, sigma = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.argsort(-score, kind="stable")  # from the highest: lowering the threshold takes the rows in this order
    score, window, sigma = score[order], window[order], sigma[order]

    gain = np.where(window < 0, fp * sigma, 0.0)
    hits = np.zeros(score.size, "int64")  # 1 where a window is found first
    by_window = np.argsort(window, kind="stable")
    edges = np.searchsorted(window[by_window], np.arange(total + 1))
    for k in range(total):
        rows = by_window[edges[k] : edges[k + 1]]
        if rows.size:  # what each detection adds to its window: by how much it is better than the best so far
            gain[rows] = np.diff(np.maximum.accumulate(np.append(-fn, tp * sigma[rows])))
            hits[rows[0]] = 1

    # a threshold takes all rows of equal score or none: only the last of them is a possible end
    ends = np.flatnonzero(np.append(score[1:] != score[:-1], True)) if score.size else np.empty(0, "int64")
    sums = np.append(0.0, np.cumsum(gain)[ends])
    levels = np.append(np.inf, score[ends])
    counts = np.append(0, ends + 1)
    if threshold is None:
        best = int(np.argmax(sums))
        level = float(levels[best])
    else:
        best = int(np.sum(score[ends] >= threshold))
        level = float(threshold)
    taken = int(counts[best])
    return NabResult(
        score=float(100.0 * sums[best] / (total * (tp + fn))),
        threshold=level,
        oracle=threshold is None,
        found=int(hits[:taken].sum()),
        windows=total,
        detections=taken,
        false_detections=int((window[:taken] < 0).sum()),
    )


def _sigma(y: np.ndarray) -> np.ndarray:
    return np.where(y > 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(y, 3.0))) - 1.0)


def _rows(name: str, score: np.ndarray, spans: Sequence[tuple[int, int]], first: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give score, number of the window (-1 = none) and sigma of the rows of a file that count."""
    score = np.asarray(score)
    if score.ndim != 1 or score.dtype != np.float64:
        raise ArgumentError(f"scores of {name!r} are {score.dtype}, shape {score.shape}; expected float64, shape (N,).")
    n, before = score.size, -1
    row = np.arange(n)
    window, sigma = np.full(n, -1), np.full(n, -1.0)
    for k, (left, right) in enumerate(spans):
        if not before < left <= right < n:
            raise ArgumentError(f"window ({left}, {right}) of {name!r}: expected in 0..{n - 1}, after the one before it.")
        width, before = right - left + 1, right
        inside, after = slice(left, right + 1), slice(right + 1, n)
        window[inside] = first + k
        sigma[inside] = _sigma(-(right - row[inside] + 1) / width) / _sigma(np.array(-1.0))
        # later windows write over what comes after them; after a window of one row the grace is nil
        sigma[after] = _sigma((row[after] - right) / (width - 1)) if width > 1 else -1.0
    counts = (row >= min(int(0.15 * n), 750)) & ~np.isnan(score)
    return score[counts], window[counts], sigma[counts]
