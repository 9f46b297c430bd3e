import numpy as np
import pandas as pd
import pytest
from drawn import START, S, cuts, frame_of, rows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import DAY, HOUR, budget

from govlab.alerts import Budget
from govlab.errors import SchemaError
from govlab.frames import event_frame, from_us

saturated = st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 300.0, 300.0])
scores = st.one_of(st.integers(0, 9).map(float), st.floats(0, 10), st.none())


@given(
    st.one_of(rows(values=of, step_s=20_000, late_s=90_000) for of in (scores, saturated)),
    cuts,
    st.integers(1, 3),
    st.sampled_from([0, 40_000]),
    st.sampled_from([1, 3]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_it_alerts_as_the_naive_twin_does(drawn, cuts, per_day, cooldown, days, warm):
    step = Budget(per_day, f"{cooldown}s" if cooldown else None, f"{days}d", "1h" if warm else "0s", "value", "key")
    fates = budget(
        [row | {"entity": row["key"] or "", "score": row["value"]} for row in drawn],
        per_day,
        cooldown * S,
        days * DAY,
        HOUR if warm else 0,
    )
    out, sides = run(step, frame_of(drawn), cuts)
    assert [i for i, fate in enumerate(fates) if fate == "alert"] == out["offset"].tolist()
    back = sides["suppressed"] if "suppressed" in sides else pd.DataFrame({"offset": [], "reason": []})
    said = {"cooldown": f"cooldown of {cooldown}s", "day": f"the day's {per_day} alerts are spent", "higher": "the day's last"}
    assert [(i, fate) for i, fate in enumerate(fates) if fate in said] == [
        (i, next(fate for fate, words in said.items() if reason.startswith(words)))
        for i, reason in zip(back["offset"], back["reason"], strict=True)
    ]


@given(rows(values=scores, step_s=20_000, late_s=90_000), st.integers(1, 2))
@settings(max_examples=30, deadline=None)
def test_in_no_day_are_there_more_alerts_than_the_budget_though_rows_are_late(drawn, per_day):
    out, _ = run(Budget(per_day, warm="0s", score="value"), frame_of(drawn))
    assert max(out["time"].dt.floor("D").value_counts(), default=0) <= per_day


def rising(n):
    return event_frame(
        {"time": from_us([START + i * HOUR for i in range(n)]), "score": [float(i) for i in range(n)], "actor": ["ann"] * n}
    )


def test_no_alert_comes_before_so_much_of_the_past_was_seen():
    assert [6.0, 7.0] == run(Budget(warm="6h"), rising(8))[0]["score"].tolist()


def test_what_the_full_day_keeps_back_is_put_aside_with_the_reason():
    out, sides = run(Budget(2), rising(6))
    assert ([1.0, 2.0], ["the day's 2 alerts are spent"] * 3) == (out["score"].tolist(), sides["suppressed"]["reason"].tolist())


def test_what_the_cooldown_keeps_back_names_the_alert_that_covers_it():
    out, sides = run(Budget(9, cooldown="90min", entity="actor"), rising(4))
    assert [out["id"].iloc[0]] == sides["suppressed"]["merged_into"].tolist()


def test_a_missing_score_never_alerts():
    assert 0 == len(run(Budget(warm="0s"), rising(9).assign(score=[1.0] + [None] * 8))[0])


def test_a_missing_column_is_named():
    with pytest.raises(SchemaError, match="Budget needs a column 'score'"):
        Budget().process(rising(2).drop(columns="score"))


def test_what_is_older_than_the_memory_is_forgotten_at_the_next_day():
    # 9 at 00:30 still counts at 23:30 of the next day, and no longer on the day after
    hours = [0.5, 24.2, 47.5, 48.7, 50]
    frame = event_frame({"time": from_us([START + int(h * HOUR) for h in hours]), "score": [9.0, 1.0, 5.0, 5.0, 6.0]})
    out, _ = run(Budget(1, memory="1d", warm="0s"), frame)
    assert [50.0] == [(t - frame["time"][0]) / pd.Timedelta("1h") + 0.5 for t in out["time"]]


def minutes(days, scores, **more):
    """Give a row a minute, from a midnight on."""
    times = pd.date_range("2026-03-02", periods=days * 1440, freq="1min", tz="UTC")
    return event_frame({"time": times, "score": scores, **more})


def a_day(out):
    return out["time"].dt.day.value_counts(sort=False).to_dict()


@pytest.mark.parametrize("cap", [300.0, 1.0, 7.0])
@pytest.mark.parametrize("rows_a_day", [2, 10, 100, 300])
@pytest.mark.parametrize("noise", [0.0, 1e-9])
def test_scores_at_their_cap_alert_on_each_day_and_not_on_the_first_ones_only(cap, rows_a_day, noise):
    minute = np.arange(14 * 1440)
    score = np.where((minute % 1440 < rows_a_day) & (minute >= 3 * 1440), cap, noise * (minute % 7))
    out, _ = run(Budget(2, warm="1d"), minutes(14, score), cuts=[5_000, 5_001, 12_345])
    assert dict.fromkeys(range(5, 16), 2) == a_day(out[out["score"] == cap])


def test_counts_that_tie_at_the_threshold_alert():
    count = np.where(np.arange(10 * 1440) % 480 == 5, 9.0, np.arange(10 * 1440) % 5)
    assert dict.fromkeys(range(3, 12), 3) == a_day(run(Budget(3, warm="1d"), minutes(10, count))[0])


@pytest.mark.parametrize("flat", [0.0, 1.0, 300.0])
def test_a_constant_stream_makes_no_alerts(flat):
    assert 0 == len(run(Budget(2, warm="0s"), minutes(9, np.full(9 * 1440, flat)))[0])


def test_the_most_common_score_of_a_background_without_noise_makes_no_alerts():
    score = np.where(np.arange(9 * 1440) % 1440 == 700, 5.0, 1.0)  # one row a day, and three alerts are allowed
    out, sides = run(Budget(3, warm="1d"), minutes(9, score))
    assert ({5.0}, {}) == (set(out["score"]), sides)


def test_rows_equal_to_the_threshold_leave_the_alerts_that_higher_ones_have_had_a_day():
    minute = np.arange(9 * 1440) % 1440
    score = np.where(minute == 1_439, 9.0, np.where(minute < 100, 5.0, minute % 3))
    out, sides = run(Budget(3, warm="1d"), minutes(9, score))
    later = out[out["time"] >= "2026-03-05"]
    assert {(day, n) for day in range(5, 11) for n in ((5.0, 2), (9.0, 1))} == {
        (day, (score, n)) for (day, score), n in later.groupby([later["time"].dt.day, "score"]).size().items()
    }
    assert {"the day's last 1 of 3 alerts are kept for higher scores"} == set(sides["suppressed"]["reason"]) - {
        "the day's 3 alerts are spent"
    }


def test_many_rows_with_one_score_do_not_push_out_of_memory_what_is_below_it():
    # a week of 300s makes the threshold; when they are forgotten, the second highest scores are there again
    minute = np.arange(16 * 1440)
    score = np.where(minute < 1440, np.where(minute % 3 == 0, 300.0, 0.0), np.where(minute % 1440 == 77, 5.0, 0.0))
    out, _ = run(Budget(1, memory="3d"), minutes(16, score))
    assert list(range(6, 18)) == out["time"][out["score"] == 5.0].dt.day.tolist()


def test_the_day_of_the_budget_is_that_of_its_zone():
    times = pd.date_range("2026-03-01 20:00", periods=6, freq="1h", tz="UTC")  # midnight is at 23:00 in Berlin
    frame = event_frame({"time": times, "score": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]})
    assert [2.0, 3.0, 4.0, 5.0] == run(Budget(2, warm="0s", zone="Europe/Berlin"), frame)[0]["score"].tolist()
    assert [2.0, 3.0, 5.0, 6.0] == run(Budget(2, warm="0s"), frame)[0]["score"].tolist()
    assert [2.0, 3.0] == run(Budget(2, warm="0s", zone="America/New_York"), frame)[0]["score"].tolist()


def test_a_budget_in_utc_has_the_recipe_that_it_had_before_there_were_zones():
    assert "zone" not in Budget().recipe()
    assert ("Europe/Berlin", Budget(zone="Europe/Berlin").recipe()) == (
        Budget.from_recipe(Budget(zone="Europe/Berlin").recipe()).zone,
        Budget(zone="Europe/Berlin").fresh().recipe(),
    )


@pytest.mark.parametrize("first", ["1970-01-01", "2000-01-01"])
def test_a_first_row_of_a_clock_that_was_never_set_is_not_so_much_of_the_past(first):
    odd = event_frame({"time": [f"{first}T00:00:00Z"], "score": [0.0]})
    plain = rising(8)
    out = run(Budget(warm="6h"), pd.concat([odd, plain[odd.columns]], ignore_index=True))[0]
    assert run(Budget(warm="6h"), plain)[0]["score"].tolist() == out["score"].tolist()
