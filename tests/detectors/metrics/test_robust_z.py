import math

import pytest
from drawn import S, column, cuts, frame_of, huge, rows, values
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import robust_z

from govlab.detectors import RobustZ


@given(
    rows(values=st.one_of(values, values, huge)),
    cuts,
    st.sampled_from(["upper", "lower", "both"]),
    st.integers(1, 6),
    st.sampled_from([100, 10_000]),
    st.integers(3, 8),
)
@settings(max_examples=60, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, tail, most, expire, window):
    step = RobustZ("value", "key", window, 2, 0.5, tail, most, f"{expire}s")
    twin = robust_z(drawn, window, 2, 0.5, tail, most, expire * S)
    assert twin == pytest.approx(column(step, frame_of(drawn), "score", cuts), rel=1e-12, abs=0, nan_ok=True)


def scored(values, **recipe):
    drawn = [{"time": 0, "key": None, "value": v, "item": None, "partition": 0, "offset": 0} for v in values]
    return column(RobustZ("value", **recipe), frame_of(drawn), "score")


def test_a_burst_does_not_drag_the_median_along_before_it_fills_half_of_the_window():
    scores = scored([0.0] * 21 + [50.0] * 21, window=21, warm=5)
    assert 50.0 == scores[30]
    assert 0.0 == scores[41]


@pytest.mark.parametrize("gap", [None, math.nan, math.inf, -math.inf])
def test_a_value_that_is_missing_or_infinite_is_not_learned(gap):
    values = [1.0, 2.0, 4.0, 8.0, 3.0]
    assert scored(values, warm=2)[2:] == scored([1.0, 2.0, gap, 4.0, 8.0, 3.0], warm=2)[3:]


def test_it_gives_nan_until_so_many_values_are_learned():
    assert [True] * 11 + [False] * 2 == [math.isnan(s) for s in scored([1.0] * 13)]
