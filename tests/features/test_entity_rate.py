import math

import pytest
from drawn import S, column, cuts, frame_of, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import entity_rate

from govlab.features import EntityRate

HOUR = 3600 * S


@given(rows(), cuts, st.integers(1, 6), st.sampled_from([50, 3600]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_it_rates_as_the_naive_twin_does(drawn, cuts, most, expire, summed):
    step = EntityRate("key", "5min", "value" if summed else None, max_entities=most, expire=f"{expire}s")
    twin = entity_rate([row if summed else row | {"value": 1} for row in drawn], 300 * S, HOUR, most, expire * S)
    actual = column(step, frame_of(drawn), "rate", cuts)
    assert twin == pytest.approx(
        actual, rel=1e-9, abs=1e-300 if not summed else 1e-9 * max([1.0, *(abs(r["value"] or 0) for r in drawn)]) * 12
    )


def test_at_a_steady_pace_the_rate_is_the_true_one():
    steady = [{"time": i * 30 * S, "key": "a", "value": None, "item": None, "partition": 0, "offset": i} for i in range(2000)]
    assert 120 == pytest.approx(column(EntityRate("key"), frame_of(steady), "rate")[-1], rel=0.01)


def test_an_event_is_worth_half_after_a_halflife_and_a_late_one_what_would_be_left_of_it():
    drawn = [
        {"time": t * HOUR, "key": "a", "value": None, "item": None, "partition": 0, "offset": i} for i, t in enumerate((5, 6, 5))
    ]
    rates = column(EntityRate("key"), frame_of(drawn), "rate")
    assert [math.log(2) * r for r in (1, 1.5, 2)] == pytest.approx(rates)


def test_without_an_entity_all_rows_have_one_rate():
    drawn = [{"time": 0, "key": k, "value": 2.0, "item": None, "partition": 0, "offset": 0} for k in "ab"]
    assert [2 * math.log(2), 4 * math.log(2)] == column(EntityRate(None, value="value"), frame_of(drawn), "rate")
