import numpy as np
import pandas as pd
import pytest
from drawn import START, S
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_review import with_labels as naive

from govlab.errors import ArgumentError, SchemaError
from govlab.evaluation import Labels, with_labels
from govlab.frames import event_frame, from_us


def events(times_s, **more):
    return event_frame({"time": from_us(START + np.array(times_s, "int64") * S), "post": np.arange(len(times_s))} | more)


def known(posts, times_s, labels=None):
    table = pd.DataFrame({"post": np.array(posts, "int64"), "label": [1] * len(posts) if labels is None else labels})
    return table.assign(known_at=from_us(START + np.array(times_s, "int64") * S))


@given(st.data(), st.lists(st.integers(0, 30), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_it_puts_labels_where_the_naive_twin_does(data, times_s):
    posts = data.draw(st.lists(st.integers(0, len(times_s) - 1), unique=True))
    after = [times_s[p] + data.draw(st.integers(0, 30)) for p in posts]
    frame = with_labels(events(times_s), known(posts, after), id="post")
    expected = [i if kind == "event" else posts[i] for kind, i in naive(times_s, list(zip(posts, after, strict=True)))]
    assert expected == frame["post"].tolist()
    assert ["event" if kind == "event" else "label" for kind, _ in naive(times_s, list(zip(posts, after, strict=True)))] == [
        "event" if np.isnan(x) else "label" for x in frame["label"]
    ]


def test_positions_are_unique_and_those_of_events_stay():
    frame = with_labels(events([0, 10, 20]), known([0, 1], [10, 15], [1, 0]), id="post")
    assert [(0, 0), (0, 1), (-1, 0), (-1, 1), (0, 2)] == list(zip(frame["partition"], frame["offset"], strict=True))
    assert "int32" == frame["partition"].dtype
    # what comes out can be the start of another one
    again = with_labels(frame, known([2], [40]).rename(columns={"label": "spam"}), id="post", label="spam")
    assert not again[["partition", "offset"]].duplicated().any()


def test_a_label_known_at_the_time_of_an_event_comes_after_it():
    assert [0, 1, 0, 2] == with_labels(events([0, 5, 6]), known([0], [5]), id="post")["post"].tolist()


def test_a_label_comes_after_its_own_event_however_late_that_is():
    assert [0, 1, 1] == with_labels(events([9, 2]), known([1], [3]), id="post")["post"].tolist()


def test_other_columns_are_missing_at_a_label_and_keep_their_kind():
    more = {"n": [1, 2], "ok": [True, False], "x": [0.5, 1.5], "who": ["a", None], "start": from_us(np.array([0, 1]))}
    frame = with_labels(events([0, 9], **more), known([0], [5]), id="post")
    assert {"n": "Int64", "ok": "boolean", "x": "float64"} == {c: str(frame[c].dtype) for c in ("n", "ok", "x")}
    assert frame.loc[1, list(more)].isna().all()
    events_again = frame[frame["label"].isna()].drop(columns="label").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        events([0, 9], **more)[["n", "x", "who", "start"]], events_again[["n", "x", "who", "start"]], check_dtype=False
    )


def test_it_takes_labels_of_any_making_and_leaves_the_events_as_they_are():
    frame, table = events([0, 9]), known([0], [5])
    before = frame.copy(deep=True)
    ways = [
        with_labels(frame, table, id="post"),
        with_labels(frame, Labels.events_of(table, "post", "label"), id="post"),
        with_labels(frame, table.rename(columns={"label": "bad"}), id="post"),
        with_labels(frame, table.drop(columns="label"), id="post"),
    ]
    for one in ways[1:]:
        pd.testing.assert_frame_equal(ways[0], one)
    pd.testing.assert_frame_equal(before, frame)


def test_no_labels_give_the_events_alone():
    frame = with_labels(events([0, 9]), known([], []), id="post")
    assert (2, True) == (len(frame), frame["label"].isna().all())


def test_a_label_known_before_its_event_is_an_error():
    with pytest.raises(ArgumentError, match="event 1 was known before it happened"):
        with_labels(events([0, 9]), known([1], [8]), id="post")


def test_a_label_of_no_event_is_an_error_unless_it_is_to_be_ignored():
    table = known([0, 7], [5, 5])
    with pytest.raises(ArgumentError, match="1 of 2 events with a label do not occur, such as post 7"):
        with_labels(events([0, 9]), table, id="post")
    assert 3 == len(with_labels(events([0, 9]), table, id="post", unknown="ignore"))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (known([0], [5]).drop(columns="known_at"), "known_at"),
        (known([0], [5]).rename(columns={"post": "other"}), "expected of events by 'post'"),
        (pd.DataFrame({"start": from_us(np.array([0])), "end": from_us(np.array([1]))}), "incidents"),
        (known([0], [5], [2]), "must be 0 or 1"),
    ],
)
def test_labels_that_cannot_be_used_are_named(labels, message):
    with pytest.raises(ArgumentError, match=message):
        with_labels(events([0, 9]), labels, id="post")


def test_bad_arguments_are_named():
    with pytest.raises(ArgumentError, match="unknown='drop'"):
        with_labels(events([0]), known([0], [5]), id="post", unknown="drop")
    with pytest.raises(ArgumentError, match="have a column 'label' already"):
        with_labels(events([0], label=1), known([0], [5]), id="post")
    with pytest.raises(SchemaError, match="needs a column 'pots'"):
        with_labels(events([0]), known([0], [5]), id="pots")
