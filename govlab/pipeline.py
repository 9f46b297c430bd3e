"""The pipeline: steps in a row, and the same steps in a fixed number of shards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from govlab import frames, registry
from govlab.errors import ArgumentError, StepError
from govlab.hashing import hash_column
from govlab.step import Step, recipe_hash

if TYPE_CHECKING:
    from govlab.summary import Summary

__all__ = ["Pipeline", "Result", "Sharded"]


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

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Pass the rows through the steps."""
        out = self._through(frame, 0)
        self._shape = out.iloc[:0]
        return out

    def _through(self, frame: pd.DataFrame, first: int) -> pd.DataFrame:
        for i in range(first, len(self.steps)):
            taken = frame
            try:
                frame = self.steps[i].process(taken)
            except Exception as error:
                raise self._failure(i, taken, error) from error
            self._count(i, len(taken), frame)
        return frame

    def _count(self, i: int, taken: int, given: pd.DataFrame) -> None:
        aside = self.steps[i].take_sides()
        self.counts[i][0] += taken
        self.counts[i][1] += len(given)
        for side, rows in aside:
            self.counts[i][2] += len(rows)
            self._sides.append((side, rows if "step" in rows else rows.assign(step=self.steps[i].name)))

    def _failure(self, i: int, taken: pd.DataFrame, error: Exception) -> StepError:
        where = f"step {i + 1} of {len(self.steps)}, {self.steps[i].name},"
        if isinstance(error, StepError):
            inner = f" in it {error.step}" if isinstance(self.steps[i], Pipeline | Sharded) else ""
            return StepError(where + inner, error.positions, error.cause)
        return StepError(where, frames.positions(taken), error)

    def finish(self) -> pd.DataFrame:
        """Let each step, from the first, give on what it held, through all that come after it."""
        tails = []
        for i, step in enumerate(self.steps):
            try:
                tail = step.finish()
            except Exception as error:
                raise self._failure(i, frames.empty(), error) from error
            self._count(i, 0, tail)
            if len(tail):
                tails.append(self._through(tail, i + 1))
        return frames.concat([*tails, self._shape])

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
        return f"{type(self).__name__}(\n" + "".join(f"    {_short(step)},\n" for step in self.steps) + ")"

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


