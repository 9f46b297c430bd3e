import math

import numpy as np
import pandas as pd
import pytest
from drawn import column, cuts, frame_of, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_drift import input_drift

from govlab.detectors import InputDrift
from govlab.frames import event_frame

small = st.one_of(st.floats(-3, 3).map(lambda v: round(v, 1)), st.sampled_from([0.0, 1e6, math.inf]), st.none())
NOISE = np.random.default_rng(0).normal(size=12_000)
KINDS = np.random.default_rng(1).choice(list("abc"), 12_000, p=[0.5, 0.3, 0.2])


def scored(frame, **recipe):
    times = pd.to_datetime(np.zeros(len(next(iter(frame.values()))), "int64"), utc=True)
    return InputDrift(**recipe).process(event_frame({"time": times} | frame))["score"].to_numpy()


def told(frame, **recipe):
    return np.flatnonzero(scored(frame, **recipe) > 1).tolist()


@given(rows(values=small), cuts, st.integers(2, 4), st.integers(1, 4), st.integers(0, 3), st.sampled_from([1, 2]))
@settings(max_examples=25, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, bins, every, seed, block):
    recipe = {
        "window": 10 * block,
        "reference": 12 * block,
        "memory": 24 * block,
        "every": every,
        "bins": bins,
        "level": 0.05,
        "seed": seed,
        "block": block,
    }
    actual = column(InputDrift(["value"], ["item"], **recipe), frame_of(drawn), "score", cuts)
    assert input_drift(drawn, **recipe) == pytest.approx(actual, rel=1e-3, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("change", [NOISE[6_000:] + 1, NOISE[6_000:] * 2, np.abs(NOISE[6_000:])])
def test_another_distribution_is_told_soon(change):
    found = told({"x": np.concatenate([NOISE[:6_000], change])}, columns=["x"])
    assert 1 == len(found)
    assert 6_000 < found[0] < 6_500


def test_other_shares_of_categories_are_told():
    found = told({"kind": np.append(KINDS[:6_000], np.where(KINDS[6_000:] == "a", "b", "a"))}, categories=["kind"])
    assert 6_000 < found[0] < 6_500


def test_values_that_go_missing_are_told():
    gone = NOISE.copy()
    gone[6_000::4] = np.nan
    found = told({"x": gone}, columns=["x"])
    assert 6_000 < found[0] < 6_750


def test_a_constant_that_changes_is_told_whichever_way_it_goes():
    for after in (4.0, 6.0):
        assert told({"x": np.repeat([5.0, after], 3_000)}, columns=["x"])


def test_nothing_is_told_where_nothing_changes():
    assert [] == told({"x": NOISE, "kind": KINDS}, columns=["x"], categories=["kind"])


def test_false_alarms_are_no_more_than_the_level_says():
    rng, recipe = np.random.default_rng(2), {"window": 50, "reference": 100, "memory": 1_000, "every": 50, "level": 0.001}
    # 8,000 checks of each
    assert len(told({"x": rng.normal(size=400_000)}, columns=["x"], **recipe)) <= 12
    assert len(told({"x": rng.integers(0, 2, 400_000)}, columns=["x"], **recipe)) <= 12


def test_a_level_however_small_has_a_threshold():
    scores = scored({"x": NOISE}, columns=["x"], level=1e-17)
    assert 0 < np.nanmax(scores) < 1


def test_a_burst_of_20_extreme_values_is_no_drift():
    burst = NOISE.copy()
    burst[6_000:6_020] = 1e6
    assert [] == told({"x": burst}, columns=["x"])


def test_a_daily_cycle_is_no_drift_if_days_are_permuted_whole():
    cycle = np.sin(np.arange(12_000) * 2 * np.pi / 48) + 0.3 * NOISE + 0.4 * np.repeat(NOISE[:250], 48)
    days = {"window": 960, "reference": 1_920, "every": 480}
    assert told({"x": cycle}, columns=["x"], **days)
    assert [] == told({"x": cycle}, columns=["x"], **days, block=48)
    assert told({"x": np.append(cycle[:6_000], cycle[6_000:] + 2)}, columns=["x"], **days, block=48)


def test_the_unit_does_not_matter():
    drift = np.append(NOISE[:3_000], NOISE[3_000:6_000] + 0.3)
    np.testing.assert_array_equal(scored({"x": drift}, columns=["x"]), scored({"x": drift * 1024}, columns=["x"]))


def test_it_gives_nan_until_the_reference_and_the_window_are_full_and_again_after_a_drift():
    scores = scored({"x": np.append(NOISE[:3_000], NOISE[3_000:6_000] + 2)}, columns=["x"])
    at = int(np.flatnonzero(scores > 1)[0])
    assert [1_499, 1_499] == [int(np.isnan(scores[:at]).sum()), int(np.isnan(scores[at:]).sum())]
