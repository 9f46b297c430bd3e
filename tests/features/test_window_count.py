import numpy as np
import pandas as pd
from drawn import START, S, cuts, frame_of, rows, run
from hypothesis import example, given, settings
from hypothesis import strategies as st
from naive import window_count

from govlab.features import WindowCount
from govlab.frames import event_frame, from_us, time_us

MINUTE = 60 * S


def windows(out):
    names = ("key", "count", "sum", "distinct", "partition", "offset")
    table = [out[name].astype("object").where(out[name].notna(), None).tolist() for name in names]
    table += [
        time_us(out).tolist(),
        time_us(out, "start").tolist(),
        out["first_offset"].tolist(),
        out["last_offset"].tolist(),
        out.index.tolist(),
    ]
    keys = (*names, "time", "start", "first", "last", "row")
    return [dict(zip(keys, line, strict=True)) for line in zip(*table, strict=True)]


def compare(drawn, cuts=(), **recipe):
    step = WindowCount("key", "1min", value="value", distinct="item", **{k: v[0] for k, v in recipe.items()})
    expected, fates = window_count(drawn, MINUTE, **{{"max_entities": "most"}.get(k, k): v[1] for k, v in recipe.items()})
    out, sides = run(step, frame_of(drawn), cuts)
    assert expected == windows(out)
    for side in ("late", "overflow"):
        actual = sides[side]["offset"].tolist() if side in sides else []
        assert [i for i, fate in enumerate(fates) if fate == side] == sorted(actual)


@given(rows(), cuts, st.sampled_from([0, 1, 30, 60, 150]), st.sampled_from([1, 2, 3, 7]), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_it_counts_as_the_naive_twin_does(drawn, cuts, lateness, sizes, most):
    size = (f"{sizes}min", sizes * MINUTE)
    compare(drawn, cuts, size=size, lateness=(f"{lateness}s", lateness * S), max_entities=(most, most))


@given(
    rows(step_s=200),
    cuts,
    st.sampled_from([0, 30, 150]),
    st.sampled_from([1, 3]),
    st.sampled_from([60, 200, 3600]),
    st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
@example([], [], 0, 1, 60, 1)
def test_it_fills_as_the_naive_twin_does(drawn, cuts, lateness, sizes, expire, most):
    compare(
        drawn, cuts, size=(f"{sizes}min", sizes * MINUTE), lateness=(f"{lateness}s", lateness * S), max_entities=(most, most),
        fill=(True, True), expire=(f"{expire}s", expire * S),
    )  # fmt: skip


def test_many_keys_that_come_and_go_are_counted_as_by_the_twin_though_their_names_are_forgotten():
    drawn = [
        {
            "time": START + i * S // 5,
            "key": f"k{i % 7000 if i % 3 else i % 50}",
            "value": 1.5,
            "item": None,
            "partition": 0,
            "offset": i,
        }
        for i in range(9000)
    ]
    expected, _ = window_count(drawn, MINUTE, most=500)
    step, frame, outs = WindowCount("key", value="value", distinct="item", max_entities=500), frame_of(drawn), []
    for a in range(0, 9000, 450):
        out = step.process(frame.iloc[a : a + 450].reset_index(drop=True))
        outs.append(out.set_axis(out.index + a))
    assert len(step._index) < 2500
    assert expected[: sum(map(len, outs))] == windows(pd.concat(outs))


def test_without_a_key_all_rows_are_counted_together():
    events = event_frame({"time": from_us([START, START + S, START + 61 * S])})
    out, _ = run(WindowCount(), events)
    assert (["time", "start", "count", "partition", "offset", "first_offset", "last_offset"], [2, 1]) == (
        list(out.columns),
        out["count"].tolist(),
    )


def test_a_window_comes_out_at_the_row_whose_time_is_its_end_and_not_before():
    events = event_frame({"time": from_us([START, START + 60 * S - 1, START + 60 * S, START + 65 * S])})
    out, _ = run(WindowCount(), events)
    assert [(2, 2), (4, 2)] == list(zip(out.index.tolist(), out["count"].tolist(), strict=True))


def test_a_late_row_counts_while_its_window_waits_and_goes_aside_with_a_reason_after():
    events = event_frame({"time": from_us([START + s * S for s in (10, 89, 5, 90, 6)])})
    out, sides = run(WindowCount(lateness="30s"), events)
    assert ([2, 2], [4]) == (out["count"].tolist(), sides["late"]["offset"].tolist())
    assert ["its window had closed (lateness 30s)"] == sides["late"]["reason"].tolist()


def test_a_gap_of_years_costs_no_more_than_an_hour():
    events = event_frame({"time": from_us([START, START + 10**15, START + 10**15 + S])})
    out, _ = run(WindowCount(size="5min", every="1s"), events)
    assert 300 * 2 + 1 == len(out)


def test_keys_of_any_kind_keep_their_value():
    times = from_us([START] * 3 + [START + 60 * S])
    for keys in ([1, 2, 1, 1], [True, False, True, True], ["x", "y", "x", "x"]):
        out, _ = run(WindowCount("key"), event_frame({"time": times, "key": keys}))
        assert [(keys[0], 2), (keys[1], 1), (keys[0], 1)] == list(zip(out["key"].tolist(), out["count"].tolist(), strict=True))


def test_a_whole_number_key_with_a_gap_is_still_a_key_of_its_own():
    events = event_frame({"time": from_us([START] * 3), "key": [1.0, np.nan, 1.0]})
    out, _ = run(WindowCount("key"), events)
    assert [2, 1] == out["count"].tolist()
    assert [False, True] == out["key"].isna().tolist()


def test_the_sum_of_an_infinite_value_is_infinite_and_of_a_missing_one_nothing():
    events = event_frame({"time": from_us([START, START, START + 60 * S, START + 60 * S]), "value": [1.0, np.nan, np.inf, 1.0]})
    assert [1.0, np.inf] == run(WindowCount(value="value"), events)[0]["sum"].tolist()


def test_a_pickled_step_goes_on_with_its_open_windows():
    drawn = [
        {"time": START + i * 7 * S, "key": "ab"[i % 2], "value": 0.1, "item": "x", "partition": 0, "offset": i} for i in range(50)
    ]
    step = WindowCount("key", "1min", "2min", value="value", distinct="item", fill=True)
    from govlab.testing.steps import play

    whole, resumed = play(step, frame_of(drawn)), play(step, frame_of(drawn), [23], resume_at=23)
    pd.testing.assert_frame_equal(whole[0], resumed[0], check_exact=True)


def test_a_gap_that_gives_thousands_of_empty_windows_at_one_row_loses_none():
    first = [{"time": START + i, "key": f"k{i}", "value": 1.0, "item": "x", "partition": 0, "offset": i} for i in range(40)]
    last = {"time": START + 90 * MINUTE, "key": "z", "value": 1.0, "item": "x", "partition": 0, "offset": 40}
    compare([*first, last], fill=(True, True), expire=("1h", 60 * MINUTE))
    assert 40 * 60 < len(run(WindowCount("key", fill=True, expire="1h"), frame_of([*first, last]))[0])
