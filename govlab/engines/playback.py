"""A reader as a streamz source that can be played: run, paused, stepped, wound to a time."""

from __future__ import annotations

import logging
import pickle
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.clock import Clock, ReplayClock
from govlab.engines.graph import Node, drain, pipelines_below, roots_above
from govlab.errors import ArgumentError, SourceError
from govlab.frames import instant_us
from govlab.sources.reader import DeadLetter, EndOfStream, Reader

__all__ = ["Source"]

log = logging.getLogger("govlab")
LIVE_ROWS, LIVE_S = 4_096, 0.02
KEEP_SNAPSHOTS = 64


@dataclass
class _Mark:
    """A snapshot in memory: where the clock, the reader and the steps stood."""

    key_us: int
    position: dict[int, int]
    states: bytes
    events: int


class Source(Node):
    """A streamz source whose elements are event frames of a reader.

    Parameters
    ----------
    reader : Reader
        Where the frames come from.
    speed : float or None
        Seconds of event time in a second; ``None`` as fast as it goes.
    max_rows : int
        Rows a frame at most. No answer depends on it.
    clock : Clock, optional
        The clock under the replay; the wall's by default.

    Attributes
    ----------
    state : str
        ``"idle"``, ``"running"``, ``"paused"``, ``"failed"`` (then ``error`` says why) or ``"finished"``.
    dead : Stream
        Records that could not be read, as frames.
    rewound : Stream
        Emits the time (Timestamp) to which the replay was wound back.
    """

    def __init__(self, reader: Reader, speed: float | None = None, max_rows: int = 16_384, clock: Clock | None = None) -> None:
        if isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 1:
            raise ArgumentError(f"max_rows={max_rows!r}; expected a whole number of at least 1.")
        self.clock = ReplayClock(speed, clock)
        super().__init__(stream_name=reader.name)
        self.reader, self.max_rows = reader, max_rows
        self.state, self.error = "idle", None
        self.events = self.newest_us = self.event_us = 0
        self.letters: dict[tuple[int, int], DeadLetter] = {}
        self.dead, self.rewound = Node(), Node()
        self._pending, self._keys = frames.empty(), np.empty(0, "int64")
        self._lock, self._wake, self._stop = threading.RLock(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._marks: list[_Mark] = []
        self._mark_due = 0.0
        self._rate: list[tuple[float, int]] = []
        self._on_letters: list[Callable[[list[DeadLetter]], None]] = []
        self._opened = False

    # -- taking and giving ---------------------------------------------------------------------------------------------

    def open(self, position: Mapping[int, int] | None = None, events: int = 0) -> None:
        """Begin at a position; done by itself when the source first runs."""
        self.reader.open(position)
        self._pending, self._keys = frames.empty(), np.empty(0, "int64")
        self.events, self._opened = events, True
        self.clock.stop()
        if not self._marks:
            self._mark(np.iinfo("int64").min)

    def position(self) -> dict[int, int]:
        """Give how far each partition was given on."""
        position = self.reader.position()
        if len(self._pending):
            for p, n in zip(*np.unique(self._pending["partition"].to_numpy(), return_counts=True), strict=True):
                position[int(p)] -= int(n)
        return position

    def peek(self) -> int | None:
        """Give the clock's time of the next row; None when there is none yet; raises EndOfStream at the end."""
        if not self._opened:
            self.open()
        if not len(self._pending):
            self._pending = self.reader.read(self.max_rows)
            keys = getattr(self.reader, "last_keys", None)
            if keys is None:
                keys = np.maximum.accumulate(frames.time_us(self._pending)) if len(self._pending) else np.empty(0, "int64")
            self._keys = keys
            letters = self.reader.take_dead_letters()
            if letters:
                self._bury(letters)
        return int(self._keys[0]) if len(self._pending) else None

    def _bury(self, letters: list[DeadLetter]) -> None:
        fresh = [letter for letter in letters if (letter.partition, letter.offset) not in self.letters]
        self.letters.update({(letter.partition, letter.offset): letter for letter in fresh})
        for listener in self._on_letters:
            listener(fresh)
        if fresh and not self.muted:
            self.dead._emit(pd.DataFrame([vars(letter) for letter in fresh]))

    def listen_letters(self, listener: Callable[[list[DeadLetter]], None]) -> Callable[[], None]:
        """Call a function with the records that could not be read; gives how to end that."""
        self._on_letters.append(listener)
        return lambda: self._on_letters.remove(listener)

    def take(self, rows: int, before_us: int | None = None) -> pd.DataFrame:
        """Take, of the rows at hand, at most so many, and only those whose time is before ``before_us``."""
        n = min(rows, len(self._pending))
        if before_us is not None:
            n = min(n, int(np.searchsorted(self._keys, before_us, side="left")))
        piece = frames.cut(self._pending, 0, n)
        if n:
            self.event_us = int(self._keys[n - 1])
        self._pending, self._keys = self._pending.iloc[n:], self._keys[n:]
        return piece

    def give(self, piece: pd.DataFrame) -> None:
        """Emit a frame; what goes wrong below is kept in ``error`` and raised."""
        self.events += len(piece)
        now = time.monotonic()
        self._rate = [*self._rate[-50:], (now, self.events)]
        try:
            self.emit(piece)
        except Exception as error:
            self.fail(error)
            raise
        if now >= self._mark_due and len(piece):
            self._mark(self.event_us)

    def fail(self, error: Exception) -> None:
        """Tell the truth about a failure."""
        self.state, self.error = "failed", error
        log.error("%s stopped: %s", self.name, error)

    def end(self) -> None:
        """Let the pipelines below give on what they hold, those whose other sources have ended too."""
        self.state = "finished"
        try:
            for node in pipelines_below(self):
                if all(getattr(root, "state", "finished") == "finished" for root in roots_above(node)):
                    node.finish()
        except Exception as error:
            self.fail(error)
            raise
        drain(self)

    # -- playing -------------------------------------------------------------------------------------------------------

    def advance(self, rows: int | None = None, before_us: int | None = None, timed: bool = True) -> int | None:
        """Give on the next frame that is due; gives its number of rows, 0 when none is due, None at ``before_us``."""
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
        piece = self.take(rows or self.max_rows, due)
        if len(piece):
            self.give(piece)
        return len(piece)

    def idle_s(self) -> float:
        """Give how long to wait before the next row is due, at most 20 ms."""
        if self.clock.speed is None or not len(self._keys):
            return LIVE_S
        return min(LIVE_S, self.clock.until_s(int(self._keys[0])))

    def start(self) -> Source:
        """Run in the background until the end, :meth:`pause` or :meth:`stop`; errors are in ``error`` and in the log."""
        if self._thread is not None and self._thread.is_alive():
            self.resume()
            return self
        if self.state == "finished":
            raise SourceError(f"{self.name} has ended; seek() back, or make it anew.")
        self._stop.clear()
        self._wake.clear()
        self.state = "running"
        self._thread = threading.Thread(target=self._play, name=f"govlab {self.name}", daemon=True)
        self._thread.start()
        return self

    def _play(self) -> None:
        while not self._stop.is_set():
            try:
                with self._lock:
                    given = self.advance() if self.state == "running" else 0
            except EndOfStream:
                try:
                    with self._lock:
                        self.end()
                except Exception:  # kept in ``error`` and logged by ``end``
                    return
                return
            except Exception as error:
                if self.state != "failed":
                    self.fail(error)
                return
            if not given:
                self.clock.wait(self.idle_s() or LIVE_S, self._wake)
                self._wake.clear()

    def stop(self) -> None:
        """Stop the background run, after the frame on its way."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._thread = None
        if self.state == "running":
            self.state = "paused"
        self.clock.stop()

    def pause(self) -> None:
        """Hold the replay, after the frame on its way."""
        with self._lock:
            if self.state == "running":
                self.state = "paused"
            self.clock.stop()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        with self._lock:
            if self.state == "paused":
                self.state = "running"
        if self._thread is None or not self._thread.is_alive():
            self.start()
        self._wake.set()

    def _hold(self) -> None:
        if self.state == "failed":
            raise SourceError(f"{self.name} has failed ({self.error}); seek() back to before the failure, or make it anew.")
        self.pause()
        self.state = "paused" if self.state == "idle" else self.state

    def step(self, n: int = 1) -> int:
        """Give on the next ``n`` events, whatever their time, and hold; gives how many there were."""
        given = 0
        with self._lock:
            self._hold()
            try:
                while given < n:
                    given += self.advance(n - given, timed=False) or 0
            except EndOfStream:
                self.end()
        return given

    def run_until(self, goal: Any, speed: float | None = None) -> pd.Timestamp | None:
        """Run until a time (exclusive), or until the first alert with ``"alert"``, and hold.

        Returns
        -------
        Timestamp or None
            The time of the last event given; None if the end came first.
        """
        with self._lock:
            self._hold()
            try:
                if isinstance(goal, str) and goal == "alert":
                    while not self._advance_to_alert():
                        pass
                else:
                    goal_us = instant_us(goal, "run_until")
                    while self.advance(before_us=goal_us, timed=False) is not None:
                        pass
            except EndOfStream:
                self.end()
                return None
            return pd.Timestamp(self.event_us, unit="us", tz="UTC")

    def _advance_to_alert(self) -> bool:
        """Give on the next rows, up to the one at which an alert comes out, found by halving on the side."""
        if self.peek() is None:
            return False
        watched = [node for node in pipelines_below(self) if node.carrier.pipeline.gives_alerts]
        if not watched:
            raise ArgumentError("run_until('alert'): no pipeline below this source gives alerts; end one with a step of gl.alerts.")
        piece = self._pending.iloc[:LIVE_ROWS].reset_index(drop=True)
        states = self._states()
        low, high = 0, len(piece) + 1  # no alert with ``low`` rows; an alert with ``high``
        while high - low > 1:
            middle = len(piece) if high > len(piece) and low == 0 else (low + high) // 2
            before = sum(node.carrier.rows for node in watched)
            self._mute(True)
            try:
                self.emit(piece.iloc[:middle].reset_index(drop=True))
                found = sum(node.carrier.rows for node in watched) > before
            finally:
                self._mute(False)
                self._take_up(states)
            low, high = (low, middle) if found else (middle, high)
        self.give(self.take(min(high, len(piece))))
        return high <= len(piece)

    # -- winding -------------------------------------------------------------------------------------------------------

    def _states(self) -> bytes:
        return pickle.dumps([node.put_down() for node in pipelines_below(self)], protocol=pickle.HIGHEST_PROTOCOL)

    def _take_up(self, states: bytes) -> None:
        nodes, known = pipelines_below(self), pickle.loads(states)
        for i, node in enumerate(nodes):
            if i < len(known) and known[i]["recipe"] == node.carrier.recipe:
                node.take_up(known[i])
            else:
                # a branch that was added later starts afresh where the replay is wound to
                node.take_up(type(node.carrier)(node.carrier.pipeline).__dict__)

    def _mark(self, key_us: int) -> None:
        began = time.monotonic()
        self._marks.append(_Mark(key_us, self.position() if self._opened else {}, self._states(), self.events))
        if len(self._marks) > KEEP_SNAPSHOTS:
            self._marks = self._marks[:1] + self._marks[2::2]
        # marks may cost a fiftieth of the time
        self._mark_due = time.monotonic() + max(0.2, 50 * (time.monotonic() - began))

    def _mute(self, muted: bool) -> None:
        self.muted = muted
        for node in pipelines_below(self):
            node.muted = muted

    def seek(self, moment: Any) -> pd.Timestamp | None:
        """Put the source and all pipelines below where they were at a time, or will be, and hold.

        Forwards it runs there at full speed. Backwards it takes up the nearest snapshot before and runs on from there
        without showing anything again; what was shown of later times is told to be dropped (``rewound``).
        """
        goal_us = instant_us(moment, "seek")
        with self._lock:
            if self.state != "failed":
                self._hold()
            if not self._opened:
                self.open()
            if (self.event_us >= goal_us and self.events) or self.state in ("failed", "finished"):
                mark = max((m for m in self._marks if m.key_us < goal_us), key=lambda m: m.key_us)
                self._marks = [m for m in self._marks if m.key_us <= mark.key_us]
                self._take_up(mark.states)
                self.open(mark.position, mark.events)
                self.state, self.error = "paused", None
                self.rewound._emit(pd.Timestamp(goal_us, unit="us", tz="UTC"))
                self._mute(True)
                try:
                    while self.advance(before_us=goal_us, timed=False) is not None:
                        pass
                except EndOfStream:
                    pass  # the goal lies behind the end: the next step ends the stream
                finally:
                    self._mute(False)
                self.event_us = goal_us - 1
                return moment if isinstance(moment, pd.Timestamp) else pd.Timestamp(goal_us, unit="us", tz="UTC")
        return self.run_until(moment)

    # -- looking -------------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Give the state of the source as a dict: state, rows, rate, event time, lag, dead letters, sides, last error."""
        (t0, n0), (t1, n1) = (self._rate[0], self._rate[-1]) if self._rate else ((0.0, 0), (0.0, 0))
        sides: dict[str, int] = {}
        for node in pipelines_below(self):
            for side, count in node.carrier.sides.items():
                sides[side] = sides.get(side, 0) + count
        behind = self.clock.now_us() - self.event_us if self.clock.speed is not None and self.clock.running else 0
        return {
            "name": self.name,
            "state": self.state,
            "rows": self.events,
            "rows_per_s": (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0,
            "event_time": pd.Timestamp(self.event_us, unit="us", tz="UTC") if self.events else None,
            "lag_s": max(0, behind) / 1e6,
            "dead_letters": len(self.letters),
            "sides": sides,
            "last_error": None if self.error is None else str(self.error),
        }

    def evidence(self, alert: Any, by: str | None = None) -> pd.DataFrame:
        """Give the events behind an alert: those between its first and last position, of its entity if ``by`` names the column.

        Parameters
        ----------
        alert : Series or mapping
            A row of a frame of alerts.
        by : str, optional
            The column that holds the entity.
        """
        rows = self.reader.fetch(str(alert["evidence"]))
        if by is not None:
            frames.require(rows, [by], "evidence")
            rows = rows[rows[by].astype(str) == str(alert["entity"])]
        return rows.reset_index(drop=True)

    def redrive(self, fix: Callable[[DeadLetter], bytes | None] | Mapping[tuple[int, int], bytes]) -> int:
        """Read corrected dead letters and emit their rows; gives how many came through.

        Parameters
        ----------
        fix : function or mapping
            Gives the corrected bytes of a dead letter (None leaves it), or maps (partition, offset) to them.
        """
        corrected = []
        for where, letter in self.letters.items():
            raw = fix(letter) if callable(fix) else fix.get(where)
            if raw is not None:
                corrected.append((letter, raw))
        with self._lock:
            rows, still = self.reader.redrive(corrected)
            for letter, _ in corrected:
                del self.letters[letter.partition, letter.offset]
            if len(rows):
                self.give(rows)
            self._bury(still)
        return len(rows)

    def _repr_html_(self) -> str:
        import html

        cells = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in self.status().items())
        return f"<table>{cells}</table>"

