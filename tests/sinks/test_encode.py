"""Frames to bodies: what a reader reads back says the same."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import govlab as gl
from govlab.errors import ArgumentError, SchemaError, SinkError
from govlab.frames import ALERT_COLUMNS, event_frame
from govlab.schema import ENVELOPE
from govlab.sinks.encode import arrow_bodies, check_format, is_alerts, json_bodies, key_column, texts, times_ms
from govlab.sources.files.columns import frame_of
from govlab.sources.messages import MESSAGE_COLUMNS, MessageDecoder, Messages
from govlab.summary import content_hashes
from govlab.testing import sample_events

READ = gl.Schema(
    {
        "ts": "epoch_ms", "seen": "timestamp?", "text": "string?", "name": "string", "whole": "int64", "maybe": "int64?",
        "number": "float64", "gap": "float64?", "flag": "bool", "unsure": "bool?",
    },
    time="ts", id="name", arrival="seen",
)  # fmt: skip
WRITTEN = READ.written()
MOMENT = st.integers(-8_520_336_000_000, 7_258_118_399_999)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def values(infinite):
    number = st.floats(allow_nan=False, allow_infinity=infinite)
    return st.tuples(
        MOMENT, MOMENT.map(lambda ms: ms * 1_000 + 7) | st.none(), TEXT | st.none(), TEXT, st.integers(-(2**63), 2**63 - 1),
        st.integers(-(2**63), 2**63 - 1) | st.none(), number, number | st.none(), st.booleans(), st.booleans() | st.none(),
    )  # fmt: skip


def frame_from(rows):
    """Make the frame that a reader makes of these values."""
    kinds = [pa.int64(), pa.timestamp("us", "UTC"), *(READ.arrow_type(name) for name in list(READ.fields)[2:])]
    arrays = [pa.array([row[i] for row in rows], kind) for i, kind in enumerate(kinds)]
    return frame_of(dict(zip(READ.fields, arrays, strict=True)), READ, 3, np.arange(100, 100 + len(rows)))[0]


def read_back(bodies, form):
    decoder = MessageDecoder(WRITTEN, form)
    rows, bad = decoder.block(Messages(list(range(len(bodies))), bodies), 0)
    assert [] == bad
    return rows


@settings(deadline=None)
@given(st.lists(values(infinite=False), max_size=12))
def test_what_is_read_back_of_json_says_the_same_to_the_last_bit(rows):
    frame = frame_from(rows)
    bodies = json_bodies(frame)
    assert len(frame) == len(bodies)
    again = read_back(bodies, "json")
    assert content_hashes(frame).tolist() == content_hashes(again).tolist()
    assert frame.dtypes.to_dict() == again.dtypes.to_dict()


@settings(deadline=None)
@given(st.lists(values(infinite=True), min_size=1, max_size=12), st.sampled_from([1, 3_000, 900_000]))
def test_what_is_read_back_of_arrow_says_the_same_however_it_is_cut(rows, most):
    frame = frame_from(rows)
    bodies = arrow_bodies(frame, most)
    assert len(frame) == sum(n for n, _ in bodies)
    assert content_hashes(frame).tolist() == content_hashes(read_back([body for _, body in bodies], "arrow")).tolist()


def test_an_arrow_message_is_as_large_as_allowed_unless_one_row_is_larger():
    frame = sample_events(2_000)
    assert 1 == len(arrow_bodies(frame))
    assert all(len(body) <= 20_000 for _, body in arrow_bodies(frame, 20_000))
    assert [1] * 2_000 == [n for n, _ in arrow_bodies(frame, 1)]


def test_the_schema_of_what_is_written_has_the_names_and_roles_of_the_frame():
    assert ("time", "name", "seen") == (WRITTEN.time, WRITTEN.id, WRITTEN.arrival)
    assert {"time": "timestamp", "seen": "timestamp?", "whole": "int64", "maybe": "int64?"}.items() <= dict(WRITTEN.fields).items()
    assert WRITTEN.written() == WRITTEN


def test_columns_of_the_message_around_an_event_are_left_out():
    schema = gl.Schema({"message_time": "epoch_ms", "message_key": "string?", "a": "string"}, time="message_time", id="message_key")
    written = schema.written()
    assert ({"time": "timestamp", "a": "string"}, None) == (dict(written.fields), written.id)
    assert {"time", "message_key", "a"} == set(schema.written(envelope=True).fields)
    frame = event_frame({"time": ["2026-03-02"], "message_key": ["k"], "a": ["x"]})
    assert [b'{"time":"2026-03-02T00:00:00.000000Z","a":"x"}'] == json_bodies(frame)
    assert MESSAGE_COLUMNS == ENVELOPE


def test_an_event_does_not_say_where_it_was_read_from_but_an_alert_names_its_cause():
    watch = gl.Pipeline(gl.alerts.Threshold(12.0, score="value", entity="actor"))
    alerts = watch.run(sample_events()).rows
    assert is_alerts(alerts)
    assert not is_alerts(sample_events())
    first = json.loads(json_bodies(alerts)[0])
    assert set(ALERT_COLUMNS) <= set(first)
    assert (alerts["id"].iloc[0], alerts["offset"].iloc[0]) == (first["id"], first["offset"])
    assert not {"partition", "offset"} & set(json.loads(json_bodies(sample_events())[0]))


def test_what_is_missing_is_null_and_so_is_an_infinite_number():
    frame = event_frame({"time": ["2026-03-02"] * 3, "x": [np.nan, np.inf, -np.inf], "when": [pd.NaT] * 3})
    frame["whole"], frame["flag"] = pd.array([None] * 3, "Int64"), pd.array([None] * 3, "boolean")
    frame["text"] = pd.Series([None] * 3, dtype="str")
    frame["any"] = pd.Series([None, np.nan, pd.NA], dtype="object")
    for body in json_bodies(frame):
        assert {"x": None, "when": None, "whole": None, "flag": None, "text": None, "any": None} == {
            name: value for name, value in json.loads(body).items() if name != "time"
        }


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.array([2**62 + 1, None], "Int64"), [2**62 + 1, None]),
        (np.array([2**64 - 1, 0], "uint64"), [2**64 - 1, 0]),
        (np.array([0.1, 0.5], "float32"), [float(np.float32(0.1)), 0.5]),
        (pd.Categorical(["a", None]), ["a", None]),
        (pd.Series([{"b": 1, "a": [2]}, "x"], dtype="object"), ['{"a": [2], "b": 1}', "x"]),
        (pd.to_datetime(["2026-03-02 01:00", None]), ["2026-03-02T01:00:00.000000Z", None]),
        (pd.to_datetime(["0001-01-01", "9999-12-31T23:59:59.5"], format="ISO8601"), ["0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.500000Z"]),
        (pd.to_datetime(["2026-03-02T00:00:00.123456789"] * 2, utc=True), ["2026-03-02T00:00:00.123456Z"] * 2),
        (pd.Series([dt.date(2026, 3, 2), None], dtype="object"), ["2026-03-02", None]),
    ],
)  # fmt: skip
def test_columns_of_other_types_are_written_too(column, expected):
    frame = event_frame({"time": ["2026-03-02"] * 2}).assign(x=column)
    assert expected == [json.loads(body)["x"] for body in json_bodies(frame)]


def test_names_and_texts_with_signs_of_json_in_them_are_written_right():
    frame = event_frame({"time": ["2026-03-02"], 'a"b\\': ['line\nend "x"\\'], "é": ["\0\u2028"]})
    (body,) = json_bodies(frame)
    assert b"\n" not in body
    assert {'a"b\\': 'line\nend "x"\\', "é": "\0\u2028"}.items() <= json.loads(body).items()


def test_a_text_that_is_no_text_is_an_error_that_names_the_column():
    frame = event_frame({"time": ["2026-03-02"]}).assign(bad=pd.Series(["\ud800"], dtype="object"))
    with pytest.raises(SinkError, match="'bad'"):
        json_bodies(frame)


def test_two_columns_of_one_name_are_an_error():
    frame = event_frame({"time": ["2026-03-02"]})
    with pytest.raises(SchemaError, match="more than one column 'x'"):
        json_bodies(pd.concat([frame, pd.DataFrame([[1, 2]], columns=["x", "x"])], axis=1))


def test_a_key_is_the_same_text_from_ints_and_from_floats():
    frame = event_frame(
        {"time": ["2026-03-02"] * 3, "i": [3, -4, 0], "f": [3.0, -4.0, np.nan], "g": [0.5, 1e300, 2.0], "s": ["é", None, ""]}
    )
    assert ["3", "-4", "0"] == texts(frame, "i")
    assert ["3", "-4", None] == texts(frame, "f")
    assert ["0.5", str(int(1e300)), "2"] == texts(frame, "g")
    assert ["é", None, ""] == texts(frame, "s")


def test_times_before_1970_are_given_to_a_queue_as_1970():
    assert [0, 1_772_409_600_123] == times_ms(event_frame({"time": ["1969-12-31", "2026-03-02T00:00:00.123999"]}))


def test_a_key_that_is_no_column_says_which_there_are():
    with pytest.raises(SchemaError, match="Did you mean 'actor'"):
        key_column(sample_events(), "actr")


def test_a_format_that_is_not_known_says_which_there_are():
    with pytest.raises(ArgumentError, match="Did you mean 'json'"):
        check_format("jsn")


def test_a_row_that_cannot_be_written_is_named_with_its_column():
    frame = event_frame(
        {"time": ["2026-03-02T00:00:00Z"] * 4, "text": pd.Series(["a", "b", "\ud800", "d"], dtype="object")}, offset=7
    )
    for write in (json_bodies, arrow_bodies):
        with pytest.raises(SinkError, match="column 'text' holds what cannot be written, first at row 0:9"):
            write(frame)
