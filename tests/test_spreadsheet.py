"""A table for a person runs nothing in a spreadsheet."""

import csv
import zipfile
from xml.etree import ElementTree

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import govlab as gl
from govlab import alerts
from govlab.errors import ArgumentError
from govlab.spreadsheet import inert
from govlab.testing.stores import sample_alerts

SPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
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


@pytest.mark.parametrize("name", ["a.xls", "a", "csv"])
def test_another_format_is_refused(tmp_path, name):
    with pytest.raises(ArgumentError, match=r"ends with \.csv, \.xlsx, \.parquet"):
        alerts.save(pd.DataFrame({"a": [1]}), tmp_path / name)
    assert [] == list(tmp_path.iterdir())


def sheet(path):
    """Give the cells of an Excel file as (type, formula or text) by what its XML says, and the links in it."""
    with zipfile.ZipFile(path) as parts:
        shared = ElementTree.fromstring(parts.read("xl/sharedStrings.xml"))
        texts = ["".join(part.text or "" for part in one.iter(f"{SPACE}t")) for one in shared.iter(f"{SPACE}si")]
        texts = [text.replace("_x000D_", "\r") for text in texts]  # as the format has it
        root = ElementTree.fromstring(parts.read("xl/worksheets/sheet1.xml"))
        rows = [
            [texts[int(cell.findtext(f"{SPACE}v"))] if cell.get("t") == "s" else cell.findtext(f"{SPACE}v") for cell in row]
            for row in root.iter(f"{SPACE}row")
        ]
        return rows, [*root.iter(f"{SPACE}f"), *root.iter(f"{SPACE}hyperlink")]


def test_an_excel_file_has_texts_as_they_are_and_neither_formula_nor_link(tmp_path):
    texts = [*EVIL, "http://x.example", "007", "1e5", "ann", "\x01"]
    rows, active = sheet(alerts.save(pd.DataFrame({"=1+1": texts, "score": 1.5}), tmp_path / "a.xlsx"))
    assert ([["=1+1", "score"], *([text, "1.5"] for text in texts[:-1])], []) == (rows[:-1], active)


def test_an_excel_file_keeps_every_digit_and_says_times_in_utc(tmp_path):
    table = pd.DataFrame(
        {
            "id": [2**63 - 1, 12],
            "few": pd.array([3, None], "Int64"),
            "time": pd.to_datetime(["2026-03-02T01:30:00+01:00", None], utc=True),
            "value": [float("inf"), None],
            "ok": [True, False],
            "evidence": [["a", 1], None],
        }
    )
    rows, _ = sheet(alerts.save(table, tmp_path / "a.xlsx"))
    day = (pd.Timestamp("2026-03-02T00:30") - pd.Timestamp("1899-12-30")) / pd.Timedelta("1D")
    assert [str(2**63 - 1), "3", "infinite", "1", "['a', 1]"] == [rows[1][i] for i in (0, 1, 3, 4, 5)]
    assert day == pytest.approx(float(rows[1][2]))
    assert "12" == rows[2][0]


def test_what_does_not_fit_into_excel_is_an_error_and_no_file(tmp_path):
    for table, said in ((pd.DataFrame({"a": range(1_048_576)}), "1,048,575 rows"), (pd.DataFrame({"a": ["x" * 32_768]}), "32,767")):
        with pytest.raises(ArgumentError, match=said):
            alerts.save(table, tmp_path / "a.xlsx")
    assert [] == list(tmp_path.iterdir())


def test_alerts_are_written_with_what_a_person_reads_in_front_and_parquet_as_they_are(tmp_path):
    table = sample_alerts(3)
    assert ["time", "entity", "severity", "score", "p", "reason", "detector"] == read(alerts.save(table, tmp_path / "a.csv"))[0][:7]
    assert list(table.columns) == list(pd.read_parquet(alerts.save(table, tmp_path / "a.parquet")).columns)


def test_a_result_is_written_in_each_form_and_a_name_with_another_ending_is_an_error(tmp_path):
    events = gl.testing.sample_events(50)
    result = gl.Pipeline(gl.detectors.EwmaZ("value"), gl.alerts.Threshold(0.1)).run(events)
    assert len(result.rows) > 3
    assert (
        1 + len(result.rows) == len(read(result.to_csv(tmp_path / "a.csv"))) == len(sheet(result.to_excel(tmp_path / "a.xlsx"))[0])
    )
    pd.testing.assert_frame_equal(result.rows.reset_index(drop=True), pd.read_parquet(result.to_parquet(tmp_path / "a.parquet")))
    with pytest.raises(ArgumentError, match=r"ends with \.xlsx"):
        result.to_excel(tmp_path / "a.csv")


def test_an_alert_table_in_a_notebook_begins_with_what_happened_to_whom():
    result = gl.Pipeline(gl.detectors.EwmaZ("value"), gl.alerts.Threshold(0.1)).run(gl.testing.sample_events(50))
    shown = result._repr_html_().rpartition("<thead>")[2]
    names = [shown.index(f"<th>{name}</th>") for name in ("time", "entity", "severity", "score", "p", "reason", "detector", "id")]
    assert sorted(names) == names
