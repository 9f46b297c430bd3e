import math

import numpy as np
import pytest
from drawn import S, column, cuts, frame_of, huge, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_rates import anomaly_likelihood

from govlab.detectors import AnomalyLikelihood

small = st.one_of(st.floats(-10, 10), st.sampled_from([0.0, 1e6, math.inf]), huge, st.none())


@given(
    rows(values=small),
    cuts,
    st.integers(2, 9),
    st.integers(1, 2),
    st.integers(2, 6),
    st.integers(1, 6),
    st.sampled_from([100, 10_000]),
)
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, long, short, warm, most, expire):
    step = AnomalyLikelihood("value", "key", long, short, warm, 0.1, most, f"{expire}s")
    twin = anomaly_likelihood(drawn, long, short, warm, 0.1, most, expire * S)
    assert twin == pytest.approx(column(step, frame_of(drawn), "score", cuts), rel=1e-6, abs=1e-9, nan_ok=True)


def scored(values, **recipe):
    drawn = [{"time": 0, "key": None, "value": v, "item": None, "partition": 0, "offset": 0} for v in values]
    return column(AnomalyLikelihood("value", **recipe), frame_of(drawn), "score")


noise = np.random.default_rng(0).random(500).tolist()


def test_a_run_of_high_scores_says_more_than_a_single_one():
    one, run = scored([*noise, 1.0]), scored([*noise, *[1.0] * 10])
    assert one[-1] < 1 < run[-1]


def test_one_high_score_is_enough_where_they_are_rare():
    assert scored([0.0] * 500 + [1.0], short=1)[-1] > 100


def test_an_outlier_that_has_left_the_window_leaves_no_trace():
    recipe = {"long": 50, "short": 2, "warm": 10}
    assert scored(noise, **recipe)[-300:] == pytest.approx(scored([1e90, *noise], **recipe)[-300:], rel=1e-9)


def test_it_gives_nan_until_warm():
    assert [100, 400] == [sum(map(math.isnan, scored(noise))), sum(map(math.isfinite, scored(noise)))]
