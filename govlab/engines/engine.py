"""The engine, and what all engines share: a fresh copy of a pipeline with its counters."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import pandas as pd

from govlab import frames
from govlab.errors import ArgumentError
from govlab.pipeline import Pipeline, Result
from govlab.sources.frames import FrameReader
from govlab.step import Step
from govlab.summary import Fingerprint, Summary, ended

NEVER = -(2**62)  # no time yet

__all__ = ["Carrier", "Engine", "FrameReader", "whole_sides"]


class Engine(abc.ABC):
    """Carries the frames of a source through a fresh copy of a pipeline, to the end.

    The rules, which :func:`govlab.testing.check_engine` checks: rows, sides and summary are those of the pipeline's own
    ``process`` on all rows at once; a step that fails is a StepError with its name and rows, and what a reader raises is passed
    on; a reader's ``commit`` follows the store; a run that broke off goes on from the store with each alert once; a finished
    run stays finished.
    """

    @abc.abstractmethod
    def run(self, pipeline: Step, source: Any, **options: Any) -> Result:
        """Run over what :func:`govlab.sources.reader_of` takes; the same rows give the same result on every engine."""


class Carrier:
    """A fresh copy of a pipeline on its way: takes frames, gives what comes out, counts, and can be put down and taken up.

    Parameters
    ----------
    step : Step
        A pipeline, or one step.
    """

    def __init__(self, step: Step) -> None:
        if not isinstance(step, Step):
            raise ArgumentError(f"{step!r} is not a pipeline or a step; give gl.Pipeline(...) or an instance of a step.")
        self.pipeline = step.fresh() if isinstance(step, Pipeline) else Pipeline(step)
        self.recipe = self.pipeline.recipe()
        self.fingerprint = Fingerprint()
        self.events = self.rows = 0
        self.ended = False
        self.sides: dict[str, int] = {}
        self.first_us = self.last_us = self.newest_us = NEVER

    def push(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, pd.DataFrame]]]:
        """Take the next rows; gives what came out, and what was put aside."""
        frames.require(frame, [frames.TIME, *frames.POSITION], "an event frame")
        if not isinstance(frame.index, pd.RangeIndex) or frame.index.start != 0:
            frame = frame.reset_index(drop=True)
        self.events += len(frame)
        self.fingerprint.take(frame)
        found = self.given(self.pipeline.process(frame))
        if len(frame):
            times = frames.time_us(frame)
            self.first_us = int(times[0]) if self.first_us == NEVER else self.first_us
            self.newest_us = max(self.newest_us, self.pipeline.newest_us(times))
            self.last_us = min(int(times[-1]), self.newest_us)
        return found

    def finish(self) -> tuple[pd.DataFrame, list[tuple[str, pd.DataFrame]]]:
        """Let the steps emit what they hold; asked again, there is nothing more."""
        if self.ended:
            return frames.empty(), []
        found = self.given(self.pipeline.finish())
        self.ended = True
        return found

    def given(self, out: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, pd.DataFrame]]]:
        """Count what came out of the pipeline, and take what was put aside."""
        sides = self.pipeline.take_sides()
        self.rows += len(out)
        if len(out):
            self.fingerprint.give(out)
        for side, rows in sides:
            self.sides[side] = self.sides.get(side, 0) + len(rows)
        return out, sides

    def summary(
        self,
        state: str,
        dead_letters: int = 0,
        wall_s: float = 0.0,
        cpu_s: float = 0.0,
        letter_reasons: Mapping[str, int] | None = None,
    ) -> Summary:
        """Say what was done so far."""
        steps = zip(self.pipeline.steps, self.pipeline.counts, strict=True)
        ends = () if self.newest_us == NEVER else (self.first_us, self.newest_us)
        span = [str(pd.Timestamp(t, unit="us", tz="UTC")) for t in ends] or None
        return Summary(
            state=ended(state, self.events, dead_letters),
            events=self.events,
            rows=self.rows,
            steps=[{"step": s.name, "taken": a, "given": b, "aside": c} for s, (a, b, c) in steps],
            sides=dict(sorted(self.sides.items())),
            late=self.sides.get("late", 0),
            dead_letters=dead_letters,
            held=self.pipeline.held(),
            event_time=span,
            lag_s=None if self.newest_us == NEVER else (self.newest_us - self.last_us) / 1e6,
            scored=[one.to_dict() for one in self.pipeline.all_scored()],
            thresholds=self.pipeline.thresholds(),
            letter_reasons=dict(letter_reasons or {}),
            wall_s=wall_s,
            cpu_s=cpu_s,
            recipe=self.pipeline.hash,
            fingerprint=self.fingerprint.digest(self.recipe),
        )


def whole_sides(parts: Mapping[str, list[pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Put each side together, in the order of the rows' positions, which does not depend on the frames."""
    return {
        side: frames.concat(rows).sort_values(list(frames.POSITION), kind="stable", ignore_index=True)
        for side, rows in parts.items()
    }
