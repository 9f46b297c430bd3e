import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import govlab as gl
from govlab import frames
from govlab.errors import ArgumentError, SchemaError
from govlab.frames import TIME_DTYPE, concat, duration_us, empty, event_frame, from_us, instant_us, positions, time_us

UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


@given(st.integers(1, 9_999), st.sampled_from(sorted(UNITS)))
def test_a_duration_is_its_number_times_its_unit(number, unit):
    assert number * UNITS[unit] == duration_us(f"{number}{unit}") == duration_us(pd.Timedelta(number * UNITS[unit], "us"))


@pytest.mark.parametrize("wrong", ["soon", "", None, "5 bananas", [], object()])
def test_what_is_no_duration_is_refused_with_examples(wrong):
    with pytest.raises(ArgumentError, match=r"wait=.* is not a duration; expected text such as '5s', '1min', '2h' or '7d'"):
        duration_us(wrong, "wait")


def test_a_duration_must_be_more_than_zero_unless_zero_is_allowed():
    assert 0 == duration_us("0s", zero=True)
    with pytest.raises(ArgumentError, match="wait='0s' must be more than zero"):
        duration_us("0s", "wait")
    with pytest.raises(ArgumentError, match="wait='-1s' must be zero or more"):
        duration_us("-1s", "wait", zero=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2015-03-01", "2015-03-01"), ("2015-03-01T01:00+01:00", "2015-03-01"), (pd.Timestamp("2015-03-01"), "2015-03-01"),
        (pd.Timestamp("2015-03-01", tz="UTC"), "2015-03-01"),
    ],
)  # fmt: skip
def test_a_moment_is_utc_unless_it_says_otherwise(value, text):
    assert pd.Timestamp(text).value // 1_000 == instant_us(value, "until")


@pytest.mark.parametrize("wrong", ["soon", None, "2015-13-01", []])
def test_what_is_no_moment_is_refused_with_examples(wrong):
    with pytest.raises(ArgumentError, match=r"until=.* is no moment; expected text such as '2015-03-01'"):
        instant_us(wrong, "until")


def test_an_event_frame_has_a_time_in_utc_and_the_position_of_each_row():
    frame = event_frame({"time": ["2026-03-02T01:00:00+01:00", "2026-03-02T00:00:00Z"], "actor": ["a", "b"]}, partition=3, offset=7)
    assert (TIME_DTYPE, np.dtype("int32"), np.dtype("int64")) == tuple(frame.dtypes[["time", "partition", "offset"]])
    assert ([1772409600000000] * 2, [3, 3], [7, 8]) == (
        time_us(frame).tolist(),
        frame["partition"].tolist(),
        frame["offset"].tolist(),
    )


def test_an_event_frame_keeps_the_position_that_it_has_and_leaves_the_table_alone():
    table = pd.DataFrame({"time": ["2026-03-02"], "offset": [5]}, index=[9])
    frame = event_frame(table, offset=1)
    assert ([5], [0], [9], ["time", "offset"]) == (
        frame["offset"].tolist(),
        frame.index.tolist(),
        table.index.tolist(),
        table.columns.tolist(),
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"tme": ["2026-03-02"]}, "an event frame needs a column 'time'. Did you mean 'tme'?"),
        ({"time": ["2026-03-02", "yesterday"]}, "column 'time' cannot be read as times"),
        ({"time": ["2026-03-02", None]}, "column 'time' is missing in row 1; drop such rows or fill them first"),
        ({}, "an event frame needs a column 'time'"),
    ],
)
def test_a_table_without_times_is_refused(table, message):
    with pytest.raises(SchemaError, match=message):
        event_frame(table)


@given(st.lists(st.integers(-(2**52), 2**52), max_size=20))
def test_times_are_given_and_taken_in_microseconds(micros):
    assert micros == time_us(pd.DataFrame({"time": from_us(micros)})).tolist()


