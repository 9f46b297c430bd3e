"""A fresh copy of a pipeline with its counters, which all engines share."""

from __future__ import annotations

from typing import Any

import pandas as pd

from govlab import frames
from govlab.errors import ArgumentError
from govlab.pipeline import Pipeline
from govlab.step import Step
from govlab.summary import Summary
from govlab.tally import UNSEEN, Tally, added

__all__ = ["Carrier", "Out"]

Out = tuple[pd.DataFrame, list[tuple[str, pd.DataFrame]]]  # rows that came out, and those put aside


class Carrier:
    """A fresh copy of a pipeline on its way: takes frames, passes on what comes out, and counts. Its ``__dict__`` is its state.

    Parameters
    ----------
    step : Step
        A pipeline, or one step.
    before : int, optional
        Run the guard and only the steps before this one; what comes out is then for others to count.
    """

    def __init__(self, step: Step, before: int | None = None) -> None:
        if not isinstance(step, Step):
            raise ArgumentError(f"{step!r} is not a pipeline or a step; give gl.Pipeline(...) or an instance of a step.")
        self.pipeline = step.fresh() if isinstance(step, Pipeline) else Pipeline(step)
        self.recipe, self.before = self.pipeline.recipe(), before
        self.counted = Tally()
        self.ended = False

    def push(self, frame: pd.DataFrame) -> Out:
        """Take the next rows; gives what came out, and what was put aside."""
        frames.require(frame, [frames.TIME, *frames.POSITION], "an event frame")
        if not isinstance(frame.index, pd.RangeIndex) or frame.index.start != 0:
            frame = frame.reset_index(drop=True)
        counted = self.counted
        counted.events += len(frame)
        counted.fingerprint.take(frame)
        found = self.passed(self.pipeline.process(frame, None, self.before))
        if len(frame):
            times = frames.time_us(frame)
            counted.first_us = int(times[0]) if counted.first_us == UNSEEN else counted.first_us
            counted.newest_us = max(counted.newest_us, self.pipeline.newest_us(times))
            counted.last_us = min(int(times[-1]), counted.newest_us)
        return found

    def finish(self) -> Out:
        """Let the steps emit what they hold; asked again, there is nothing more."""
        if self.ended:
            return frames.empty(), []
        found = self.passed(self.pipeline.finish(None, self.before))
        self.ended = True
        return found

    def passed(self, out: pd.DataFrame) -> Out:
        """Count what came out of the pipeline, and take what was put aside."""
        sides = self.pipeline.take_sides()
        for side, rows in sides:
            self.counted.sides = added(self.counted.sides, {side: len(rows)})
        if self.before is None:
            self.counted.rows += len(out)
            if len(out):
                self.counted.fingerprint.give(out)
        return out, sides

    def tally(self) -> Tally:
        """Give what was counted so far."""
        return self.counted + self.pipeline.tally()

    def summary(self, state: str, *more: Any) -> Summary:
        """Say what was done so far; parameters as of :meth:`govlab.tally.Tally.summary`."""
        return self.tally().summary(state, self.recipe, *more)
