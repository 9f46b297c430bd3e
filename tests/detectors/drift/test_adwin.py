import math

import numpy as np
import pytest
from drawn import START, S, column, cuts, frame_of, huge, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_drift import adwin
from river import drift

from govlab.detectors import Adwin

small = st.one_of(
    st.integers(0, 1).map(float), st.floats(-10, 10).map(lambda v: round(v, 2)), st.sampled_from([1e4]), huge, st.none()
)
NOISE = np.random.default_rng(0).normal(size=2_000)


def scored(values, **recipe):
    drawn = [{"time": START, "key": None, "value": v, "item": None, "partition": 0, "offset": 0} for v in values]
    return column(Adwin(**recipe), frame_of(drawn), "score")


def told(values, **recipe):
    return np.flatnonzero(np.array(scored(values, **recipe)) > 1).tolist()


@given(
    rows(values=small, most=120, keys=st.sampled_from(["a", "a", "a", "b", None])),
    cuts,
    st.integers(1, 4),
    st.integers(2, 3),
    st.integers(0, 4),
    st.sampled_from([None, 1.0]),
)
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, every, buckets, hold, span):
    recipe = {"delta": 0.9, "every": every, "buckets": buckets, "span": span, "hold": hold}
    actual = column(Adwin("value", "key", **recipe, max_entities=2, expire="2000s"), frame_of(drawn), "score", cuts)
    assert adwin(drawn, **recipe, most=2, expire=2_000 * S) == pytest.approx(actual, rel=1e-6, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("every", [1, 32])
def test_with_the_span_of_errors_it_alarms_at_the_rows_where_river_does(every):
    rng = np.random.default_rng(1)
    stream = np.concatenate([rng.random(3_000) < p for p in (0.2, 0.3, 0.1, 0.5, 0.45, 0.1)]).astype("float64")
    peer, expected = drift.ADWIN(clock=every), []
    for i, x in enumerate(stream.tolist()):
        peer.update(x)
        if peer.drift_detected:
            expected.append(i)
    assert len(expected) >= 4
    assert expected == told(stream, every=every, span=1.0)


def test_a_shift_by_one_deviation_is_told_soon():
    found = told([*NOISE[:1000], *(NOISE[1000:] + 1)])
    assert 1_000 < found[0] < 1_130


def test_nothing_is_told_where_nothing_changes():
    assert [] == told(NOISE)
    assert [] == told([5.0] * 500)


def test_a_slow_slope_is_told():
    assert told(NOISE + np.arange(2_000) * 0.003)


def test_the_unit_does_not_matter():
    shifted = [*NOISE[:1000], *(NOISE[1000:] + 1)]
    assert scored(shifted) == pytest.approx(scored([v * 1024 for v in shifted]), nan_ok=True)


def test_it_gives_nan_until_the_first_check_and_again_after_a_drift():
    scores = scored([*NOISE[:1000], *(NOISE[1000:] + 3)])
    at = int(np.flatnonzero(np.array(scores) > 1)[0])
    assert at < 1_064
    assert [31, 31] == [sum(map(math.isnan, scores[:at])), sum(map(math.isnan, scores[at:]))]


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_gap_scores_nan_and_is_not_learned(gap):
    scores = scored([*NOISE[:50], gap, *NOISE[50:100]])
    assert math.isnan(scores.pop(50))
    assert scored(NOISE[:100])[31:] == scores[31:]
