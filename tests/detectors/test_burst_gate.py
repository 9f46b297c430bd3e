"""The gate of the drift detectors: a burst is not a drift."""

import numpy as np
import pytest
from drawn import START, column, frame_of

from govlab.detectors import Adwin, Bocpd, PageHinkley
from govlab.detectors.burst_gate import WIDTH, lets_in

NOISE = np.random.default_rng(4).normal(size=1_200)
WATCHERS = [(PageHinkley(), 1.0), (Adwin(), 1.0), (Bocpd(hold=30), 0.5)]


def told(detector, values, level):
    drawn = [{"time": START, "key": None, "value": float(v), "item": None, "partition": 0, "offset": 0} for v in values]
    return np.flatnonzero(np.array(column(detector, frame_of(drawn), "score")) > level).tolist()


def let_in(values, hold):
    memory = np.zeros(WIDTH)
    return [bool(lets_in(float(v), hold, memory)) for v in values]


@pytest.mark.parametrize(("detector", "level"), WATCHERS)
def test_a_burst_of_20_extreme_values_is_no_drift(detector, level):
    burst = NOISE.copy()
    burst[600:620] += 90.0
    assert [] == told(detector, burst, level)


@pytest.mark.parametrize(("detector", "level"), WATCHERS)
def test_a_shift_with_the_same_effect_on_the_mean_that_stays_is_one(detector, level):
    shift = NOISE.copy()
    shift[600:] += 20 * 90.0 / 600
    found = told(detector, shift, level)
    assert 600 <= found[0] < 660


@pytest.mark.parametrize("detector", [PageHinkley(hold=0), Adwin(hold=0), Bocpd(hold=0)])
def test_without_the_gate_the_burst_is_told(detector):
    burst = NOISE.copy()
    burst[600:620] += 90.0
    assert told(detector, burst, 0.5 if isinstance(detector, Bocpd) else 1.0)


@pytest.mark.parametrize(("detector", "level"), WATCHERS)
def test_extreme_values_that_stay_are_a_drift_once_they_have_come_hold_times(detector, level):
    jump = NOISE.copy()
    jump[600:] += 90.0
    assert 629 <= told(detector, jump, level)[0] < 670


def test_the_gate_opens_at_the_row_at_which_hold_outliers_have_come_in_a_row():
    assert [True] * 40 + [False] * 4 + [True] * 2 == let_in([*NOISE[:40], *[50.0] * 6], 5)


def test_a_value_within_the_band_makes_the_run_start_again():
    assert [False] * 3 + [True] + [False] * 3 == let_in([*NOISE[:40], 50, 50, 50, 0, 50, 50, 50], 4)[40:]


def test_a_stream_of_0_and_1_has_no_outliers():
    errors = [0.0] * 200 + [1.0] * 3
    assert [True] * 203 == let_in(errors, 30)


def test_a_constant_has_no_band_until_it_has_changed():
    assert [True] * 42 == let_in([5.0] * 40 + [6.0, 5.0], 30)


def test_the_band_follows_values_that_grow_slowly():
    growing = np.arange(3_000) * 0.01 + np.resize(NOISE, 3_000)
    assert all(let_in(growing, 30))
