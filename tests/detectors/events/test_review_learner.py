import itertools
import math

import numpy as np
import pandas as pd
import pytest
from drawn import cuts, frame_of, rows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_review import review_learner

import govlab as gl
from govlab.detectors import ReviewLearner
from govlab.errors import SchemaError
from govlab.frames import event_frame
from govlab.testing import leak_check

small = st.one_of(st.floats(-10, 10), st.sampled_from([0.0, 1e6, math.inf]), st.none())
names = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", None])
labels = st.one_of(st.none(), st.none(), st.sampled_from([0.0, 1.0, 1.0, 7.0]))
shares = st.sampled_from([(0.3, 0.1), (0.5, 0.5), (0.1, 0.0), (1.0, 0.2), (1.0, 0.0)])
recipes = st.tuples(
    shares, st.sampled_from([0, 8]), st.booleans(), st.sampled_from([0, 3]), st.sampled_from([4, 30]), st.integers(0, 3)
)


@given(
    rows(values=small, keys=names),
    st.lists(labels, min_size=60, max_size=60),
    recipes,
    st.sampled_from([2, 9]),
    st.booleans(),
    cuts,
)
@settings(max_examples=40, deadline=None)
def test_it_scores_and_asks_as_the_naive_twin_does(drawn, labels, recipe, most, with_prior, cuts):
    (share, audit), early, products, halflife, window, seed = recipe
    kept = {"share": share, "audit": audit, "early": early, "clip": 3.0, "products": products, "halflife": halflife}
    kept |= {"window": window, "warm": 3, "seed": seed}
    frame = frame_of(drawn)
    frame["other"] = [float(row["offset"] % 7) for row in drawn]
    frame["label"] = pd.Series(labels[: len(drawn)], dtype="float64")
    frame["score"] = [float(row["offset"] * 5 % 11) if row["offset"] % 4 else math.nan for row in drawn]
    told = [
        {"values": [row["value"], other], "id": row["key"], "label": label, "prior": prior if with_prior else None}
        for row, other, label, prior in zip(drawn, frame["other"], frame["label"], frame["score"], strict=True)
    ]
    scores, asked, twin = review_learner(told, 2, prior=with_prior, most=most, **kept)
    step = ReviewLearner(["value", "other"], "key", prior="score" if with_prior else None, max_pending=most, **kept)
    given, _ = run(step, frame, cuts)
    assert asked == given["asked"].tolist()
    assert scores == pytest.approx(given["score"].tolist(), rel=1e-6, abs=1e-7, nan_ok=True)
    step.process(frame)
    assert (twin.learned, twin.ignored) == (step.learned, step.ignored)


@pytest.mark.parametrize(("share", "audit", "halflife"), [(0.1, 0.02, 0), (0.2, 0.2, 30)])
def test_it_scores_and_asks_as_the_naive_twin_does_over_a_longer_stream(share, audit, halflife):
    frame = stream(700)[0]
    kept = {"share": share, "audit": audit, "early": 100, "clip": 4.0, "products": True, "halflife": halflife}
    kept |= {"window": 100, "warm": 20, "seed": 3}
    names = ["links", "words", "event_id", "label", "score"]
    table = frame[names].astype("Float64").astype(object).where(frame[names].notna(), None)
    told = [{"values": [a, b], "id": i, "label": y, "prior": p} for a, b, i, y, p in table.to_numpy().tolist()]
    scores, asked, twin = review_learner(told, 2, prior=True, most=1_000, **kept)
    out = ReviewLearner(["links", "words"], max_pending=1_000, **kept).process(frame)
    assert asked == out["asked"].tolist()
    assert scores == pytest.approx(out["score"].tolist(), rel=1e-6, abs=1e-7, nan_ok=True)
    assert twin.learned > 40


def stream(n=3_000, seed=0, delay=50, rate=0.1):
    """Abuse has many links at an unremarkable prior; verdicts come after 50 rows."""
    rng = np.random.default_rng(seed)
    bad = rng.random(n) < rate
    events = event_frame(
        {
            "time": pd.date_range("2026-03-02", periods=n, freq="min", tz="UTC"), "event_id": np.arange(n),
            "links": rng.poisson(np.where(bad, 9, 3)), "words": rng.gamma(2, 20, n), "score": rng.exponential(size=n),
        }
    )  # fmt: skip
    known = pd.DataFrame({"event_id": events["event_id"], "bad": bad.astype(int)})
    known["known_at"] = events["time"] + pd.Timedelta(minutes=delay)
    return gl.evaluation.with_labels(events, known, id="event_id"), bad


def learned(frame, **recipe):
    step = ReviewLearner(["links", "words"], **{"early": 500} | recipe)
    return step.process(frame), step


def test_it_finds_by_a_few_labels_what_the_prior_does_not_see():
    frame, bad = stream()
    scores = learned(frame)[0]["score"][frame["label"].isna()].to_numpy()[1_000:]
    bad = bad[1_000:]
    auc = np.mean([np.mean(scores[bad] > s) for s in scores[~bad]])
    assert 0.9 < auc


@pytest.mark.parametrize("audit", [0.0, 0.02, 0.05])
def test_it_asks_for_its_share_and_no_more(audit):
    frame, bad = stream(12_000)
    asked, step = learned(frame, audit=audit)
    assert 0.04 * bad.size <= asked["asked"].sum() <= 0.0505 * bad.size
    assert 0.98 * asked["asked"].sum() <= step.learned <= asked["asked"].sum()
    assert step.ignored == bad.size - step.learned


