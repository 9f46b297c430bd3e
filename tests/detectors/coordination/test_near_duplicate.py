import json
import math

import numpy as np
import pytest
from drawn import START, S, cuts, rows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_coordination import near_duplicate
from scipy import special

import govlab as gl
from govlab.detectors import NearDuplicate
from govlab.detectors.coordination.near_duplicate_kernel import log10_tail
from govlab.errors import SchemaError
from govlab.frames import event_frame, from_us


def frame_of(posts):
    """Posts are (seconds, text, actor)."""
    times, texts, actors = zip(*posts, strict=True)
    return event_frame({"time": from_us([START + int(t * S) for t in times]), "text": list(texts), "actor": list(actors)})


def scored(posts, **recipe):
    return run(NearDuplicate(**{"warm": 20} | recipe), frame_of(posts))[0]


# texts that share nothing or, but for case and white space, all: which of several good matches MinHash finds is not certain
TEXTS = {"a": "abcde fghij", "b": "KLMNO\n pqrst", "c": "uvwxyz äöüß", "d": "шанс мир", "e": "xy"}
ENDS = {"x": "", "y": " ", "z": "\n", "": "\t ", None: "  "}


@given(rows(step_s=200), cuts, st.sampled_from([2, 5, 100]), st.sampled_from([1.5, 24.0]))
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does_which_compares_all_texts(drawn, cuts, memory, background):
    posts = [
        {"time": r["time"], "text": TEXTS.get(r["key"]) and TEXTS[r["key"]] + ENDS[r["item"]], "author": r["partition"] or None}
        for r in drawn
    ]
    frame = event_frame(
        {"time": from_us([p["time"] for p in posts]), "text": [p["text"] for p in posts], "actor": [p["author"] for p in posts]}
    )
    recipe = {"background": background, "join": 0.5, "shingle": 3, "least": 7, "most": 14, "memory": memory, "warm": 2}
    out, _ = run(NearDuplicate(window="5min", **recipe), frame, cuts)
    twin = near_duplicate(posts, 300 * S, **recipe)
    assert [row[0] for row in twin] == pytest.approx(out["score"].tolist(), rel=1e-9, abs=1e-9, nan_ok=True)
    assert [row[2] for row in twin] == pytest.approx(out["authors"].tolist(), nan_ok=True)
    joined = (out["score"] > 0).to_numpy()
    assert [row[1] for row, j in zip(twin, joined, strict=True) if j] == pytest.approx(out["containment"][joined].tolist())


@given(rows(most=120), cuts, st.lists(st.integers(0, 119), max_size=90), st.sampled_from([-1, 1]))
@settings(max_examples=40, deadline=None)
def test_it_takes_clocks_that_jump_as_the_naive_twin_does(drawn, cuts, jumped, way):
    posts = [
        {"time": r["time"] + (way * 10**6 * S if i in jumped else 0), "text": TEXTS.get(r["key"]), "author": r["item"]}
        for i, r in enumerate(drawn)
    ]
    frame = event_frame(
        {"time": from_us([p["time"] for p in posts]), "text": [p["text"] for p in posts], "actor": [p["author"] for p in posts]}
    )
    recipe = {"background": 3.0, "join": 0.5, "shingle": 3, "least": 7, "most": 14, "memory": 9, "warm": 2}
    out, _ = run(NearDuplicate(window="5min", **recipe), frame, cuts)
    twin = near_duplicate(posts, 300 * S, **recipe)
    assert [row[0] for row in twin] == pytest.approx(out["score"].tolist(), rel=1e-9, abs=1e-9, nan_ok=True)
    assert [row[2] for row in twin] == pytest.approx(out["authors"].tolist(), nan_ok=True)


@pytest.mark.parametrize("mu", [1e-6, 0.1, 1.0, 5.0, 30.0])
@pytest.mark.parametrize("r", [1.0, 1.5, 3.0, 20.0])
def test_the_tail_is_that_of_the_incomplete_gamma_function(r, mu):
    assert np.log10(special.gammainc(r, mu)) == pytest.approx(log10_tail(r, mu), rel=1e-9, abs=1e-12)


def test_the_tail_of_a_great_wave_does_not_underflow():
    assert -10_000 < log10_tail(1_000.0, 0.1) < -1_000


rng = np.random.default_rng(5)
words = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 7)) for _ in range(3_000)]
chat = [(600 * i, " ".join(rng.choice(words, 8)), f"u{i % 90}") for i in range(300)]
wave = [(600 * 300 + 10 * i, f"Buy CHEAP   followers at shop-{i:03}.example now!!", f"new{i % 12}") for i in range(25)]


def test_a_wave_of_near_duplicates_scores_far_above_ordinary_texts():
    out = scored(chat + wave)
    assert 0.5 > out["score"].iloc[20:300].max()
    assert out["score"].iloc[-1] > 20
    assert 1 == out["cluster"].iloc[300:].nunique()
    assert [1.0, 2.0, 12.0] == out["authors"].iloc[[300, 301, -1]].tolist()


def test_a_phrase_that_comes_as_often_as_ever_does_not_grow():
    greeting = [(600 * i + 30, "good morning everyone, have a nice day", f"u{i % 50}") for i in range(0, 300, 2)]
    out = scored(sorted(chat + greeting, key=lambda post: post[0]))
    assert 2 > out["score"].iloc[-20:].max()


