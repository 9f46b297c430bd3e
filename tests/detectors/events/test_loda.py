import math

import numpy as np
import pytest
from drawn import column, cuts
from drawn_events import burst, drawn_rows, events, normal, points_of, recipes, scored
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_events import loda

from govlab.detectors import Loda


@given(drawn_rows, cuts, recipes, st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, recipe, seed):
    actual = column(Loda(["value", "other"], 4, seed=seed, **recipe), events(drawn), "score", cuts)
    assert loda(points_of(drawn), 4, seed=seed, **recipe) == pytest.approx(actual, rel=1e-9, abs=1e-12, nan_ok=True)


def one(**recipe):
    return Loda(["value"], **recipe)


def test_a_value_where_the_past_is_thin_scores_highest():
    assert 800 == int(np.nanargmax(scored(one(), [*normal[:800], 9.0, *normal[800:1_000]])))


def test_a_combination_that_breaks_the_rule_of_two_columns_scores_highest():
    other = [*normal[:800], -2.0, *normal[801:1_000]]
    scores = scored(Loda(["value", "other"]), [*normal[:800], 2.0, *normal[801:1_000]], other)
    assert 800 == int(np.nanargmax(scores))


def test_the_units_of_a_feature_do_not_matter():
    assert scored(one(), normal[:600]).tolist() == pytest.approx(
        scored(one(), [v * 1024 for v in normal[:600]]).tolist(), nan_ok=True
    )


def test_a_guarded_one_calls_the_whole_of_a_burst_strange_and_an_unguarded_one_gets_used_to_it():
    guarded, unguarded = (scored(one(guard=g, patience=1_000), burst(600, 2_500))[2_500:3_100] for g in (0.01, 0))
    assert guarded.min() > 0.99 * guarded.max()
    assert unguarded.min() < 0.6 * unguarded.max()


def test_a_guarded_one_takes_a_world_that_has_changed_as_normal_in_the_end():
    changed = [*normal[:1_000], *[v + 30 for v in normal[:2_000]]]
    scores = scored(one(patience=500, halflife=500), changed)
    assert np.median(scores[-200:]) < np.median(scores[1_000:1_400]) - 2


def test_it_gives_nan_until_it_is_warm_and_another_seed_gives_other_projections():
    scores, other = (scored(Loda(["value", "other"], warm=100, seed=s), normal[:300], normal[300:600]) for s in (0, 1))
    assert [True] * 100 + [False] * 200 == np.isnan(scores).tolist()
    assert scores[100:].tolist() != other[100:].tolist()


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_row_with_a_gap_scores_nan_and_is_not_learned(gap):
    scores = scored(one(), [*normal[:300], gap, *normal[300:400]]).tolist()
    assert math.isnan(scores.pop(300))
    assert scored(one(), normal[:400]).tolist() == pytest.approx(scores, nan_ok=True)


def test_weights_that_grow_for_long_stay_finite():
    scores = scored(one(halflife=1, projections=2), normal)
    assert np.isfinite(scores[250:]).all()
