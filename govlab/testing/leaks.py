"""A check that nothing looks ahead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.arguments import fitting
from govlab.errors import ArgumentError, CheckError
from govlab.step import Step
from govlab.testing.samples import sampled
from govlab.testing.steps import play

__all__ = ["leak_check"]

PIECES = 1_000
"""Into so many pieces a longer frame is cut."""
CUTS = 20
"""So often the future is taken away from what comes out at the end of the stream, and the labels of the future from all."""


@fitting
def leak_check(
    step: Step | Callable[[pd.DataFrame], Step],
    frame: Any = None,
    seed: int = 0,
    labels: pd.DataFrame | None = None,
) -> None:
    """Check that what comes out for the past does not depend on the future.

    What comes out of the whole frame must be what comes out row by row, when no later row is there yet, to the last bit; of more
    than 1,000 rows, in as many pieces, which end at the rows of the highest scores and elsewhere. The events after a few moments
    are also shuffled and replaced by others. Of what comes out at the end of the stream, what is about the time before a moment
    must come out as well when the stream ends there.

    Parameters
    ----------
    step : Step or callable
        A step or a pipeline; with ``labels``, what makes one of a table of labels.
    frame : DataFrame or source, optional
        An event frame, or what :func:`govlab.sources.reader_of` takes; by default :func:`sample_events`.
    seed : int
        For the moments and the shuffling.
    labels : DataFrame, optional
        With ``known_at``. Those known after a moment are removed and shuffled, and nothing before it may change.

    Raises
    ------
    CheckError
        Says what looked ahead, and by which change it was found.
    ArgumentError, SchemaError
        The frame has fewer than 3 rows or is no event frame, or the labels have no ``known_at``.

    Examples
    --------
    >>> import govlab as gl
    >>> leak_check(gl.detectors.EwmaZ("value"))
    >>> class Ranked(gl.Detector):
    ...     def score_learn_many(self, frame):
    ...         return frame["value"].rank().to_numpy()
    >>> leak_check(Ranked())
    Traceback (most recent call last):
    ...
    govlab.errors.CheckError: ...Ranked looks ahead: what came out before row ... is another when later events are removed.
    """
    frame = sampled(frame).reset_index(drop=True)
    frames.require(frame, [frames.TIME, *frames.POSITION], "leak_check (it takes event frames, see gl.event_frame)")
    if len(frame) < 3:
        raise ArgumentError(f"leak_check: {len(frame)} rows are too few to have a past and a future; give at least 3.")
    rng = np.random.default_rng(seed)
    if labels is not None:
        if isinstance(step, Step) or "known_at" not in labels:
            raise ArgumentError("leak_check: labels need a function that makes the step of them, and a column 'known_at'.")
        _labels(step, frame, labels, rng)
        step = step(labels)
    if not isinstance(step, Step):
        raise ArgumentError(f"leak_check: {type(step).__name__} is no step; what makes one of labels needs labels=.")
    whole = play(step, frame)[0]
    ends = np.arange(1, len(frame) + 1) if len(frame) <= PIECES else _ends(whole, len(frame), rng)
    odd = _difference(whole, play(step, frame, ends.tolist())[0], len(frame))
    if odd is not None:
        _found(step, int(ends[np.searchsorted(ends, odd, "right")]), "events are removed")
    for at in rng.integers(1, len(frame), 3).tolist():
        future = frame.iloc[at:]
        for what, rows in (("shuffled", at + rng.permutation(len(future))), ("others", rng.integers(0, len(frame), len(future)))):
            other = frame.iloc[rows].assign(offset=future["offset"].to_numpy())
            changed = play(step, frames.concat([frame.iloc[:at], other]).reset_index(drop=True))[0]
            if _difference(whole, changed, at) is not None:
                _found(step, at, f"events are {what}")
    _end_of_stream(step, frame, whole, rng)


def _found(step: Step, at: int, change: str) -> None:
    raise CheckError(f"{step.name} looks ahead: what came out before row {at} is another when later {change}.")


def _ends(whole: pd.DataFrame, n: int, rng: np.random.Generator) -> np.ndarray:
    """Give where the pieces of a long frame end: before and after the rows of the highest scores, and at random."""
    rows = whole.index.to_numpy()
    if "score" in whole:
        rows = rows[np.argsort(-whole["score"].to_numpy("float64", na_value=-np.inf), kind="stable")]
    rows = rows[: PIECES // 4]
    ends = np.unique(np.concatenate([rows, rows + 1, rng.integers(1, n, PIECES // 2), [n]]))
    return ends[(ends > 0) & (ends <= n)]


def _difference(one: pd.DataFrame, two: pd.DataFrame, before: int) -> int | None:
    """Give the first row at which something else came out, of those before one."""
    one, two = (out[out.index < before] for out in (one, two))
    low, high = 0, max(len(one), len(two)) + 1
    while low < high:  # the longest beginning that is the same
        middle = (low + high) // 2
        low, high = (middle + 1, high) if _same(one.iloc[:middle], two.iloc[:middle]) else (low, middle)
    if low > max(len(one), len(two)):
        return None
    return int(min(out.index[low - 1] for out in (one, two) if len(out) >= low))


def _same(one: pd.DataFrame, two: pd.DataFrame) -> bool:
    if not len(one) and not len(two):
        return True  # a frame without rows may have any columns
    try:
        pd.testing.assert_frame_equal(one, two, check_exact=True)
    except AssertionError:
        return False
    return True


def _end_of_stream(step: Step, frame: pd.DataFrame, whole: pd.DataFrame, rng: np.random.Generator) -> None:
    """Check what comes out at the end: what is about the past does so too when the stream ends there."""
    tail = whole[whole.index == len(frame)]
    if not len(tail) or not {frames.TIME, *frames.POSITION} <= set(tail):
        return
    row = {at: i for i, at in enumerate(zip(*(frame[c].tolist() for c in frames.POSITION), strict=True))}
    # a row of no event here (of a window without any) is about the end
    last = np.array([row.get(at, len(frame)) for at in zip(*(tail[c].tolist() for c in frames.POSITION), strict=True)])
    # the times that are still to come
    coming = np.minimum.accumulate(frames.time_us(frame)[::-1])[::-1]
    telling = last[np.argsort(-tail["score"].to_numpy("float64", na_value=-np.inf), kind="stable")] if "score" in tail else last
    cuts = np.concatenate([telling[: CUTS // 2] + 1, rng.integers(1, len(frame), CUTS // 2)])
    for at in np.unique(cuts[cuts < len(frame)]).tolist():
        past = tail[(last < at) & (frames.time_us(tail) < coming[at])]
        rows = play(step, frame.iloc[:at])[0]
        if not set(map(repr, past.itertuples(index=False))) <= set(map(repr, rows[rows.index == at].itertuples(index=False))):
            _found(step, at, "events are removed (found at the end of the stream)")


def _labels(make: Callable[[pd.DataFrame], Step], frame: pd.DataFrame, labels: pd.DataFrame, rng: np.random.Generator) -> None:
    """Check that nothing before a moment depends on labels that were known after it."""
    whole = play(make(labels), frame)[0]
    reached, known = np.maximum.accumulate(frames.time_us(frame)), frames.time_us(labels, "known_at")
    for at in rng.integers(1, len(frame), CUTS).tolist():
        later = np.flatnonzero(known > reached[at - 1])
        shuffled = labels.copy()
        for column in labels.columns.drop("known_at"):
            shuffled.iloc[later, labels.columns.get_loc(column)] = labels[column].iloc[rng.permutation(later)].to_numpy()
        for what, other in (("removed", labels.drop(labels.index[later])), ("shuffled", shuffled)):
            step = make(other)
            if _difference(whole, play(step, frame)[0], at) is not None:
                _found(step, at, f"labels are {what}")
