"""Clocks. Only readers, engines and views know one; a step never does."""

from __future__ import annotations

import abc
import math
import threading
import time

from govlab.errors import ArgumentError

__all__ = ["Clock", "LiveClock", "ReplayClock", "VirtualClock"]


class Clock(abc.ABC):
    """Tells the time, in microseconds since 1970, and waits."""

    @abc.abstractmethod
    def now_us(self) -> int:
        """Give the time."""

    @abc.abstractmethod
    def wait(self, seconds: float, wake: threading.Event) -> None:
        """Wait, at most until ``wake`` is set."""


class LiveClock(Clock):
    """The clock on the wall."""

    def now_us(self) -> int:
        """Give the time of this machine."""
        return time.time_ns() // 1_000

    def wait(self, seconds: float, wake: threading.Event) -> None:
        """Wait in real time."""
        wake.wait(seconds)


class VirtualClock(Clock):
    """A clock that stands still until somebody waits for it: for tests, and for replays that only look timed.

    Examples
    --------
    >>> clock = VirtualClock()
    >>> clock.wait(2.5, threading.Event())
    >>> clock.now_us()
    2500000
    """

    def __init__(self, now_us: int = 0) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        """Give the time to which the clock was moved."""
        return self._now_us

    def wait(self, seconds: float, wake: threading.Event) -> None:
        """Move the clock on at once, to the next microsecond at least."""
        if not wake.is_set():
            self._now_us += math.ceil(seconds * 1_000_000)


class ReplayClock(Clock):
    """Runs through event time at a speed: ``3600`` plays an hour in a second, ``None`` plays as fast as it goes.

    Parameters
    ----------
    speed : float or None
        Seconds of event time in a second.
    base : Clock, optional
        The clock underneath; the wall's by default.

    Examples
    --------
    >>> base = VirtualClock()
    >>> clock = ReplayClock(60, base)
    >>> clock.start(1_000_000)
    >>> base.wait(1, threading.Event())
    >>> clock.now_us()
    61000000
    """

    def __init__(self, speed: float | None, base: Clock | None = None) -> None:
        if speed is not None and (isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 < speed < math.inf):
            raise ArgumentError(
                f"speed={speed!r}; expected a factor above zero (3600 = an hour in a second), or None for full speed."
            )
        self.speed = speed
        self.base = base or LiveClock()
        self._origin: tuple[int, int] | None = None

    def start(self, event_us: int) -> None:
        """Let event time run on from here."""
        self._origin = (event_us, self.base.now_us())

    def stop(self) -> None:
        """Forget where event time stood; the next start sets it anew."""
        self._origin = None

    @property
    def running(self) -> bool:
        """Whether event time runs."""
        return self._origin is not None

    def now_us(self) -> int:
        """Give the event time that is due now."""
        if self.speed is None or self._origin is None:
            return 2**63 - 1
        event_us, base_us = self._origin
        return event_us + int((self.base.now_us() - base_us) * self.speed)

    def until_s(self, event_us: int) -> float:
        """Give the seconds until an event time is due (0 when it is)."""
        return 0.0 if self.speed is None else max(0.0, (event_us - self.now_us()) / self.speed / 1_000_000)

    def wait(self, seconds: float, wake: threading.Event) -> None:
        """Wait as the clock underneath does."""
        self.base.wait(seconds, wake)
