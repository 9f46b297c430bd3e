"""Labels: what is taken, and what is said of bad ones."""

import pandas as pd
import pytest

import govlab as gl
from govlab.errors import ArgumentError
from govlab.evaluation.labels import Labels
from govlab.evaluation.truth import Truth


def at(*minutes):
    return pd.Timestamp("2026-03-02", tz="UTC") + pd.to_timedelta(list(minutes), "min")


EVENTS = gl.event_frame({"time": at(*range(60)), "id": [f"e{i}" for i in range(60)], "actor": [f"u{i % 5}" for i in range(60)]})


def incidents(*rows, **more):
    return pd.DataFrame({"start": at(*(a for a, _ in rows)), "end": at(*(b for _, b in rows)), **more})


def test_a_table_with_start_and_end_is_of_incidents_and_any_other_is_of_events():
    assert None is Labels.of(incidents((1, 2))).id
    made = Labels.of(pd.DataFrame({"id": ["e1", "e2"], "bad": [1, 0]}))
    assert ("id", False, [1, 0]) == (made.id, made.whole, made.table["label"].tolist())
    listed = Labels.of(pd.DataFrame({"id": ["e1", "e2"], "incident_id": ["a", "b"], "known_at": at(5, 5)}))
    assert (True, [1, 1]) == (listed.whole, listed.table["label"].tolist())


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (incidents((5, 4)), "ends before it begins"),
        (incidents((5, 9), known_at=at(4)), "known before it began"),
        (incidents((1, 5), (4, 9)), "incidents 0 and 1 of platform overlap"),
        (incidents((1, 5), (4, 9), entities=[["u1", "u2"], ["u2", "u3"]]), "incidents 0 and 1 of u2 overlap"),
        (incidents((1, 5), (6, 9), incident_id=["a", "a"]), "incident_id 'a' is there twice"),
        (incidents((1, 5)).assign(start=lambda t: t["start"].dt.tz_localize(None)), "without a time zone"),
        (incidents((1, 5), (7, 8)).assign(end=[at(5)[0], pd.NaT]), "end is missing in row 1"),
        (incidents((1, 5)).iloc[:0], "there is no incident"),
        (incidents((1, 5)).drop(columns="end"), "need both start and end"),
        (pd.DataFrame({"id": ["e1", "e1"], "bad": [0, 1]}), "'e1' has two different labels"),
        (pd.DataFrame({"id": ["e1", "e2"], "bad": [0, 1], "worse": [1, 1]}), "say which one counts"),
        (pd.DataFrame({"id": ["e1", "e2"], "label": [1, -1]}), "one is -1"),
        (pd.DataFrame({"id": ["e1", "e2"], "label": ["abuse", "ok"]}), "one is 'abuse'"),
        (pd.DataFrame({"id": ["e1", "e2"], "ring": ["a", "b"]}), "'ring' is taken for the verdicts.* one is 'a'"),
        (pd.DataFrame({"id": ["e1", "e2"], "bad": [1, 2.5]}), "'bad' is taken for the verdicts.* one is 2.5"),
        (pd.DataFrame({"id": ["e1", "e2"], "bad": [1, 0], "note": ["x", "y"]}), "any of 'bad', 'note' may be the verdicts"),
        (pd.DataFrame({"id": ["e1"], "bad": [[1]]}), "'bad' is taken for the verdicts"),
        (pd.DataFrame({"id": [["e1"], ["e2"]]}), "one plain value in 'id'"),
        (pd.DataFrame({"id": ["e1", None]}), "one plain value in 'id'"),
        (pd.DataFrame({"label": ["e1", "e2"]}), "give the ids, by another name"),
        (pd.DataFrame({"known_at": at(1, 2)}), "give the ids, by another name"),
        (incidents((1, 5), entities=["[3"]), "cannot be read"),
        (incidents((1, 5), entities=[[]]), "names no entity"),
        ("labels.csv", "expected a DataFrame"),
    ],
)
def test_bad_labels_say_what_is_wrong(table, said):
    with pytest.raises(ArgumentError, match=said):
        Labels.of(table)


