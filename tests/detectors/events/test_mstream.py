import math

import numpy as np
import pytest
from drawn import START, column, cuts
from drawn_events import drawn_rows, events, kinds_of, normal, points_of, recipes, scored
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_events import mstream

from govlab.detectors import Mstream
from govlab.frames import event_frame, from_us


@given(drawn_rows, cuts, recipes, st.integers(0, 3), st.sampled_from([0.01, 0.5, 0.8]))
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, recipe, seed, alpha):
    step = Mstream(["value", "other"], ["key", "item"], "1min", alpha, seed=seed, **recipe)
    times = [row["time"] for row in drawn]
    expected = mstream(times, points_of(drawn), kinds_of(drawn), 60_000_000, alpha, seed=seed, **recipe)
    assert expected == pytest.approx(column(step, events(drawn), "score", cuts), rel=1e-6, abs=1e-6, nan_ok=True)


def kinds(burst=0, quiet=1_800):
    """One row a second of two kinds in turn, then a burst of a third that was seen now and then."""
    return [("rare" if i % 600 == 599 else ("post", "like")[i % 2]) for i in range(quiet)] + ["rare"] * burst


def events_at(named, wrong_s):
    """Give a row a second, some of them with another clock."""
    seconds = [i + wrong_s.get(i, 0) for i in range(len(named))]
    return event_frame({"time": from_us(np.array(seconds) * 1_000_000 + START), "key": named})


def one(**recipe):
    return Mstream([], ["key"], "1min", **recipe)


def test_a_burst_of_alike_rows_scores_highest_and_a_single_rare_row_does_not():
    named = kinds(120)
    scores = scored(one(), [1.0] * len(named), key=named)
    assert scores[1_830:].min() > np.nanmax(scores[:1_799])


def test_a_steady_rate_scores_near_zero_however_busy_it_is():
    for step_s in (1, 6):
        scores = scored(one(warm=20), [1.0] * 3_600, key=["post"] * 3_600, step_s=step_s)
        assert np.nanmedian(scores) < 0.5


def test_a_guarded_one_keeps_a_burst_strange_for_longer():
    named = kinds(700)
    guarded, unguarded = (scored(one(guard=g, patience=1_000), [1.0] * len(named), key=named)[-100:] for g in (0.01, 0))
    assert guarded.mean() > unguarded.mean() + 1


def test_a_rare_combination_that_comes_often_is_seen_by_the_joint_hash():
    values = [1.0 if i % 2 else -1.0 for i in range(1_800)] + [-1.0, 1.0] * 60
    named = ["up" if v > 0 else "down" for v in values[:1_800]] + ["up", "down"] * 60  # each is as frequent as ever
    scores = scored(Mstream(["value"], ["key"], "1min"), values, key=named)
    assert scores[1_860:].min() > np.nanmax(scores[:1_800]) + 1


def test_it_gives_nan_for_the_first_ticks():
    scores = scored(one(warm=3), [1.0] * 300, key=["post"] * 300)
    assert 180 == int(np.isnan(scores).sum()) == int(np.isnan(scores[:180]).sum())


def test_a_row_with_a_gap_scores_nan_and_is_not_learned():
    values = [*normal[:800], None, *normal[800:900]]
    scores = scored(Mstream(["value"], every="1min", warm=2), values).tolist()
    assert math.isnan(scores[800])
    assert 1 == sum(map(math.isnan, scores[200:]))


def test_after_a_very_long_pause_scores_are_still_finite():
    values, named = [1.0] * 400, ["post"] * 400
    scores = scored(one(alpha=0.001, warm=2), values, key=named, step_s=500_000)
    assert np.isfinite(scores[2:]).all()


@pytest.mark.parametrize("at", [0, 1_500])
@pytest.mark.parametrize("wrong_s", [-56 * 365 * 86_400, 73 * 365 * 86_400])
def test_one_wrong_clock_leaves_all_other_rows_as_they_were(at, wrong_s):
    named = kinds(120)
    usual = scored(one(), [1.0] * len(named), key=named)
    frame = events_at(named, {at: wrong_s})
    found = one().process(frame)["score"].to_numpy()
    assert np.nanmax(np.abs(found[1_830:] - usual[1_830:])) < 0.2
    assert np.isnan(found[at])


def test_a_clock_that_has_jumped_for_good_makes_it_start_afresh():
    named = kinds(0, 3_600)
    found = one().process(events_at(named, dict.fromkeys(range(1800, 3600), 365 * 86400)))["score"].to_numpy()
    assert np.isnan(found[1_800:2_400]).all()
    assert np.isfinite(found[2_460:]).all()
