"""Playing a source on a thread of its own, as long as somebody else refers to it."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from typing import TYPE_CHECKING

from govlab.clock import Clock
from govlab.sources.reader import Reader

if TYPE_CHECKING:
    from govlab.engines.playback import Source

__all__ = ["play_in_background"]

log = logging.getLogger("govlab")
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


def play_in_background(source: Source, stop: threading.Event, wake: threading.Event) -> threading.Thread:
    """Start a thread that lets a source ``tick`` until its end, until ``stop`` is set, or until nobody refers to the source."""
    if any(thread.is_alive() for thread in _threads):
        gc.collect()  # the thread of a source that only a circle of nodes refers to ends
    arguments = weakref.ref(source), source.reader, source.clock, stop, wake
    thread = threading.Thread(target=_play, args=arguments, name=f"govlab {source.name}", daemon=True)
    _threads.add(thread)
    thread.start()
    return thread


def _play(source: weakref.ref[Source], reader: Reader, clock: Clock, stop: threading.Event, wake: threading.Event) -> None:
    while not stop.is_set():
        playing = source()
        if playing is None:
            log.info("%s: nobody refers to the source any more, so it stops.", reader.name)
            reader.close()
            return
        wait_s = playing.tick()
        del playing
        if wait_s is None:
            return
        if wait_s:
            clock.wait(wait_s, wake)
            wake.clear()
