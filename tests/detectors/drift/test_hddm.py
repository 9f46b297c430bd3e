import math

import numpy as np
import pytest
from drawn import START, S, column, cuts, frame_of, huge, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_drift import hddm
from river.drift import binary

from govlab.detectors import Hddm

small = st.one_of(st.integers(0, 1).map(float), st.sampled_from([-3.0, 0.3, 7.0]), huge, st.none())
ERRORS = (np.random.default_rng(0).random(2_000) < 0.2).astype("float64")
WORSE = (np.random.default_rng(1).random(1_000) < 0.5).astype("float64")


def scored(values, **recipe):
    drawn = [{"time": START, "key": None, "value": v, "item": None, "partition": 0, "offset": 0} for v in values]
    return column(Hddm("value", **recipe), frame_of(drawn), "score")


def told(values, **recipe):
    return np.flatnonzero(np.array(scored(values, **recipe)) > 1).tolist()


@given(
    rows(values=small, most=120, keys=st.sampled_from(["a", "a", "a", "b", None])),
    cuts,
    st.sampled_from(["both", "upper", "lower"]),
    st.integers(1, 4),
    st.sampled_from([0.3, 0.9]),
    st.integers(0, 4),
)
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, tail, warm, level, hold):
    recipe = {"level": level, "low": -1.0, "high": 2.0, "warm": warm, "tail": tail, "hold": hold}
    actual = column(Hddm("value", "key", **recipe, max_entities=3, expire="200s"), frame_of(drawn), "score", cuts)
    assert hddm(drawn, **recipe, most=3, expire=200 * S) == pytest.approx(actual, rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(("tail", "both"), [("upper", False), ("both", True)])
def test_it_alarms_at_the_rows_where_river_does(tail, both):
    rng = np.random.default_rng(1)
    stream = np.concatenate([rng.random(3_000) < p for p in (0.2, 0.6, 0.1, 0.5, 0.1)]).astype("float64")
    peer, expected = binary.HDDMA(two_sided_test=both), []
    for i, x in enumerate(stream.tolist()):
        peer.update(x)
        if peer.drift_detected:
            expected.append(i)
    assert len(expected) >= 2
    assert expected == told(stream, tail=tail, warm=1)


def test_a_rise_of_the_error_rate_is_told():
    found = told([*ERRORS, *WORSE])
    assert 1 == len(found)
    assert 2_000 < found[0] < 2_200


def test_nothing_is_told_where_nothing_changes():
    assert [] == told(ERRORS)


@pytest.mark.parametrize(("tail", "expected"), [("upper", 0), ("lower", 1), ("both", 1)])
def test_a_fall_is_told_only_if_asked_for(tail, expected):
    assert expected == len(told([*WORSE, *ERRORS], tail=tail))


def test_bounds_make_other_units_the_same():
    assert scored(ERRORS)[29:] == scored(ERRORS * 8 - 4, low=-4.0, high=4.0)[29:]


def test_it_gives_nan_until_warm_and_again_after_a_drift():
    scores = scored([*ERRORS, *WORSE])
    at = int(np.flatnonzero(np.array(scores) > 1)[0])
    assert [29, 29] == [sum(map(math.isnan, scores[:2000])), sum(map(math.isnan, scores[at:]))]


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_gap_scores_nan_and_is_not_learned(gap):
    scores = scored([*ERRORS[:50], gap, *ERRORS[50:100]])
    assert math.isnan(scores.pop(50))
    assert scored(ERRORS[:100])[29:] == scores[29:]
