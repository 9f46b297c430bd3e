from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from drawn import START, run
from hypothesis import given, settings
from hypothesis import strategies as st

import govlab as gl
from govlab.alerts import Threshold
from govlab.frames import ALERT_COLUMNS, event_frame, from_us


def events(scores, **more):
    return event_frame({"time": from_us(START + np.arange(len(scores)) * 10**6), "score": scores, **more})


@given(st.lists(st.one_of(st.integers(-3, 3), st.none()), max_size=20), st.integers(-3, 3))
@settings(max_examples=50, deadline=None)
def test_it_alerts_on_scores_of_at_least_the_threshold(scores, above):
    out, _ = run(Threshold(above), events(pd.array(scores, dtype="Float64")))
    assert [i for i, s in enumerate(scores) if s is not None and s >= above] == out["offset"].tolist()


def test_it_alerts_on_a_p_of_at_most_the_threshold():
    out, _ = run(Threshold(p_below=0.01), events([1.0, 2.0, 3.0, None], p=[0.01, 0.02, None, 0.001]))
    assert ([0, 3], ["low", "medium"]) == (out["offset"].tolist(), out["severity"].tolist())


def test_an_alert_has_all_the_columns_and_says_why():
    out, _ = run(Threshold(2, entity="actor"), events([1.0, 4.0], actor=["ann", "bob"], count=[5, 12_000], rate=[1.0, None]))
    assert list(ALERT_COLUMNS) == list(out.columns)
    alert = out.iloc[0]
    assert ("bob", "score 4 is above 2, count 12,000, rate nan", "low", "0:1") == (
        alert["entity"],
        alert["reason"],
        alert["severity"],
        alert["evidence"],
    )


@pytest.mark.parametrize("told", [["a"], [None], [[1]]])
def test_a_column_of_the_users_that_holds_no_numbers_is_not_told_of_and_does_no_harm(told):
    assert ["score 2 is above 1"] == run(Threshold(1), events([2.0], value=pd.Series(told, dtype="object")))[0]["reason"].tolist()


class Telling(gl.detectors.Volume):
    """Its alerts are to say more, of a number, a text and a time."""

    tells: ClassVar[dict[str, str]] = {"many": ", many", "who": ", who", "since": "; since"}


def test_the_reason_says_what_a_detector_declares_where_a_row_has_it():
    starts = from_us(np.array([START, START])).where([True, False])
    told = {"count": [1, 2], "many": [12_000.0, 0.5], "who": ["ann", None], "since": starts}
    out, _ = run(gl.Pipeline(Telling("score"), Threshold(1)), events([2.0, 3.0], **told))
    said = [
        "Telling 2 is above 1, count 1, many 12,000, who ann; since 2026-03-02 00:00:00",
        "Telling 3 is above 1, count 2, many 0.5",
    ]
    assert said == out["reason"].tolist()
    windows = gl.Pipeline(Telling("score"), gl.features.WindowCount(), gl.detectors.Volume(), Threshold(1))
    assert ["volume 2 is above 1, count 2"] == run(windows, events([2.0, 3.0], **told))[0]["reason"].tolist()


def test_columns_of_the_users_that_are_called_as_those_of_a_detector_do_no_harm():
    campaign = {"campaign_members": ["x", "y"], "campaign_start": ["soon", "later"], "containment": [1.0, 2.0]}
    assert ["score 2 is above 1", "score 3 is above 1"] == run(Threshold(1), events([2.0, 3.0], **campaign))[0]["reason"].tolist()


@pytest.mark.parametrize("column", [[1, 2], [1.0, 2.0], pd.array([1, 2], dtype="Int64"), ["1", "2"]])
def test_an_entity_is_written_the_same_whatever_the_type_of_its_column(column):
    out, _ = run(Threshold(1, entity="actor"), events([2.0, 2.0], actor=column))
    assert ["1", "2"] == out["entity"].tolist()


def test_a_missing_entity_is_empty_text_and_without_a_column_it_is_all():
    assert [""] == run(Threshold(1, entity="actor"), events([2.0], actor=pd.array([None], dtype="Int64")))[0]["entity"].tolist()
    assert ["all"] == run(Threshold(1), events([2.0]))[0]["entity"].tolist()


def test_the_same_events_make_alerts_with_the_same_ids_and_another_recipe_others():
    def ids(above):
        return gl.Pipeline(Threshold(above, entity="actor")).run(events([5.0, 6.0], actor=["a", "b"])).rows["id"].tolist()

    assert ids(1) == ids(1)
    assert 4 == len({*ids(1), *ids(2)})


def test_the_entity_and_the_detector_are_those_of_the_steps_before():
    watch = gl.Pipeline(gl.detectors.EwmaZ("score", by="actor", warm=1), Threshold(1))
    out = watch.run(events([1.0, 9.0], actor=["ann", "ann"])).rows
    assert [("ann", "ewma_z", "ewma_z 8 is above 1")] == list(zip(out["entity"], out["detector"], out["reason"], strict=True))
