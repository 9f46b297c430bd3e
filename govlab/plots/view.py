"""One live plot: fed by a stream on any thread, drawn by HoloViews when the painter, or the notebook, asks."""

import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

import holoviews as hv

from govlab.cells import Cells
from govlab.plots.notebook import activate
from govlab.plots.painter import Painter
from govlab.plots.refresh import Refresh
from govlab.plots.untrusted import plain

MESSAGES = 20
log = logging.getLogger("govlab.plots")


class Session:
    """What the plots of a process share: the cells that own them and the painter that pushes them.

    Parameters
    ----------
    cells : Cells, optional
    painter : Painter, optional
    live : bool, optional
        Whether there is a front end; found out when not given.
    """

    current: "Session"

    def __init__(self, cells: Cells | None = None, painter: Painter | None = None, live: bool | None = None) -> None:
        self.cells, self.painter, self.live = cells or Cells(), painter or Painter(), live

    def enter(self, view: "View") -> None:
        """Take a new view in."""
        ready = activate(self.cells)
        self.cells.claim(view)
        if ready if self.live is None else self.live:
            self.painter.add(view)


Session.current = Session()


class View:
    """Base of the live plots.

    A subclass fills its buffers in functions given to `listen` and draws them in `render`, both under the view's lock.
    Neither can hurt the stream: what they raise is logged once and shown in the plot's title.
    """

    poll_s: float | None = None

    def __init__(self) -> None:
        self.session = Session.current
        self.lock = threading.RLock()
        self.refresh = Refresh()
        self.dirty = False
        self.failures: dict[str, int] = {}
        self._sinks: list[Any] = []
        self.session.enter(self)

    def listen(self, stream: Any, take: Callable[[Any], None]) -> None:
        """Feed `take` with every frame of a streamz node, also the last ones before, or once with a frame."""
        if hasattr(stream, "columns"):
            take(stream)
            return
        if not hasattr(stream, "sink"):
            raise TypeError(f"cannot plot a {type(stream).__name__}; give a stream of frames (streamz) or a pandas frame")
        self._sinks.append(_sink(stream, self, take.__name__))
        for frame in getattr(stream, "recent", list)():  # after the sink, so that none is missed; what comes twice is drawn once
            take(frame)

    def receive(self, take: str, frame: Any) -> None:
        """Take one frame from the stream's thread."""
        try:
            with self.lock:
                getattr(self, take)(frame)
        except Exception as error:
            self.failed("a frame could not be plotted", error)
        self.session.painter.mark(self)

    def failed(self, what: str, error: Exception) -> None:
        """Note a failure for the title; log it the first time it is met, not once a frame."""
        text = f"{what}: {type(error).__name__}: {plain(error, 80)}"
        with self.lock:
            first = text not in self.failures
            if len(self.failures) > MESSAGES:
                self.failures.clear()  # texts of errors can differ without end
            self.failures[text] = self.failures.get(text, 0) + 1
        if first:
            log.error("%s", text, exc_info=error)

    def trouble(self) -> str:
        """Return what went wrong last, for the title; empty when nothing has."""
        if not self.failures:
            return ""
        text, times = list(self.failures.items())[-1]
        return f"⚠ {text}" + (f" ({times:,} times)" if times > 1 else "")

    def plot(self) -> hv.DynamicMap:
        """Return the HoloViews object that stays up to date; it keeps this view alive, and nothing else does."""
        return hv.DynamicMap(hv.Callable(self.draw, memoize=False), streams=[self.refresh])

    def draw(self, count: int) -> Any:
        """Draw the present state (HoloViews calls this)."""
        with self.lock:
            try:
                return self.render()
            except Exception as error:
                self.failed("the plot could not be drawn", error)
                return self.blank()

    def render(self) -> Any:
        """Return the present state as a HoloViews element."""
        raise NotImplementedError

    def blank(self) -> Any:
        """Return the same kind of element without data."""
        raise NotImplementedError

    def connected(self) -> bool:
        """Say whether the plot is shown anywhere."""
        self.refresh.displays = [widget for widget in self.refresh.displays if widget.comm is not None]
        return bool(self.refresh.displays)

    def push(self) -> None:
        """Draw and send to every display of this plot."""
        self.refresh.event()
        sent = [widget.flush() for widget in self.refresh.displays]
        if not all(sent):
            self.dirty = True

    def close(self) -> None:
        """Let go of the streams; what is shown stays as it is."""
        self.session.painter.drop(self)
        for sink in self._sinks:
            if sink.upstreams:
                sink.destroy()
        self._sinks.clear()


def _sink(stream: Any, view: View, take: str) -> Any:
    """Attach a view to a stream by a weak thread: a plot that nobody holds any more lets go at the next frame."""
    held = weakref.ref(view)

    def forward(frame: Any) -> None:
        if (living := held()) is not None:
            living.receive(take, frame)
        elif sink.upstreams:
            sink.destroy()

    sink = stream.sink(forward)
    sink.is_view = True  # it follows a pipeline that is replaced by one of the same recipe
    return sink
