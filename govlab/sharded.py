"""The same steps in a fixed number of shards."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pandas as pd
from numba import njit

from govlab import frames
from govlab.fields import AtLeast, ColumnName, Wait
from govlab.hashing import hash_column
from govlab.pipeline import Pipeline, short
from govlab.scored import Scored
from govlab.step import Setting, Step

__all__ = ["Sharded"]


@njit(cache=True, nogil=True)
def _deal(times, shard, event_time, latest, wait_us, key, slowest):  # type: ignore[no-untyped-def]
    slow = event_time.min()
    for i in range(times.size):
        s = shard[i]
        latest = max(latest, times[i])
        if times[i] > event_time[s]:
            was = event_time[s]
            event_time[s] = times[i]
            if was == slow:
                slow = event_time.min()
        # a shard that is further behind than this is not waited for
        key[i] = max(event_time[s], latest - wait_us)
        slowest[i] = max(slow, latest - wait_us)
    return latest


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
    shards : int, at least 1 and at most 4096, default 8
        A shard's state should stay below about 10 MB: 128 shards for 10 million keys.
    wait : str, default "1min"
        A shard that is further behind in event time than this (an idle one) is not waited for.
    """

    steps: Any
    by: ColumnName = "actor"
    shards: Annotated[int, AtLeast(1, most=4096)] = 8
    wait: Wait = "1min"

    def check(self) -> None:
        """Check the recipe."""
        self._wait_us = frames.duration_us(self.wait, zero=True)
        steps = [self.steps] if isinstance(self.steps, Step) else list(self.steps)
        self.steps = (steps[0] if len(steps) == 1 and isinstance(steps[0], Pipeline) else Pipeline(*steps)).inside()
        self.absorbs = self.steps.absorbs  # type: ignore[misc]
        self.gives_alerts, self.merges = self.steps.gives_alerts, self.steps.merges  # type: ignore[misc]

    def start(self) -> None:
        """Set the clocks of the shards; the shards themselves are made for the first rows."""
        self._parts: list[Pipeline] = []
        self._event_time = np.full(self.shards, np.iinfo("int64").min)
        self._latest = np.iinfo("int64").min
        self._waiting: list[tuple[pd.DataFrame, np.ndarray, np.ndarray]] = []
        self._shape = frames.empty()

    def bind(self, setting: Setting) -> Setting:
        """Pass the same on to the steps of every shard, each with its number."""
        after = super().bind(setting)
        if hasattr(self, "_parts"):  # not yet when the step is being made
            after = self.steps.bind(setting)
            for number, part in enumerate(self._parts):
                part.bind(self.of_shard(number))
        return after

    def of_shard(self, number: int) -> Setting:
        """Give what alerts of a shard say: the same window of two shards makes two alerts, with ids of their own."""
        return self._setting._replace(shard=f"{self._setting.shard}/{number}")

    def alerts_by(self) -> str | None:
        """Give None: the scores stay inside."""
        return None

    def part(self, number: int) -> Pipeline:
        """Make the steps of one shard."""
        part: Pipeline = self.steps.fresh()
        part.bind(self.of_shard(number))
        return part

    def parts(self) -> list[Pipeline]:
        """Give the shards, each with its own fresh copy of the steps; whoever runs them elsewhere needs none in here."""
        self._parts = self._parts or [self.part(number) for number in range(self.shards)]
        return self._parts

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
        key, slowest = self.deal(times, shard)
        for s, part in enumerate(self.parts()):
            mine = np.flatnonzero(shard == s)
            if not mine.size:
                continue
            given = part.process(rows.iloc[mine])
            self.take(s, given, key, part.take_sides())
        if not len(times):
            self._shape = self.parts()[0].process(rows)  # which columns there will be
            return self._shape
        return self.release(slowest, labels)

    def deal(self, times: np.ndarray, shard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give, for each row, the event time of its shard and that of the slowest one, with what may not be waited for."""
        key, slowest = np.empty(times.size, "int64"), np.empty(times.size, "int64")
        if times.size:
            self._latest = _deal(times, shard, self._event_time, self._latest, self._wait_us, key, slowest)
        return key, slowest

    def take(self, s: int, given: pd.DataFrame, key: np.ndarray, sides: list[tuple[str, pd.DataFrame]]) -> None:
        """Keep what a shard gave until it may be given on; its index says by which rows, whose times are in ``key``."""
        self._shape = given.iloc[:0]
        if len(given):
            self._waiting.append((given, key[given.index.to_numpy()], np.full(len(given), s)))
        self.put_aside(sides)

    def put_aside(self, sides: list[tuple[str, pd.DataFrame]]) -> None:
        """Keep what a shard put aside."""
        self._sides += sides

    def release(self, slowest: np.ndarray | None = None, labels: pd.Index | None = None) -> pd.DataFrame:
        """Give on, in order, what no slower shard can still come before; all that waits, if there is no slower one."""
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
        tails = [part.finish() for part in self.parts()]
        for part in self.parts():
            self.put_aside(part.take_sides())
        return self.gather(tails)

    def gather(self, tails: list[pd.DataFrame]) -> pd.DataFrame:
        """Give on what waits, then the last rows of each shard, by (time, shard, sequence)."""
        waiting, tail = self.release(), frames.concat(tails)
        shard = np.repeat(np.arange(len(tails)), [len(part) for part in tails])
        if len(tail):
            tail = tail.iloc[np.lexsort((np.arange(len(tail)), shard, frames.time_us(tail)))].reset_index(drop=True)
        return frames.concat([waiting, tail])

    def all_scored(self) -> list[Scored]:
        """Say of each detector in here what it scored in all shards."""
        shards = [part.all_scored() for part in (self.steps, *self._parts)]  # the recipe's own steps have no rows
        return [sum(those[1:], those[0]) for those in zip(*shards, strict=True)]

    def held(self) -> int:
        """Count the rows that the shards hold or that wait for a slower shard."""
        waiting = 0 if self.absorbs else sum(len(part) for part, _, _ in self._waiting)
        return waiting + sum(int(part.held()) for part in self._parts)

    def __repr__(self) -> str:
        inner = ", ".join(short(step) for step in self.steps.steps)
        return f"Sharded([{inner}], by={self.by!r}, shards={self.shards}, wait={self.wait!r})"
