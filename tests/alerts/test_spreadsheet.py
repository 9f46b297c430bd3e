"""A table for a person runs nothing in a spreadsheet."""

import csv

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from govlab import alerts
from govlab.alerts.spreadsheet import inert
from govlab.errors import ArgumentError

EVIL = ['=HYPERLINK("http://x.example","click")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1"]


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_what_a_spreadsheet_would_run_has_an_apostrophe_before_it_and_all_else_stays(tmp_path):
    for dtype in ("object", "string", "category"):
        table = pd.DataFrame({"entity": pd.Series([*EVIL, "ann", "a=b"], dtype=dtype), "score": -1.5})
        rows = read(alerts.save(table, tmp_path / "a.csv"))
        assert [["entity", "score"], *([f"'{text}", "-1.5"] for text in EVIL), ["ann", "-1.5"], ["a=b", "-1.5"]] == rows


def test_a_column_called_like_a_formula_is_inert_too(tmp_path):
    assert ["'=1+1", "x", "x"] == read(alerts.save(pd.DataFrame([[1, 2, 3]], columns=["=1+1", "x", "x"]), tmp_path / "a.csv"))[0]


@given(st.text())
def test_no_text_begins_as_a_formula_does(text):
    assert not str(inert(text)).lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))


@pytest.mark.parametrize("name", ["a.xlsx", "a", "csv"])
def test_another_format_is_refused(tmp_path, name):
    with pytest.raises(ArgumentError, match=r"ends with \.csv"):
        alerts.save(pd.DataFrame({"a": [1]}), tmp_path / name)
    assert [] == list(tmp_path.iterdir())
