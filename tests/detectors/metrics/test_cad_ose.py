import math

import numpy as np
import pytest
from drawn import S, column, cuts, frame_of, huge, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_rates import cad_ose

from govlab.detectors import CadOse

small = st.one_of(st.floats(-10, 10), st.integers(0, 3).map(float), st.sampled_from([1e3, 1e6, math.inf]), huge, st.none())


@given(
    rows(values=small),
    cuts,
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(0, 4),
    st.integers(8, 20),
    st.integers(2, 7),
    st.integers(1, 3),
)
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, bits, depth, record, history, warm, most):
    step = CadOse("value", "key", bits, depth, record, history, 8192, warm, most, "2000s")
    twin = cad_ose(drawn, bits, depth, record, history, warm, most, 2_000 * S)
    assert twin == pytest.approx(column(step, frame_of(drawn), "score", cuts), rel=1e-9, abs=1e-9, nan_ok=True)


def scored(values, **recipe):
    drawn = [{"time": 0, "key": None, "value": v, "item": None, "partition": 0, "offset": 0} for v in values]
    return np.array(column(CadOse("value", **recipe), frame_of(drawn), "score"))


steps = [float(i % 10) for i in range(600)]
noise = np.random.default_rng(0).normal(size=600).tolist()


def test_a_value_out_of_its_place_is_new_though_the_value_is_not():
    misplaced = [*steps[:400], 7.0, *steps[401:]]
    assert 400 == int(np.nanargmax(scored(misplaced)))
    assert (scored(misplaced, depth=0)[250:] <= 0).all()


def test_what_is_further_away_is_more():
    near, far = (scored([*noise[:400], x])[400] for x in (5.0, 50.0))
    assert 0 < near < far


def test_novelty_says_little_where_all_is_new_all_the_time():
    wandering = np.cumsum(noise).tolist()
    assert scored([*wandering[:400], wandering[399] + 5.0])[400] < scored([*noise[:400], noise[399] + 5.0])[400]


def test_only_the_first_row_of_a_strange_state_counts():
    scores = scored([*steps[:400], *[25.0] * 40])
    assert scores[400] > 10 > 0 >= scores[401:].max()
    assert scored([*steps[:400], *[25.0] * 40], record=0)[150:].min() == 0


@pytest.mark.parametrize(("scale", "shift"), [(1024.0, 0.0), (2.0**-20, 0.0), (-1.0, 9.0)])
def test_unit_and_sign_do_not_matter(scale, shift):
    changed = [*steps[:300], 40.0, *steps[300:]]
    twice = scored([v * scale + shift for v in changed])
    np.testing.assert_allclose(scored(changed)[150:300], twice[150:300])
    assert 300 == int(np.nanargmax(twice))


def test_the_first_change_of_what_was_constant_is_new():
    scores = scored([5.0] * 300 + [6.0])
    assert (scores[150:300] == 0).all()
    assert scores[300] > 20


def test_a_level_out_of_the_history_is_forgotten():
    again = [*steps[:100], *[30.0] * 5, *steps[:500], 30.0]
    kept, forgotten = (scored(again, warm=50, history=h)[-1] for h in (1_000, 200))
    assert kept <= 0 < forgotten


@pytest.mark.parametrize("spike", [1e4, -1e6, 1e150])
@pytest.mark.parametrize("at", [60, 300])
def test_one_spike_does_not_hide_what_comes_later(spike, at):
    later = [*noise[:500], *[15.0] * 3, *noise[500:]]
    without, scores = scored(later), scored([*later[:at], spike, *later[at:]])
    assert scores[501] > 20
    assert (scores > 0).sum() == pytest.approx((without > 0).sum(), rel=0.4)


def test_one_spike_out_of_a_constant_does_not_hide_what_comes_later():
    scores = scored([*[-5.0] * 300, 1e9, *noise, *[15.0] * 3])
    assert scores[300] > 30
    assert scores[901] > 20


def test_another_unit_is_the_scale_once_it_has_come_a_few_times():
    scores = scored([*noise, *[v * 1e4 for v in noise], 1.5e5])
    assert scores[1_200] > 20


def test_a_small_table_still_finds_what_is_far_away():
    assert 500 == int(np.nanargmax(scored([*noise[:500], 60.0, *noise[500:]], places=256)))


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_gap_scores_nan_and_is_not_learned(gap):
    scores = scored([*noise[:300], gap, *noise[300:400]])
    assert math.isnan(scores[300])
    np.testing.assert_array_equal(scored(noise[:400]), np.delete(scores, 300))


def test_it_gives_nan_until_warm():
    assert [150, 450] == [np.isnan(scored(noise)).sum(), np.isfinite(scored(noise)).sum()]
