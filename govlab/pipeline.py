"""The pipeline: steps in a row, and the same steps in a fixed number of shards."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from govlab import frames, registry, spreadsheet
from govlab.ahead import Guard
from govlab.errors import ArgumentError, StepError
from govlab.recipes import recipe_hash
from govlab.scored import Scored
from govlab.step import Detector, Setting, Step
from govlab.tally import Count, Tally

if TYPE_CHECKING:
    from govlab.summary import Summary

__all__ = ["AHEAD", "Pipeline", "Result", "short"]

AHEAD = "1h"


@dataclass(frozen=True)
class Result:
    """What a run gave: ``rows`` (DataFrame), ``sides`` (name -> DataFrame) and ``summary``."""

    rows: pd.DataFrame
    sides: Mapping[str, pd.DataFrame]
    summary: Summary

    def explain(self) -> str:
        """Say in words what was scored and what not, how high the scores were beside the thresholds, and what could not be read."""
        return self.summary.explain()

    def to_csv(self, path: str | PathLike[str]) -> Path:
        """Write the rows to a CSV file, in which what strangers wrote runs nothing; see :func:`govlab.alerts.save`."""
        return self._save(path, ".csv")

    def to_excel(self, path: str | PathLike[str]) -> Path:
        """Write the rows to an Excel file, with filters and times in UTC; see :func:`govlab.alerts.save`."""
        return self._save(path, ".xlsx")

    def to_parquet(self, path: str | PathLike[str]) -> Path:
        """Write the rows to a Parquet file as they are."""
        return self._save(path, ".parquet")

    def _save(self, path: str | PathLike[str], suffix: str) -> Path:
        if Path(path).suffix.lower() != suffix:
            raise ArgumentError(f"{str(path)!r}: expected a name that ends with {suffix}.")
        return spreadsheet.save(self.rows, path)

    def _repr_html_(self) -> str:
        from govlab.markup import table

        return self.summary._repr_html_() + str(table(spreadsheet.people_first(self.rows.head(20)), notebook=True))


class Pipeline(Step):
    """Steps in a row: a recipe, which engines run in fresh copies.

    Parameters
    ----------
    *steps : Step
        In the order in which the rows pass through.
    ahead : str or None, default "1h"
        A row whose time is further ahead of the others than this (of its ``arrival`` or ``message_time``, where it has one)
        moves nothing: it goes to the side ``ahead``. None: no row does. The rules are in :mod:`govlab.ahead`. Only what rows
        pass first has a guard: pipelines inside of pipelines and shards have none.

    Examples
    --------
    >>> import govlab as gl
    >>> watch = gl.Pipeline(gl.features.WindowCount(every="5min"), gl.detectors.EwmaZ("count", tail="both"))
    >>> print(watch)
    Pipeline(
        WindowCount(every='5min'),
        EwmaZ(tail='both'),
    )
    >>> result = watch.run(gl.datasets.load("community").frame.head(1000))
    >>> result.summary.events
    1000
    """

    def __init__(self, *steps: Step, ahead: str | None = AHEAD) -> None:
        for step in steps:
            if not isinstance(step, Step):
                hint = " (write it with parentheses)" if isinstance(step, type) and issubclass(step, Step) else ""
                raise ArgumentError(f"Pipeline: {step!r} is not a step{hint}; expected instances of govlab.Step.")
        if not steps:
            raise ArgumentError("Pipeline: give at least one step, such as gl.features.WindowCount(every='1min').")
        self.ahead = str(pd.Timedelta(ahead)) if isinstance(ahead, timedelta) else ahead
        self._ahead_us = None if ahead is None else frames.duration_us(ahead, "Pipeline: ahead")
        self.steps = tuple(step.inside() if isinstance(step, Pipeline) else step.fresh() for step in steps)
        self.absorbs = any(step.absorbs for step in steps)  # type: ignore[misc]
        self.gives_alerts = steps[-1].gives_alerts  # type: ignore[misc]
        self.merges = any(step.merges for step in steps)  # type: ignore[misc]
        self.__post_init__()
        self.bind(Setting(self.hash))

    def inside(self) -> Pipeline:
        """Make a fresh copy for rows that have passed a guard, as inside of another pipeline: it has none of its own."""
        if self.ahead != AHEAD:
            raise ArgumentError(
                f"Pipeline: ahead={self.ahead!r} inside of another pipeline or of shards; give it to the outermost one."
            )
        copy = type(self)(*self.steps)
        copy._ahead_us = copy._guard = None
        return copy

    def start(self) -> None:
        """Set the counters of each step, and the guard."""
        self.counts = [Count(one.name, scored=[Scored(one.name)] if isinstance(one, Detector) else []) for one in self.steps]
        self._shape = frames.empty()
        # members of a group each run some of the partitions, so that none may move the clock of another
        self._guard = None if self._ahead_us is None else Guard(self._ahead_us, apart=self.parted)

    def bind(self, setting: Setting) -> Setting:
        """Pass on to each step what alerts are to say of the steps before it."""
        super().bind(setting)
        for step in self.steps:
            setting = step.bind(setting)
        return setting

    def alerts_by(self) -> str | None:
        """Give None: the scores stay inside."""
        return None

    @property
    def parted(self) -> bool:
        """Whether nothing spans two partitions: it is one ``Sharded(..., by="partition")``."""
        return len(self.steps) == 1 and hasattr(self.steps[0], "shards") and getattr(self.steps[0], "by", None) == "partition"

    @property
    def hash(self) -> str:
        """The hash of the recipe, which alerts carry."""
        return recipe_hash(self.recipe())

    def process(self, frame: pd.DataFrame, first: int | None = None, last: int | None = None) -> pd.DataFrame:
        """Pass the rows through the steps before the ``last``: all, with the guard, or from the ``first`` on without it."""
        if first is not None or self._guard is None:
            out = self._through(frame, first or 0, last)
        else:
            outs = [self._through(piece, 0, last) for piece in self._guard.process(frame)]
            self._put_aside(self._guard)
            filled = [out for out in outs if len(out)]
            out = pd.concat(filled) if len(filled) > 1 else (filled or outs[-1:])[0]
        self._shape = out.iloc[:0] if last is None else self._shape
        return out

    def newest_us(self, times: np.ndarray) -> int:
        """Give the newest event time up to the rows just taken (us), without those of rows that are ahead."""
        newest = self._guard.clock.newest if self._guard is not None and not self.parted else 0
        return newest or int(times.max())

    def _put_aside(self, guard: Guard) -> None:
        for rows, reasons in guard.take_aside():
            self.divert("ahead", rows.assign(step=self.name), np.array(reasons, "object"))

    def _through(self, frame: pd.DataFrame, first: int, last: int | None = None) -> pd.DataFrame:
        for i in range(first, len(self.steps) if last is None else last):
            taken = frame
            try:
                frame = self.steps[i].process(taken)
            except Exception as error:
                raise self._failure(i, taken, error) from error
            self.count(i, len(taken), frame)
        return frame

    def count(self, i: int, taken: int, given: pd.DataFrame) -> None:
        """Count what a step took and gave, and take what it put aside."""
        step, count = self.steps[i], self.counts[i]
        count.taken += taken
        count.given += len(given)
        if isinstance(step, Detector) and len(given):
            count.scored[0].add(step, given)
        for side, rows in step.take_sides():
            count.aside += len(rows)
            self._sides.append((side, rows if "step" in rows else rows.assign(step=count.step)))

    def all_scored(self) -> list[Scored]:
        """Say of each detector, also of those in shards and pipelines inside, what it scored."""
        return [one for count in self.tally().steps.values() for one in count.scored]

    def tally(self) -> Tally:
        """Give what the steps have counted so far, what is held, and the score from which on a row alerts now."""
        steps = dict(enumerate(copy.deepcopy(self.counts)))
        for i, step in enumerate(self.steps):
            if hasattr(step, "all_scored"):
                steps[i].scored = step.all_scored()
        limits = {step.name: limit for step in self.steps if (limit := step.alerts_from()) is not None}
        return Tally(steps=steps, held=self.held(), thresholds=limits)

    def _failure(self, i: int, taken: pd.DataFrame, error: Exception) -> StepError:
        where = f"step {i + 1} of {len(self.steps)}, {self.steps[i].name},"
        if isinstance(error, StepError):
            inner = f" in it {error.step}" if hasattr(self.steps[i], "steps") else ""
            return StepError(where + inner, error.positions, error.cause)
        return StepError(where, frames.positions(taken), error)

    def finish(self, first: int | None = None, last: int | None = None) -> pd.DataFrame:
        """Let the guard (if there is no ``first``) and each step before the ``last`` pass on what they hold, through the rest."""
        tails = []
        if first is None and self._guard is not None:
            tails = [out for rows in self._guard.finish() if len(out := self._through(rows, 0, last))]
            self._put_aside(self._guard)
        for i in range(first or 0, len(self.steps) if last is None else last):
            step = self.steps[i]
            try:
                tail = step.finish()
            except Exception as error:
                raise self._failure(i, frames.empty(), error) from error
            self.count(i, 0, tail)
            if len(tail):
                tails.append(self._through(tail, i + 1, last))
        return frames.concat([*tails, self._shape] if last is None else tails)

    def held(self) -> int:
        """Count the rows that the guard and the steps hold."""
        return sum(step.held() for step in self.steps) + (self._guard.held() if self._guard is not None else 0)

    def fresh(self) -> Pipeline:
        """Make a copy with the same recipe and no state."""
        copy = type(self)(*self.steps, **self._own_ahead())
        if self._ahead_us is None:
            copy._ahead_us = copy._guard = None
        return copy

    def _own_ahead(self) -> dict[str, Any]:
        return {} if self.ahead == AHEAD else {"ahead": self.ahead}

    def recipe(self) -> dict[str, Any]:
        """Give the recipe: the recipes of the steps, and ``ahead`` where it is not the default."""
        return {"step": self.name, "steps": [step.recipe() for step in self.steps], **self._own_ahead()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self.recipe() == other.recipe()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        lines = [*map(short, self.steps), *(f"{name}={value!r}" for name, value in self._own_ahead().items())]
        return f"{type(self).__name__}(\n" + "".join(f"    {line},\n" for line in lines) + ")"

    def run(self, source: Any, **options: Any) -> Result:
        """Run a fresh copy over all events of a source, as a plain loop.

        Parameters
        ----------
        source : path, table, iterable of them, Reader or Source
            What to run over, as of :func:`govlab.sources.reader_of`.
        **options
            As of :meth:`govlab.engines.local.Local.run`.
        """
        result: Result = registry.load("engines", "local")().run(self, source, **options)
        return result


def short(step: Step) -> str:
    """Write a step with the arguments that differ from their defaults only."""
    if hasattr(step, "steps"):  # a pipeline, or shards
        return repr(step).replace("\n", "\n    ")
    texts: list[str] = []
    for f in fields(step):
        value = getattr(step, f.name)
        if not f.init or value == f.default:
            continue
        first = not texts and f is fields(step)[0]
        texts.append(repr(value) if first else f"{f.name}={value!r}")
    return f"{type(step).__name__}({', '.join(texts)})"