def test_frames_without_rows_count_only_when_there_is_nothing_else():
    one, none = event_frame({"time": ["2026-03-02"]}), empty(["score"])
    assert ["time", "partition", "offset"] == concat([none, one]).columns.tolist()
    assert (["time", "partition", "offset", "score"], 0) == (concat([none, none]).columns.tolist(), len(concat([])))
    assert [0, 1] == concat([one, one]).index.tolist()


def test_positions_are_ranges_a_partition_and_many_are_counted():
    frame = event_frame({"time": ["2026-03-02"] * 12, "partition": np.array([*range(10), 0, 1], "int32")})
    assert "0:0-10, 1:1-11, 2:2, 3:3, 4:4, 5:5, 6:6, 7:7 and 2 more partitions" == positions(frame)
    assert "none" == positions(frame.iloc[:0]) == positions(pd.DataFrame({"x": [1]}))


def test_a_column_that_a_step_needs_is_named_with_the_nearest():
    with pytest.raises(SchemaError, match=r"Volume needs a column 'cout'\. Did you mean 'count'\?"):
        frames.require(pd.DataFrame({"count": [1]}), [None, "cout"], "Volume")


def test_a_schema_says_what_each_column_is():
    schema = gl.Schema(
        {"ts": "epoch_ms", "id": "string", "n": "int32", "x": "float64?", "at": "timestamp?"}, time="ts", id="id", arrival="at"
    )
    assert ("time", "id", "n", "x", "at") == schema.names
    assert (1_000, None, pa.int64(), [False, False, False, True, True]) == (
        schema.epoch("ts"), schema.epoch("at"), schema.arrow_type("n"), [schema.nullable(name) for name in schema.fields],
    )  # fmt: skip


def test_a_schema_is_made_again_by_its_recipe_and_of_an_arrow_schema():
    schema = gl.Schema({"time": "timestamp", "n": "int64?"})
    assert schema == gl.Schema(**schema.recipe())
    arrow = pa.schema([pa.field("time", pa.timestamp("us", "UTC"), nullable=False), pa.field("n", pa.int64())])
    assert schema.recipe() == gl.Schema(arrow).recipe()


def test_types_are_inferred_from_a_file_with_the_time_by_its_name():
    arrow = pa.schema([("Timestamp", pa.string()), ("n", pa.int32()), ("x", pa.float32()), ("arrival", pa.timestamp("ms"))])
    expected = {"fields": {"Timestamp": "timestamp", "n": "int32?", "x": "float64?", "arrival": "timestamp?"}}
    assert expected | {"time": "Timestamp", "id": None, "arrival": "arrival"} == gl.Schema.infer(arrow).recipe()


@pytest.mark.parametrize(
    ("arrow", "message"),
    [
        (pa.schema([("n", pa.int64())]), "no column looks like the event time \\(columns: n; looked for time"),
        (pa.schema([("ts", pa.int64())]), "the time column 'ts' holds numbers \\(int64\\); say in which unit they count"),
    ],
)
def test_a_file_whose_time_is_not_plain_is_refused_with_what_to_do(arrow, message):
    with pytest.raises(SchemaError, match=message):
        gl.Schema.infer(arrow)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gl.Schema({"time": "datetime"}), "field 'time' has type 'datetime'; expected one of string, int64"),
        (lambda: gl.Schema({"tme": "timestamp"}), "time='time' is not a field. Did you mean 'tme'?"),
        (lambda: gl.Schema({"time": "int64"}), "time='time' has type 'int64'; expected 'timestamp' \\(ISO 8601 text\\), 'epoch_s'"),
        (lambda: gl.Schema({"time": "timestamp"}, id="event"), "id='event' is not a field"),
        (lambda: gl.Schema({"time": "timestamp", "ts": "epoch_s"}, time="ts"), "time='ts', but there is a field 'time' too"),
    ],
)
def test_a_schema_that_contradicts_itself_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
