"""What alerts caught, on cases small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest

from govlab.errors import ArgumentError, SchemaError
from govlab.evaluation.incidents import caught, precision


def at(*minutes):
    return pd.Timestamp("2026-03-02", tz="UTC") + pd.to_timedelta(list(minutes), "min")


def alerts(*rows):
    """Alerts given as (start, end, entity), in minutes."""
    starts, ends, entities = zip(*rows, strict=True) if rows else ((), (), ())
    return pd.DataFrame({"start": at(*starts), "time": at(*ends), "entity": pd.Series(entities, dtype="object")})


def incidents(*rows):
    starts, ends, entities = zip(*rows, strict=True)
    return pd.DataFrame({"start": at(*starts), "end": at(*ends), "entities": list(entities)})


def test_an_alert_whose_window_overlaps_an_incident_catches_it_and_the_delay_counts_from_its_start():
    table = caught(alerts((11, 12, "ann"), (14, 15, "ann")), incidents((10, 20, ["ann"])))
    assert [True, 120.0, 2] == table.loc[0, ["caught", "delay_s", "alerts"]].tolist()


def test_a_missed_incident_has_no_delay_rather_than_none_at_all():
    table = caught(alerts((30, 31, "ann")), incidents((10, 20, ["ann"])))
    assert not table["caught"][0]
    assert np.isnan(table["delay_s"][0])
    assert pd.isna(table["alert"][0])


def test_an_alert_on_somebody_else_catches_nothing_and_one_on_all_does():
    assert [False] == caught(alerts((11, 12, "bob")), incidents((10, 20, ["ann"])))["caught"].tolist()
    assert [True] == caught(alerts((11, 12, "all")), incidents((10, 20, '["ann"]')))["caught"].tolist()


def test_an_alert_that_begins_before_the_incident_and_ends_in_it_has_no_negative_delay():
    assert [60.0] == caught(alerts((5, 11, "all")), incidents((10, 20, ["ann"])))["delay_s"].tolist()
    assert [0.0] == caught(alerts((5, 10, "all")), incidents((10, 20, ["ann"])))["delay_s"].tolist()


def test_no_alert_catches_nothing():
    assert [False, False] == caught(alerts(), incidents((0, 1, ["a"]), (2, 3, ["platform"])))["caught"].tolist()


def test_precision_recall_and_lift_are_counted_over_labelled_entities():
    found = precision(alerts((0, 1, "7"), (0, 1, "8"), (0, 1, "99")), {7: 1, 8: 0, 9: 1, 10: 0})
    assert (3, 1, 1 / 3, 0.5, 0.5) == tuple(found[key] for key in ("alerts", "right", "precision", "recall", "base_rate"))
    assert pytest.approx(2 / 3) == found["lift"]


def test_three_alerts_on_one_entity_find_it_once():
    found = precision(alerts((0, 1, "7"), (2, 3, "7"), (4, 5, "7")), {"7": 1, "8": 0})
    assert (3, 3, 1.0, 1.0) == tuple(found[key] for key in ("alerts", "right", "precision", "recall"))


def test_an_entity_with_two_labels_is_refused():
    with pytest.raises(ArgumentError, match="entity '7' has two labels"):
        precision(alerts(), {7: 1, "7": 0})


def test_whole_numbers_name_the_same_entity_however_they_are_stored():
    assert [True] == caught(alerts((11, 12, "7")), incidents((10, 20, [7.0])))["caught"].tolist()
    assert 1.0 == precision(alerts((0, 1, "7")), pd.Series([1.0], index=[7.0]))["recall"]


def test_one_alert_over_two_incidents_catches_one_of_them():
    assert [True, False] == caught(alerts((0, 60, "all")), incidents((10, 20, ["a"]), (30, 40, ["b"])))["caught"].tolist()


def test_what_is_not_defined_is_none_and_not_zero():
    found = precision(alerts(), {7: 0})
    assert (None, None, None) == (found["precision"], found["recall"], found["lift"])


def test_a_table_without_times_is_refused_by_name():
    with pytest.raises(SchemaError, match="'start'"):
        caught(pd.DataFrame({"time": []}), incidents((0, 1, ["a"])))
