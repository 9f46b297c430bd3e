"""When a plot is pushed to the browser: one thread for all plots, at most a few times a second, and never not at all.

A frame only marks its plot as dirty, so the stream never waits for a drawing and HoloViews, which is not thread-safe, is
driven by a single thread whether the frames come from a cell that blocks the kernel or from a source's own thread.
"""

import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import Protocol

log = logging.getLogger("govlab.plots")

# Held while anything is drawn. The notebook's display of a plot takes it too, so that a plot is not updated
# while it is still being built.
DRAWING = threading.RLock()


class Paintable(Protocol):
    """What the painter needs to know of a plot."""

    dirty: bool
    poll_s: float | None

    def connected(self) -> bool:
        """Say whether this plot is shown anywhere."""

    def push(self) -> None:
        """Draw the present state and send it to the front end."""


class Painter:
    """Pushes dirty plots, each at most every `gap_s` seconds, the last state always included.

    Parameters
    ----------
    clock : callable
        Monotonic seconds.
    gap_s : float
        Least time between two pushes of one plot. A plot that takes long to draw waits four times as long as that took,
        so that plots never take more than about a fifth of a core from the analysis.
    threaded : bool
        Start a daemon thread at the first plot. Without it somebody calls `tick`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, gap_s: float = 0.2, threaded: bool = True) -> None:
        self.clock, self.gap_s, self.threaded = clock, gap_s, threaded
        self._wake = threading.Condition()
        self._due: dict[weakref.ref[Paintable], float] = {}
        self._thread: threading.Thread | None = None

    def add(self, plot: Paintable) -> None:
        """Take care of `plot` for as long as somebody else holds it."""
        with self._wake:
            self._due[weakref.ref(plot)] = self.clock()
            if self.threaded and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="govlab-plots", daemon=True)
                self._thread.start()

    def drop(self, plot: Paintable) -> None:
        """Stop pushing `plot`."""
        with self._wake:
            self._due.pop(weakref.ref(plot), None)
            self._wake.notify()

    def mark(self, plot: Paintable) -> None:
        """Say that `plot` has something new to show; called on any thread, for every frame, so it does next to nothing."""
        if not plot.dirty:
            plot.dirty = True
            with self._wake:
                self._wake.notify()

    def tick(self) -> float | None:
        """Push what is due and return the seconds until something else is, None when nothing will be by itself."""
        with self._wake:
            plots = [(ref, plot, due) for ref, due in self._due.items() if (plot := ref()) is not None]
            self._due = {ref: due for ref, _, due in plots}
        waits = []
        for ref, plot, due in plots:
            now = self.clock()
            if plot.dirty and due <= now:
                due = self._paint(plot)
            elif plot.poll_s is not None and due + plot.poll_s <= now:
                plot.dirty = True  # asks its source again although no frame came: states change without one
                due = self._paint(plot)
            with self._wake:
                if ref in self._due:
                    self._due[ref] = due
            if plot.dirty or plot.poll_s is not None:
                waits.append(due + (0 if plot.dirty else plot.poll_s or 0) - self.clock())
        return max(0.0, min(waits)) if waits else None

    def _paint(self, plot: Paintable) -> float:
        """Push once; return when the next push may be."""
        start = self.clock()
        if not plot.connected():
            return start + 2.5 * self.gap_s  # stays dirty: a display that comes later shows the present
        with DRAWING:
            plot.dirty = False  # before the drawing: a frame that arrives during it asks for the next one
            try:
                plot.push()
            except Exception:  # a plot must never take the stream, or the other plots, down with it
                log.exception("a plot could not be updated")
        end = self.clock()
        return end + max(self.gap_s, 4 * (end - start))

    def _run(self) -> None:
        while True:
            wait = self.tick()
            with self._wake:
                if not self._due:
                    self._thread = None
                    return
                if wait is None and any((plot := ref()) is not None and plot.dirty for ref in self._due):
                    continue
                plot = None  # a name that lingers here would keep a forgotten plot alive
                self._wake.wait(5.0 if wait is None else wait)
