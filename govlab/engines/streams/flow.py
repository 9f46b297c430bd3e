"""Frames on their way through the graph: counted, acknowledged, and taken again where an interrupt stopped one in the middle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from govlab.clock import ReplayClock
from govlab.engines.interrupts import Stride, Torn, abortable, in_turn, interruptible
from govlab.engines.streams.buffer import BEGINNING, Buffer
from govlab.engines.streams.graph import flush_below, roots_above
from govlab.engines.streams.marks import Marks
from govlab.engines.streams.through import muted, pipelines_below, settle
from govlab.errors import SourceError
from govlab.sources.reader import EndOfStream

if TYPE_CHECKING:
    from govlab.engines.journal import Journal
    from govlab.engines.streams.source import Source

__all__ = ["LIVE_ROWS", "LIVE_S", "Flow"]

LIVE_ROWS, LIVE_S = 4_096, 0.02
ACKNOWLEDGE_S = 1.0


class Flow:
    """Takes rows from a reader and lets them pass through the graph below a source, when they are due on a clock.

    Parameters
    ----------
    source : Source
        The node at the top of the graph, which is told of failures.
    clock : ReplayClock
        The clock.
    max_rows : int
        Rows a frame at most.
    """

    def __init__(self, source: Source, clock: ReplayClock, max_rows: int) -> None:
        self._source, self.clock, self.max_rows, self._reader = source, clock, max_rows, source.reader
        self.buffer, self.marks, self.stride = Buffer(source.reader, max_rows, source.dead.bury), Marks(), Stride(max_rows)
        self.events, self.rate = 0, list[tuple[float, int]]()  # rows emitted; and of the last frames, when that was
        self.journal: Journal | None = None  # of the run that has all that was emitted, but for what an interrupt kept from it
        self.stored = False  # a run with a store commits positions itself, after it has written them
        self._torn: tuple[Torn, int] | None = None  # a frame that was stopped in the middle, and how many rows it has
        self._rewinding: int | None = None  # the time that a seek is on its way back to
        self._acknowledge_at_s, self._unacknowledged = 0.0, False

    @property
    def untouched(self) -> bool:
        """Whether no row was emitted, not even in part."""
        return not self.events and self._torn is None

    def open(self, position: Mapping[int, int] | None = None, events: int = 0, seen_us: int = BEGINNING) -> None:
        """Begin at a position, before which there were so many events; done by itself when there is none yet."""
        with abortable():
            self.buffer.open(position, seen_us)
        self._torn, self.events = None, events
        self._source.forget(events)
        self.clock.stop()
        if not self.marks:
            self.marks.begin(self.buffer.position())

    def peek(self) -> int | None:
        """Give the clock's time of the next row; None when there is none yet; raises EndOfStream at the end."""
        try:
            if not self.buffer.opened:
                self.open()
            self.mend()
            self.buffer.fill()
            if self._unacknowledged and time.monotonic() >= self._acknowledge_at_s:
                self.acknowledge()  # also while nothing comes: a queue may hold back the next until it is
        except EndOfStream:
            raise
        except Exception as error:
            self._source.fail(error)
            raise
        return self.buffer.first_us()

    def advance(self, rows: int | None = None, before_us: int | None = None, timed: bool = True) -> int | None:
        """Emit the next frame that is due; gives its number of rows, 0 when none is due, None at ``before_us``."""
        first = self.peek()
        if first is None:
            return 0
        if before_us is not None and first >= before_us:
            return None
        due = before_us
        if timed and self.clock.speed is not None:
            if not self.clock.running:
                self.clock.start(first)
            now = self.clock.now_us() + 1
            due = now if before_us is None else min(now, before_us)
            rows = min(rows or LIVE_ROWS, LIVE_ROWS)
        return self.give(min(rows or self.max_rows, self.stride.rows), due)

    def pull(self, rows: int | None = None, before_us: int | None = None) -> int | None:
        """Emit rows whatever their time; waits a little where there is none yet."""
        given = self.advance(rows, before_us, timed=False)
        if given == 0:
            self.clock.wait(LIVE_S, threading.Event())
        return given

    def idle_s(self) -> float:
        """Give how long to wait before the next row is due, at most 20 ms."""
        first = self.buffer.first_us()
        if self._reader.waits and first is None:
            return 0.0005  # it has waited; but whoever wants to pause the source needs a moment
        return LIVE_S if self.clock.speed is None or first is None else min(LIVE_S, self.clock.until_s(first))

    def give(self, rows: int, before_us: int | None = None) -> int:
        """Emit at most so many of the rows in memory, and only those before a time; gives how many there were."""
        piece = self.buffer.take(rows, before_us)
        if len(piece):
            self.pass_on(piece, partial(self._source.emit, piece))
            if self.marks.due and self.buffer.event_us is not None:
                self.mark(self.buffer.event_us)
        return len(piece)

    def mark(self, key_us: int) -> None:
        """Set a mark, to which one can go back."""
        self.marks.add(self._source, key_us, self.buffer.position(), self.events)

    def pass_on(self, piece: pd.DataFrame, work: Callable[[], Any], taken: bool = True) -> None:
        """Let rows pass through the graph; ``taken``: they were just taken from the buffer, and go back if they are stopped."""
        self.events += len(piece)
        if not self.stored:
            self.journal = None  # what is emitted outside of a run with a store is not in the store
        self.rate = [*self.rate[-50:], (time.monotonic(), self.events)]
        began = time.perf_counter()
        try:
            work()
            settle(self._source)
            self._source.remember(self.events, piece)
            self.stride.took(len(piece), time.perf_counter() - began)
            self._unacknowledged = not self.stored
            if self._unacknowledged and (time.monotonic() >= self._acknowledge_at_s or self._reader.wants_commit):
                self.acknowledge()
        except Torn as torn:
            self.events -= len(piece)
            self._torn = torn, len(piece) if taken else 0
            if taken:
                self.buffer.put_back(piece)
            raise
        except KeyboardInterrupt:
            self._source.fail(
                SourceError("a function below was interrupted a third time, so nobody knows whether it took its frame")
            )
            raise
        except Exception as error:
            self._source.fail(error)
            raise

    def mend(self) -> None:
        """Do what an interrupt has stopped in the middle: a rewind, or a frame that did not reach all below."""
        if self._source.dead.quiet:
            return
        if self._rewinding is not None:
            self.rewind(self._rewinding)
        if self._torn is None:
            return
        torn, rows = self._torn
        torn.node.restore()
        piece = self.buffer.take(rows)
        self._torn = None
        self.pass_on(piece, lambda: in_turn(torn.owed))

    def rewind(self, goal_us: int) -> None:
        """Go back to the nearest mark, and on from there to a time, showing nothing; if it is interrupted, ``mend`` does it."""
        self._rewinding = goal_us
        mark = self.marks.before(self._source, goal_us)
        mark.resume(self._source)
        self.open(mark.position, mark.events, mark.key_us)
        self._source.reset()
        self._source.rewound.emit(pd.Timestamp(goal_us, unit="us", tz="UTC"))
        try:
            self._source.dead.quiet = True
            with muted(self._source), interruptible() as asked:
                while self.pull(before_us=goal_us) is not None:
                    if asked:
                        return
        except EndOfStream:
            pass  # the goal lies behind the end: the next step ends the stream
        finally:
            self._source.dead.quiet = False
        self.buffer.event_us, self._rewinding = goal_us - 1, None

    def drain(self) -> None:
        """Let the pipelines below emit what they hold, those whose other sources have ended too."""
        try:
            for node in pipelines_below(self._source):
                settle(self._source)
                if all(getattr(root, "state", "finished") == "finished" for root in roots_above(node)):
                    node.finish()
            settle(self._source)
            if not self.stored:
                self.acknowledge()
        except Torn as torn:
            self._torn = torn, 0
            raise

    def deliver(self) -> None:
        """Acknowledge what was emitted since the last time, as nobody knows when it goes on."""
        if self._unacknowledged:
            self.acknowledge()

    def acknowledge(self) -> None:
        """Let the sinks below deliver, then tell the origin that all emitted is through: once a second, where there is no store."""
        flush_below(self._source)
        self._reader.commit(self.buffer.position())
        self._acknowledge_at_s, self._unacknowledged = time.monotonic() + ACKNOWLEDGE_S, False
