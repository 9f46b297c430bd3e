"""Matching beside a naive twin that looks at every pair."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from govlab.evaluation.matching import match_events, match_incidents
from govlab.frames import from_us

spans = st.tuples(st.integers(0, 20), st.integers(0, 6), st.sampled_from(["a", "b", "all"]))
found = st.tuples(st.integers(0, 20), st.integers(0, 6), st.sampled_from([None, ("a",), ("a", "b")]))


def alerts_of(drawn, seen):
    drawn = sorted(drawn, key=lambda s: s[0] + s[1])
    start, width, names = (list(column) for column in zip(*drawn, strict=True)) if drawn else ([], [], [])
    start, end = np.array(start, "int64"), np.array(start, "int64") + np.array(width, "int64")
    made = pd.DataFrame(
        {"start": from_us(start), "time": from_us(end), "told": from_us(end), "entity": pd.Series(names, dtype="object")}
    )
    return made.assign(looked_at=(seen * (len(made) + 1))[: len(made)], partition=0, offset=np.arange(len(made)))


def pairs(alerts, incidents, anybody):
    """Of each incident the alerts that lie in it."""
    return [
        [
            i
            for i, a in enumerate(alerts.to_dict("records"))
            if a["start"] <= one["end"] and a["time"] >= one["start"]
            and (one["entities"] is None or a["entity"] in one["entities"] or (anybody and a["entity"] == "all"))
        ]
        for one in incidents.to_dict("records")
    ]  # fmt: skip


def incidents_of(drawn):
    start = np.array([s for s, _, _ in drawn], "int64")
    end = start + np.array([w for _, w, _ in drawn], "int64")
    return pd.DataFrame(
        {"start": from_us(start), "end": from_us(end), "entities": pd.Series([e for *_, e in drawn], dtype="object")}
    )


@given(st.lists(spans, max_size=8), st.lists(st.booleans(), min_size=1, max_size=4), st.lists(found, max_size=6), st.booleans())
@settings(max_examples=150, deadline=None)
def test_incidents_are_matched_as_the_naive_twin_does(drawn, seen, known, anybody):
    alerts, incidents = alerts_of(drawn, seen), incidents_of(known)
    right, first, count = match_incidents(alerts, incidents, anybody)
    inside = pairs(alerts, incidents, anybody)
    looked, spent = alerts["looked_at"].tolist(), set()
    ends, starts = incidents["end"].tolist(), incidents["start"].tolist()
    expected = [-1] * len(inside)
    for i in sorted(range(len(inside)), key=lambda i: (ends[i], starts[i])):
        free = [a for a in inside[i] if looked[a] and a not in spent]
        if free:
            expected[i] = free[0]
            if alerts["start"][free[0]] < alerts["time"][free[0]]:
                spent.add(free[0])
    assert expected == first.tolist()
    assert sorted({a for those in inside for a in those}) == np.flatnonzero(right).tolist()
    assert [sum(looked[a] for a in those) for those in inside] == count.tolist()


@given(st.lists(st.integers(0, 10), unique=True, max_size=8), st.lists(found, max_size=6))
@settings(max_examples=150, deadline=None)
def test_of_windows_side_by_side_as_many_incidents_are_caught_as_can_be(places, known):
    alerts, incidents = alerts_of([(2 * p, 1, "all") for p in places], [True]), incidents_of(known)
    _, first, _ = match_incidents(alerts, incidents, True)
    can = np.zeros((len(incidents), len(alerts)))
    for i, those in enumerate(pairs(alerts, incidents, True)):
        can[i, those] = 1
    most = can[linear_sum_assignment(-can)].sum() if can.size else 0
    assert most == (first >= 0).sum()


@given(
    st.lists(spans, max_size=8),
    st.lists(st.booleans(), min_size=1, max_size=4),
    st.lists(st.integers(0, 25), max_size=10),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_events_are_matched_as_the_naive_twin_does(drawn, seen, times, closed):
    alerts = alerts_of([s for s in drawn if s[1]], seen)
    positives = pd.DataFrame({"time": from_us(np.array(times, "int64"))})
    names = ["ab"[i % 2] for i in range(len(times))]
    right, first, count = match_events(alerts, positives, {}, names, True, closed)
    expected, inside = [-1] * len(times), []
    for i, a in enumerate(alerts.to_dict("records")):
        t = positives["time"]
        within = (t >= a["start"]) & ((t <= a["time"]) if closed else (t < a["time"]))
        inside.append([p for p in np.argsort(times, kind="stable").tolist() if within[p] and a["entity"] in ("all", names[p])])
        free = [p for p in inside[-1] if expected[p] < 0]
        if a["looked_at"] and free:
            expected[free[0]] = i
    assert expected == first.tolist()
    assert [bool(those) for those in inside] == right.tolist()
    looked = alerts["looked_at"].tolist()
    assert [sum(looked[i] and p in those for i, those in enumerate(inside)) for p in range(len(times))] == count.tolist()
