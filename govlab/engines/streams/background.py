"""Playing a source on a thread of its own, as long as somebody else refers to it."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from typing import TYPE_CHECKING

from govlab.clock import Clock
from govlab.engines.streams.flow import LIVE_S
from govlab.sources.reader import EndOfStream, Reader

if TYPE_CHECKING:
    from govlab.engines.streams.source import Source

__all__ = ["Background"]

log = logging.getLogger("govlab")
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


class Background:
    """The thread that plays a source: until its end, until it is stopped, or until nobody refers to the source."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._wake, self._stop = threading.Event(), threading.Event()

    @property
    def alive(self) -> bool:
        """Whether it plays."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, source: Source) -> None:
        """Play a source."""
        if any(thread.is_alive() for thread in _threads):
            gc.collect()  # the thread of a source that only a circle of nodes refers to ends
        self._stop.clear()
        self._wake.clear()
        arguments = weakref.ref(source), source.reader, source.clock, self._stop, self._wake
        self._thread = threading.Thread(target=_play, args=arguments, name=f"govlab {source.name}", daemon=True)
        _threads.add(self._thread)
        self._thread.start()

    def wake(self) -> None:
        """Let it look at once whether a row is due."""
        self._wake.set()

    def stop(self) -> None:
        """Stop, after the frame on its way."""
        self._stop.set()
        self._wake.set()
        self.join()
        self._thread = None

    def join(self, timeout_s: float | None = None) -> None:
        """Wait until it plays no more; in the thread itself there is nothing to wait for."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)


def _play(source: weakref.ref[Source], reader: Reader, clock: Clock, stop: threading.Event, wake: threading.Event) -> None:
    while not stop.is_set():
        playing = source()
        if playing is None:
            log.info("%s: nobody refers to the source any more, so it stops.", reader.name)
            reader.close()
            return
        wait_s = _tick(playing)
        del playing
        if wait_s is None:
            return
        if wait_s:
            clock.wait(wait_s, wake)
            wake.clear()


def _tick(source: Source) -> float | None:
    """Emit the next frame that is due; gives how long to wait then, None at the end."""
    try:
        with source.lock:
            try:
                given = source.flow.advance() if source.playing else 0
            except EndOfStream:
                source.end()
                return None
        return 0.0 if given else source.flow.idle_s() or LIVE_S
    except BaseException as error:  # nobody above: it is kept in ``error``, and logged
        if source.error is None:
            source.fail(error)
        return None
