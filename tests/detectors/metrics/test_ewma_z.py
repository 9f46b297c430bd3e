import math

import pytest
from drawn import S, column, cuts, frame_of, huge, rows, values
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import ewma_z

from govlab.detectors import EwmaZ


@given(
    rows(values=st.one_of(values, values, huge)),
    cuts,
    st.sampled_from(["upper", "lower", "both"]),
    st.integers(1, 6),
    st.sampled_from([100, 10_000]),
)
@settings(max_examples=60, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, tail, most, expire):
    step = EwmaZ("value", "key", 0.3, 2, 0.5, tail, most, f"{expire}s")
    twin = ewma_z(drawn, 0.3, 2, 0.5, tail, most, expire * S)
    assert twin == pytest.approx(column(step, frame_of(drawn), "score", cuts), rel=1e-9, abs=0, nan_ok=True)


def scored(values, **recipe):
    drawn = [{"time": 0, "key": None, "value": v, "item": None, "partition": 0, "offset": 0} for v in values]
    return column(EwmaZ("value", **recipe), frame_of(drawn), "score")


def test_it_gives_nan_until_so_many_values_are_learned():
    assert [True] * 5 + [False] * 5 == [math.isnan(s) for s in scored([1.0] * 10)]


def test_a_constant_past_gives_the_distance_in_units_of_the_floor():
    assert [0.0, 4.0] == scored([5.0] * 6 + [7.0], floor=0.5)[-2:]


@pytest.mark.parametrize("gap", [None, math.nan, math.inf, -math.inf])
def test_a_value_that_is_missing_or_infinite_is_not_learned(gap):
    scores = scored([1.0, 2.0, 1.0, 2.0, 1.0, gap, 2.0, 9.0])
    assert math.isnan(scores[5])
    assert scored([1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 9.0])[5:] == scores[6:]


def test_a_low_value_is_anomalous_in_the_lower_tail_only():
    low = {tail: scored([5.0] * 9 + [0.0], tail=tail)[-1] for tail in ("upper", "lower", "both")}
    assert {"upper": -5.0, "lower": 5.0, "both": 5.0} == low
