import datetime

import pandas as pd
import pytest
from drawn import cuts, run
from hypothesis import given, settings
from hypothesis import strategies as st

import govlab as gl
from govlab.errors import SchemaError
from govlab.frames import event_frame
from govlab.prepare import Conform


def events(**columns):
    n = len(next(iter(columns.values())))
    return event_frame({"time": ["2026-03-02T00:00:00Z"] * n, **columns})


def conformed(kind, values, **more):
    """Give the values given on, the reasons of the others, and the dtype."""
    column = values if isinstance(values, pd.Series) else pd.Series(values, dtype="object")
    out, sides = run(Conform(gl.Schema({"time": "timestamp", "x": kind}), **more), events(x=column))
    return out["x"].tolist(), sides["rejected"]["reason"].tolist() if sides else [], str(out["x"].dtype)


@pytest.mark.parametrize(
    ("kind", "values", "given_on", "dtype"),
    [
        ("int64", ["3", 3.0, 3, True], [3, 3, 3, 1], "int64"),
        ("int64", ["9007199254740993", 2**63 - 1, -(2**63)], [9007199254740993, 2**63 - 1, -(2**63)], "int64"),
        ("float64", ["1", 2, "1e5", float("inf")], [1.0, 2.0, 1e5, float("inf")], "float64"),
        ("string", [1, "a", 2.5, True], ["1", "a", "2.5", "True"], "str"),
        ("bool", ["true", "0", 1, False], [True, False, True, False], "bool"),
    ],
)
def test_values_are_converted_where_nothing_is_lost(kind, values, given_on, dtype):
    assert (given_on, [], dtype) == conformed(kind, values)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("int64", ["x", 1.5, 2.0**63, 2**63, -(2.0**64), float("inf"), ""]),
        ("float64", ["x", "1,5", ""]),
        ("bool", ["x", 2, "yes", [1]]),
        ("timestamp", ["x", "2026-13-01"]),
        ("epoch_s", ["x", 1e300]),
    ],
)
def test_a_value_of_the_wrong_type_is_put_aside_with_the_reason(kind, wrong):
    for value in wrong:
        assert ([], [f"'x' is no {kind}"]) == conformed(kind, [value])[:2]


@pytest.mark.parametrize("kind", ["int64", "float64", "string", "bool", "timestamp", "epoch_ms"])
def test_a_missing_value_is_put_aside_unless_the_schema_lets_it_be_missing(kind):
    good = {"timestamp": "2026-03-02", "string": "a"}.get(kind, 1)
    assert ["'x' is missing"] == conformed(kind, [None, good])[1]
    values, reasons, _ = conformed(kind + "?", [None, good])
    assert (True, [], 2) == (bool(pd.isna(values[0])), reasons, len(values))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("timestamp", "2026-03-02T01:30:00+01:00"),
        ("epoch_s", 1772411400),
        ("epoch_ms", "1772411400000"),
        ("epoch_us", 1772411400000000.0),
    ],
)
def test_times_become_utc_in_microseconds(kind, value):
    assert ([pd.Timestamp("2026-03-02T00:30:00Z")], [], "datetime64[us, UTC]") == conformed(kind, [value])


def test_a_time_column_of_another_zone_becomes_utc():
    column = pd.to_datetime(pd.Series(["2026-03-02T01:30:00+01:00"]))
    assert ([pd.Timestamp("2026-03-02T00:30:00Z")], [], "datetime64[us, UTC]") == conformed("timestamp", column)


def test_bounds_are_included_and_the_message_says_which_was_passed():
    out, sides = run(Conform(ranges={"x": (0, 10)}), events(x=[0, 10, -1, 11, 5]))
    assert ([0, 10, 5], ["'x' is below 0", "'x' is above 10"]) == (out["x"].tolist(), sides["rejected"]["reason"].tolist())


def test_only_allowed_values_are_given_on():
    out, sides = run(Conform(allowed={"x": ["a", "b"]}), events(x=["a", "c", "b", None]))
    assert (["a", "b"], ["'x' is not one of the allowed values"] * 2) == (out["x"].tolist(), sides["rejected"]["reason"].tolist())


def test_a_row_is_put_aside_as_it_came_with_the_first_thing_that_is_wrong():
    schema = gl.Schema({"time": "timestamp", "x": "int64", "y": "int64"})
    _, sides = run(Conform(schema), events(x=["1", "a"], y=["b", "c"], z=[7, 8]))
    assert [(["1", "b", 7], "'y' is no int64"), (["a", "c", 8], "'x' is no int64")] == [
        ([row["x"], row["y"], row["z"]], row["reason"]) for row in sides["rejected"].to_dict("records")
    ]


def test_a_schema_that_renames_the_time_is_met_by_the_frame_of_its_reader():
    schema = gl.Schema({"ts": "epoch_ms", "x": "int64"}, time="ts")
    assert [1] == run(Conform(schema), events(x=["1"]))[0]["x"].tolist()


anything = st.one_of(
    st.sampled_from(["", "x", "3", "2.0", "true", "1e400", "9007199254740993", "9223372036854775808", "2026-03-02", None]),
    st.sampled_from([2**53 + 1, 2**63, -(2**63), True, float("nan"), float("inf"), 2.5, datetime.date(2026, 3, 2), [1], {"a": 1}]),
    st.integers(-5, 5),
)


@given(
    st.lists(anything, min_size=1, max_size=12),
    st.sampled_from(["int64", "float64", "string", "bool", "int64?", "string?", "bool?"]),
    cuts,
)
@settings(max_examples=120, deadline=None)
def test_what_becomes_of_a_value_does_not_depend_on_its_neighbours(values, kind, cuts):
    frame = events(x=pd.Series(values, dtype="object"))
    step = Conform(gl.Schema({"time": "timestamp", "x": kind}))
    whole, sides = run(step, frame)
    cut, cut_sides = run(step, frame, cuts)
    pd.testing.assert_frame_equal(whole, cut, check_exact=True)
    assert sorted(sides) == sorted(cut_sides)
    for side in sides:
        assert sides[side][["offset", "reason"]].to_dict("list") == cut_sides[side][["offset", "reason"]].to_dict("list")


def test_a_column_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(SchemaError, match=r"Conform needs a column 'valu'\. Did you mean 'value'\?"):
        Conform(ranges={"valu": (0, 1)}).process(events(value=[1]))
