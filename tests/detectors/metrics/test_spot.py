import math

import numpy as np
import pytest
from drawn import S, column, cuts, frame_of, huge, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_rates import spot

from govlab.detectors import Spot

small = st.one_of(st.floats(-10, 10), st.integers(0, 3).map(float), st.sampled_from([1e6, math.inf]), huge, st.none())


@given(
    rows(values=small),
    cuts,
    st.sampled_from(["upper", "lower", "both"]),
    st.sampled_from([0, 5]),
    st.integers(1, 7),
    st.sampled_from([20, 25, 60]),
)
@settings(max_examples=40, deadline=None)
def test_it_gives_the_p_of_the_naive_twin(drawn, cuts, tail, drift, refit, window):
    for row in drawn:
        row["key"] = "a" if row["key"] in ("a", "b", "c") else row["key"]
    recipe = {"tail": tail, "drift": drift, "level": 0.8, "guard": 0.05, "window": window, "warm": 20, "refit": refit}
    twin = spot(drawn, **recipe, most=2, expire=10_000 * S)
    given = column(Spot("value", "key", **recipe, give="p", max_entities=2, expire="10000s"), frame_of(drawn), "p", cuts)
    assert twin == pytest.approx(given, rel=1e-6, abs=1e-299, nan_ok=True)


def scored(values, give="score", **recipe):
    drawn = [{"time": 0, "key": None, "value": v, "item": None, "partition": 0, "offset": 0} for v in values]
    return column(Spot("value", give=give, **recipe), frame_of(drawn), give)


tails = np.random.default_rng(0).exponential(size=5_000).tolist()


def test_far_beyond_all_of_the_past_it_gives_the_probability_of_the_distribution():
    # P(X > 14) = exp(-14) = 10^-6.1, though no rank among 5,000 values is below 10^-4
    assert 6.1 == pytest.approx(scored([*tails, 14.0])[-1], abs=1.5)


def test_so_many_alarms_as_the_probability_says():
    more = np.random.default_rng(1).exponential(size=20_000).tolist()
    alarms = sum(p < 0.001 for p in scored([*tails, *more], give="p")[5_000:])
    assert 20 == pytest.approx(alarms, abs=10)


@pytest.mark.parametrize(("tail", "high", "low"), [("upper", True, False), ("lower", False, True), ("both", True, True)])
def test_only_the_watched_side_is_rare(tail, high, low):
    normal = np.random.default_rng(0).normal(size=500).tolist()
    assert [high, low] == [scored([*normal, x], tail=tail)[-1] > 3 for x in (8.0, -8.0)]


def test_a_lasting_level_becomes_usual_in_time():
    scores = scored([*tails[:1000], *[20.0] * 1000])
    assert scores[1000] > 4 > 1.8 > scores[-1]


def test_with_drift_a_level_may_wander():
    wandering = (np.arange(2_000) / 100 + np.random.default_rng(0).normal(size=2_000)).tolist()
    still, moved = (np.mean(np.array(scored(wandering, drift=d)[1000:]) > 2) for d in (0, 50))
    assert moved < 0.02 < still


@pytest.mark.parametrize("gap", [None, math.nan, math.inf])
def test_a_gap_scores_nan_and_is_not_learned(gap):
    scores = scored([*tails[:300], gap, *tails[300:400]])
    assert math.isnan(scores.pop(300))
    assert scored(tails[:400])[200:] == scores[200:]


def test_it_gives_nan_until_warm():
    assert [200, 300] == [sum(map(math.isnan, scored(tails[:500]))), sum(map(math.isfinite, scored(tails[:500])))]
