"""Judging change points against several annotators: covering and F1, as in the Turing Change Point Dataset.

A change point is the number of the first row of a new segment, counted from 0.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from govlab.errors import ArgumentError

__all__ = ["change_point_f1", "covering"]

Annotations = Mapping[str, Iterable[int]] | Sequence[Iterable[int]]


def covering(annotations: Annotations, predictions: Iterable[int], n: int) -> float:
    """Give how well the predicted segments cover those of the annotators, 0 to 1 (1 = the same segments).

    For one annotator: the mean, weighted by length, of the best Jaccard index of each of the annotator's segments with a
    predicted one. The covering is the mean over annotators.

    Parameters
    ----------
    annotations : mapping or sequence of iterables of int
        The change points of each annotator; an annotator may have seen none.
    predictions : iterable of int
        The predicted change points.
    n : int
        Rows in the series.

    Raises
    ------
    ArgumentError
        There is no annotator, a change point is no whole number in 0..n-1, or an argument is out of its range.

    References
    ----------
    van den Burg, G. J. J., Williams, C. K. I. (2020). An evaluation of change point detection algorithms.
    https://doi.org/10.48550/arXiv.2003.06222

    Examples
    --------
    >>> covering({"ann": [5]}, [5], 10), covering({"ann": [5]}, [], 10)
    (1.0, 0.5)
    """
    guess = _segments(_points(predictions, n), n)
    covers = []
    for points in _each(annotations):
        total = 0.0
        for a, b in _segments(_points(points, n), n):
            total += (b - a) * max(_jaccard(a, b, c, d) for c, d in guess)
        covers.append(total / n)
    return sum(covers) / len(covers)


def change_point_f1(annotations: Annotations, predictions: Iterable[int], n: int, margin: int = 5) -> float:
    """Give the F1 of change points that may be off by ``margin`` rows, 0 to 1.

    Row 0 counts as a change point for everyone, so that F1 is defined where there is no change. Precision is against
    the points of all annotators together, recall is the mean over annotators; a prediction counts for one point only.

    Parameters
    ----------
    annotations : mapping or sequence of iterables of int
        The change points of each annotator; an annotator may have seen none.
    predictions : iterable of int
        The predicted change points.
    n : int
        Rows in the series.
    margin : int
        So many rows may a prediction be early or late.

    Raises
    ------
    ArgumentError
        There is no annotator, a change point is no whole number in 0..n-1, or an argument is out of its range.

    References
    ----------
    van den Burg, G. J. J., Williams, C. K. I. (2020). An evaluation of change point detection algorithms.
    https://doi.org/10.48550/arXiv.2003.06222

    Examples
    --------
    >>> change_point_f1({"ann": [50]}, [53], 100), round(change_point_f1({"ann": [50]}, [], 100), 3)
    (1.0, 0.667)
    """
    if isinstance(margin, bool) or not isinstance(margin, int | np.integer) or margin < 0:
        raise ArgumentError(f"margin={margin!r}; expected a whole number of rows, at least 0.")
    guess = _points(predictions, n) | {0}
    known = [_points(points, n) | {0} for points in _each(annotations)]
    precision = _found(set().union(*known), guess, margin) / len(guess)
    recall = sum(_found(points, guess, margin) / len(points) for points in known) / len(known)
    return 2.0 * precision * recall / (precision + recall)


def _each(annotations: Annotations) -> list[Iterable[int]]:
    known = list(annotations.values() if isinstance(annotations, Mapping) else annotations)
    if not known:
        raise ArgumentError("there is no annotator, so nothing to judge by; give the change points of at least one.")
    return known


def _points(points: Iterable[int], n: int) -> set[int]:
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ArgumentError(f"n={n!r}; expected the number of rows of the series, at least 1.")
    given = list(points)
    for point in given:
        if isinstance(point, bool | np.bool_) or not isinstance(point, int | float | np.number) or not float(point).is_integer():
            raise ArgumentError(f"a change point is {point!r}; expected numbers of rows (of a mask: np.flatnonzero(mask)).")
    known = {int(point) for point in given}
    odd = sorted(point for point in known if not 0 <= point < n)
    if odd:
        raise ArgumentError(f"change points {odd[:5]} are not rows of a series of {n}; expected numbers in 0..{n - 1}.")
    return known


def _segments(points: set[int], n: int) -> list[tuple[int, int]]:
    edges = sorted(points | {0, n})
    return list(itertools.pairwise(edges))


def _jaccard(a: int, b: int, c: int, d: int) -> float:
    shared = max(0, min(b, d) - max(a, c))
    return shared / (b - a + d - c - shared)


def _found(points: set[int], guess: set[int], margin: int) -> int:
    """Count the points with a prediction near, each prediction taken once, by the nearest first of each point in order."""
    free, found = set(guess), 0
    for point in sorted(points):
        near = sorted((abs(point - g), g) for g in free if abs(point - g) <= margin)
        if near:
            free.remove(near[0][1])
            found += 1
    return found
