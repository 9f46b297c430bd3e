"""A reader as a streamz node: takes frames from it and emits them, and tells the truth about how that goes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.alerts.alert import name_of_entity
from govlab.clock import Clock, ReplayClock
from govlab.engines.graph import Node, flush_below, roots_above
from govlab.engines.interrupts import Stride, Torn, abortable, in_turn
from govlab.engines.letters import Letters
from govlab.engines.looking import status, table
from govlab.engines.through import pipelines_below, settle
from govlab.errors import ArgumentError, SourceError
from govlab.event_clock import AHEAD_US, FEW, EventClock
from govlab.sources.reader import DeadLetter, EndOfStream, Reader

__all__ = ["BEGINNING", "LIVE_ROWS", "LIVE_S", "Feed"]

log = logging.getLogger("govlab")
LIVE_ROWS, LIVE_S = 4_096, 0.02
ACKNOWLEDGE_S = 1.0
BURY = 5_000  # dead letters passed on at once
BEGINNING = np.iinfo("int64").min


class Feed(Node):
    """What a source is without the playing: the rows at hand, their times on the clock, dead letters, state and error."""

    def __init__(self, reader: Reader, speed: float | None, max_rows: int, clock: Clock | None) -> None:
        if isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 1:
            raise ArgumentError(f"max_rows={max_rows!r}; expected a whole number of at least 1.")
        self.clock = ReplayClock(speed, clock)
        super().__init__(stream_name=reader.name)
        self.reader, self.max_rows = reader, max_rows
        self._state, self.events = "idle", 0
        self.error: BaseException | None = None
        self.event_us: int | None = None
        self.rate: list[tuple[float, int]] = []
        self.letters = Letters()
        self.dead, self.rewound = Node(), Node()
        self.journaled = ""  # the run of the store that has all that was given
        self.unsaved: list[pd.DataFrame] = []  # alerts of that run that an interrupt has kept from it
        self.shared: Any = None  # the journal of a member of a group
        self.stored = False  # a run with a store commits positions itself, after it has written them
        self._acknowledge_at_s, self._unacknowledged = 0.0, False
        self._pending, self._keys, self._seen_us = frames.empty(), np.empty(0, "int64"), BEGINNING
        self._stride = Stride(max_rows)
        self._torn: tuple[Torn, int] | None = None  # a frame that was stopped in the middle, and how many rows it has
        self._reopen: dict[int, int] | None = None  # where to read again after a read that was stopped in the middle
        self._on_letters: list[Callable[[list[DeadLetter]], None]] = []
        self._opened = self._quiet = False

    @property
    def state(self) -> str:
        """``"idle"``, ``"running"``, ``"paused"``, ``"failed"``, ``"finished"``, or what keeps the reader from reading."""
        trouble = self.reader.trouble() if self._state == "running" else None
        return trouble[0] if trouble else self._state

    def open(self, position: Mapping[int, int] | None = None, events: int = 0, seen_us: int = BEGINNING) -> None:
        """Begin at a position; done by itself when the source first runs."""
        self.reader.open(position)
        self._torn = self._reopen = None
        self._pending, self._keys, self._seen_us = frames.empty(), np.empty(0, "int64"), seen_us
        self.events, self.event_us, self._opened = events, None, True
        self._event_clock = EventClock(AHEAD_US)
        if seen_us != BEGINNING:
            self._event_clock.start_at(seen_us)
        self.forget(events)
        self.clock.stop()

    def position(self) -> dict[int, int]:
        """Give how far each partition was emitted."""
        return dict(self._reopen) if self._reopen is not None else self.reader.position_before(self._pending)

    def peek(self) -> int | None:
        """Give the clock's time of the next row; None when there is none yet; raises EndOfStream at the end."""
        try:
            if not self._opened:
                self.open()
            self.mend()
            if not len(self._pending):
                self._pending = self._read()
                self._keys = self._clock_times(self._pending)
        except EndOfStream:
            raise
        except Exception as error:
            self.fail(error)
            raise
        return int(self._keys[0]) if len(self._pending) else None

    def _read(self) -> pd.DataFrame:
        if self._reopen is not None:
            self.reader.open(self._reopen)
            self._reopen = None
        if self.reader.waits or self.reader.once:  # a moment only, so nobody needs to stop it in the middle; or nobody may
            try:
                return self.reader.read(self.max_rows)
            finally:
                self._bury(self.reader.take_dead_letters())
        while True:
            before = self.reader.position()
            try:
                with abortable():
                    rows = self.reader.read(self.max_rows)
            except KeyboardInterrupt:
                self._reopen = before
                raise
            except Exception:
                self._bury(self.reader.take_dead_letters())
                raise
            if not self._bury(self.reader.take_dead_letters()) or len(rows):
                return rows  # where many records are bad, there are no rows until they are taken

    def mend(self) -> None:
        """Take again, where it was stopped in the middle, a frame that did not reach all below; needs a source that is open."""
        if self._torn is None:
            return
        torn, rows = self._torn
        torn.node.restore()
        piece = self.take(rows)
        self._torn = None
        self._emit_all(piece, lambda: in_turn(torn.owed))

    def _clock_times(self, rows: pd.DataFrame) -> np.ndarray:
        """Give the time of each row on the clock: the reader's if it has one, else the latest event time of those not ahead."""
        if not len(rows):
            return np.empty(0, "int64")
        keys: np.ndarray | None = getattr(self.reader, "last_keys", None)
        if keys is None:
            keys = self._without_ahead(frames.time_us(rows))
        self._seen_us = int(keys[-1])
        return keys

    def _without_ahead(self, times: np.ndarray) -> np.ndarray:
        """Give the latest event time up to each row; a row that is ahead, as far as the rows behind it here tell, has no say."""
        clock, keys = self._event_clock, times.copy()
        before, verdicts = clock.taken, clock.take(times)
        if verdicts is not None:
            keys[(verdicts.ids - before)[~verdicts.passes & (verdicts.ids >= before)]] = BEGINNING
            if clock.held < FEW:
                keys[np.setdiff1d(np.flatnonzero(verdicts.kept), verdicts.ids - before)] = BEGINNING
        keys = np.maximum.accumulate(np.maximum(keys, self._seen_us))
        said = keys[keys > BEGINNING]  # what comes before the first row that has a say goes by that one
        return np.where(keys > BEGINNING, keys, said[0] if said.size else times)

    def _bury(self, letters: list[DeadLetter]) -> int:
        """Keep dead letters, and pass them on, some at a time; gives how many there are."""
        for i in range(0, len(letters), BURY):
            fresh = self.letters.add(letters[i : i + BURY])
            for listener in self._on_letters if fresh else ():
                listener(fresh)
            if fresh and not self._quiet and self.dead.downstreams:
                self.dead.emit(pd.DataFrame([vars(letter) for letter in fresh]))
        return len(letters)

    def listen_letters(self, listener: Callable[[list[DeadLetter]], None]) -> Callable[[], None]:
        """Call a function with the records that could not be read; gives how to end that."""
        self._on_letters.append(listener)
        return lambda: self._on_letters.remove(listener)

    def take(self, rows: int, before_us: int | None = None) -> pd.DataFrame:
        """Take at most ``rows`` of the rows in memory, and only those whose time is before ``before_us``."""
        n = min(rows, len(self._pending))
        if before_us is not None:
            n = min(n, int(np.searchsorted(self._keys, before_us, side="left")))
        piece = frames.cut(self._pending, 0, n)
        self._taken = self._keys[:n], self.event_us  # to put them back
        if n:
            self.event_us = int(self._keys[n - 1])
        self._pending, self._keys = self._pending.iloc[n:], self._keys[n:]
        return piece

    def give(self, piece: pd.DataFrame) -> None:
        """Emit the rows that were just taken; what goes wrong below is kept in ``error`` and raised."""
        self._emit_all(piece, lambda: self.emit(piece))

    def _emit_all(self, piece: pd.DataFrame, work: Callable[[], Any], taken: bool = True) -> None:
        """Let rows pass through the graph; ``taken``: they were just taken from the rows in memory, and go back if that fails."""
        self.events += len(piece)
        self.journaled = ""  # what is emitted outside of a run with a store is not in the store
        self.rate = [*self.rate[-50:], (time.monotonic(), self.events)]
        began = time.perf_counter()
        try:
            work()
            settle(self)
            self.remember(self.events, piece)
            self._stride.took(len(piece), time.perf_counter() - began)
            self._unacknowledged = not self.stored
            if self._unacknowledged and (time.monotonic() >= self._acknowledge_at_s or self.reader.wants_commit):
                self.acknowledge()
        except Torn as torn:
            self.events -= len(piece)
            self._torn = torn, len(piece) if taken else 0
            if taken:
                keys, self.event_us = self._taken
                self._pending = frames.concat([piece, self._pending]) if len(piece) else self._pending
                self._keys = np.concatenate([keys, self._keys])
            raise
        except KeyboardInterrupt:
            self.fail(SourceError("a function below was interrupted a third time, so nobody knows whether it took its frame"))
            raise
        except Exception as error:
            self.fail(error)
            raise

    def acknowledge(self) -> None:
        """Let the sinks below deliver, then tell the origin that all given is through: once a second, where there is no store."""
        flush_below(self)
        self.reader.commit(self.position())
        self._acknowledge_at_s, self._unacknowledged = time.monotonic() + ACKNOWLEDGE_S, False

    def deliver(self) -> None:
        """Acknowledge what was given since the last time, as nobody knows when it goes on."""
        if self._unacknowledged and self._state != "failed":
            self.acknowledge()

    def fail(self, error: BaseException) -> None:
        """Tell the truth about a failure."""
        self._state, self.error = "failed", error
        log.error("%s stopped: %s", self.name, error)

    def end(self) -> None:
        """Let the pipelines below give on what they hold, those whose other sources have ended too."""
        self._state = "finished"
        try:
            for node in pipelines_below(self):
                settle(self)
                if all(getattr(root, "state", "finished") == "finished" for root in roots_above(node)):
                    node.finish()
            settle(self)
            if not self.stored:
                self.acknowledge()
        except Torn as torn:
            self._state, self._torn = "paused", (torn, 0)
            raise
        except Exception as error:
            self.fail(error)
            raise

    def advance(self, rows: int | None = None, before_us: int | None = None, timed: bool = True) -> int | None:
        """Give on the next frame that is due; gives its number of rows, 0 when none is due, None at ``before_us``."""
        first = self.peek()
        if first is None:
            if self._unacknowledged and time.monotonic() >= self._acknowledge_at_s:
                self.acknowledge()
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
        piece = self.take(min(rows or self.max_rows, self._stride.rows), due)
        if len(piece):
            self.give(piece)
        return len(piece)

    def idle_s(self) -> float:
        """Give how long to wait before the next row is due, at most 20 ms."""
        if self.reader.waits and not len(self._keys):
            return 0.0005  # it has waited; but whoever wants to pause the source needs a moment
        if self.clock.speed is None or not len(self._keys):
            return LIVE_S
        return min(LIVE_S, self.clock.until_s(int(self._keys[0])))

    def status(self) -> dict[str, Any]:
        """Give the state of the source as a dict: state, rows, rate, event time, lag, dead letters, sides, last error."""
        return status(self)

    def evidence(self, alert: Any, by: str | None = None) -> pd.DataFrame:
        """Give the events behind an alert: those between its first and last position, of its entity if ``by`` names the column.

        Parameters
        ----------
        alert : Series or mapping
            A row of a frame of alerts.
        by : str, optional
            The column that holds the entity.
        """
        if "evidence" not in alert:
            raise ArgumentError("evidence: the alert names no evidence; give a row of a frame of alerts.")
        rows = self.reader.fetch(str(alert["evidence"]))
        if by is not None:
            frames.require(rows, [by], "evidence")
            rows = rows[[name_of_entity(value) == str(alert["entity"]) for value in rows[by].tolist()]]
        return rows.reset_index(drop=True)

    def _repr_html_(self) -> str:
        return table(self.status())
