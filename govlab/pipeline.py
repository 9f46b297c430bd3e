"""The pipeline: steps in a row, and the same steps in a fixed number of shards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import pandas as pd

from govlab import frames, registry
from govlab.errors import ArgumentError, StepError
from govlab.step import Step, recipe_hash

if TYPE_CHECKING:
    from govlab.summary import Summary

__all__ = ["Pipeline", "Result", "short"]


@dataclass(frozen=True)
class Result:
    """What a run gave: ``rows`` (DataFrame), ``sides`` (name -> DataFrame) and ``summary``."""

    rows: pd.DataFrame
    sides: Mapping[str, pd.DataFrame]
    summary: Summary

    def _repr_html_(self) -> str:
        return self.summary._repr_html_() + self.rows.head(20).to_html(escape=True, notebook=True)


class Pipeline(Step):
    """Steps in a row: a recipe, which engines run in fresh copies.

    Parameters
    ----------
    *steps : Step
        In the order in which the rows pass through.

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

    def __init__(self, *steps: Step) -> None:
        for step in steps:
            if not isinstance(step, Step):
                hint = " (write it with parentheses)" if isinstance(step, type) and issubclass(step, Step) else ""
                raise ArgumentError(f"Pipeline: {step!r} is not a step{hint}; expected instances of govlab.Step.")
        if not steps:
            raise ArgumentError("Pipeline: give at least one step, such as gl.features.WindowCount(every='1min').")
        self.steps = tuple(step.fresh() for step in steps)
        self.absorbs = any(step.absorbs for step in steps)  # type: ignore[misc]
        self.gives_alerts = steps[-1].gives_alerts  # type: ignore[misc]
        self.__post_init__()
        self.bind(recipe_hash(self.recipe()), "", None)

    def start(self) -> None:
        """Set the counters of rows in, out and aside, for each step."""
        self.counts = [[0, 0, 0] for _ in self.steps]
        self._shape = frames.empty()

    def bind(self, recipe: str, detector: str, entity: str | None) -> tuple[str, str | None]:
        """Pass on to each step the hash of the recipe, and the detector and the entity of the steps before it."""
        super().bind(recipe, detector, entity)
        for step in self.steps:
            detector, entity = step.bind(recipe, detector, entity)
        return detector, entity

    @property
    def hash(self) -> str:
        """The hash of the recipe, which alerts carry."""
        return recipe_hash(self.recipe())

    def process(self, frame: pd.DataFrame, first: int = 0, last: int | None = None) -> pd.DataFrame:
        """Pass the rows through the steps, from the ``first`` on, and before the ``last``."""
        out = self._through(frame, first, last)
        self._shape = out.iloc[:0] if last is None else self._shape
        return out

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
        aside = self.steps[i].take_sides()
        self.counts[i][0] += taken
        self.counts[i][1] += len(given)
        for side, rows in aside:
            self.counts[i][2] += len(rows)
            self._sides.append((side, rows if "step" in rows else rows.assign(step=self.steps[i].name)))

    def _failure(self, i: int, taken: pd.DataFrame, error: Exception) -> StepError:
        where = f"step {i + 1} of {len(self.steps)}, {self.steps[i].name},"
        if isinstance(error, StepError):
            inner = f" in it {error.step}" if hasattr(self.steps[i], "steps") else ""
            return StepError(where + inner, error.positions, error.cause)
        return StepError(where, frames.positions(taken), error)

    def finish(self, first: int = 0, last: int | None = None) -> pd.DataFrame:
        """Let each step, from the ``first`` on and before the ``last``, give on what it held, through all that come after it."""
        tails = []
        for i in range(first, len(self.steps) if last is None else last):
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
        """Count the rows that the steps hold."""
        return sum(step.held() for step in self.steps)

    def fresh(self) -> Pipeline:
        """Make a copy with the same recipe and no state."""
        return type(self)(*self.steps)

    def recipe(self) -> dict[str, Any]:
        """Give the recipe: the recipes of the steps."""
        return {"step": self.name, "steps": [step.recipe() for step in self.steps]}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pipeline) and self.recipe() == other.recipe()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}(\n" + "".join(f"    {short(step)},\n" for step in self.steps) + ")"

    def run(self, source: pd.DataFrame | Iterable[pd.DataFrame] | Any, **options: Any) -> Result:
        """Run a fresh copy over frames or a reader, as a plain loop.

        Parameters
        ----------
        source : DataFrame, iterable of DataFrames, or Reader
            What to run over.
        **options
            As in :func:`govlab.engines.local.run`.
        """
        result: Result = registry.load("engines", "local")().run(self, source, **options)
        return result


def short(step: Step) -> str:
    """Write a step with the arguments that differ from their defaults only."""
    if hasattr(step, "steps"):  # a pipeline, or shards
        return repr(step).replace("\n", "\n    ")
    texts: list[str] = []
    for f in fields(step):  # type: ignore[arg-type]
        value = getattr(step, f.name)
        if not f.init or value == f.default:
            continue
        first = not texts and f is fields(step)[0]  # type: ignore[arg-type]
        texts.append(repr(value) if first else f"{f.name}={value!r}")
    return f"{type(step).__name__}({', '.join(texts)})"
