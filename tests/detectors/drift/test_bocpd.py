import math

import numpy as np
import pytest
from drawn import START, S, cuts, frame_of, huge, rows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_drift import bocpd

from govlab.detectors import Bocpd

small = st.one_of(
    st.floats(-10, 10).map(lambda v: round(v, 2)), st.integers(0, 1).map(float), st.sampled_from([1e3]), huge, st.none()
)
NOISE = np.random.default_rng(0).normal(size=1_000)
SHIFT = np.concatenate([NOISE[:500], NOISE[500:] + 5])


def scored(values, **recipe):
    drawn = [{"time": START, "key": None, "value": v, "item": None, "partition": 0, "offset": 0} for v in values]
    out = run(Bocpd(**recipe, run_length=True), frame_of(drawn))[0]
    return out["score"].to_numpy(), out["run_length"].to_numpy()


@given(
    rows(values=small, most=120, keys=st.sampled_from(["a", "a", "a", "b", None])),
    cuts,
    st.sampled_from([3.0, 50.0]),
    st.integers(1, 3),
    st.sampled_from([4, 500]),
    st.integers(0, 3),
)
@settings(max_examples=25, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, every, lag, memory, hold):
    recipe = {"every": every, "lag": lag, "memory": memory, "warm": 4, "hold": hold}
    out = run(Bocpd("value", "key", **recipe, run_length=True, max_entities=3, expire="200s"), frame_of(drawn), cuts)[0]
    twin = [known if isinstance(known, tuple) else (known, known) for known in bocpd(drawn, **recipe, most=3, expire=200 * S)]
    assert [known[0] for known in twin] == pytest.approx(out["score"].tolist(), rel=1e-4, abs=1e-6, nan_ok=True)
    gone = [math.isnan(known[1]) for known in twin]
    assert gone == out["run_length"].isna().tolist()


def test_the_run_length_of_the_naive_twin_is_the_most_probable_one():
    values = [*NOISE[:60], *(NOISE[60:100] + 6)]
    twin = bocpd([{"time": START, "key": None, "value": float(v)} for v in values])
    assert [known[1] if isinstance(known, tuple) else known for known in twin] == pytest.approx(scored(values)[1], nan_ok=True)


def test_a_shift_is_told_within_the_lag_and_its_row_is_known():
    scores, lengths = scored(SHIFT, hold=0)
    found = np.flatnonzero(scores > 0.5)
    assert 500 <= found[0] <= 505
    assert 500 == int(504 + 1 - lengths[504])


def test_a_change_of_spread_is_told_too():
    scores, _ = scored([*NOISE[:500], *(NOISE[500:] * 8)], hold=0)
    assert 500 <= np.flatnonzero(scores > 0.5)[0] <= 520


def test_nothing_is_told_where_nothing_changes():
    scores, lengths = scored(NOISE)
    assert np.nanmax(scores) < 0.5
    assert 1_000 == lengths[-1]


@pytest.mark.parametrize("level", [1e9, 1.7e15])
def test_far_from_0_a_change_does_not_drown_in_rounding(level):
    values = np.round(SHIFT * 4) / 4
    np.testing.assert_allclose(scored(values)[0], scored(values + level)[0], rtol=1e-6)


def test_the_unit_does_not_matter():
    assert scored(SHIFT)[0] == pytest.approx(scored(SHIFT * 1024 + 7)[0], rel=1e-6, abs=1e-9, nan_ok=True)


def test_few_run_lengths_are_enough():
    assert scored(SHIFT, hold=0)[0] == pytest.approx(scored(SHIFT, hold=0, runs=60)[0], abs=0.05, nan_ok=True)


def test_it_gives_nan_until_warm():
    scores, lengths = scored(NOISE[:50], warm=20)
    assert [20, 20] == [int(np.isnan(scores).sum()), int(np.isnan(lengths).sum())]


def test_a_constant_has_no_change():
    assert np.nanmax(scored([5.0] * 100)[0]) < 0.5


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_gap_scores_nan_and_is_not_learned(gap):
    scores, _ = scored([*NOISE[:50], gap, *NOISE[50:100]])
    assert math.isnan(scores[50])
    assert scored(NOISE[:100])[0][10:].tolist() == np.delete(scores, 50)[10:].tolist()
