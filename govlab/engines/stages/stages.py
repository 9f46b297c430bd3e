"""A pipeline cut into stages that pass messages: what is before its shards, each shard, and what comes after.

A stage takes a message and gives messages, and its state pickles. The head reads, runs the guard on
event time and the steps before the shards, and deals the rows; each shard runs the sharded steps; the tail takes what the shards
gave in the order of :class:`govlab.Sharded` and runs the rest. A pipeline without shards runs in the tail, after the guard.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.engines.carrier import Carrier, Out
from govlab.engines.stages.messages import TAIL, Block, End, Given, Rows
from govlab.pipeline import Pipeline
from govlab.sharded import Sharded
from govlab.sources.pieces import Fed
from govlab.sources.reader import DeadLetter, EndOfStream, Reader
from govlab.step import Step
from govlab.summary import Summary
from govlab.tally import Count, Tally

__all__ = ["Head", "Shard", "Tail", "cut"]

ENOUGH = 1_000  # rows of a live frame behind which there may be more at once


def cut(step: Step) -> tuple[int, Sharded | None]:
    """Find the first :class:`govlab.Sharded` of a pipeline; gives how many steps are before it (0 where there is none), and it."""
    steps = step.steps if isinstance(step, Pipeline) else (step,)
    return next(((i, one) for i, one in enumerate(steps) if isinstance(one, Sharded)), (0, None))


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
        self.carrier = Carrier(step, cut(step)[0])
        self.sharded = cut(self.carrier.pipeline)[1]
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
                yield from self._deal(self.carrier.push(frame), letters)
            few = not len(frame) and isinstance(self.reader, Fed)
            if few or (until is not None and (len(frame) < ENOUGH or time.monotonic() > until)):
                return

    def _end(self) -> Iterator[tuple[int, Any]]:
        letters = self.reader.take_dead_letters()
        self._position, self.ended = self.reader.position(), True
        self.reader.close()
        tail, sides = self.carrier.finish()
        if len(tail):
            yield from self._deal((tail, []), [])
        end = End(self.seq, self.carrier.tally(), sides, letters)
        for number in range(self.sharded.shards if self.sharded is not None else 0):
            yield number, end
        yield TAIL, end

    def _deal(self, out: Out, letters: list[DeadLetter]) -> Iterator[tuple[int, Any]]:
        frame = out[0].reset_index(drop=True)
        block = Block(self.seq, self.carrier.tally(), out[1], letters)
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
        self.pipeline = self.carrier.pipeline
        self.first, self.sharded = cut(self.pipeline)
        self.head, self._shards = Tally(), dict[int, Tally]()
        self.finished, self.letters, self.lines, self._next = False, 0, 0, 0
        self._heads: dict[int, Block | End] = {}
        self._given: dict[int, dict[int, Given]] = {}

    def take(self, message: Block | End | Given) -> Iterator[tuple[Out, list[DeadLetter]]]:
        """Take a message; gives what came out, and dead letters, as far as all before them is there."""
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
            self.head = head.tally
            self.letters += len(head.letters)
            for number, one in given.items():
                assert self.sharded is not None
                self._shards[number] = Tally(steps={self.first: Count(self.sharded.name, scored=one.scored)}, held=one.held)
            rows, sides = self.carrier.passed(self._end(given) if isinstance(head, End) else self._block(head, given))
            yield (rows, head.sides + sides), head.letters

    def _expected(self, head: Block | End) -> int:
        if isinstance(head, End):
            return 0 if self.sharded is None else self.sharded.shards
        return 0 if head.shard is None else len(np.unique(head.shard))

    def _block(self, head: Block, given: dict[int, Given]) -> pd.DataFrame:
        if head.frame is not None:
            return self.pipeline.process(head.frame, 0)  # the head has the guard
        assert self.sharded is not None
        assert head.times is not None
        assert head.shard is not None
        key, slowest = self.sharded.deal(head.times, head.shard)
        for number, one in sorted(given.items()):
            self.sharded.take(number, one.frame, key, one.sides)
        return self._rest(len(key), self.sharded.release(slowest, pd.RangeIndex(len(key)))) if len(key) else frames.empty()

    def _end(self, given: dict[int, Given]) -> pd.DataFrame:
        self.finished = True
        if self.sharded is None:
            return self.pipeline.finish(0)
        parts = [one for _, one in sorted(given.items())]
        self.sharded.put_aside([side for one in parts for side in one.sides])
        last = self._rest(0, self.sharded.gather([one.frame for one in parts]))
        return frames.concat([last, self.pipeline.finish(self.first + 1)])

    def _rest(self, taken: int, out: pd.DataFrame) -> pd.DataFrame:
        self.pipeline.count(self.first, taken, out)
        return self.pipeline.process(out, self.first + 1)

    def summary(self, state: str) -> Summary:
        """Say what was done so far, as a run in one process would."""
        whole = sum((*self._shards.values(), self.carrier.tally()), self.head)
        return whole.summary(state, self.carrier.recipe, self.letters)