def test_it_asks_more_often_first():
    asked = learned(stream(4_000)[0])[0].dropna(subset="links")["asked"].to_numpy()
    assert 60 < asked[:500].sum() < 140
    assert asked[500:].mean() < 0.05


def test_scores_that_only_rise_do_not_make_it_ask_without_end():
    frame = stream(4_000)[0].dropna(subset="links").reset_index(drop=True)
    frame["score"] = np.arange(len(frame), dtype="float64")
    asked = learned(frame, audit=0.0)[0]["asked"]
    assert asked.sum() <= 0.05 * (4_000 + 3 * (500 - 4_000 / 20)) + 1


def test_shuffling_labels_known_later_changes_no_earlier_score():
    frame = stream(1_000)[0]
    at = 1_200
    later = frame.copy()
    rest = later.index[(later.index >= at) & later["label"].notna()]
    later.loc[rest, "label"] = 1 - later.loc[rest, "label"]
    one, two = learned(frame)[0], learned(later)[0]
    columns = ["score", "asked"]
    pd.testing.assert_frame_equal(one.loc[: at - 1, columns], two.loc[: at - 1, columns], check_exact=True)
    assert not one["score"].equals(two["score"])


def test_it_does_not_look_ahead_in_a_stream_with_labels():
    leak_check(ReviewLearner(["links", "words"], early=100, share=0.2), stream(400)[0])


def test_labels_of_events_not_asked_for_teach_nothing():
    frame, _ = stream(1_000)
    out, _ = learned(frame)
    wanted = frame["event_id"].isin(out.loc[out["asked"] == 1, "event_id"]) | frame["label"].isna()
    few = learned(frame[wanted].reset_index(drop=True))[0]
    assert out.loc[wanted, "score"].equals(few["score"].set_axis(out.index[wanted]))


def test_a_label_that_comes_before_its_event_or_a_second_time_teaches_nothing():
    ids, labels = ["a", "a", "a", "a"], [1.0, None, 1.0, 1.0]
    frame = event_frame({"time": ["2026-03-02T00:00:00Z"] * 4, "event_id": ids, "links": 1.0, "label": labels})
    step = ReviewLearner(["links"], prior=None, share=1.0)
    step.process(frame)
    assert (1, 2) == (step.learned, step.ignored)


def test_until_the_first_label_the_score_is_the_surprise_of_the_prior_and_nan_until_that_is_warm():
    frame = stream(300)[0]
    frame = frame[frame["label"].isna()].reset_index(drop=True)
    p = gl.detectors.Calibrated(warm=100).process(frame)["p"]
    score = learned(frame)[0]["score"]
    assert score[:100].isna().all()
    assert (-np.log(p[100:])).tolist() == pytest.approx(score[100:].tolist())


def test_without_a_prior_it_gives_nan_until_the_first_label():
    frame = stream(300)[0]
    out, step = learned(frame, prior=None, share=0.5)
    first = int(np.flatnonzero(frame["label"].notna() & frame["event_id"].isin(out.loc[out["asked"] == 1, "event_id"]))[0])
    events = frame["label"].isna()
    assert out["score"][:first].isna().all()
    assert np.isfinite(out["score"][first:][events[first:]]).all()
    assert step.learned > 0


def test_a_row_with_a_missing_value_is_scored_and_a_row_of_a_label_is_not():
    frame = stream(600)[0]
    frame["links"] = frame["links"].astype("float64")
    event = int(frame.index[frame["label"].isna()][-1])
    frame.loc[event, "links"] = np.nan
    out = learned(frame)[0]
    assert math.isfinite(out["score"][event])
    assert out["score"][frame["label"].notna()].isna().all()
    assert 0 == out["asked"][frame["label"].notna()].sum()


def test_a_label_weighs_at_most_the_clip_so_that_no_audited_row_alone_turns_it():
    frame, _ = stream(2_000)
    plain, heavy = (learned(frame, clip=c)[0]["score"] for c in (1.0, 100.0))
    events = frame["label"].isna().to_numpy()
    swing = [np.abs(np.diff(s[events].dropna().rolling(50).mean().dropna())).max() for s in (plain, heavy)]
    assert swing[0] < swing[1]


def test_it_forgets_with_a_halflife_and_follows_a_turn_sooner():
    first, second = stream(3_000, rate=0.3)[0], stream(3_000, seed=1, rate=0.3)[0]
    second["label"] = 1 - second["label"]
    second["event_id"] += 10_000
    both = gl.frames.concat([first, second])
    links = [
        learned(both, share=0.3, audit=0.3, halflife=h)[1]._weights[2] for h in (0, 50)
    ]  # few links are what is looked for now
    assert links[1] < links[0]


@pytest.mark.parametrize("gone", ["event_id", "label", "score", "links"])
def test_a_missing_column_is_named(gone):
    with pytest.raises(SchemaError, match=gone):
        learned(stream(10)[0].drop(columns=gone))


def test_another_seed_asks_for_others_at_random():
    frame = stream(500)[0]
    asked = [tuple(learned(frame, seed=s)[0]["asked"]) for s in (0, 1)]
    assert all(a != b for a, b in itertools.combinations(asked, 2))