@pytest.mark.parametrize(
    "verdicts", [[1, 0, None], ["1", "0", None], ["Yes", "no ", None], [True, False, None], ["true", "false", ""]]
)
def test_verdicts_may_be_numbers_truth_values_or_words_and_a_missing_one_is_left_out(verdicts):
    table = pd.DataFrame({"id": ["e1", "e2", "e3"], "abuse": pd.Series(verdicts, dtype="object").replace({"": None})})
    made = Labels.of(table)
    assert (False, ["e1", "e2"], [1, 0]) == (made.whole, made.table["id"].tolist(), made.table["label"].tolist())


def test_of_the_same_verdict_twice_the_earliest_counts():
    made = Labels.of(pd.DataFrame({"id": ["e1", "e2", "e1"], "bad": [1, 0, 1], "known_at": at(9, 8, 7)}))
    assert [("e2", at(8)[0]), ("e1", at(7)[0])] == list(zip(made.table["id"], made.table["known_at"], strict=True))


def test_incidents_that_touch_do_not_overlap():
    assert 2 == len(Labels.of(incidents((1, 5), (5, 9))).table)


def test_incidents_of_different_entities_may_overlap():
    assert 2 == len(Labels.of(incidents((1, 5), (4, 9), entities=[["u1"], ["u2"]])).table)


def test_a_verdict_must_be_0_or_1():
    with pytest.raises(ArgumentError, match="one is 2"):
        Labels.events_of(pd.DataFrame({"id": ["e1"], "bad": [2]}), "id", "bad")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (pd.DataFrame({"id": ["e1", "x9"], "bad": [1, 0]}), "1 of 2 events with a label do not occur, such as id 'x9'"),
        (pd.DataFrame({"id": ["e7"], "bad": [1], "known_at": at(3)}), "'e7' was known before it happened"),
        (pd.DataFrame({"ids": ["e7"], "bad": [1]}), "no column 'ids' to find them by. Did you mean 'id'"),
        (incidents((1, 5), entities=[["zoe"]]), "of zoe, which no event names"),
        (incidents((1, 5), entities=[["u1", "zoe"]]), "incident 0 is of zoe, which no event names"),
        (incidents((1, 5), entities=[[333]]), "of 333, which no event names"),
        (incidents((100, 105)), "no incident lies between the first event"),
    ],
)
def test_labels_that_do_not_fit_the_events_say_so(labels, said):
    with pytest.raises(ArgumentError, match=said):
        Truth.of(Labels.of(labels), [EVENTS])


def test_labels_of_other_events_can_be_left_out():
    truth = Truth.of(Labels.of(pd.DataFrame({"id": ["e1", "x9"], "bad": [1, 0]})), [EVENTS], unknown="ignore")
    assert ["e1"] == truth.incidents["incident"].tolist()
    some = Truth.of(Labels.of(incidents((1, 5), (7, 8), entities=[["zoe"], ["u1", "zoe"]])), [EVENTS], "ignore").incidents
    assert [("u1",)] == some["entities"].tolist()


def test_incidents_outside_of_the_events_do_not_count_and_a_warning_says_so():
    with pytest.warns(UserWarning, match="1 of 2 incidents, such as 1, lie wholly outside"):
        assert 1 == len(Truth.of(Labels.of(incidents((1, 5), (100, 105))), [EVENTS]).incidents)
    assert 1 == len(Truth.of(Labels.of(incidents((1, 5), (100, 105))), [EVENTS], "ignore").incidents)


def test_events_that_are_not_listed_are_unknown_beside_verdicts_and_ordinary_beside_a_list():
    verdicts = Truth.of(Labels.of(pd.DataFrame({"id": ["e1", "e2"], "bad": [1, 0]})), [EVENTS])
    listed = Truth.of(Labels.of(pd.DataFrame({"id": ["e1", "e2"]})), [EVENTS.iloc[:30], EVENTS.iloc[30:]])
    assert (2, 1) == (len(verdicts.labelled), len(verdicts.positives))
    assert (60, 2) == (len(listed.labelled), len(listed.positives))