@pytest.mark.parametrize("at", [0, 50])
@pytest.mark.parametrize("wrong_s", [-56 * 365 * 86_400, 100 * 365 * 86_400])
def test_one_wrong_clock_leaves_all_other_rows_as_they_were(at, wrong_s):
    posts = [(600 * i, "good morning everyone, have a nice day" if i % 6 == 0 else chat[i][1], "a") for i in range(300)]
    wrong = [(t + (wrong_s if i == at else 0), *post) for i, (t, *post) in enumerate(posts)]
    usual, found = scored(posts)["score"], scored(wrong)["score"]
    assert math.isnan(found[at])
    assert usual[200:].tolist() == pytest.approx(found[200:].tolist(), abs=0.2)


def test_a_clock_that_has_jumped_for_good_makes_it_start_afresh():
    jumped = [(t + 500 * 86_400, *post) for t, *post in chat]
    found = scored([*chat, *jumped])["score"].tolist()
    assert scored(jumped[29:])["score"].tolist() == pytest.approx(found[329:], nan_ok=True)
    assert all(map(math.isnan, found[300:329]))


def test_rows_of_one_time_and_a_very_long_background_have_a_score():
    assert 0 < scored([(0, chat[i % 3][1], "a") for i in range(60)], background=1e9)["score"].iloc[-1] < math.inf


def test_a_short_text_inside_a_long_one_is_contained_in_it():
    long = "please do look at this wonderful offer of a lifetime " + chat[0][1]
    assert [1.0] == scored([*chat, (180_000, long, "a"), (180_010, long[7:45], "b")])["containment"].tail(1).tolist()


def test_the_containment_is_the_share_of_the_smaller_text_and_half_is_enough_to_join():
    out = scored([*chat, (180_000, "0123456789abcdefghij", "a"), (180_010, "0123456789abcd-------=======", "b")], least=5)
    assert [10 / 16] == out["containment"].tail(1).tolist()
    assert 1 == out["cluster"].tail(2).nunique()


def test_case_and_white_space_do_not_matter():
    assert [1.0] == scored(
        [*chat, (180_000, "One Thing and ANOTHER thing", "a"), (180_010, "one  thing\nand another THING ", "b")]
    )["containment"].tail(1).tolist()


def test_blanks_in_front_do_not_hide_a_text():
    hidden = [(t, " \n" * 1_000 + text.replace(" ", " " * 3_000), actor) for t, text, actor in wave]
    assert scored(chat + wave)["score"].tolist() == pytest.approx(scored(chat + hidden)["score"].tolist(), nan_ok=True)


def test_a_text_that_says_the_same_few_runs_again_and_again_scores_nan():
    assert math.isnan(scored([*chat[:30], (18_000, "hahahahahahahahahahaha", "a")])["score"].iloc[-1])


def test_a_text_that_joins_nothing_scores_what_it_repeats():
    out = scored([*chat, (180_000, "0123456789abcdefghij", "a"), (180_010, "0123456789-------=======abcd", "b")], join=0.9)
    assert 0 < out["score"].iloc[-1] == out["containment"].iloc[-1] < 0.9


@pytest.mark.parametrize("text", [None, "", "too short"])
def test_a_text_that_is_missing_or_too_short_scores_nan_and_is_not_learned(text):
    out = scored([*chat[:30], (18_000, text, "a"), *chat[30:60]])
    assert math.isnan(out["score"].iloc[30])
    assert out["cluster"].iloc[30] is None
    assert scored(chat[:60])["score"].iloc[30:].tolist() == out["score"].iloc[31:].tolist()


def test_it_gives_nan_until_so_many_texts_are_learned():
    assert 20 == scored(chat)["score"].isna().sum()


def test_an_alert_has_the_cluster_as_its_entity_and_does_not_show_the_text():
    watch = gl.Pipeline(NearDuplicate(warm=20), gl.alerts.Threshold(20), gl.alerts.Cooldown("1d"))
    alerts = watch.run(frame_of(chat + wave)).rows
    assert [scored(chat + wave)["cluster"].iloc[-1]] == alerts["entity"].tolist()
    assert ["near_duplicate 20.2 is above 20, containment 0.854, authors 12"] == alerts["reason"].tolist()


def test_it_finds_the_spam_planted_in_the_community_and_all_its_authors():
    community = gl.datasets.load("community")
    posts = community.frame[community.frame["text"].notna()].reset_index(drop=True)
    planted = json.loads(community.incidents.set_index("incident_id").loc["spam_wave_1", "entities"])
    out = NearDuplicate().process(event_frame(posts))
    high = out[out["score"] > 50]
    assert set(planted) == set(high["actor"])
    assert [float(len(planted))] == high["authors"].tail(1).tolist()


@pytest.mark.parametrize("gone", ["text", "actor"])
def test_a_missing_column_is_named(gone):
    with pytest.raises(SchemaError, match=f"NearDuplicate needs a column '{gone}'"):
        NearDuplicate().process(frame_of(chat[:5]).drop(columns=gone))


def test_a_frame_without_time_is_refused():
    with pytest.raises(SchemaError, match=r"needs a column 'time'\. Did you mean 'time_'"):
        NearDuplicate().process(frame_of(chat[:5]).rename(columns={"time": "time_"}))
