import math

import pytest
from drawn import START, S, column, cuts, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_coordination import midas

from govlab.detectors import Midas
from govlab.errors import SchemaError
from govlab.frames import event_frame, from_us


def frame_of(edges):
    """Edges are (seconds, source, target)."""
    times, sources, targets = zip(*edges, strict=True) if edges else ((), (), ())
    return event_frame({"time": from_us([START + int(t * S) for t in times]), "source": list(sources), "target": list(targets)})


def scored(edges, **recipe):
    return column(Midas(**recipe), frame_of(edges), "score")


@given(rows(step_s=200), cuts, st.sampled_from([0.0, 0.5, 0.9]), st.sampled_from([1.0, 4.0, 1e3]))
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does_with_counts_that_are_exact(drawn, cuts, alpha, threshold):
    edges = [{"time": r["time"], "source": r["key"], "target": r["item"]} for r in drawn]
    frame = event_frame({"time": from_us([e["time"] for e in edges])} | {n: [e[n] for e in edges] for n in ("source", "target")})
    twin = midas(edges, [30 * S, 120 * S], alpha, threshold)
    step = Midas(ticks=["30s", "2min"], alpha=alpha, threshold=threshold, width=4_096)
    assert twin == pytest.approx(column(step, frame, "score", cuts), rel=1e-9, abs=1e-9, nan_ok=True)


@given(rows(most=120, step_s=3, late_s=0), cuts, st.lists(st.integers(0, 119), max_size=90), st.sampled_from([-1, 1]))
@settings(max_examples=40, deadline=None)
def test_it_takes_clocks_that_jump_as_the_naive_twin_does(drawn, cuts, jumped, way):
    far = [way * 1_200 * 2 * S if i in jumped else 0 for i in range(len(drawn))]
    edges = [{"time": r["time"] + off, "source": r["key"], "target": r["item"]} for r, off in zip(drawn, far, strict=True)]
    frame = event_frame({"time": from_us([e["time"] for e in edges])} | {n: [e[n] for e in edges] for n in ("source", "target")})
    step = Midas(ticks=["1s", "2s"], width=4_096)
    assert midas(edges, [S, 2 * S]) == pytest.approx(column(step, frame, "score", cuts), rel=1e-9, abs=1e-9, nan_ok=True)


one_a_minute = [(60 * i, f"u{i % 5}", f"v{i % 7}") for i in range(120)]


def test_a_burst_on_one_target_from_many_sources_scores_high():
    burst = [(7_200 + i, f"new{i}", "v1") for i in range(30)]
    scores = scored([*one_a_minute, *burst], ticks=["1min"])
    assert 3 * max(scores[10:120]) < scores[-1]


def test_a_slow_wave_is_seen_with_a_long_tick():
    wave = [(7_200 + 60 * i, "u1", "v1") for i in range(120)]
    short, both = (max(scored([*one_a_minute, *wave], ticks=ticks)[120:]) for ticks in (["1min"], ["1min", "10min"]))
    assert both > 2 * short


def test_what_scores_over_the_threshold_is_kept_out_of_what_is_usual():
    edges = one_a_minute + [(7_200 + 2 * i, "u1", "v1") for i in range(600)]
    guarded, learning = (scored(edges, ticks=["1min"], threshold=t)[-1] for t in (50, 1e12))
    assert guarded > 3 * learning


def test_what_is_over_the_threshold_leaves_the_mean_as_it_was():
    # four a tick, then three ticks of an attack, then eight in one tick; they score as after a fourth tick of four
    attacked = [(60 * t + i / 2, "a", "b") for t, n in enumerate([4, 100, 100, 100, 8]) for i in range(n)]
    step = Midas(ticks=["1min"], alpha=0.0, threshold=20)
    assert [(8 + 16 - 8 * 5) ** 2 / (16 * 4)] == column(step, frame_of(attacked), "score")[-1:]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.9])
def test_what_comes_again_once_after_long_scores_by_the_ticks_between(alpha):
    scores = scored([(0, "a", "b"), (60_000, "a", "b")], ticks=["1min"], alpha=alpha)
    assert (1 - alpha) * 1_000 == pytest.approx(scores[-1], rel=0.03)


@pytest.mark.parametrize("at", [0, 60, 1_000])
@pytest.mark.parametrize("wrong_s", [-56 * 365 * 86_400, 100 * 365 * 86_400])
def test_one_wrong_clock_leaves_all_other_rows_as_they_were(at, wrong_s):
    steady = [(60 * i, f"u{i % 5}", f"v{i % 7}") for i in range(2_000)]
    wrong = [(t + (wrong_s if i == at else 0), u, v) for i, (t, u, v) in enumerate(steady)]
    usual, found = scored(steady), scored(wrong)
    assert math.isnan(found[at])
    assert max(usual[1_500:]) == pytest.approx(max(found[1_500:]), rel=0.2)


def test_a_clock_that_has_jumped_for_good_makes_it_start_afresh():
    jumped = [(t + 365 * 86_400, u, v) for t, u, v in one_a_minute]
    found = scored([*one_a_minute, *jumped], ticks=["1min"])
    assert all(map(math.isnan, found[120:149]))
    assert scored(jumped[29:], ticks=["1min"]) == pytest.approx(found[149:], nan_ok=True)


def test_a_tick_that_begins_is_no_anomaly_of_what_is_busy():
    steady = [(i / 10, "a", "b") for i in range(24_000)]
    assert max(scored(steady, ticks=["1min"])[12_000:]) < 10


def test_it_gives_nan_in_the_first_tick():
    assert [True, True, False, False] == [
        math.isnan(s) for s in scored([(0, "a", "b"), (59, "a", "b"), (60, "a", "b"), (61, "c", "d")], ticks=["1min"])
    ]


def test_a_row_that_is_no_edge_scores_nan_and_is_not_learned():
    scores = scored([*one_a_minute, (7_200, None, "v1"), (7_200, "u1", None), (7_260, "u1", "v1")])
    assert [True, True] == [math.isnan(s) for s in scores[120:122]]
    assert scored([*one_a_minute, (7_260, "u1", "v1")])[-1] == scores[-1]


def test_a_late_row_counts_into_the_current_tick():
    late, prompt = ([*one_a_minute, (7_200, "u1", "v1"), (at, "u1", "v1")] for at in (3_600, 7_201))
    assert scored(prompt)[-1] == scored(late)[-1]


def test_numbers_and_texts_name_accounts_alike():
    numbered = [(t, int(u[1:]), int(v[1:])) for t, u, v in one_a_minute]
    wide = {"width": 65_536}
    assert scored(one_a_minute, **wide) == pytest.approx(scored(numbered, **wide), nan_ok=True)


@pytest.mark.parametrize("gone", ["source", "target"])
def test_a_missing_column_is_named(gone):
    with pytest.raises(SchemaError, match=f"Midas needs a column '{gone}'"):
        Midas().process(frame_of(one_a_minute).drop(columns=gone))


def test_a_frame_without_time_is_refused():
    with pytest.raises(SchemaError, match=r"needs a column 'time'\. Did you mean 'time_'"):
        Midas().process(frame_of(one_a_minute).rename(columns={"time": "time_"}))
