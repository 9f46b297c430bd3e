import math

import numpy as np
import pytest
from drawn import START, S, column, cuts, frame_of, huge, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_drift import page_hinkley
from river import drift

from govlab.detectors import PageHinkley

small = st.one_of(
    st.floats(-10, 10).map(lambda v: round(v, 2)), st.integers(0, 1).map(float), st.sampled_from([1e4]), huge, st.none()
)
NOISE = np.random.default_rng(0).normal(size=2_000)


def scored(values, **recipe):
    drawn = [{"time": START, "key": None, "value": v, "item": None, "partition": 0, "offset": 0} for v in values]
    return column(PageHinkley(**recipe), frame_of(drawn), "score")


def told(values, **recipe):
    return np.flatnonzero(np.array(scored(values, **recipe)) > 1).tolist()


@given(
    rows(values=small, most=120, keys=st.sampled_from(["a", "a", "a", "b", None])),
    cuts,
    st.sampled_from(["both", "upper", "lower"]),
    st.sampled_from(["deviations", "raw"]),
    st.integers(1, 6),
    st.integers(0, 4),
)
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, tail, units, warm, hold):
    recipe = {"delta": 0.1, "threshold": 3.7, "alpha": 0.99, "warm": warm, "tail": tail, "units": units, "hold": hold}
    actual = column(PageHinkley("value", "key", **recipe, max_entities=3, expire="200s"), frame_of(drawn), "score", cuts)
    twin = page_hinkley(drawn, **recipe, most=3, expire=200 * S)
    assert twin == pytest.approx(actual, rel=1e-7, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(("tail", "mode"), [("both", "both"), ("upper", "up"), ("lower", "down")])
def test_in_raw_units_and_without_a_gate_it_alarms_at_the_rows_where_river_does(tail, mode):
    rng = np.random.default_rng(1)
    stream = np.concatenate([rng.random(3_000) < p for p in (0.2, 0.6, 0.1, 0.5, 0.1)]).astype("float64")
    peer, expected = drift.PageHinkley(mode=mode), []
    for i, x in enumerate(stream.tolist()):
        peer.update(x)
        if peer.drift_detected:
            expected.append(i)
    assert len(expected) >= 2
    assert expected == told(stream, delta=0.005, threshold=50.0, alpha=0.9999, tail=tail, units="raw", hold=0)


def test_a_shift_by_one_deviation_is_told_soon_and_once():
    found = told([*NOISE[:1000], *(NOISE[1000:] + 1)])
    assert 1 == len(found)
    assert 1_010 < found[0] < 1_050


def test_nothing_is_told_where_nothing_changes():
    assert [] == told(NOISE)


@pytest.mark.parametrize(("tail", "shift", "expected"), [("upper", 1, 1), ("upper", -1, 0), ("lower", 1, 0), ("lower", -1, 1)])
def test_a_tail_tells_only_its_side(tail, shift, expected):
    assert expected == len(told([*NOISE[:1000], *(NOISE[1000:] + shift)], tail=tail))


def test_the_unit_does_not_matter():
    shifted = [*NOISE[:1000], *(NOISE[1000:] + 1)]
    assert scored(shifted) == pytest.approx(scored([v * 1024 for v in shifted]), rel=0, abs=0, nan_ok=True)


def test_one_rare_error_is_no_drift():
    assert [] == told([0.0] * 999 + [1.0] + [0.0] * 999 + [1.0])


def test_it_gives_nan_until_warm_and_again_after_a_drift():
    scores = scored([*NOISE[:1000], *(NOISE[1000:] + 1)])
    at = int(np.flatnonzero(np.array(scores) > 1)[0])
    assert [29, 29] == [sum(map(math.isnan, scores[:500])), sum(map(math.isnan, scores[at:]))]


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_gap_scores_nan_and_is_not_learned(gap):
    scores = scored([*NOISE[:50], gap, *NOISE[50:100]])
    assert math.isnan(scores.pop(50))
    assert scored(NOISE[:100])[29:] == scores[29:]
