import math

import numpy as np
import pytest
from drawn import S, column, cuts, frame_of, huge, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_rates import fuzzy_art

from govlab.detectors import FuzzyArt

# eighths are added and compared without rounding, so that kernel and twin choose alike
small = st.one_of(
    st.integers(-80, 80).map(lambda v: v / 8), st.integers(0, 3).map(float), st.sampled_from([1024.0, math.inf]), huge, st.none()
)


@given(
    rows(values=small), cuts, st.sampled_from([1, 2]), st.sampled_from([0.5, 0.85, 0.95]), st.integers(1, 5), st.integers(0, 4),
    st.integers(10, 20), st.integers(8, 9), st.integers(1, 3),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, scales, vigilance, categories, record, history, warm, most):
    for row in drawn:
        row["key"] = "a" if row["key"] in ("a", "b", "c") else row["key"]
    step = FuzzyArt("value", "key", scales, vigilance, categories, record, history, warm, most, "2000s")
    twin = fuzzy_art(drawn, scales, vigilance, categories, record, history, warm, most, 2_000 * S)
    assert twin == pytest.approx(column(step, frame_of(drawn), "score", cuts), rel=1e-9, abs=1e-9, nan_ok=True)


def scored(values, **recipe):
    drawn = [{"time": 0, "key": None, "value": v, "item": None, "partition": 0, "offset": 0} for v in values]
    return np.array(column(FuzzyArt("value", **recipe), frame_of(drawn), "score"))


wave = (10 + np.sin(np.arange(800) / 8)).tolist()
noise = np.random.default_rng(0).normal(size=800).tolist()


def test_a_shape_that_never_was_is_found_where_each_of_its_values_is_usual():
    flat = [*wave[:500], *[10.0] * 16, *wave[516:]]
    assert 500 < int(np.nanargmax(scored(flat))) < 520
    assert 0 >= np.nanmax(scored(wave)[500:520])


def test_what_is_further_away_is_more():
    near, far = (scored([*noise[:400], x])[400] for x in (5.0, 7.0))
    assert 0 < near < far


def test_only_the_first_row_of_a_strange_state_counts():
    scores = scored([*wave[:500], *[25.0] * 40])
    assert scores[500] > 5 > 0 >= scores[501:].max()


@pytest.mark.parametrize("spike", [1e4, -1e6, 1e150])
@pytest.mark.parametrize("at", [60, 300])
def test_one_spike_does_not_hide_what_comes_later(spike, at):
    later = [*noise[:500], *[15.0] * 3, *noise[500:]]
    assert scored([*later[:at], spike, *later[at:]])[501:504].max() > 10


def test_the_unit_does_not_matter():
    np.testing.assert_allclose(scored(noise), scored([v * 1024 for v in noise]))


def test_the_first_change_of_what_was_constant_is_new():
    scores = scored([5.0] * 300 + [6.0])
    assert (scores[150:300] == 0).all()
    assert scores[300] > 5


def test_with_few_categories_the_one_unused_for_the_longest_is_forgotten():
    back = [*noise[:200], *[30.0] * 3, *[0.0, 10.0, 20.0] * 50, *noise[200:400], 30.0]
    many, few = (scored(back, categories=c, scales=1, vigilance=0.97)[-1] for c in (200, 2))
    assert many <= 0 < few


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_gap_scores_nan_and_is_not_learned(gap):
    scores = scored([*noise[:300], gap, *noise[300:400]])
    assert math.isnan(scores[300])
    np.testing.assert_array_equal(scored(noise[:400]), np.delete(scores, 300))


def test_it_gives_nan_until_warm():
    assert [150, 650] == [np.isnan(scored(noise)).sum(), np.isfinite(scored(noise)).sum()]
