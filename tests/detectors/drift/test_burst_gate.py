"""The gate of the drift detectors: a burst is not a drift."""

import numpy as np
import pytest
from drawn import START, column, frame_of
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_drift import Gate

from govlab.detectors import Adwin, Bocpd, Hddm, PageHinkley
from govlab.detectors.drift.burst_gate import ANEW, IN, OUT, WIDTH, insiders, lets_in

NOISE = np.random.default_rng(4).normal(size=1_200)
SHARES = Hddm("value", low=-100.0, high=100.0, tail="both")
WATCHERS = [(PageHinkley(), 1.0), (Adwin(), 1.0), (Bocpd(hold=30), 0.5), (SHARES, 1.0)]


def told(detector, values, level):
    drawn = [{"time": START, "key": None, "value": float(v), "item": None, "partition": 0, "offset": 0} for v in values]
    return np.flatnonzero(np.array(column(detector, frame_of(drawn), "score")) > level).tolist()


def let_in(values, hold):
    memory = np.zeros(WIDTH)
    return [lets_in(float(v), hold, memory) != OUT for v in values]


some = st.one_of(
    st.floats(-10, 10), st.integers(0, 1).map(float), st.integers(-3, 3).map(float), st.sampled_from([5.0, 1e3, -1e12, 1e150])
)
runs = st.lists(
    st.one_of(st.lists(some, max_size=35), st.tuples(some, st.integers(1, 70)).map(lambda r: [r[0]] * r[1])), max_size=6
)


@given(runs.map(lambda parts: [v for part in parts for v in part]), st.integers(0, 6), st.booleans())
@settings(max_examples=200, deadline=None)
def test_it_lets_in_what_the_naive_twin_does(values, hold, whole):
    gate, memory = Gate(hold), np.zeros(WIDTH)
    for x in map(round, values) if whole else values:
        again, learned = gate.judge(float(x))
        said = lets_in(float(x), hold, memory)
        assert (ANEW if again else IN if learned else OUT) == said
        if again:
            assert learned == insiders(memory).tolist()


@pytest.mark.parametrize(("detector", "level"), WATCHERS)
def test_a_burst_of_20_extreme_values_is_no_drift(detector, level):
    burst = NOISE.copy()
    burst[600:620] += 90.0
    assert [] == told(detector, burst, level)


@pytest.mark.parametrize(("detector", "level"), WATCHERS[:3])
def test_a_shift_with_the_same_effect_on_the_mean_that_stays_is_one(detector, level):
    shift = NOISE.copy()
    shift[600:] += 20 * 90.0 / 600
    found = told(detector, shift, level)
    assert 600 <= found[0] < 660


DRIFT = np.append(NOISE, NOISE + 3)


@pytest.mark.parametrize(("detector", "level"), [*WATCHERS[:3], (Hddm("value", low=-4.0, high=8.0), 1.0)])
@pytest.mark.parametrize("before", [0, 10, 29, 40])
def test_one_outlier_however_early_does_not_hide_a_later_drift(detector, level, before):
    found = told(detector, [*NOISE[:before], 1e6, *DRIFT[before:]], level)
    assert [f for f in told(detector, DRIFT, level) if f > 1_200] == pytest.approx([f - 1 for f in found if f > 1_200], abs=32)
    assert found[-1] > 1_200


@pytest.mark.parametrize(("detector", "level"), [*WATCHERS[:3], (Hddm("value", low=-4.0, high=8.0), 1.0)])
@pytest.mark.parametrize("constant", [0.0, 5.0])
def test_one_outlier_after_a_constant_start_does_not_hide_a_later_drift(detector, level, constant):
    found = told(detector, [*[constant] * 300, 1e9, *DRIFT], level)
    assert any(1_500 < f < 1_700 for f in found)


@pytest.mark.parametrize("detector", [PageHinkley("value", warm=2), Adwin(every=5), Bocpd(), SHARES])
def test_a_detector_that_begins_again_is_as_if_the_outlier_had_never_come(detector):
    def scored(values):
        rows = [{"time": START, "key": None, "value": float(v), "item": None, "partition": 0, "offset": 0} for v in values]
        return np.array(column(detector, frame_of(rows), "score"))

    outlier = scored([*NOISE[:7], 1e6, *NOISE[7:]])
    assert np.isnan(outlier[29])  # at which it began again
    near = np.array([v for v in NOISE if abs(v) < 3.0])  # the bands may differ a little
    np.testing.assert_array_equal(scored([*near[:12], 1e6, *near[12:]])[31:], scored(near)[30:])


@pytest.mark.parametrize(
    "detector", [PageHinkley(hold=0), Adwin(hold=0), Bocpd(hold=0), Hddm("value", low=-100.0, high=100.0, hold=0)]
)
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


def test_what_differs_from_a_constant_is_held_out_until_30_have_come_in_a_row_or_not():
    constant = [5.0] * 40
    assert [*[True] * 40, False, True] == let_in([*constant, 6.0, 5.0], 30)
    assert [*[False] * 29, True, True] == let_in([*constant, *NOISE[:31]], 31)[40:]
    rare = [5.0, 5.0, 6.0] * 32
    assert [False] * 29 + [True] * 3 == let_in([*constant, *rare], 30)[42::3]


def test_the_wild_kind_of_a_column_that_is_mostly_constant_does_not_make_its_band():
    rare = np.resize([0.0, 0.0, 0.0, 2.0], 400)
    assert not let_in([*rare, 1e6], 30)[-1]
    assert all(let_in(rare, 30))


def test_the_band_follows_values_that_grow_slowly():
    growing = np.arange(3_000) * 0.01 + np.resize(NOISE, 3_000)
    assert all(let_in(growing, 30))


@pytest.mark.parametrize("detector", [PageHinkley(), Adwin()])
@pytest.mark.parametrize("level", [1e9, 1e12, 1.7e15])
def test_far_from_0_a_change_does_not_drown_in_rounding(detector, level):
    steps = np.round(np.random.default_rng(2).normal(size=30_000) * 4) / 4
    assert told(detector, steps, 1.0) == told(detector, level + steps, 1.0)
    shifted = np.append(steps[:1_000], steps[1_000:2_000] + 1)
    assert told(detector, shifted, 1.0)[0] == pytest.approx(told(detector, level + shifted, 1.0)[0], abs=32)
