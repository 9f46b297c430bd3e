import math

import pytest
from drawn import START, S, cuts, frame_of, rows, run, values
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import merge

from govlab.alerts import Merge
from govlab.errors import SchemaError
from govlab.frames import from_us, time_us


def alerts(drawn):
    frame = frame_of(drawn).rename(columns={"key": "entity", "value": "score"})
    return frame.assign(id=[f"a{i}" for i in range(len(drawn))], reason="r", start=from_us([row["time"] - 7 for row in drawn]))


@given(rows(keys=st.sampled_from(["a", "b", "c"]), values=values), cuts, st.sampled_from([1, 30, 120]), st.booleans())
@settings(max_examples=80, deadline=None)
def test_it_puts_together_what_the_naive_twin_does(drawn, cuts, within, by_entity):
    groups = merge([row | {"entity": row["key"]} for row in drawn], within * S, by_entity)
    out, _ = run(Merge(f"{within}s", by_entity), alerts(drawn), cuts)
    best = [max(group, key=lambda i: (-math.inf if drawn[i]["value"] is None else drawn[i]["value"], -i)) for group in groups]
    assert [f"a{i}" for i in best] == out["id"].tolist()
    if groups:
        assert [min(drawn[i]["time"] - 7 for i in group) for group in groups] == time_us(out, "start").tolist()
        assert [max(drawn[i]["time"] for i in group) for group in groups] == time_us(out).tolist()
        assert [said(group, drawn) for group in groups] == out["reason"].tolist()


def said(group, drawn):
    more, others = len(group) - 1, len({drawn[i]["key"] for i in group}) - 1
    of = f" of {others} other {'entity' if others == 1 else 'entities'}" if others else ""
    return f"r (with {more} more alert{'s' if more > 1 else ''}{of})" if more else "r"


def test_a_group_comes_out_at_the_first_alert_that_is_further_away():
    drawn = [{"time": START + s * S, "key": "a", "value": 1.0, "item": None, "partition": 0, "offset": s} for s in (0, 10, 21, 100)]
    assert [2, 3, 4] == run(Merge("10s"), alerts(drawn))[0].index.tolist()


def test_a_group_that_never_ends_is_kept_in_one_row():
    drawn = [
        {"time": START + s * S, "key": "ab"[s % 2], "value": 1.0, "item": None, "partition": 0, "offset": s} for s in range(500)
    ]
    step = Merge("10s")
    step.process(alerts(drawn))
    assert (1, 500) == (len(step._rows), step._groups[""].alerts)


def test_rows_that_are_no_alerts_are_refused_with_what_to_do():
    with pytest.raises(SchemaError, match="put it after a Threshold or Budget"):
        Merge().process(alerts([]).drop(columns="entity"))
