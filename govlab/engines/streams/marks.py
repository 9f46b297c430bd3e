"""Marks along a replay: snapshots in memory to go back to."""

from __future__ import annotations

import math
import pickle
import time
from dataclasses import dataclass

from streamz import Stream

from govlab.engines.streams.buffer import BEGINNING
from govlab.engines.streams.through import pipelines_below

__all__ = ["Mark", "Marks"]

KEEP_MARKS, KEEP_BYTES = 64, 64 << 20


@dataclass(frozen=True)
class Mark:
    """Where the clock, the reader and the pipelines stood."""

    key_us: int
    position: dict[int, int]
    events: int
    states: dict[object, bytes]

    @classmethod
    def of(cls, top: Stream, key_us: int, position: dict[int, int], events: int) -> Mark:
        """Snapshot the pipelines below a node."""
        return cls(key_us, position, events, {node.place: node.snapshot() for node in pipelines_below(top)})

    @property
    def size(self) -> int:
        """The bytes of the states."""
        return sum(map(len, self.states.values()))

    def resume(self, top: Stream) -> None:
        """Put the pipelines below a node where they stood; those that hang there only since then start afresh."""
        for node in pipelines_below(top):
            node.resume(self.states.get(node.place))


class Marks:
    """Marks along a replay, at most 64 of them and 64 MiB; the first, of its beginning, is always kept.

    Where one alone would be larger there is none but the first: going back takes longer, and a step that is stopped in the
    middle cannot be put back but by going back.
    """

    def __init__(self) -> None:
        self._marks: list[Mark] = []
        self._due = 0.0

    def __len__(self) -> int:
        return len(self._marks)

    @property
    def due(self) -> bool:
        """Whether it is time for another: five a second at most, and never more than a fiftieth of the time."""
        return time.monotonic() >= self._due

    def begin(self, position: dict[int, int]) -> None:
        """Set the first mark, at which all pipelines are fresh."""
        self._marks = [Mark(BEGINNING, position, 0, {})]

    def add(self, top: Stream, key_us: int, position: dict[int, int], events: int) -> None:
        """Set a mark; where a step cannot be pickled there is none but the first, and going back takes longer."""
        began = time.monotonic()
        try:
            mark = Mark.of(top, key_us, position, events)
        except (pickle.PicklingError, AttributeError, TypeError):
            self._due = math.inf
            return
        if mark.size > KEEP_BYTES:
            for node in pipelines_below(top):
                node.drop_snapshot()
            self._due = math.inf
            return
        self._marks.append(mark)
        while len(self._marks) > KEEP_MARKS or sum(mark.size for mark in self._marks) > KEEP_BYTES:
            # every other one goes; the last stays, and the first, which is empty
            self._marks = [self._marks[0], *self._marks[-1:0:-2][::-1]] if len(self._marks) > 3 else [self._marks[0], mark]
        now = time.monotonic()
        self._due = now + max(0.2, 50 * (now - began))

    def before(self, top: Stream, goal_us: int) -> Mark:
        """Give the last mark before a time that knows all pipelines, else the first; forget those after it."""
        places = {node.place for node in pipelines_below(top)}
        last = max(i for i, mark in enumerate(self._marks) if i == 0 or (mark.key_us < goal_us and places <= set(mark.states)))
        self._marks = self._marks[: last + 1]
        return self._marks[last]
