import pandas as pd
import pytest
from drawn import START, S, cuts, frame_of, rows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import cooldown

from govlab.alerts import Cooldown
from govlab.errors import SchemaError


@given(rows(keys=st.sampled_from(["a", "b"])), cuts, st.sampled_from([1, 30, 120]))
@settings(max_examples=50, deadline=None)
def test_it_keeps_back_what_the_naive_twin_does(drawn, cuts, per):
    frame = frame_of(drawn).rename(columns={"key": "entity"}).assign(id=[f"a{i:02}" for i in range(len(drawn))])
    covered = cooldown([row | {"entity": row["key"], "id": f"a{i:02}"} for i, row in enumerate(drawn)], per * S)
    out, sides = run(Cooldown(f"{per}s"), frame, cuts)
    assert [i for i, by in enumerate(covered) if by is None] == out["offset"].tolist()
    back = sides["suppressed"] if "suppressed" in sides else pd.DataFrame({"merged_into": []})
    assert [by for by in covered if by is not None] == back["merged_into"].tolist()


def alerts(*seconds):
    drawn = [
        {"time": START + s * S, "key": "ann", "value": 0.0, "item": None, "partition": 0, "offset": i}
        for i, s in enumerate(seconds)
    ]
    return frame_of(drawn).rename(columns={"key": "entity"}).assign(id=list("abcdef"[: len(seconds)]))


def test_a_late_alert_does_not_open_the_way_for_another():
    out, _ = run(Cooldown("30s"), alerts(100, 50, 110))
    assert ["a", "b"] == out["id"].tolist()


def test_an_alert_that_was_kept_back_does_not_prolong_the_quiet():
    out, _ = run(Cooldown("30s"), alerts(0, 20, 30))
    assert ["a", "c"] == out["id"].tolist()


def test_rows_that_are_no_alerts_are_refused_with_what_to_do():
    with pytest.raises(SchemaError, match="put it after a Threshold or Budget"):
        Cooldown().process(alerts(1).drop(columns="id"))
