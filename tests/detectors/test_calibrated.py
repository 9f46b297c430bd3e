import math

import pytest
from drawn import column, cuts, frame_of, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import calibrated

from govlab.detectors import Calibrated

scores = st.one_of(st.integers(0, 4).map(float), st.floats(-5, 5), st.sampled_from([math.inf, -math.inf, -0.0]), st.none())


@given(rows(values=scores), cuts, st.integers(2, 7), st.integers(1, 9), st.integers(1, 6))
@settings(max_examples=80, deadline=None)
def test_it_gives_the_p_of_the_naive_twin(drawn, cuts, window, warm, most):
    twin = calibrated([row | {"score": row["value"]} for row in drawn], window, warm, most)
    assert twin == pytest.approx(
        column(Calibrated("key", window, warm, "value", most), frame_of(drawn), "p", cuts), rel=0, abs=0, nan_ok=True
    )


def given_p(values, **recipe):
    drawn = [{"time": 0, "key": "a", "value": v, "item": None, "partition": 0, "offset": 0} for v in values]
    return column(Calibrated(score="value", **recipe), frame_of(drawn), "p")


def test_the_least_p_is_half_of_one_in_a_window_and_one_more():
    assert 0.5 / 11 == given_p([float(i) for i in range(30)], window=10, warm=10)[-1]


def test_a_score_equal_to_all_of_the_past_has_p_one_half():
    assert 0.5 == given_p([3.0] * 20, warm=5)[-1]


def test_p_is_nan_until_warm_and_for_a_missing_score():
    assert [True, True, False, True, False] == [math.isnan(p) for p in given_p([1.0, 2.0, 3.0, None, 1.0], warm=2)]
