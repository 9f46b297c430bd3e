"""Severity means the same for every detector: how rare the score is beside those before it."""

import numpy as np
import pandas as pd
import pytest
from drawn import START, cuts, run
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import severity

from govlab import registry
from govlab.alerts import Budget, Threshold
from govlab.alerts.severity import Past
from govlab.frames import event_frame, from_us
from govlab.step import Detector

DETECTORS = [name for name in registry.names("detectors") if issubclass(registry.load("detectors", name), Detector)]
SCALE_FREE = ["adwin", "bocpd", "conformal_knn", "half_space_trees", "loda", "rs_hash", "spot"]
ALERTING = {"threshold": Threshold(-np.inf), "budget": Budget(100_000, warm="0s")}
ODD = 2_400  # the row of the planted extreme


def scored(scores, **more):
    return event_frame({"time": from_us(START + np.arange(len(scores)) * 10**7), "score": scores, **more})


def told(step, frame, cuts=()):
    """Give offset and severity of all alerts."""
    out, _ = run(step, frame, cuts)
    return dict(zip(out["offset"].tolist(), out["severity"].tolist(), strict=True))


def ordinary(rows=2_500, scale=1.0):
    """Make ordinary events, a row each ten seconds, and one that is out of all proportion."""
    rng = np.random.default_rng(3)
    columns = {"value": rng.normal(10, 3, rows), "words": rng.gamma(2, 20, rows), "count": rng.poisson(40, rows).astype("float64")}
    for column, odd in zip(columns.values(), (1e4, 1e5, 1e5), strict=True):
        column[ODD] = odd
    return event_frame(
        {
            "time": from_us(START + np.arange(rows) * 10_000_000),
            "actor": [f"u{n}" for n in rng.integers(0, 3, rows)],
            "target": [f"t{n}" for n in rng.integers(0, 3, rows)],
            "kind": rng.choice(["post", "like"], rows),
            "event_id": [rng.bytes(12).hex() for _ in range(rows)],
            "label": np.full(rows, np.nan),
            "score": rng.random(rows),
        }
        | {name: column * scale for name, column in columns.items()}
    )


@pytest.mark.parametrize("alerting", ALERTING)
@pytest.mark.parametrize("name", DETECTORS)
def test_one_extreme_row_is_high_for_every_detector_that_ranks_it_top_and_ordinary_rows_are_low(name, alerting):
    rows, _ = run(registry.load("detectors", name).example(), ordinary())
    score, before = rows["score"].to_numpy(), rows["score"].to_numpy()[:ODD]
    severities = told(ALERTING[alerting], rows)
    if np.isfinite(score[ODD]) and score[ODD] > np.nanmax(before, initial=-np.inf) and np.isfinite(before).sum() >= 1_000:
        assert "high" == severities[ODD]
    plain = [severities[i] for i in range(ODD) if i in severities]
    assert plain.count("high") <= 10, "the highest of at least 1,000 rows, which some of the 1,400 after them are at times"
    assert plain.count("low") >= 0.98 * len(plain)


def test_enough_detectors_rank_the_extreme_row_top_to_make_a_test_of_it():
    top = set()
    for name in DETECTORS:
        score = run(registry.load("detectors", name).example(), ordinary())[0]["score"].to_numpy()
        top |= {name} if score[ODD] > np.nanmax(score[:ODD], initial=-np.inf) else set()
    expected = {"anomaly_likelihood", "callable", "decayed_histogram", "ewma_z", "fuzzy_art", "kitnet", "loda", "robust_z"}
    assert expected | {"rs_hash", "seasonal_count", "sklearn", "spot", "volume"} <= top


@pytest.mark.parametrize("scale", [1e-6, 1e6])
@pytest.mark.parametrize("name", SCALE_FREE)
def test_the_unit_of_a_column_does_not_change_the_severity_of_a_detector_whose_score_knows_none(name, scale):
    step = registry.load("detectors", name).example()
    one, other = (told(Threshold(-np.inf), run(step, ordinary(scale=by))[0]) for by in (1.0, scale))
    assert one == other


NUMBERS = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, 1.0, 300.0]), st.integers(-3, 3).map(float))
SCORES = st.one_of(NUMBERS, st.none())


