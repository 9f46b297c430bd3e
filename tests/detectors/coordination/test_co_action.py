import json
import math

import numpy as np
import pandas as pd
import pytest
from drawn import START, S, cuts, rows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_coordination import co_action

import govlab as gl
from govlab.detectors import CoAction
from govlab.errors import SchemaError
from govlab.frames import event_frame, from_us, time_us


def frame_of(acts):
    """Acts are (seconds, actor, object)."""
    times, actors, objects = zip(*acts, strict=True)
    return event_frame({"time": from_us([START + int(t * S) for t in times]), "actor": list(actors), "target": list(objects)})


def scored(acts, cuts=(), **recipe):
    return run(CoAction(**{"window": "10min"} | recipe), frame_of(acts), cuts)[0]


names = st.sampled_from(["a", "b", "c", "d", "e", None])


@given(
    rows(step_s=90, keys=names), cuts,
    st.sampled_from([0.01, 0.2, 1.0]), st.sampled_from([2, 3, 50]), st.integers(2, 4),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, join, most, cap):
    acts = [{"time": r["time"], "actor": r["key"], "object": r["item"]} for r in drawn]
    frame = event_frame(
        {"time": from_us([a["time"] for a in acts]), "actor": [a["actor"] for a in acts], "target": [a["object"] for a in acts]}
    )
    step = CoAction(
        window="5min", halflife="10min", least=1, join=join, warm=3, max_entities=most, max_per_object=cap, max_members=3
    )
    out, _ = run(step, frame, cuts)
    twin = co_action(acts, 300 * S, 600 * S, 1, join, 3, most, cap, 3)
    assert [row[0] for row in twin] == pytest.approx(out["score"].tolist(), rel=1e-9, abs=1e-12, nan_ok=True)
    told = out[out["score"] > 0]
    expected = [row for row in twin if row[0] > 0]
    assert [row[1] for row in expected] == told["campaign"].tolist()
    assert [row[2] for row in expected] == [int(text.split(":")[0]) for text in told["campaign_members"]]
    assert [row[3] for row in expected] == [int(text.split(":")[0]) for text in told["campaign_objects"]]
    assert [row[4] for row in expected] == time_us(told, "campaign_start").tolist()


