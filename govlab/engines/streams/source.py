"""A reader as a streamz source that can be played, and that tells the truth about how that goes."""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import Any

import pandas as pd

from govlab import frames
from govlab.alerts.alert import name_of_entity
from govlab.cells import Cells
from govlab.clock import Clock, ReplayClock
from govlab.engines.interrupts import Torn, interruptible
from govlab.engines.streams import (
    outlets,  # noqa: F401 - with a source come to_kafka and to_rabbitmq
    playback,
)
from govlab.engines.streams.background import Background
from govlab.engines.streams.flow import Flow
from govlab.engines.streams.graph import Node
from govlab.engines.streams.letters import Dead, Fix
from govlab.engines.streams.through import pipelines_below
from govlab.errors import ArgumentError, SourceError
from govlab.markup import listing
from govlab.sources.reader import Reader
from govlab.tally import added

__all__ = ["Source"]

log = logging.getLogger("govlab")
cells = Cells()  # the sources that notebook cells made


class Source(Node):
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

    shown = (
        "clock", "dead", "error", "event_us", "events", "evidence", "letters", "pause", "position", "reader", "redrive", "resume",
        "rewound", "run_until", "seek", "start", "state", "status", "step", "stop",
    )  # fmt: skip

    def __init__(self, reader: Reader, speed: float | None = None, max_rows: int = 65_536, clock: Clock | None = None) -> None:
        if isinstance(max_rows, bool) or not isinstance(max_rows, int) or max_rows < 1:
            raise ArgumentError(f"max_rows={max_rows!r}; expected a whole number of at least 1.")
        self.clock = ReplayClock(speed, clock)
        super().__init__(stream_name=reader.name)
        self.reader = reader
        self.dead, self.rewound = Dead(), Node()
        self.letters = self.dead.letters
        self.flow, self.background = Flow(self, self.clock, max_rows), Background()
        self.lock = threading.RLock()  # whoever plays holds it for each frame
        self.shared: Any = None  # the journal of a member of a group
        self.error: BaseException | None = None  # of a source that failed
        self._state = "idle"
        cells.claim(self)

    # -- how it is -----------------------------------------------------------------------------------------------------

    @property
    def state(self) -> str:
        """``"idle"``, ``"running"``, ``"paused"``, ``"failed"``, ``"finished"``, or what keeps the reader from reading."""
        trouble = self.reader.trouble() if self.playing else None
        return trouble[0] if trouble else self._state

    @property
    def playing(self) -> bool:
        """Whether it runs, whatever keeps the reader from reading."""
        return self._state == "running"

    @property
    def events(self) -> int:
        """How many rows were emitted."""
        return self.flow.events

    @property
    def event_us(self) -> int | None:
        """The clock's time of the last row emitted, in microseconds."""
        return self.flow.buffer.event_us

    def position(self) -> dict[int, int]:
        """Give how far each partition was emitted."""
        return self.flow.buffer.position()

    def status(self) -> dict[str, Any]:
        """Give the state of the source as a dict: state, rows, rate, event time, lag, dead letters, sides, last error."""
        rate, waiting = self.flow.rate or [(0.0, 0)], self.flow.buffer.rows
        (t0, n0), (t1, n1) = rate[0], rate[-1]
        sides: dict[str, int] = {}
        for node in pipelines_below(self):
            sides = added(sides, node.carrier.counted.sides)
        trouble, lag = self.reader.trouble(), self.reader.lag()
        for partition in waiting["partition"].tolist() if lag else ():
            lag[partition] = lag.get(partition, 0) + 1  # read, but not yet given on
        timed = self.clock.speed is not None and self.clock.running
        behind = self.clock.now_us() - self.event_us if timed and self.event_us is not None else 0
        return {
            "name": self.name,
            "state": self.state,
            "rows": self.events,
            "rows_per_s": (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0,
            "event_time": None if self.event_us is None else pd.Timestamp(self.event_us, unit="us", tz="UTC"),
            "lag_s": max(0, behind) / 1e6,
            "lag": lag,
            "in_flight": len(waiting),
            "dead_letters": len(self.letters),
            "sides": sides,
            "left_out": dict(self.reader.left_out),
            "last_error": str(self.error) if self.error is not None else trouble[1] if trouble else None,
        }

    def _repr_html_(self) -> str:
        return listing(self.status())

    # -- what becomes of it ---------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Run: whoever calls this asks for the frames."""
        self._state = "running"

    def hold(self) -> None:
        """Pause, to be played by hand."""
        self.refuse_failed()
        self.pause()
        self._state = "paused" if self._state == "idle" else self._state

    def run_out(self) -> None:
        """Note that there are no more rows; what the pipelines below hold comes with :meth:`end`."""
        self._state = "finished"

    def end(self) -> None:
        """Let the pipelines below emit what they hold, those whose other sources have ended too."""
        self.run_out()
        try:
            self.flow.drain()
        except Torn:
            self._state = "paused"
            raise
        except Exception as error:
            self.fail(error)
            raise

    def reset(self) -> None:
        """Note that it stands where it stood once: what has failed or ended since has not."""
        self._state, self.error = "paused", None

    def fail(self, error: BaseException) -> None:
        """Tell the truth about a failure."""
        self._state, self.error = "failed", error
        log.error("%s stopped: %s", self.name, error)

    def refuse_failed(self) -> None:
        """Raise a SourceError if it has failed."""
        if self.error is not None:
            raise SourceError(f"{self.name} has failed ({self.error}); seek() back to before the failure, or make it anew.")

    # -- played by a person --------------------------------------------------------------------------------------------

    def start(self) -> Source:
        """Run in the background until the end, :meth:`pause` or :meth:`stop`; errors are in ``error`` and in the log."""
        if self.background.alive:
            self.resume()
            return self
        self.refuse_failed()
        if self._state == "finished":
            raise SourceError(f"{self.name} has ended; seek() back, or make it anew.")
        self.begin()
        self.background.start(self)
        return self

    def stop(self) -> None:
        """Stop the background run, after the frame on its way."""
        self.background.stop()
        self.pause()
        if self.error is None:
            self.flow.deliver()

    def close(self) -> None:
        """Stop, and let go of the reader: another source has taken its place."""
        if self.background.alive:
            log.info("%s: its cell ran again, so the earlier source stops.", self.name)
            self.stop()
            self.reader.close()

    def pause(self) -> None:
        """Hold the replay, after the frame on its way."""
        with self.lock:
            if self.playing:
                self._state = "paused"
            self.clock.stop()

    def resume(self) -> None:
        """Go on after :meth:`pause`."""
        with self.lock:
            if self._state == "paused":
                self.begin()
        if not self.background.alive:
            self.start()
        self.background.wake()

    def step(self, n: int = 1) -> int:
        """Emit the next ``n`` events, whatever their time, and hold; gives how many there were."""
        return playback.step(self, n)

    def run_until(self, goal: Any) -> pd.Timestamp | None:
        """Run until a time (exclusive), or until the first alert with ``"alert"``, and hold.

        Returns
        -------
        Timestamp or None
            The time of the last event emitted; None if the end came first, or if no event comes before.
        """
        return playback.run_until(self, goal)

    def seek(self, moment: Any) -> pd.Timestamp | None:
        """Put the source and all pipelines below where they were at a time, or will be, and hold.

        Forwards it runs there at full speed. Backwards it resumes from the nearest mark before and runs on from there
        without showing anything again; what was shown of later times is told to be dropped (``rewound``). Other streamz
        nodes that keep something (``accumulate``, ``partition``) are not wound back.

        Raises
        ------
        SourceError
            Backwards, where a pipeline below has another source too.
        """
        return playback.seek(self, moment)

    # -- what lies behind ----------------------------------------------------------------------------------------------

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

    def redrive(self, fix: Fix) -> int:
        """Read corrected dead letters and emit their rows; gives how many came through.

        Parameters
        ----------
        fix : function or mapping
            Gives the corrected bytes of a dead letter (None leaves it), or maps (partition, offset) to them.
        """
        through = 0
        with self.lock:
            for rows in self.dead.corrected(fix, self.reader):
                with interruptible():
                    self.flow.pass_on(rows, partial(self.emit, rows), taken=False)
                through += len(rows)
        return through
