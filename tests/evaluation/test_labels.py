"""Labels: what is taken, and what is said of bad ones."""

import pandas as pd
import pytest

import govlab as gl
from govlab.errors import ArgumentError
from govlab.evaluation import caught, precision, with_labels
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


def three(**more):
    """Give three incidents of u1, each with an alert in it."""
    return incidents((10, 12), (20, 22), (30, 32), **more)


ALERTS = pd.DataFrame({"start": at(11, 21, 31), "time": at(11, 21, 31), "entity": "u1"})


@pytest.mark.parametrize(("entity", "found"), [("u1", 3), ("zzz", 0), (["u1", "u1", "zzz"], 2), (None, 3), ("platform", 3)])
def test_one_entity_an_incident_is_understood_and_honoured(entity, found):
    assert found == caught(ALERTS, three(entity=entity))["caught"].sum()


def test_an_entity_that_is_no_text_is_written_as_alerts_write_it():
    assert 3 == caught(ALERTS.assign(entity="7"), three(entity=7.0))["caught"].sum()
    assert [("[3",)] * 3 == Labels.of(three(entity="[3")).table["entities"].tolist()  # one name, not JSON


def test_a_backtest_says_that_no_event_names_the_entity_of_an_incident():
    watch = gl.Pipeline(gl.detectors.Always(), gl.alerts.Threshold(0.5, entity="actor"))
    with pytest.raises(ArgumentError, match="incident 0 is of zzz, which no event names"):
        gl.backtest(watch, EVENTS, three(entity="zzz"))
    with pytest.raises(ArgumentError, match="no incident is of an entity that an event names, but of zzz"):
        gl.backtest(watch, EVENTS, three(entity="zzz"), unknown="ignore")


@pytest.mark.parametrize(
    ("column", "meant"),
    [
        ("Entity", "entity"), ("entites", "entities"), ("entitys", "entity"), ("knownat", "known_at"), ("Known At", "known_at"),
        ("incidentid", "incident_id"), ("incident-id", "incident_id"), ("incident", "incident_id"),
    ],
)  # fmt: skip
def test_a_column_of_incidents_called_nearly_as_one_that_counts_is_refused_with_what_was_meant(column, meant):
    with pytest.raises(ArgumentError, match=f"there is a column {column!r}, which means nothing. Did you mean {meant!r}"):
        Labels.of(three(**{column: "u1"}))


def test_other_columns_of_incidents_are_named_in_a_warning_and_words_for_a_person_are_not():
    with pytest.warns(UserWarning, match="the columns 'actor', 'place' are not used; used are incident_id, start, end, entities"):
        Labels.of(three(actor="u1", place="x"))
    with pytest.warns(UserWarning, match="the column 'actor' is not used"):
        caught(ALERTS, three(actor="u1"))
    assert 3 == len(Labels.of(three(kind="ring", description="words", note="x", series="y")).table)


def test_columns_of_labelled_events_are_named_too():
    table = pd.DataFrame({"id": ["e1"], "label": [1], "note": ["x"]})
    with pytest.warns(UserWarning, match="the column 'who' is not used; used are id, label, known_at"):
        Labels.of(table.assign(who="ann"))
    with pytest.raises(ArgumentError, match=r"a column 'known-at', which means nothing\. Did you mean 'known_at'"):
        Labels.events_of(table.assign(**{"known-at": at(9)}), "id", "label")
    assert 1 == len(Labels.events_of(table.assign(who="ann"), "id", "label").table)  # it was said which columns count


def test_both_entity_and_entities_are_refused():
    with pytest.raises(ArgumentError, match="both entities and entity"):
        Labels.of(three(entity="u1", entities="u1"))


@pytest.mark.parametrize("kind", ["object", "string", "category"])
def test_times_of_labels_may_be_text_with_a_zone(kind):
    text = incidents((10, 20)).assign(
        start=pd.Series(["2026-03-02T01:10:00+01:00"], dtype=kind), end=pd.Series(["2026-03-02 00:20:00Z"], dtype=kind)
    )
    pd.testing.assert_frame_equal(Labels.of(incidents((10, 20))).table, Labels.of(text).table)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("2026-03-02T00:10:00", "start is text without a time zone, such as '2026-03-02T00:10:00'"),
        ("2026-03-02", "without a time zone"),
        ("soon", "start cannot be read as times: 'soon' in row 0; expected ISO 8601"),
        ("02.03.2026 10:00+01:00", "cannot be read as times"),
        (1772409600, "start holds numbers; convert them first"),
        (1.5, "start holds numbers"),
        (None, "start is missing in row 0"),
        (pd.Timestamp("2026-03-02"), "without a time zone"),
    ],
)
def test_times_of_labels_that_are_none_say_so(value, said):
    with pytest.raises(ArgumentError, match=said):
        Labels.of(incidents((10, 20)).assign(start=[value]))


@pytest.mark.parametrize(
    ("labels", "events", "what"),
    [
        (["7"], [7, 8], "type: '7' in the labels, 7 in the events"),
        ([7], ["7", "8"], "type: 7 in the labels, '7' in the events"),
        (["007"], ["7"], "leading zeros: '007' in the labels, '7' in the events"),
        (["7"], ["0007"], "leading zeros"),
        (["007"], [7], "leading zeros: '007' in the labels, 7 in the events"),
        (["a1 "], ["a1"], "spaces around them: 'a1 '"),
        (["A1"], ["a1"], "capital letters: 'A1'"),
        ([" A01"], ["a01"], "spaces, capital letters or leading zeros"),
    ],
)
def test_where_no_label_is_of_an_event_it_is_said_how_the_names_differ(labels, events, what):
    stream = gl.event_frame({"time": at(*range(len(events))), "id": events, "actor": events})
    for unknown in ("error", "ignore"):
        with pytest.raises(ArgumentError, match=f"do not occur.*They seem to differ in {what}"):
            Truth.of(Labels.of(pd.DataFrame({"id": labels})), [stream], unknown)
        with pytest.raises(ArgumentError, match=f"do not occur.*They seem to differ in {what}"):
            with_labels(stream, pd.DataFrame({"id": labels, "known_at": at(9)}), "id", unknown=unknown)
        if not what.startswith("type"):  # of entities the type does not matter
            with pytest.raises(ArgumentError, match="They seem to differ in "):
                Truth.of(Labels.of(incidents((0, 5), entity=labels)), [stream], unknown)


def test_alerts_that_are_of_no_labelled_entity_because_of_how_it_is_written_are_warned_of():
    with pytest.warns(UserWarning, match="no alert is of an entity that a label names.*leading zeros: '01'"):
        assert 0 == caught(ALERTS.assign(entity="1"), three(entity="01"))["caught"].sum()
    with pytest.warns(UserWarning, match="capital letters: 'U1' in the labels, 'u1' in the alerts"):
        assert 0 == precision(ALERTS, {"U1": 1})["right"]


def test_labels_of_entities_that_simply_did_not_alert_are_no_reason_to_warn():
    assert (0, 0) == (caught(ALERTS, three(entity="u2"))["caught"].sum(), precision(ALERTS, {"u2": 1})["right"])


def test_incidents_whose_columns_are_written_otherwise_are_not_taken_for_verdicts():
    with pytest.raises(ArgumentError, match="incidents need both start and end, written so; there are: Start, End"):
        Labels.of(pd.DataFrame({"Start": ["2026-03-02T00:00:00Z"], "End": ["2026-03-02T01:00:00Z"]}))
