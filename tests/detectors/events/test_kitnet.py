import math

import numpy as np
import pytest
from drawn import column, cuts
from drawn_events import burst, drawn_rows, events, normal, points_of, recipes, scored
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_events import clusters, kitnet

from govlab.detectors import Kitnet
from govlab.detectors.events.kitnet import _clusters


@given(drawn_rows, cuts, recipes, st.integers(0, 3), st.integers(2, 9), st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, recipe, seed, mapping, group):
    watch = {name: recipe[name] for name in ("guard", "patience")}
    recipe = watch | {"warm": mapping + recipe["warm"], "mapping": mapping, "group": group, "seed": seed}
    actual = column(Kitnet(["value", "other"], **recipe), events(drawn), "score", cuts)
    assert kitnet(points_of(drawn), **recipe) == pytest.approx(actual, rel=1e-7, abs=1e-9, nan_ok=True)


@given(st.lists(st.integers(0, 1_000), min_size=15, max_size=15, unique=True), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_columns_are_grouped_as_by_the_naive_twin(drawn, most):
    distance = np.zeros((6, 6))
    distance[np.triu_indices(6, 1)] = drawn
    distance += distance.T
    assert clusters(distance.tolist(), most) == _clusters(distance, most)


def test_columns_that_go_together_are_grouped():
    distance = np.array([[0, 0.9, 0.1, 0.9], [0.9, 0, 0.9, 0.2], [0.1, 0.9, 0, 0.9], [0.9, 0.2, 0.9, 0]])
    assert [[0, 2], [1, 3]] == _clusters(distance, 2)
    assert [[0, 1, 2, 3]] == _clusters(distance, 4)
    assert [[0], [1], [2], [3]] == _clusters(distance, 1)


def test_columns_that_do_not_agree_score_high_though_no_value_is_wild():
    values = np.random.default_rng(0).uniform(-1, 1, 2_500)
    other = values + np.random.default_rng(1).normal(size=2_500) / 20
    values[2_400], other[2_400] = 0.7, -0.7
    assert 2_400 == 1_500 + int(
        np.argmax(scored(Kitnet(["value", "other"], mapping=100, warm=1_000), values.tolist(), other)[1_500:])
    )


def one(**recipe):
    return Kitnet(["value"], mapping=50, warm=300, **recipe)


def test_a_wild_value_scores_highest():
    assert 800 == int(np.nanargmax(scored(one(), [*normal[:800], 12.0, *normal[800:1_000]])))


def test_the_units_of_a_feature_do_not_matter():
    assert scored(one(), normal[:600]).tolist() == pytest.approx(
        scored(one(), [v * 1024 for v in normal[:600]]).tolist(), nan_ok=True
    )


def test_a_guarded_one_calls_the_whole_of_a_burst_strange_and_an_unguarded_one_gets_used_to_it():
    guarded, unguarded = (scored(one(guard=g, patience=1_000), burst(600, 2_500))[2_500:3_100] for g in (0.01, 0))
    assert guarded.min() == guarded.max()
    assert unguarded.min() < 0.8 * unguarded.max()


def test_it_gives_nan_while_it_maps_and_trains_and_another_seed_gives_other_weights():
    scores, other = (scored(one(seed=s), normal[:400]) for s in (0, 1))
    assert [True] * 300 + [False] * 100 == np.isnan(scores).tolist()
    assert scores[300:].tolist() != other[300:].tolist()


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
@pytest.mark.parametrize("at", [20, 200, 350])
def test_a_row_with_a_gap_scores_nan_and_is_not_learned(gap, at):
    scores = scored(one(), [*normal[:at], gap, *normal[at:400]]).tolist()
    assert math.isnan(scores.pop(at))
    assert scored(one(), normal[:400]).tolist() == pytest.approx(scores, nan_ok=True)
