"""A pipeline cut into stages that pass messages: what is before its shards, each shard, and what comes after.

Nothing here knows Flink: a stage takes a message and gives messages, and its state pickles. The head reads, runs the guard on
event time and the steps before the shards, and deals the rows; each shard runs the sharded steps; the tail takes what the shards
gave in the order of :class:`govlab.Sharded` and runs the rest. A pipeline without shards runs in the tail, after the guard.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.engines.engine import NEVER, Carrier
from govlab.engines.flink.messages import TAIL, Block, End, Given, Rows, Totals
from govlab.pipeline import Pipeline
from govlab.sharded import Sharded
from govlab.sources.pieces import Fed
from govlab.sources.reader import DeadLetter, EndOfStream, Reader
from govlab.step import Step
from govlab.summary import Fingerprint, Summary

__all__ = ["Cut", "Head", "Shard", "Tail"]

ENOUGH = 1_000  # rows of a live frame behind which there may be more at once


class Cut:
    """A pipeline cut at its first :class:`govlab.Sharded`.

    Parameters
    ----------
    step : Step
        A pipeline, or one step.
    """

    def __init__(self, step: Step) -> None:
        self.pipeline = step.fresh() if isinstance(step, Pipeline) else Pipeline(step)
        at = next((i for i, one in enumerate(self.pipeline.steps) if isinstance(one, Sharded)), None)
        self.at = at or 0  # how many steps are before the shards
        self.sharded: Sharded | None = None if at is None else self.pipeline.steps[at]  # type: ignore[assignment]
        self.part = None if self.sharded is None else self.sharded.part()

    @property
    def shards(self) -> int:
        """How many shards there are; 0 where the pipeline has none."""
        return 0 if self.sharded is None else self.sharded.shards


class Head:
    """Reads, runs the guard and the steps before the shards, and deals the rows.

    Parameters
    ----------
    step : Step
        The whole pipeline.
    reader : Reader
        Not yet open; or a :class:`govlab.sources.pieces.Fed` that is fed between the calls of ``read``.
    """

    def __init__(self, step: Step, reader: Reader) -> None:
        cut = Cut(step)
        self.sharded, self.pipeline, self.at, self.fingerprint = cut.sharded, cut.pipeline, cut.at, Fingerprint()
        self.totals = Totals()
        self.seq, self.ended = 0, False
        self.reader, self._opened = reader, isinstance(reader, Fed)
        self._position: dict[int, int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        if isinstance(self.reader, Fed):
            return self.__dict__
        position = self.reader.position() if self._opened and not self.ended else self._position
        return self.__dict__ | {"reader": None, "_opened": False, "_position": position}

    def read(self, max_rows: int, most: int | None = None, most_s: float | None = None) -> Iterator[tuple[int, Any]]:
        """Give messages with the number of their shard, for ``most`` rows or ``most_s`` seconds, or as far as there are rows."""
        done, until = 0, None if most_s is None else time.monotonic() + most_s
        while not self.ended and (most is None or done < most):
            if not self._opened:
                self.reader.open(self._position)
                self._opened = True
            try:
                frame = self.reader.read(max_rows)
            except EndOfStream:
                yield from self._end()
                return
            letters = self.reader.take_dead_letters()
            done += len(frame)
            if len(frame) or letters:
                yield from self._deal(self._through(frame), letters)
            few = not len(frame) and isinstance(self.reader, Fed)
            if few or (until is not None and (len(frame) < ENOUGH or time.monotonic() > until)):
                return

    def _end(self) -> Iterator[tuple[int, Any]]:
        letters = self.reader.take_dead_letters()
        self._position, self.ended = self.reader.position(), True
        self.reader.close()
        tail = self.pipeline.finish(None, self.at)
        self._count()
        if len(tail):
            yield from self._deal(tail, [])
        end = End(self.seq, self._told(), letters)
        for number in range(self.sharded.shards if self.sharded is not None else 0):
            yield number, end
        yield TAIL, end

    def _through(self, frame: pd.DataFrame) -> pd.DataFrame:
        totals = self.totals
        totals.events += len(frame)
        self.fingerprint.take(frame)
        out = self.pipeline.process(frame, None, self.at)
        if len(frame):
            times = frames.time_us(frame)
            totals.first_us = int(times[0]) if totals.first_us == NEVER else totals.first_us
            totals.newest_us = max(totals.newest_us, self.pipeline.newest_us(times))
            totals.last_us = min(int(times[-1]), totals.newest_us)
        self._count()
        return out

    def _count(self) -> None:
        for side, rows in self.pipeline.take_sides():
            self.totals.sides[side] = self.totals.sides.get(side, 0) + len(rows)

    def _told(self) -> Totals:
        self.totals.counts = self.pipeline.counts[: self.at]
        self.totals.taken = self.fingerprint.taken
        self.totals.held = self.pipeline.held()
        self.totals.scored = {i: one for i, one in self.pipeline.scored.items() if i < self.at}
        return copy.deepcopy(self.totals)

    def _deal(self, frame: pd.DataFrame, letters: list[DeadLetter]) -> Iterator[tuple[int, Any]]:
        frame = frame.reset_index(drop=True)
        block = Block(self.seq, self._told(), letters)
        self.seq += 1
        if self.sharded is None:
            block.frame = frame
        else:
            block.times, shard = frames.time_us(frame), self.sharded.shard_of(frame)
            block.shard = shard.astype("int16")
            for number in np.unique(shard):
                yield int(number), Rows(block.seq, frame.iloc[np.flatnonzero(shard == number)])
        yield TAIL, block


class Shard:
    """One shard: runs the sharded steps over its rows."""

    def __init__(self, part: Pipeline, number: int) -> None:
        self.number, self.part = number, part

    def take(self, message: Rows | End) -> Given:
        """Take rows, or the end."""
        given = self.part.finish() if isinstance(message, End) else self.part.process(message.frame)
        return Given(message.seq, self.number, given, self.part.take_sides(), self.part.held(), self.part.all_scored())


class Tail:
    """Takes blocks and what the shards gave for them, in the order of the blocks, and runs the rest of the pipeline.

    Attributes
    ----------
    finished : bool
        Whether the end came through.
    """

    def __init__(self, step: Step) -> None:
        self.carrier = Carrier(step)
        cut = Cut(self.carrier.pipeline)
        self.carrier.pipeline = self.pipeline = cut.pipeline
        self.shards, self.first = cut.shards, cut.at
        self.totals, self.finished, self.letters, self.lines = Totals(), False, 0, 0
        self._next, self._held = 0, dict[int, int]()
        self._heads: dict[int, Block | End] = {}
        self._given: dict[int, dict[int, Given]] = {}

    def take(self, message: Block | End | Given) -> Iterator[tuple[pd.DataFrame, list[tuple[str, pd.DataFrame]], list[DeadLetter]]]:
        """Take a message; gives rows, sides and dead letters, as far as all before them is there."""
        if isinstance(message, Given):
            self._given.setdefault(message.seq, {})[message.shard] = message
        else:
            self._heads[message.seq] = message
        while (head := self._heads.get(self._next)) is not None:
            given = self._given.get(self._next, {})
            if len(given) < self._expected(head):
                return
            del self._heads[self._next]
            self._given.pop(self._next, None)
            self._next += 1
            self.totals = head.totals
            self.letters += len(head.letters)
            self._held |= {number: one.held for number, one in given.items()}
            if self.shards:
                self.pipeline.steps[self.first].elsewhere |= {number: one.scored for number, one in given.items()}  # type: ignore[attr-defined]
            out = self._end(given) if isinstance(head, End) else self._block(head, given)
            yield (*self.carrier.given(out), head.letters)

    def _expected(self, head: Block | End) -> int:
        if isinstance(head, End):
            return self.shards
        return 0 if head.shard is None else len(np.unique(head.shard))

    def _block(self, head: Block, given: dict[int, Given]) -> pd.DataFrame:
        if head.frame is not None:
            return self.pipeline.process(head.frame, 0)  # the head has the guard
        sharded = self.pipeline.steps[self.first]
        assert isinstance(sharded, Sharded)
        assert head.times is not None
        assert head.shard is not None
        key, slowest = sharded.deal(head.times, head.shard)
        for number, one in sorted(given.items()):
            sharded.take(number, one.frame, key, one.sides)
        return self._rest(len(key), sharded.release(slowest, pd.RangeIndex(len(key)))) if len(key) else frames.empty()

    def _end(self, given: dict[int, Given]) -> pd.DataFrame:
        self.finished = True
        if not self.shards:
            return self.pipeline.finish(0)
        sharded = self.pipeline.steps[self.first]
        assert isinstance(sharded, Sharded)
        sharded._sides += [side for _, one in sorted(given.items()) for side in one.sides]
        last = self._rest(0, sharded.gather([one.frame for _, one in sorted(given.items())]))
        return frames.concat([last, self.pipeline.finish(self.first + 1)])

    def _rest(self, taken: int, out: pd.DataFrame) -> pd.DataFrame:
        self.pipeline.count(self.first, taken, out)
        return self.pipeline.process(out, self.first + 1)

    def summary(self, state: str) -> Summary:
        """Say what was done so far, as a run in one process would."""
        carrier, totals = self.carrier, self.totals
        carrier.events, carrier.first_us, carrier.last_us = totals.events, totals.first_us, totals.last_us
        carrier.newest_us = totals.newest_us
        self.pipeline.scored |= totals.scored
        if totals.taken is not None:
            carrier.fingerprint.taken = totals.taken
        told = carrier.summary(state, self.letters)
        for step, (taken, given, aside) in zip(told.steps, totals.counts, strict=False):
            step |= {"taken": taken, "given": given, "aside": aside}
        for side, n in totals.sides.items():
            told.sides[side] = told.sides.get(side, 0) + n
        told.sides, told.late = dict(sorted(told.sides.items())), told.sides.get("late", 0)
        told.held += totals.held + sum(self._held.values())
        return told
