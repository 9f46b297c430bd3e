"""Intervals and the time to detect, on cases small enough to work out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from govlab.evaluation.intervals import detection_curve, median_of, ratio, ratio_difference, ratio_interval

nan = np.nan


def shares(curve):
    return curve[["after_s", "undetected"]].to_numpy().tolist()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0, 5.0, 7.5]), st.sampled_from(["found", "watched", "over"])), max_size=30))
def test_the_curve_is_that_of_kaplan_and_meier_and_lies_in_its_interval(incidents):
    delay = np.array([after if what == "found" else nan for after, what in incidents])
    watched = np.array([np.inf if what == "over" else after for after, what in incidents])
    curve, left, expected = detection_curve(delay, watched), 1.0, {0.0: 1.0}
    when = np.where(np.isnan(delay), watched, delay)
    for t in sorted(set(delay[~np.isnan(delay)])):
        left *= 1.0 - (delay == t).sum() / (when >= t).sum()
        expected[float(t)] = left
    assert expected == pytest.approx(dict(shares(curve)))
    known = curve.dropna()
    assert ((known["undetected_low"] < known["undetected"]) & (known["undetected"] < known["undetected_high"])).all()
    assert curve["undetected"].between(1e-12, 1 - 1e-12).sum() == len(known)


def test_a_detector_that_finds_one_incident_at_once_and_misses_nine_has_no_median():
    curve = detection_curve(np.array([0.0] + [nan] * 9), np.full(10, 600.0))
    assert [[0.0, 0.9]] == shares(curve)
    # by hand: log(-log 0.9) +- 1.96 sqrt(1 / 90) / |log 0.9|
    assert [0.473, 0.985] == curve.iloc[0, 2:].round(3).tolist()
    assert None is median_of(curve)


def test_a_silent_detector_stays_at_one():
    assert [[0.0, 1.0]] == shares(detection_curve(np.array([nan, nan]), np.array([60.0, 60.0])))


def test_an_incident_that_was_over_before_is_no_longer_at_risk():
    # at 10 s one of four is found; the one that ended at 20 s leaves; at 30 s one of two is found
    curve = detection_curve(np.array([10.0, nan, 30.0, nan]), np.array([60.0, 20.0, 60.0, 60.0]))
    assert [[0.0, 1.0], [10.0, 0.75], [30.0, 0.375]] == shares(curve)
    assert [0] == np.flatnonzero(curve["undetected_low"].isna()).tolist()
    assert 30.0 == median_of(curve)


def test_a_ratio_without_a_whole_is_none():
    assert None is ratio(np.zeros(3), np.zeros(3))
    assert 0.5 == ratio(np.array([1, 0]), np.array([1, 1]))


def test_few_blocks_and_equal_blocks_have_no_interval():
    assert None is ratio_interval(np.ones(4), np.full(4, 2.0))
    assert None is ratio_interval(np.ones(5), np.full(5, 2.0))
    assert None is ratio_interval(np.full(7, 0.1), np.full(7, 0.3), share=True)


def test_no_false_alarm_in_five_days_is_not_certainty():
    # 1 - exp(-5 * 0.738) = 0.975
    assert pytest.approx((0.0, 0.738), abs=0.001) == ratio_interval(np.zeros(5), np.ones(5))
    assert pytest.approx((0.0, 0.738 / 2), abs=0.001) == ratio_interval(np.zeros(10), np.ones(10))


def test_differences_of_few_incidents_are_not_certain():
    none, every = (np.zeros(5), np.ones(5)), (np.ones(5), np.ones(5))
    edge = 0.025 ** (1 / 5)
    assert (1.0, (pytest.approx(2 * edge - 1), 1.0)) == ratio_difference(none, every, share=True)
    assert (-1.0, (-1.0, pytest.approx(1 - 2 * edge))) == ratio_difference(every, none, share=True)
    assert (0.0, (pytest.approx(edge - 1), pytest.approx(1 - edge))) == ratio_difference(every, every, share=True)
    half = (np.array([1.0, 0.0, 1.0, 0.0, 1.0]), np.ones(5))
    assert (0.0, (pytest.approx(edge - 1), pytest.approx(1 - edge))) == ratio_difference(half, half, share=True)
    assert (0.0, (pytest.approx(-0.738, abs=0.001), pytest.approx(0.738, abs=0.001))) == ratio_difference(none, none)
    assert (0.0, None) == ratio_difference(every, every)


def test_half_of_the_incidents_is_half_however_the_shares_are_rounded():
    for n in range(2, 200, 2):
        delay = np.where(np.arange(n) < n // 2, np.arange(n), nan)
        assert n // 2 - 1 == median_of(detection_curve(delay, np.full(n, np.inf)))


def test_all_of_five_is_not_certain_and_one_day_with_something_is_too_few():
    low, high = ratio_interval(np.ones(5), np.ones(5), share=True)
    assert pytest.approx((0.478, 1.0), abs=0.001) == (low, high)
    assert None is ratio_interval(np.array([5.0] + [0.0] * 24), np.array([10.0] + [0.0] * 24))


def test_an_interval_has_the_width_that_theory_gives():
    part = (np.arange(400) % 2).astype("float64")
    low, high = ratio_interval(part, np.ones(400))
    assert pytest.approx(0.5 - 1.96 * 0.5 / 20, abs=0.006) == low
    assert pytest.approx(0.5 + 1.96 * 0.5 / 20, abs=0.006) == high


def test_a_paired_difference_is_narrower_than_the_two_intervals_that_it_is_of():
    rng = np.random.default_rng(0)
    one = (rng.random(60) < 0.5).astype("float64")
    two = one.copy()
    two[one.argmin()] = 1.0  # the new one finds what the old one finds, and one more
    found, (low, high) = ratio_difference((one, np.ones(60)), (two, np.ones(60)))
    assert pytest.approx(1 / 60) == found
    assert low >= 0
    assert high < 0.06
