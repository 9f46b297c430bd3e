import math

import numpy as np
import pytest
from drawn import column, cuts
from drawn_events import burst, drawn_rows, events, kinds_of, normal, points_of, recipes, scored
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_events import rs_hash

from govlab.detectors import RsHash


@given(drawn_rows, cuts, recipes, st.integers(0, 3), st.sampled_from([2, 30, 1_000]))
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, recipe, seed, sample):
    actual = column(RsHash(["value", "other"], ["key", "item"], 4, sample, seed=seed, **recipe), events(drawn), "score", cuts)
    expected = rs_hash(points_of(drawn), kinds_of(drawn), 4, sample, seed=seed, **recipe)
    assert expected == pytest.approx(actual, rel=1e-9, abs=1e-9, nan_ok=True)


def one(**recipe):
    return RsHash(["value"], **recipe)


def test_a_value_in_an_empty_cell_scores_highest():
    assert 800 == int(np.nanargmax(scored(one(), [*normal[:800], 9.0, *normal[800:1_000]])))


def test_a_rare_combination_of_ordinary_values_and_categories_scores_highest():
    kinds = ["up" if v > 0 else "down" for v in normal[:1_000]]
    values = np.clip(normal[:1_000], -1.5, 1.5).tolist()
    values[800], kinds[800] = 1.0, "down"
    assert 800 == int(np.nanargmax(scored(RsHash(["value"], ["key"]), values, key=kinds)))


def test_the_units_of_a_feature_do_not_matter():
    assert np.array_equal(scored(one(), normal[:600]), scored(one(), [v * 1024 for v in normal[:600]]), equal_nan=True)


def test_a_guarded_one_calls_the_whole_of_a_burst_strange_and_an_unguarded_one_gets_used_to_it():
    guarded, unguarded = (scored(one(guard=g, patience=1_000), burst(600, 2_500))[2_500:3_100] for g in (0.01, 0))
    assert guarded.min() > 0.9 * guarded.max()
    assert unguarded.min() < 0.5 * unguarded.max()


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_row_with_a_gap_scores_nan_and_is_not_learned(gap):
    scores = scored(one(), [*normal[:300], gap, *normal[300:400]]).tolist()
    assert math.isnan(scores.pop(300))
    assert scored(one(), normal[:400]).tolist() == pytest.approx(scores, nan_ok=True)


def test_it_gives_nan_until_it_is_warm_and_another_seed_gives_other_grids():
    scores, other = (scored(one(warm=100, seed=s), normal[:300]) for s in (0, 1))
    assert [True] * 100 + [False] * 200 == np.isnan(scores).tolist()
    assert scores[100:].tolist() != other[100:].tolist()
