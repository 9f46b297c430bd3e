"""Intervals and the time to detect, on cases small enough to work out by hand."""

import numpy as np
import pytest

from govlab.evaluation.intervals import detection_curve, median_of, ratio, ratio_difference, ratio_interval

nan = np.nan


def test_a_detector_that_finds_one_incident_at_once_and_misses_nine_has_no_median():
    curve = detection_curve(np.array([0.0] + [nan] * 9), np.full(10, 600.0))
    assert [[0.0, 0.9]] == curve.to_numpy().tolist()
    assert None is median_of(curve)


def test_a_silent_detector_stays_at_one():
    assert [[0.0, 1.0]] == detection_curve(np.array([nan, nan]), np.array([60.0, 60.0])).to_numpy().tolist()


def test_an_incident_that_was_over_before_is_no_longer_at_risk():
    # at 10 s one of four is found; the one that ended at 20 s leaves; at 30 s one of two is found
    curve = detection_curve(np.array([10.0, nan, 30.0, nan]), np.array([60.0, 20.0, 60.0, 60.0]))
    assert [[0.0, 1.0], [10.0, 0.75], [30.0, 0.375]] == curve.to_numpy().tolist()
    assert 30.0 == median_of(curve)


def test_a_ratio_without_a_whole_is_none():
    assert None is ratio(np.zeros(3), np.zeros(3))
    assert 0.5 == ratio(np.array([1, 0]), np.array([1, 1]))


def test_few_blocks_have_no_interval_and_equal_blocks_a_narrow_one():
    assert None is ratio_interval(np.ones(4), np.full(4, 2.0))
    assert (0.5, 0.5) == ratio_interval(np.ones(5), np.full(5, 2.0))


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
