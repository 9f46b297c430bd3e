"""The same steps in a fixed number of shards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.errors import ArgumentError
from govlab.hashing import hash_column
from govlab.pipeline import Pipeline, short
from govlab.step import Step

__all__ = ["Sharded"]


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
        return waiting + sum(int(part.held()) for part in self._parts)

    def __repr__(self) -> str:
        inner = ", ".join(short(step) for step in self.steps.steps)
        return f"Sharded([{inner}], by={self.by!r}, shards={self.shards}, wait={self.wait!r})"
