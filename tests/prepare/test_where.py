"""Expressions: the values of pandas' query where nothing is missing, unknown where something is, and no way out of the frame."""

import pickle

import numpy as np
import pandas as pd
import pytest
from drawn import run
from hypothesis import given, settings
from hypothesis import strategies as st

import govlab as gl
from govlab.errors import ArgumentError, SchemaError
from govlab.frames import event_frame
from govlab.prepare import Where
from govlab.prepare.expression import Expression


def events(**columns):
    n = len(next(iter(columns.values())))
    return event_frame({"time": pd.date_range("2026-03-02", periods=n, freq="h", tz="UTC"), **columns})


def kept(condition, **columns):
    return Where(condition).process(events(i=range(len(next(iter(columns.values())))), **columns))["i"].tolist()


ATOMS = st.sampled_from(
    ["a == 1", "a != 2", "a < b", "b >= 0.5", "a in [1, 3]", "a not in (0, 2)", "t == 'x'", "t in ['x', 'y']", "flag", "0 < a <= 2",
     "t.str.contains('y')", "a + b > 2", "a * 2 == 4", "-a < -1", "a % 2 == 1", "`b c` > 1", "a // 2 == 1", "a ** 2 > 3"]
)  # fmt: skip
CONDITIONS = st.recursive(
    ATOMS, lambda inner: st.one_of(inner.map("not ({})".format), st.tuples(inner, st.sampled_from(["and", "or", "&", "|"]), inner).map(
        lambda parts: "({}) {} ({})".format(*parts))), max_leaves=5,
)  # fmt: skip
WHOLE_ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.5, 1.5]), st.sampled_from("xyz"), st.booleans()), min_size=1, max_size=12
)


@given(condition=CONDITIONS, rows=WHOLE_ROWS)
@settings(max_examples=150, deadline=None)
def test_a_condition_keeps_the_rows_of_pandas_query_where_nothing_is_missing(condition, rows):
    a, b, t, flag = zip(*rows, strict=True)
    columns = {"a": list(a), "b": list(b), "t": list(t), "flag": list(flag), "b c": [2 * x for x in b]}
    expected = pd.DataFrame({**columns, "i": range(len(rows))}).query(condition, engine="python")["i"].tolist()
    assert expected == kept(condition, **columns)


DTYPES = {
    "a float": lambda v: pd.Series([np.nan if x is None else x for x in v], dtype="float64"),
    "a nullable number": lambda v: pd.Series(v, dtype="Int64"),
    "objects": lambda v: pd.Series(v, dtype="object"),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("x == 1", [0]), ("x != 1", [2]), ("not x == 1", [2]), ("x < 5", [0, 2]), ("x in [1]", [0]), ("x not in [1]", [2]),
        ("x == 1 or i == 1", [0, 1]), ("x == 1 and i == 1", []), ("x.isna()", [1]), ("not x.notna()", [1]), ("x + 1 == 2", [0]),
        ("x == 1 or x != 1", [0, 2]), ("x / 0 > 1", [0, 2]), ("x.isna() or x > 1", [1, 2]), ("-x < 0", [0, 2]),
    ],
)  # fmt: skip
def test_a_condition_about_a_missing_value_is_unknown_whatever_the_dtype(dtype, condition, expected):
    assert expected == kept(condition, x=DTYPES[dtype]([1, None, 3]))


def test_texts_that_are_missing_are_unknown_too():
    columns = {"t": ["ab", None, "b"]}
    assert [[0], [2], [2], [0], [1]] == [
        kept(condition, **columns)
        for condition in (
            "t.str.contains('a')",
            "not t.str.startswith('a')",
            "t.str.len() < 2",
            "t.str.upper() == 'AB'",
            "t.isna()",
        )
    ]


def test_times_are_compared_with_texts_in_utc_and_have_hours_of_any_zone():
    columns = {"x": [0] * 4}
    assert [1, 2, 3] == kept("time >= '2026-03-02T01:00'", **columns)
    assert [0] == kept("time < '2026-03-02T02:00+01:00'", **columns)
    assert [1] == kept("time.dt.tz_convert('Europe/Berlin').dt.hour == 2", **columns)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, -(2**63)])
def test_large_whole_numbers_are_compared_to_the_last_digit(number):
    assert [0] == kept(f"x == {number}", x=np.array([number, number ^ 1], "int64"))