@given(st.lists(SCORES, max_size=60), cuts)
@settings(max_examples=60, deadline=None)
def test_severity_is_that_of_the_naive_twin(drawn, cuts):
    scores = np.array([*np.linspace(0, 250, 960), *(np.nan if x is None else x for x in drawn)])
    expected = {i: severity(scores[:i], x) for i, x in enumerate(scores.tolist()) if i >= 960 and x == x}
    actual = told(Threshold(-np.inf), scored(scores), [c + 950 for c in cuts])
    assert expected == {i: word for i, word in actual.items() if i >= 960}


@given(st.lists(NUMBERS, min_size=40, max_size=200), st.sampled_from(["budget", "threshold"]))
@settings(max_examples=40, deadline=None)
def test_a_rising_function_of_the_score_makes_the_same_severities(drawn, alerting):
    scores = np.array([*np.linspace(-9, 9, 1_100), *drawn])
    for change in (lambda x: x * 1e-6, lambda x: x * 1e6 + 7, np.arcsinh, np.cbrt):
        changed = change(scores)
        if np.unique(scores).size == np.unique(changed).size:  # else the numbers of a computer made ties of different ones
            assert told(ALERTING[alerting], scored(scores)) == told(ALERTING[alerting], scored(changed))


def test_78_deviations_are_high_after_thousand_rows_whatever_the_threshold():
    scores = np.append(np.abs(np.random.default_rng(1).normal(size=3_000)), 78.0)
    assert ["high"] * 3 == [told(Threshold(above), scored(scores))[3_000] for above in (4, 50, 77)]
    assert "high" == told(Budget(2, warm="8h"), scored(scores))[3_000]


def test_what_is_likely_by_its_p_is_low_though_its_score_is_the_highest():
    scores, p = np.arange(2_000.0), np.append(np.full(1_999, np.nan), 0.73)
    assert "low" == told(Threshold(0), scored(scores, p=p))[1_999]
    assert "low" == told(Budget(1, warm="0s"), scored(np.append(np.ones(5), 9.0), p=[0.73] * 6))[5]


def test_a_p_says_high_before_much_of_the_past_is_known():
    assert ["high", "high", "medium", "low"] == list(
        told(Threshold(0), scored([4.0, 3.0, 2.0, 1.0], p=[0.0, 1e-4, 1e-3, 0.01])).values()
    )


def test_severity_says_no_more_than_the_past_allows():
    severities = told(Threshold(0), scored(np.arange(1_500.0)))
    assert (["low"] * 100, ["medium"] * 900, ["high"] * 500) == tuple(
        [severities[i] for i in range(*of)] for of in ((0, 100), (100, 1_000), (1_000, 1_500))
    )


def test_the_first_rows_of_what_lasts_are_severe_and_the_others_no_longer():
    severities = told(Threshold(100), scored(np.append(np.random.default_rng(1).random(5_000), np.full(50, 300.0))))
    assert ["high"] + ["medium"] * 9 == [severities[5_000 + i] for i in range(10)]
    assert ["low"] * 10 == [severities[5_040 + i] for i in range(10)]


@given(st.lists(st.integers(0, 30).map(float), min_size=1, max_size=300), st.integers(4, 40))
@settings(max_examples=60, deadline=None)
def test_a_bounded_past_ranks_what_is_above_its_least_score_as_a_whole_one_does(drawn, kept):
    scores = np.array(drawn)
    p, record = Past(kept).rank(scores, np.ones(scores.size, bool))
    for i, x in enumerate(scores):
        before = scores[:i]
        if (np.unique(before) > x).sum() < kept:
            assert ((before > x).sum() + 0.5 * (before == x).sum() + 0.5) / (i + 1) == p[i]
            assert (i if (before < x).all() else 0) == record[i]


def test_rows_from_long_ago_count_half():
    past = Past(most=1_000)
    past.rank(np.append(np.arange(999.0), 5_000.0), np.zeros(1_000, bool))
    p, record = past.rank(np.array([998.0, 9_000.0]), np.ones(2, bool))
    # of the two rows at or above 998 one is left, of 1,000 rows 500
    assert ([1.5 / 501, 0.5 / 502], [0, 501]) == (p.tolist(), record.tolist())


def test_the_memory_of_scores_does_not_grow():
    past = Past()
    for seed in range(3):
        past.rank(np.random.default_rng(seed).random(100_000), np.zeros(100_000, bool))
    kept, rows = past._state.tolist()
    assert (2_048, 300_000, True) == (past._top.size, rows, 1_024 <= kept < 2_048)
    assert pd.Series(past._top[:kept]).is_monotonic_increasing