class Sharded(Step):
    """The same steps in a fixed number of shards; each key lives in one shard, by a stable hash.

    The number of shards is part of the recipe: event time and late rows are a shard's own. What comes out is put in the
    order (event time of the shard, shard, sequence) and waits for the slowest shard, but no longer than ``wait``.

    Parameters
    ----------
    steps : Step or list of Step
        What each shard runs.
    by : str
        The column whose value decides on the shard; ``"partition"`` for one shard a source partition (modulo ``shards``).
    shards : int, default 8
        A shard's state should stay below about 10 MB: 128 shards for 10 million keys.
    wait : str, default "1min"
        A shard that is further behind in event time than this (an idle one) is not waited for.
    """

    steps: Any
    by: str = "actor"
    shards: int = 8
    wait: str = "1min"

    def check(self) -> None:
        """Check the recipe."""
        if isinstance(self.shards, bool) or not isinstance(self.shards, int) or not 1 <= self.shards <= 4096:
            raise ArgumentError(f"Sharded: shards={self.shards!r}; expected a whole number from 1 to 4096.")
        self._wait_us = frames.duration_us(self.wait, "Sharded: wait", zero=True)
        steps = [self.steps] if isinstance(self.steps, Step) else list(self.steps)
        self.steps = Pipeline(*(steps[0].steps if len(steps) == 1 and isinstance(steps[0], Pipeline) else steps))
        self.absorbs = self.steps.absorbs  # type: ignore[misc]
        self.gives_alerts = self.steps.gives_alerts  # type: ignore[misc]

    def start(self) -> None:
        """Make the shards, each with its own fresh copy of the steps."""
        self._parts = [self.steps.fresh() for _ in range(self.shards)]
        self._event_time = np.full(self.shards, np.iinfo("int64").min)
        self._latest = np.iinfo("int64").min
        self._waiting: list[tuple[pd.DataFrame, np.ndarray, np.ndarray]] = []
        self._shape = frames.empty()
        self.bind(self._recipe_hash, self._detector_name, self._entity_column)

    def bind(self, recipe: str, detector: str, entity: str | None) -> tuple[str, str | None]:
        """Pass the same on to the steps of every shard."""
        told = super().bind(recipe, detector, entity)
        for part in getattr(self, "_parts", ()):  # none yet when the step is being made
            told = part.bind(recipe, detector, entity)
        return told

    def shard_of(self, frame: pd.DataFrame) -> np.ndarray:
        """Give the shard of each row, int64, shape (n,)."""
        frames.require(frame, [self.by], "Sharded")
        if self.by == "partition":
            return frame["partition"].to_numpy("int64") % self.shards
        return (hash_column(frame[self.by]) % np.uint64(self.shards)).astype("int64")

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Deal the rows to the shards and give on, in order, what no slower shard can still come before."""
        shard, times, labels = self.shard_of(frame), frames.time_us(frame), frame.index
        rows = frame.reset_index(drop=True)
        latest = np.maximum.accumulate(np.maximum(times, self._latest)) if len(times) else times
        floor = latest - self._wait_us
        slowest = np.full(len(times), np.iinfo("int64").max)
        for s, part in enumerate(self._parts):
            mine = np.flatnonzero(shard == s)
            now = np.full(len(times), self._event_time[s])
            if mine.size:
                seen = np.maximum.accumulate(np.maximum(times[mine], self._event_time[s]))
                now = np.append(self._event_time[s], seen)[np.searchsorted(mine, np.arange(len(times)), side="right")]
                self._event_time[s] = seen[-1]
            key = np.maximum(now, floor)
            slowest = np.minimum(slowest, key)
            if not mine.size:
                continue
            given = part.process(rows.iloc[mine])
            self._shape = given.iloc[:0]
            if len(given):
                self._waiting.append((given, key[given.index.to_numpy()], np.full(len(given), s)))
            for side, aside in part.take_sides():
                self._sides.append((side, aside))
        if not len(times):
            return self._shape
        self._latest = latest[-1]
        return self._release(slowest, labels)

    def _release(self, slowest: np.ndarray | None, labels: pd.Index | None) -> pd.DataFrame:
        if not self._waiting:
            return self._shape
        # the index is a row's sequence in its shard here: what waits from earlier frames comes first
        given = frames.concat([part for part, _, _ in self._waiting])
        keys = np.concatenate([key for _, key, _ in self._waiting])
        shard = np.concatenate([s for _, _, s in self._waiting])
        order = np.lexsort((np.arange(keys.size), shard, keys))
        given, keys, shard = given.iloc[order], keys[order], shard[order]
        if slowest is None or labels is None:
            self._waiting = []
            return given.reset_index(drop=True)
        ready = int(np.searchsorted(keys, slowest[-1], side="left"))
        rest = given.iloc[ready:]
        self._waiting = [(rest, keys[ready:], shard[ready:])] if len(rest) else []
        out = given.iloc[:ready]
        # a row comes out at the first row taken at which the slowest shard has passed it
        out.index = labels[np.searchsorted(slowest, keys[:ready], side="right")]
        return out

    def finish(self) -> pd.DataFrame:
        """Give on what waits, then what the shards held, by (time, shard, sequence)."""
        waiting = self._release(None, None)
        tails, shard = [], []
        for s, part in enumerate(self._parts):
            tail = part.finish()
            tails.append(tail)
            shard += [s] * len(tail)
            for side, aside in part.take_sides():
                self._sides.append((side, aside))
        tail = frames.concat(tails)
        if len(tail):
            tail = tail.iloc[np.lexsort((np.arange(len(tail)), np.array(shard), frames.time_us(tail)))].reset_index(drop=True)
        return frames.concat([waiting, tail])

    def held(self) -> int:
        """Count the rows that the shards hold or that wait for a slower shard."""
        waiting = 0 if self.absorbs else sum(len(part) for part, _, _ in self._waiting)
        return sum(part.held() for part in self._parts) + waiting

    def __repr__(self) -> str:
        inner = ", ".join(_short(step) for step in self.steps.steps)
        return f"Sharded([{inner}], by={self.by!r}, shards={self.shards}, wait={self.wait!r})"


def _short(step: Step) -> str:
    """Write a step with the arguments that differ from their defaults only."""
    if isinstance(step, Pipeline | Sharded):
        return repr(step).replace("\n", "\n    ")
    texts: list[str] = []
    for f in fields(step):  # type: ignore[arg-type]
        value = getattr(step, f.name)
        if not f.init or value == f.default:
            continue
        first = not texts and f is fields(step)[0]  # type: ignore[arg-type]
        texts.append(repr(value) if first else f"{f.name}={value!r}")
    return f"{type(step).__name__}({', '.join(texts)})"