@given(
    rows(most=120, step_s=30, keys=names), cuts, st.lists(st.integers(0, 119), max_size=90), st.sampled_from([-1, 1]),
    st.sampled_from([2, 50]),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_it_takes_clocks_that_jump_as_the_naive_twin_does(drawn, cuts, jumped, way, most):
    far = [way * 50 * 600 * S if i in jumped else 0 for i in range(len(drawn))]
    acts = [{"time": r["time"] + off, "actor": r["key"], "object": r["item"]} for r, off in zip(drawn, far, strict=True)]
    frame = event_frame(
        {"time": from_us([a["time"] for a in acts]), "actor": [a["actor"] for a in acts], "target": [a["object"] for a in acts]}
    )
    out, _ = run(CoAction(window="5min", halflife="10min", least=1, join=0.01, warm=3, max_entities=most), frame, cuts)
    twin = co_action(acts, 300 * S, 600 * S, 1, 0.01, 3, most)
    assert [row[0] for row in twin] == pytest.approx(out["score"].tolist(), rel=1e-9, abs=1e-12, nan_ok=True)
    told = out[out["score"] > 0]
    assert [row[1] for row in twin if row[0] > 0] == told["campaign"].tolist()
    assert [row[4] for row in twin if row[0] > 0] == time_us(told, "campaign_start").tolist()


rng = np.random.default_rng(3)
# 4,000 acts of 300 accounts; some objects are much more popular than others
crowd = [
    (10 * i, f"u{a}", f"post{int(o)}")
    for i, (a, o) in enumerate(zip(rng.integers(0, 300, 4_000), rng.zipf(1.3, 4_000) % 2_000, strict=True))
]
ring = [(20_000 + 40 * o + 3 * m, f"ring{m}", f"post{1_000 + o}") for o in range(10) for m in range(6)]


def merged(*parts):
    return sorted((act for part in parts for act in part), key=lambda act: act[0])


def test_a_ring_is_found_with_all_its_members_and_no_one_else():
    out = scored(merged(crowd, ring), named=10)
    high = out[out["score"] > 0]
    assert {f"ring{m}" for m in range(1, 6)} == set(high["actor"])  # ring0 acts first on each object, when no one has followed
    assert 1 == high["campaign"].nunique()
    assert ["6: ring0, ring1, ring2, ring3, ring4, ring5"] == high["campaign_members"].tail(1).tolist()
    assert [pd.Timestamp(START + 20_003 * S, unit="us", tz="UTC")] == high["campaign_start"].tail(1).tolist()


def test_the_popularity_of_an_object_makes_no_campaign_of_those_who_like_it():
    assert 0 == scored(crowd)["score"].max()


def test_accounts_that_do_the_same_hours_apart_are_no_campaign():
    slow = [(4_000 * o + 700 * m, f"ring{m}", f"post{1_000 + o}") for o in range(10) for m in range(5)]
    assert 0 == scored(merged(crowd, slow))["score"].max()


def test_an_act_on_another_object_by_a_member_scores_zero():
    out = scored([*merged(crowd, ring), (41_000, "ring1", "elsewhere")])
    assert [0.0] == out["score"].tail(1).tolist()


def test_a_campaign_fades():
    again = [(41_000, "ring0", "post1000"), (41_010, "ring1", "post1000")]
    late = [(41_000 + 86_400 * 20 + t, u, o) for t, (_, u, o) in enumerate(again)]
    soon, gone = (scored([*merged(crowd, ring), *more])["score"].iloc[-1] for more in (again, late))
    assert (True, 0.0) == (soon > 100, gone)


@pytest.mark.parametrize("at", [0, 2_000])
@pytest.mark.parametrize("wrong_s", [-56 * 365 * 86_400, 100 * 365 * 86_400])
def test_one_wrong_clock_leaves_all_other_rows_as_they_were(at, wrong_s):
    acts = merged(crowd, ring)
    wrong = [(t + (wrong_s if i == at else 0), *act) for i, (t, *act) in enumerate(acts)]
    usual, found = scored(acts), scored(wrong)
    assert math.isnan(found["score"].iloc[at])
    assert usual["score"].tail(30).tolist() == pytest.approx(found["score"].tail(30).tolist(), rel=0.02)
    assert usual["campaign_start"].tail(1).tolist() == found["campaign_start"].tail(1).tolist()


def test_a_clock_that_has_jumped_for_good_makes_it_start_afresh():
    acts = merged(crowd, ring)
    jumped = [(t + 365 * 86_400, *act) for t, *act in acts]
    found = scored([*acts, *jumped])["score"].tolist()
    assert all(map(math.isnan, found[len(acts) : len(acts) + 29]))
    assert scored(jumped[29:])["score"].tolist() == pytest.approx(found[len(acts) + 29 :], nan_ok=True)


def test_a_campaign_starts_when_its_first_pair_met_in_earnest_and_not_once_long_ago():
    met = [(0, "ring0", "old"), (3, "ring1", "old")]
    start = scored(merged(met, [(t + 20 * 86_400, *act) for t, *act in merged(crowd, ring)]))["campaign_start"].dropna().iloc[-1]
    assert pd.Timestamp(START + (20 * 86_400 + 20_003) * S, unit="us", tz="UTC") == start


strangers = [(10 * i, f"other{i % 700}", f"thing{i}") for i in range(5_000)]


def ring_of(name, begin):
    return [(begin + 40 * o + 3 * m, f"{name}{m}", f"{name}{begin}_{o}") for o in range(10) for m in range(4)]


def test_campaigns_of_which_no_one_is_known_any_more_make_room_for_others():
    rings = [ring_of(name, 11_000 + 4_000 * i) for i, name in enumerate("abcdefgh")]  # 300 strangers between, each known once
    out = scored(merged(strangers, *rings), max_entities=300, max_campaigns=4)
    assert [f"{name}0" for name in "abcdefgh"] == out["campaign"].dropna().unique().tolist()


def test_accounts_that_come_back_after_they_were_forgotten_are_judged_by_what_they_do_from_then_on():
    again = merged(strangers, ring_of("m", 20_000), ring_of("m", 40_000))
    once = merged(strangers, ring_of("m", 40_000))
    last = [(found := scored(acts, max_entities=500)["score"].dropna())[found > 0].iloc[-1] for acts in (again, once)]
    assert last[0] == pytest.approx(last[1], rel=0.1)


def test_to_act_on_one_object_together_again_and_again_is_one_meeting():
    talk = [(20_000 + 60 * i, "xy"[i % 2], "post_1") for i in range(288)]
    assert 0 == scored(merged(crowd, talk))["score"].max()


def test_names_that_begin_alike_are_told_apart():
    long = [(t, "x" * 61 + u, o) for t, u, o in ring] + [(t, "x" * 61 + "b" + u, o + "b") for t, u, o in ring]
    called = scored(merged(crowd, long))["campaign"].dropna()
    assert 2 == called.nunique()
    assert 64 == called.str.len().max()


def test_a_name_cannot_be_read_as_several():
    odd = [(t, {"ring0": "ann, bob, and 40 more", "ring1": "and 9 more", "ring2": 'c"'}.get(u, u), o) for t, u, o in ring]
    text = scored(merged(crowd, odd), named=4)["campaign_members"].dropna().iloc[-1]
    assert '6: "ann, bob, and 40 more", "and 9 more", "c\\"", ring3, and 2 more' == text


def test_it_gives_nan_until_so_many_acts_are_learned_and_for_a_row_without_an_object():
    scores = scored([(0, "a", None), (0, None, "x"), *crowd[:20]], warm=10)["score"].tolist()
    assert [True] * 12 + [False] * 10 == [math.isnan(s) for s in scores]


def test_an_alert_names_the_members_the_objects_and_the_time():
    watch = gl.Pipeline(CoAction(window="10min"), gl.alerts.Threshold(100), gl.alerts.Cooldown("1d"))
    alerts = watch.run(frame_of(merged(crowd, ring))).rows
    assert ["ring0"] == alerts["entity"].tolist()
    reason = alerts["reason"].iloc[0]
    assert "members 6: ring0, ring1, ring2, and 3 more" in reason
    assert "objects 1: post1003; since" in reason
    assert reason.endswith("since 2026-03-02 05:33:23")


def test_names_of_users_are_told_as_one_line_of_plain_text():
    odd = [(t, u.replace("ring1", "ring\n\x1b[31m1" + "x" * 100), o) for t, u, o in ring]
    text = scored(merged(crowd, odd))["campaign_members"].dropna().iloc[-1]
    assert text.isprintable()
    assert len(text) < 150


def test_it_finds_the_ring_planted_in_the_community():
    community = gl.datasets.load("community")
    likes = community.frame[community.frame["kind"] == "like"].reset_index(drop=True)
    planted = community.incidents.set_index("incident_id").loc["coordinated_likes_1", "entities"]
    out = CoAction(window="10min").process(event_frame(likes))
    found = set(out.loc[out["score"] > 0, "actor"])
    assert found == {e for e in json.loads(planted) if e.startswith("user")}


@pytest.mark.parametrize("gone", ["actor", "target"])
def test_a_missing_column_is_named(gone):
    with pytest.raises(SchemaError, match=f"CoAction needs a column '{gone}'"):
        CoAction().process(frame_of(crowd[:5]).drop(columns=gone))


def test_a_frame_without_time_is_refused():
    with pytest.raises(SchemaError, match=r"needs a column 'time'\. Did you mean 'time_'"):
        CoAction().process(frame_of(crowd[:5]).rename(columns={"time": "time_"}))