@pytest.mark.parametrize(
    "condition",
    ["__import__('os').system('true')", "x.__class__", "x.values", "@secret == 1", "x.apply(print)", "(lambda: 1)()", "x[0] == 1",
     "[y for y in x]", "x.str.__len__()", "x.dt.tz_convert(zone).dt.hour == 1", "x.str.contains(y)", "f'{x}'", "x if y else z",
     "x.str.cat(y)", "open('f')", "x == None", "(y := 1) == x", "x in y", "x is y", "x.isna(1)", "*x", "x.str.contains(*['a'])"],
)  # fmt: skip
def test_nothing_but_columns_can_be_reached(condition):
    with pytest.raises(ArgumentError, match="Where: "):
        Where(condition)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("ok = 0", r"is no expression .*There are: columns"),
        ("ok == ", "is no expression"),
        ("1 == 1", "has no column in it"),
        ("", "expected an expression such as 'ok == 0'"),
        (7, "expected an expression"),
        (f"ok == {2**64}", "more than 64 bits"),
        ("(" * 500 + "ok" + ")" * 500, "is no expression"),
    ],
)
def test_a_wrong_condition_is_an_error_that_says_what_there_is(condition, said):
    with pytest.raises(ArgumentError, match=said):
        Where(condition)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("okay == 0", r"needs a column 'okay'. Did you mean 'ok'"),
        ("ok == '0'", r"ok is number and '0' is text; write a text in quotes, or read the column"),
        ("name == 3", r"name is text and 3 is number"),
        ("ok < name", "ok is number and name is text"),
        ("ok in ['0']", "ok is number and '0' is text"),
        ("ok", "ok is no condition; write ok == 1"),
        ("ok + name > 1", "computes with text"),
        ("ok.str.len() > 1", "is for a column of text"),
        ("name.dt.hour > 1", "is for a column of time"),
        ("time > 'yesterday'", "'yesterday' is no time"),
        ("time == 3", "time is time and 3 is number"),
        ("name.str.contains('(')", "str.contains"),
        ("time.dt.tz_convert('Europe/Berlinn').dt.hour == 1", "tz_convert"),
    ],
)
def test_what_cannot_be_compared_is_an_error_and_no_empty_result(condition, said):
    with pytest.raises(SchemaError, match=said):
        kept(condition, ok=[0, 1], name=["a", "b"])


def test_the_others_are_counted_or_go_to_a_side_with_the_condition():
    rows = events(ok=[0, 1, None])
    plain = Where("ok == 0")
    assert (1, 2, []) == (len(plain.process(rows)), plain.absorbed, plain.take_sides())
    out, sides = run(Where("ok == 0", side="succeeded"), rows)
    assert (1, ["not: ok == 0"] * 2) == (len(out), sides["succeeded"]["reason"].tolist())
    result = gl.Pipeline(Where("ok == 0")).run(rows)
    assert "where: 3 taken, 1 given" in str(result.summary)


def test_a_function_of_the_frame_is_a_condition_too_and_its_result_is_checked():
    rows = events(ok=[0, 1, 0])
    assert 2 == len(Where(lambda frame: frame["ok"] == 0).process(rows))
    assert 1 == len(Where(lambda frame: pd.array([True, None, False], "boolean")).process(rows))
    for wrong in (lambda frame: [True], lambda frame: frame["ok"] + 5):
        with pytest.raises(SchemaError, match="expected one of them for each row"):
            Where(wrong).process(rows)


def test_a_filter_pickles_and_says_which_columns_it_needs():
    step = pickle.loads(pickle.dumps(Where("`a b` == 0 and c > 1")))
    assert ("a b", "c") == step._expression.columns
    assert [0] == step.process(events(i=[0, 1], **{"a b": [0, 0], "c": [2, 0]}))["i"].tolist()


def test_names_in_quotes_are_those_of_columns_and_texts_keep_their_signs():
    assert [0] == kept("`a & b` == 'x & y | `z`'", **{"a & b": ["x & y | `z`", "x"]})


def test_categories_are_compared_as_what_they_are():
    assert [0, 2] == kept("c == 'x'", c=pd.Series(["x", "y", "x"], dtype="category"))
    assert Expression("c == 'x'", "test").columns == ("c",)
