import pandas as pd
import pytest
from drawn import START, S, cuts, frame_of, rows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import DAY, HOUR, budget

from govlab.alerts import Budget
from govlab.errors import SchemaError
from govlab.frames import event_frame, from_us

scores = st.one_of(st.integers(0, 9).map(float), st.floats(0, 10), st.none())


@given(
    rows(values=scores, step_s=20_000, late_s=90_000),
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
    said = {"cooldown": f"cooldown of {cooldown}s", "day": f"the day's {per_day} alerts are spent"}
    assert [(i, said[fate]) for i, fate in enumerate(fates) if fate in said] == list(
        zip(back["offset"], back["reason"], strict=True)
    )


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
