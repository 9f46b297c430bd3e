"""A check that nothing looks ahead."""

from __future__ import annotations

import numpy as np
import pandas as pd

from govlab import frames
from govlab.errors import ArgumentError, CheckError
from govlab.step import Step
from govlab.testing.samples import sample_events

__all__ = ["leak_check"]


def leak_check(step: Step, frame: pd.DataFrame | None = None, seed: int = 0) -> None:
    """Check that what comes out for the past does not depend on the future.

    The events after a moment are removed, shuffled, and replaced by others; what came out at the events before it must stay the
    same to the last bit. All go in as one frame, so that a step that works on whole frames is found out.

    Parameters
    ----------
    step : Step
        A step or a pipeline.
    frame : DataFrame, optional
        By default :func:`sample_events`.
    seed : int
        For the moments and the shuffling.

    Raises
    ------
    CheckError
        Says what looked ahead, and by which change it was found.

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
    frame = (sample_events() if frame is None else frame).reset_index(drop=True)
    if len(frame) < 3:
        raise ArgumentError(f"leak_check: {len(frame)} rows are too few to have a past and a future; give at least 3.")
    rng = np.random.default_rng(seed)
    for at in rng.integers(1, len(frame), 3).tolist():
        past, future = frame.iloc[:at], frame.iloc[at:]
        expected = _out(step, frame, at)
        shuffled = future.iloc[rng.permutation(len(future))]
        for what, other in (
            ("removed", future.iloc[:0]),
            ("shuffled", shuffled),
            ("others", frame.iloc[rng.integers(0, len(frame), len(future))]),
        ):
            changed = frames.concat([past, other.assign(offset=future["offset"].to_numpy()[: len(other)])]).reset_index(drop=True)
            try:
                pd.testing.assert_frame_equal(expected, _out(step, changed, at), check_exact=True)
            except AssertionError as error:
                raise CheckError(
                    f"{step.name} looks ahead: what came out before row {at} is another when later events are {what}."
                ) from error


def _out(step: Step, frame: pd.DataFrame, at: int) -> pd.DataFrame:
    out = step.fresh().process(frame)
    out = out[out.index < at].reset_index(drop=True)
    return out if len(out) else out[[]]  # a frame without rows may have any columns
