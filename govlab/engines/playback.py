"""A reader as a streamz source that can be played: run, paused, stepped, wound to a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from govlab import frames
from govlab.cells import Cells
from govlab.clock import Clock
from govlab.engines import outlets  # noqa: F401 - with a source come to_kafka and to_rabbitmq
from govlab.engines.background import play_in_background
from govlab.engines.feed import BEGINNING, LIVE_ROWS, LIVE_S, Feed
from govlab.engines.graph import PLAYING, roots_above
from govlab.engines.interrupts import interruptible
from govlab.engines.through import muted, pipelines_below
from govlab.engines.winding import Marks, rows_to_alert
from govlab.errors import ArgumentError, SourceError
from govlab.frames import instant_us
from govlab.sources.reader import DeadLetter, EndOfStream, Reader

__all__ = ["Source"]

log = logging.getLogger("govlab")
_cells = Cells()  # the sources that notebook cells made


class Source(Feed):
    """A streamz source whose elements are event frames of a reader.

    An interrupt from the keyboard (Ctrl-C, the stop button) ends whatever plays it between two frames, which are cut so that
    this takes a fraction of a second; a second one stops a step or a reader in the middle. Either way nothing is lost and
    nothing comes twice: play on, in any way, to go on from there. A source that plays in the background stops when nobody
    refers to it any more, or when the notebook cell that made it runs again.

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
        ``"idle"``, ``"running"``, ``"paused"``, ``"failed"`` (then ``error`` says why) or ``"finished"``; while it runs but
        cannot read, ``"reconnecting"``, ``"stalled"``, ``"waiting"`` or ``"sharing"``, see :meth:`govlab.sources.Reader.trouble`.
    dead : Stream
        Records that could not be read, as frames.
    rewound : Stream
        Emits the time (Timestamp) to which the replay was wound back.
    """

    shown = PLAYING

    def __init__(self, reader: Reader, speed: float | None = None, max_rows: int = 65_536, clock: Clock | None = None) -> None:
        super().__init__(reader, speed, max_rows, clock)
        self._marks = Marks()
        self._lock, self._wake, self._stop = threading.RLock(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._rewinding: int | None = None  # the time that a seek is on its way back to
        _cells.claim(self)

    def close(self) -> None:
        """Stop, and let go of the reader: another source has taken its place."""
        if self._thread is not None and self._thread.is_alive():
            log.info("%s: its cell ran again, so the earlier source stops.", self.name)
            self.stop()
            self.reader.close()

    def open(self, position: Mapping[int, int] | None = None, events: int = 0, seen_us: int = BEGINNING) -> None:
        """Begin at a position; done by itself when the source first runs."""
        super().open(position, events, seen_us)
        if not self._marks:
            self._marks.begin(self.position())

    def give(self, piece: pd.DataFrame) -> None:
        """Emit the rows that were just taken; what goes wrong below is kept in ``error`` and raised."""
        super().give(piece)
        if self._marks.due and self.event_us is not None:
            self._marks.add(self, self.event_us, self.position(), self.events)

    def mark(self) -> None:
        """Note that this is where it was taken up: what lies before cannot be played by a live source."""
        if self.reader.waits:
            self._marks.add(self, BEGINNING, self.position(), self.events)

    # -- playing -------------------------------------------------------------------------------------------------------

    def start(self) -> Source:
        """Run in the background until the end, :meth:`pause` or :meth:`stop`; errors are in ``error`` and in the log."""
        if self._thread is not None and self._thread.is_alive():
            self.resume()
            return self
        self._refuse_failed()
        if self._state == "finished":
            raise SourceError(f"{self.name} has ended; seek() back, or make it anew.")
        self._stop.clear()
        self._wake.clear()
        self._state = "running"
        self._thread = play_in_background(self, self._stop, self._wake)
        return self

    def tick(self) -> float | None:
        """Emit the next frame that is due; returns how long to wait then, None at the end."""
        try:
            with self._lock:
                try:
                    given = self.advance() if self._state == "running" else 0
                except EndOfStream:
                    self.end()
                    return None
            return 0.0 if given else self.idle_s() or LIVE_S
        except BaseException as error:  # nobody above: it is kept in ``error``, and logged
            if self._state != "failed":
                self.fail(error)
            return None

    def stop(self) -> None:
        """Stop the background run, after the frame on its way."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._thread = None
        self.pause()
        self.deliver()

    def pause(self) -> None:
        """Hold the replay, after the frame on its way."""
        with self._lock:
            if self._state == "running":
                self._state = "paused"
            self.clock.stop()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        with self._lock:
            if self._state == "paused":
                self._state = "running"
        if self._thread is None or not self._thread.is_alive():
            self.start()
        self._wake.set()

    def _refuse_failed(self) -> None:
        if self._state == "failed":
            raise SourceError(f"{self.name} has failed ({self.error}); seek() back to before the failure, or make it anew.")

    def _hold(self) -> None:
        self._refuse_failed()
        self.pause()
        self._state = "paused" if self._state == "idle" else self._state

    def _next(self, rows: int | None = None, before_us: int | None = None) -> int | None:
        """Give on rows whatever their time; waits a little where there is none yet."""
        given = self.advance(rows, before_us, timed=False)
        if given == 0:
            self.clock.wait(LIVE_S, threading.Event())
        return given

    def step(self, n: int = 1) -> int:
        """Give on the next ``n`` events, whatever their time, and hold; gives how many there were."""
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ArgumentError(f"step: n={n!r}; expected a whole number of at least 1.")
        given = 0
        with self._lock, interruptible() as asked:
            self._hold()
            try:
                while given < n and not asked:
                    given += self._next(n - given) or 0
                self.deliver()
            except EndOfStream:
                self.end()
        return given

    def run_until(self, goal: Any) -> pd.Timestamp | None:
        """Run until a time (exclusive), or until the first alert with ``"alert"``, and hold.

        Returns
        -------
        Timestamp or None
            The time of the last event given; None if the end came first, or if no event comes before.
        """
        goal_us = None if isinstance(goal, str) and goal == "alert" else instant_us(goal, "run_until")
        with self._lock, interruptible() as asked:
            self._hold()
            try:
                while not asked:
                    if self._to_alert() if goal_us is None else self._next(before_us=goal_us) is None:
                        break
                self.deliver()
            except EndOfStream:
                self.end()
                return None
            return None if self.event_us is None else pd.Timestamp(self.event_us, unit="us", tz="UTC")

    def _to_alert(self) -> bool:
        """Give on the next rows, up to the one at which an alert comes out; tells whether one did."""
        if self.peek() is None:
            self.clock.wait(LIVE_S, threading.Event())
            return False
        piece = self._pending.iloc[: min(LIVE_ROWS, self._stride.rows)]
        rows = rows_to_alert(self, piece)
        self.give(self.take(rows or len(piece)))
        return rows is not None

    def seek(self, moment: Any) -> pd.Timestamp | None:
        """Put the source and all pipelines below where they were at a time, or will be, and hold.

        Forwards it runs there at full speed. Backwards it takes up the nearest snapshot before and runs on from there
        without showing anything again; what was shown of later times is told to be dropped (``rewound``). Other streamz
        nodes that keep something (``accumulate``, ``partition``) are not wound back.

        Raises
        ------
        SourceError
            Backwards, where a pipeline below has another source too.
        """
        goal_us = instant_us(moment, "seek")
        with self._lock:
            self.pause()
            if not self._opened:
                self.open()
            if self._state not in ("failed", "finished") and (
                not self.events or (self.event_us is not None and self.event_us < goal_us)
            ):
                return self.run_until(moment)
            if self._state == "finished" and self.event_us is not None and self.event_us < goal_us:
                return None  # that is behind the end, where it stands
            if any(isinstance(root, Source) and root is not self for node in pipelines_below(self) for root in roots_above(node)):
                raise SourceError(
                    f"{self.name} cannot be wound back alone: a pipeline below has another source too. Replay both as one."
                )
            with interruptible():
                self._rewind(goal_us)
            return pd.Timestamp(goal_us, unit="us", tz="UTC")

    def _rewind(self, goal_us: int) -> None:
        """Go back to the nearest snapshot, and on from there to a time, showing nothing; if it is interrupted, ``mend`` does it."""
        self._rewinding = goal_us
        mark = self._marks.before(self, goal_us)
        mark.resume(self)
        self.open(mark.position, mark.events, mark.key_us)
        self._state, self.error = "paused", None
        self.rewound.emit(pd.Timestamp(goal_us, unit="us", tz="UTC"))
        try:
            self._quiet = True
            with muted(self), interruptible() as asked:
                while self._next(before_us=goal_us) is not None:
                    if asked:
                        return
        except EndOfStream:
            pass  # the goal lies behind the end: the next step ends the stream
        finally:
            self._quiet = False
        self.event_us, self._rewinding = goal_us - 1, None

    def mend(self) -> None:
        """Do what an interrupt has stopped in the middle: a seek backwards, or a frame that did not reach all below."""
        if self._quiet:
            return
        if self._rewinding is not None:
            self._rewind(self._rewinding)
        super().mend()

    def redrive(self, fix: Callable[[DeadLetter], bytes | None] | Mapping[tuple[int, int], bytes]) -> int:
        """Read corrected dead letters and emit their rows; gives how many came through.

        Parameters
        ----------
        fix : function or mapping
            Gives the corrected bytes of a dead letter (None leaves it), or maps (partition, offset) to them.
        """
        through = 0
        with self._lock:
            for page in self.letters.pages():
                found = [(letter, fix(letter) if callable(fix) else fix.get((letter.partition, letter.offset))) for letter in page]
                corrected = [(letter, raw) for letter, raw in found if raw is not None]
                if odd := next((raw for _, raw in corrected if not isinstance(raw, bytes)), None):
                    raise ArgumentError(f"redrive: {odd!r:.80} is no corrected record; expected bytes, or None to leave it.")
                rows, still = self.reader.redrive(corrected) if corrected else (frames.empty(), [])
                for letter, _ in corrected:
                    del self.letters[letter.partition, letter.offset]
                self._bury(still)
                if len(rows):
                    with interruptible():
                        self._emit_all(rows, partial(self.emit, rows), taken=False)
                through += len(rows)
        return through
