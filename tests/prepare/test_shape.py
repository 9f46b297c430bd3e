"""Columns chosen, renamed and derived: every row stays, and whole numbers stay whole."""

import pandas as pd
import pytest

import govlab as gl
from govlab.errors import ArgumentError, SchemaError
from govlab.frames import event_frame
from govlab.prepare import Derive, Rename, Select


def events(**columns):
    n = len(next(iter(columns.values())))
    return event_frame({"time": pd.date_range("2026-03-02", periods=n, freq="h", tz="UTC"), **columns})


def derived(expression, **columns):
    return Derive({"new": expression}).process(events(**columns))["new"]


def test_columns_are_chosen_in_order_and_time_and_position_stay():
    rows = events(a=[1], b=[2], c=[3])
    assert ["time", "c", "a", "partition", "offset"] == list(Select(["c", "a", "a"]).process(rows))
    assert ["time", "a", "c", "partition", "offset"] == list(Select(drop=["b"]).process(rows))
    assert ["time", "partition", "offset"] == list(Select([]).process(rows))
    assert ["a", "time", "partition", "offset"] == list(Select(["a", "time"]).process(rows))


def test_names_are_changed_and_may_be_exchanged():
    rows = events(a=[1], b=[2])
    assert [1, 2] == Rename({"a": "b", "b": "a"}).process(rows)[["b", "a"]].iloc[0].tolist()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (lambda: Select(), r"give columns=\[...\] to keep, or drop"),
        (lambda: Select(["a"], drop=["b"]), "give columns"),
        (lambda: Select("actor"), "expected a list of names"),
        (lambda: Select(drop=["time"]), "'time' always stays"),
        (lambda: Rename({"a": ""}), "expected a mapping"),
        (lambda: Rename(["a", "b"]), "expected a mapping"),
        (lambda: Rename({"time": "at"}), "keeps its name"),
        (lambda: Rename({"at": "time"}), "keeps its name"),
        (lambda: Rename({"a": "c", "b": "c"}), "two columns would have one name"),
        (lambda: Derive({"time": "a"}), "give the column another name"),
        (lambda: Derive({"x": ""}), "expected an expression"),
        (lambda: Derive("x = a"), "expected a mapping"),
        (lambda: Derive({"x": "a.values"}), "is not one of what there is"),
    ],
)
def test_a_wrong_recipe_is_an_error(step, said):
    with pytest.raises(ArgumentError, match=said):
        step()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Select(["acter"]), "acter"),
        (Rename({"acter": "user"}), "acter"),
        (Rename({"a": "actor"}), "there is a column 'actor' already"),
        (Derive({"x": "acter + 1"}), "Did you mean 'actor'"),
        (Derive({"x": lambda frame: [1, 2, 3]}), "no value for each of the 1 rows"),
        (Derive({"x": lambda frame: 3}), "no value for each of the 1 rows"),
    ],
)
def test_a_frame_that_does_not_fit_is_an_error(step, said):
    with pytest.raises(SchemaError, match=said):
        step.process(events(a=[1], actor=["ann"]))


@pytest.mark.parametrize(
    ("expression", "values", "dtype"),
    [
        ("a + b", [4, 7], "Int64"),
        ("a * 3 - b", [0, 1], "Int64"),
        ("a / b", [1 / 3, 0.4], "float64"),
        ("b // a", [3, 2], "float64"),
        ("b % a", [0, 1], "float64"),
        ("a > 1", [False, True], "boolean"),
        ("not a > 1 or b == 5", [True, True], "boolean"),
        ("-a", [-1, -2], "Int64"),
        ("(a - b).abs()", [2, 3], "Int64"),
        ("time.dt.hour", [0, 1], "Int64"),
        ("t.str.len()", [1, 2], "Int64"),
        ("t + '!'", ["x!", "yz!"], None),
        ("(time - time).dt.total_seconds()", [0.0, 0.0], "float64"),
    ],
)
def test_a_derived_column_has_the_values_and_one_dtype(expression, values, dtype):
    found = derived(expression, a=[1, 2], b=[3, 5], t=["x", "yz"])
    assert values == found.tolist()
    assert dtype in (None, str(found.dtype))


def test_whole_numbers_stay_exact_and_one_that_is_too_large_is_missing_and_not_another():
    found = derived("a + 1", a=[2**53, 2**62])
    assert (2**53 + 1, True) == (found[0], pd.isna(found[1]))
    assert pd.isna(derived("a * a", a=[2**40])[0])


def test_what_is_computed_with_a_missing_value_is_missing():
    assert [False, True] == derived("a + 1", a=pd.Series([1, None], dtype="Int64")).isna().tolist()
    assert [False, True] == derived("a / 2", a=[1.0, None]).isna().tolist()
    assert [False, True] == derived("t.str.lower()", t=["A", None]).isna().tolist()


def test_a_later_column_may_use_an_earlier_one_and_an_old_one_may_get_new_values():
    rows = Derive({"a": "a * 2", "b": "a + 1", "c": lambda frame: frame["b"] * 10}).process(events(a=[1]))
    assert [2, 3, 30] == rows[["a", "b", "c"]].iloc[0].tolist()


def test_the_columns_are_those_of_the_pipeline_after_it():
    watch = gl.Pipeline(Rename({"ip": "source"}), Derive({"failed": "ok == 0"}), gl.prepare.Where("failed"), Select(["source"]))
    assert ["a"] == watch.run(events(ip=["a", "b"], ok=[0, 1])).rows["source"].tolist()
