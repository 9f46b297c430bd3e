import math

import numpy as np
import pytest
from drawn import column, cuts
from drawn_events import burst, drawn_rows, events, kinds_of, normal, points_of, recipes, scored
from hypothesis import given, settings
from naive_events import decayed_histogram

from govlab.detectors import DecayedHistogram


@given(drawn_rows, cuts, recipes)
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, recipe):
    actual = column(DecayedHistogram(["value", "other"], ["key", "item"], **recipe), events(drawn), "score", cuts)
    expected = decayed_histogram(points_of(drawn), kinds_of(drawn), **recipe)
    assert expected == pytest.approx(actual, rel=1e-9, abs=1e-9, nan_ok=True)


def one(**recipe):
    return DecayedHistogram(["value"], **recipe)


def test_a_rare_value_scores_highest_by_about_the_log_of_its_rarity():
    scores = scored(one(), [*normal[:800], 1e3, *normal[800:1_000]])
    assert 800 == int(np.nanargmax(scores))
    assert math.log((800 + 129 / 2) / 0.5) == pytest.approx(scores[800], rel=0.02)


def test_a_rare_category_scores_highest_a_missing_one_too():
    kinds = ["post", "like"] * 200
    for rare in ("raid", None):
        kinds[300] = rare
        scores = scored(DecayedHistogram([], ["key"], warm=100), [1.0] * 400, key=kinds)
        assert 300 == int(np.nanargmax(scores))
        assert 0.6 < np.nanmedian(scores) < 0.8  # -ln 0.5


def test_what_has_not_been_seen_for_long_is_rare_again():
    kinds = ["old"] * 300 + ["new"] * 1_000 + ["old"]
    scores = scored(DecayedHistogram([], ["key"], halflife=100, guard=0), [1.0] * len(kinds), key=kinds)
    assert scores[-1] > 5


def test_the_units_of_a_feature_do_not_matter():
    assert scored(one(), normal[:600]).tolist() == pytest.approx(
        scored(one(), [v * 1024 for v in normal[:600]]).tolist(), nan_ok=True
    )


def test_a_constant_that_the_scale_moves_stays_ordinary():
    values = [5.0 if i % 50 else 5.0 + v for i, v in enumerate(normal)]  # the mean wanders about the constant
    scores = scored(one(), values)[1_000:]
    assert np.median(scores) < 0.5
    assert np.quantile(scores, 0.97) < 1


def test_a_guarded_one_calls_the_whole_of_a_burst_strange_and_an_unguarded_one_gets_used_to_it():
    guarded, unguarded = (scored(one(guard=g, patience=1_000), burst(600, 2_500))[2_500:3_100] for g in (0.01, 0))
    assert guarded.min() == guarded.max()
    assert unguarded.min() < 0.6 * unguarded.max()


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_row_with_a_gap_scores_nan_and_is_not_learned(gap):
    scores = scored(one(), [*normal[:300], gap, *normal[300:400]]).tolist()
    assert math.isnan(scores.pop(300))
    assert scored(one(), normal[:400]).tolist() == pytest.approx(scores, nan_ok=True)


def test_it_gives_nan_until_it_is_warm():
    assert [True] * 250 + [False] * 150 == np.isnan(scored(one(), normal[:400])).tolist()
