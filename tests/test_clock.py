"""Clocks: the wall's, one that only moves when it is waited for, and event time that runs at a speed."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govlab.clock import LiveClock, ReplayClock, VirtualClock
from govlab.errors import ArgumentError


def test_the_live_clock_tells_the_time_of_this_machine_in_microseconds():
    before, now, after = time.time_ns() // 1_000, LiveClock().now_us(), time.time_ns() // 1_000
    assert before <= now <= after


def test_the_live_clock_does_not_wait_when_it_is_woken():
    woken = threading.Event()
    woken.set()
    began = time.monotonic()
    LiveClock().wait(60, woken)
    assert time.monotonic() - began < 30


def test_the_virtual_clock_moves_only_when_somebody_waits():
    clock = VirtualClock(5)
    assert 5 == clock.now_us() == clock.now_us()
    clock.wait(1.5, threading.Event())
    assert 1_500_005 == clock.now_us()


def test_the_virtual_clock_stands_still_for_one_who_was_woken():
    clock, woken = VirtualClock(), threading.Event()
    woken.set()
    clock.wait(1, woken)
    assert 0 == clock.now_us()


@pytest.mark.parametrize(("speed", "expected"), [(1, 2_000_010), (3_600, 7_200_000_010), (0.5, 1_000_010)])
def test_event_time_runs_at_its_speed_from_where_it_was_started(speed, expected):
    base = VirtualClock(77)
    clock = ReplayClock(speed, base)
    clock.start(10)
    assert 10 == clock.now_us()
    base.wait(2, threading.Event())
    assert expected == clock.now_us()


def test_without_a_speed_every_event_is_due_at_once():
    clock = ReplayClock(None, VirtualClock())
    clock.start(0)
    assert 0.0 == clock.until_s(10**15)
    assert 2**63 - 1 == clock.now_us()


def test_a_clock_that_was_stopped_does_not_run_until_it_is_started_anew():
    clock = ReplayClock(2, VirtualClock())
    clock.start(100)
    clock.stop()
    assert not clock.running
    clock.start(5)
    assert (True, 5) == (clock.running, clock.now_us())


@given(st.floats(1e-3, 1e9), st.integers(1, 10**15))
def test_waiting_until_an_event_is_due_makes_it_due_at_any_speed(speed, gap_us):
    clock = ReplayClock(speed, VirtualClock(1_772_409_600_000_000))
    clock.start(0)
    for _ in range(3):
        clock.wait(clock.until_s(gap_us), threading.Event())
    assert 0.0 == clock.until_s(gap_us)


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf"), True, "fast"])
def test_a_speed_that_is_no_factor_above_zero_is_refused(speed):
    with pytest.raises(ArgumentError, match="speed="):
        ReplayClock(speed)
