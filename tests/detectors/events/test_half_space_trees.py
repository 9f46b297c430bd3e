import math

import numpy as np
import pytest
from drawn import column, cuts, frame_of, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_events import half_space_trees

from govlab.detectors import HalfSpaceTrees

small = st.one_of(st.floats(-10, 10), st.sampled_from([0.0, 1e6]), st.none())


@given(rows(values=small), cuts, st.integers(2, 12), st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, window, depth, seed):
    points = [[math.nan if row["value"] is None else row["value"], float(row["offset"] % 7)] for row in drawn]
    frame = frame_of(drawn)
    frame["other"] = [p[1] for p in points]
    twin = half_space_trees(points, 3, depth, window, seed, 0)
    actual = column(HalfSpaceTrees(["value", "other"], 3, depth, window, seed, guard=0), frame, "score", cuts)
    assert twin == pytest.approx(actual, rel=1e-9, abs=1e-12, nan_ok=True)


@given(rows(values=small), cuts, st.integers(2, 12), st.sampled_from([0.1, 0.5]), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_a_guarded_one_scores_as_its_naive_twin_does(drawn, cuts, window, guard, seed):
    points = [[math.nan if row["value"] is None else row["value"], float(row["offset"] % 7)] for row in drawn]
    frame = frame_of(drawn)
    frame["other"] = [p[1] for p in points]
    twin = half_space_trees(points, 3, 3, window, seed, guard, 10)
    actual = column(HalfSpaceTrees(["value", "other"], 3, 3, window, seed, guard, 10), frame, "score", cuts)
    assert twin == pytest.approx(actual, rel=1e-9, abs=1e-12, nan_ok=True)


def scored(values, **recipe):
    drawn = [{"time": 0, "key": None, "value": v, "item": None, "partition": 0, "offset": 0} for v in values]
    return column(HalfSpaceTrees(["value"], **recipe), frame_of(drawn), "score")


normal = np.random.default_rng(0).normal(size=600).tolist()


def test_a_point_in_an_empty_region_scores_highest():
    scores = scored([*normal[:500], 9.0, *normal[500:]])
    assert 500 == int(np.nanargmax(scores))
    assert 0.99 < scores[500] <= 1


def test_the_units_of_a_feature_do_not_matter():
    assert scored(normal)[250:] == scored([v * 1024 for v in normal])[250:]


def test_another_seed_gives_other_trees():
    assert scored(normal)[300:] != scored(normal, seed=1)[300:]


def test_it_gives_nan_until_the_first_window_is_learned():
    assert [250, 350] == [sum(map(math.isnan, scored(normal))), sum(map(math.isfinite, scored(normal)))]


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_point_with_a_gap_scores_nan_and_is_not_learned(gap):
    scores = scored([*normal[:150], gap, *normal[150:300]], window=100)
    assert math.isnan(scores.pop(150))
    assert scored(normal[:300], window=100)[100:] == scores[100:]


def test_a_guarded_one_calls_the_whole_of_a_burst_strange_and_an_unguarded_one_gets_used_to_it():
    values = [*np.random.default_rng(1).normal(size=2_500), *[4.0] * 600]
    guarded, unguarded = (scored(values, guard=g, patience=1_000)[2_500:] for g in (0.05, 0))
    assert min(guarded) == max(guarded)
    assert min(unguarded) < 0.95 * max(unguarded)
