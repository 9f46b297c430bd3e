"""Interrupts from the keyboard: heard between two frames, and in the middle of a slow one without losing a row.

The first one waits for the frame on its way; frames are cut so that this takes a fraction of a second. The second one stops
a step in the middle of its frame, and a reader in the middle of its reading, since both can be put back where they stood.
The third one stops whatever runs.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Interrupts", "Stride", "Torn", "abortable", "in_turn", "interruptible"]

SLOW_S, QUICK_S = 0.2, 0.05


class Torn(KeyboardInterrupt):
    """A frame that stopped in the middle of a graph.

    Attributes
    ----------
    node : object
        The node whose step was stopped; ``node.restore()`` puts it back where it stood before the frame.
    owed : list of function
        What is still to be called, in order, once it is: the node itself, then those that were to get the frame after it.
    """

    def __init__(self, node: Any, again: Callable[[], Any]) -> None:
        super().__init__("interrupted in the middle of a frame; play on to go on from there")
        self.node, self.owed = node, [again]


def in_turn(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Call functions in turn and list what they return; where one is torn, those after it are owed."""
    results: list[Any] = []
    for i, call in enumerate(calls):
        try:
            found = call()
        except Torn as torn:
            torn.owed += calls[i + 1 :]
            raise
        results += found if isinstance(found, list) else [] if found is None else [found]
    return results


class Interrupts:
    """How often an interrupt was asked for, and whether what runs now can be stopped in the middle."""

    def __init__(self) -> None:
        self.asked, self.abortable, self.watched = 0, False, False

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        self.asked += 1
        if self.asked > 2 or (self.asked == 2 and self.abortable):
            raise KeyboardInterrupt("interrupted in the middle of a frame; play on to go on from there")

    def __bool__(self) -> bool:
        return self.asked > 0


_current = Interrupts()  # signals reach the main thread only, so there is one


@contextmanager
def interruptible(*numbers: signal.Signals) -> Iterator[Interrupts]:
    """Let an interrupt wait until the caller asks for it; one that was asked for is raised at the end.

    Other signals in ``numbers`` (such as SIGTERM) are heard in the same way. In threads other than the main one, and inside of
    another ``interruptible``, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Interrupts()
        return
    if _current.watched:
        yield _current
        return
    _current.asked, _current.watched = 0, True
    before = {number: signal.signal(number, _current.hear) for number in (signal.SIGINT, *numbers)}
    try:
        yield _current
    finally:
        _current.watched = False
        for number, handler in before.items():
            signal.signal(number, handler)
    if _current.asked:
        raise KeyboardInterrupt("interrupted between two frames; play on to go on from here")


@contextmanager
def abortable() -> Iterator[None]:
    """Let a second interrupt stop what runs inside: its state can be put back where it stood."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, _current.abortable = _current.abortable, True
    try:
        if _current.watched and _current.asked > 1:
            raise KeyboardInterrupt("interrupted in the middle of a frame; play on to go on from there")
        yield
    finally:
        _current.abortable = before


class Stride:
    """How many rows to take next, so that a frame takes a fraction of a second, however slow the steps are.

    Examples
    --------
    >>> stride = Stride(most=1_000)
    >>> stride.rows
    256
    >>> stride.took(256, 0.001)
    >>> stride.took(512, 2.0)
    >>> stride.rows
    24
    """

    def __init__(self, most: int) -> None:
        self.most, self.rows = most, min(most, 256)

    def took(self, rows: int, seconds: float) -> None:
        """Learn how long some rows took."""
        if seconds > SLOW_S:
            self.rows = max(1, int(rows * QUICK_S / seconds) * 2)
        elif seconds < QUICK_S and rows >= self.rows:
            self.rows = min(self.most, 2 * self.rows)
