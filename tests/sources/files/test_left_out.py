"""What is left out is named, and what folders say is read."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from govlab.errors import SchemaError
from govlab.frames import Schema
from govlab.sources.files.replay import ReplayReader
from govlab.testing import check_reader
from govlab.testing.readers import read_all

TIME = "2026-03-02T00:00:0%dZ"


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        path.write_text("".join(",".join(map(str, line)) + "\n" for line in [rows[0], *(row.values() for row in rows)]))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_nested_fields_are_left_out_with_one_warning_that_names_them(tmp_path, caplog):
    write(tmp_path / "a.ndjson", [{"time": TIME % 0, "actor": {"id": 1}, "tags": ["a"], "n": 1}])
    reader = ReplayReader(tmp_path / "a.ndjson")
    assert (["time", "n"], ["actor", "tags"]) == (list(reader.schema.fields), sorted(reader.left_out))
    assert [True] == ["'actor'" in record.getMessage() and "'tags'" in record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_columns_that_only_a_later_file_has_are_named_once(tmp_path, kind, caplog):
    for i in range(3):
        write(tmp_path / f"{i}.{kind}", [{"time": TIME % i, "n": 1} | ({"fresh": 2} if i else {})])
    reader = ReplayReader(tmp_path)
    assert (3, {"fresh"}, 1) == (len(read_all(reader, 10)), set(reader.left_out), len(caplog.records))
    assert f"1.{kind}" in reader.left_out["fresh"]


def test_a_schema_that_is_given_leaves_nothing_out(tmp_path, caplog):
    write(tmp_path / "a.ndjson", [{"time": TIME % 0, "actor": {"id": 1}, "n": 1}])
    assert ({}, 0) == (ReplayReader(tmp_path, Schema({"time": "timestamp", "n": "int64"})).left_out, len(caplog.records))


def test_a_misspelt_field_of_json_that_may_be_missing_is_named_with_the_nearest(tmp_path, caplog):
    write(tmp_path / "a.ndjson", [{"time": TIME % 0, "value": 1}])
    reader = ReplayReader(tmp_path, Schema({"time": "timestamp", "valeu": "float64?"}))
    assert ({"valeu"}, 1) == (set(reader.left_out), len(caplog.records))
    assert "Did you mean 'value'?" in reader.left_out["valeu"]


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_folders_called_key_and_value_are_columns_of_text(tmp_path, kind):
    for i, country in enumerate(["DE", "__HIVE_DEFAULT_PARTITION__", "C%C3%B4te"]):
        write(tmp_path / f"day=2026-03-0{i + 1}" / f"country={country}" / f"p.{kind}", [{"time": TIME % i, "n": i}])
    reader = ReplayReader(tmp_path)
    rows = read_all(reader, 10)
    assert ("string?", "string?", {}) == (reader.schema.fields["day"], reader.schema.fields["country"], reader.left_out)
    assert ["2026-03-01", "2026-03-02", "2026-03-03"] == rows.sort_values("time")["day"].tolist()
    assert ["Côte", "DE", None] == sorted((None if c != c else c for c in rows["country"]), key=lambda c: (c is None, c))
    check_reader(lambda: ReplayReader(tmp_path))
    check_reader(lambda: ReplayReader(f"{tmp_path}/*/*/*.{kind}"))


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_a_column_of_the_file_goes_before_that_of_its_folder_and_the_schema_says_its_type(tmp_path, kind):
    write(tmp_path / "n=7" / f"p.{kind}", [{"time": TIME % 0, "n": 1, "x": 5}])
    write(tmp_path / "n=8" / f"q.{kind}", [{"time": TIME % 1, "x": 6}])
    rows = read_all(ReplayReader(tmp_path, Schema({"time": "timestamp", "n": "int64"})), 10)
    assert [1, 8] == rows["n"].tolist()


def test_a_folder_that_holds_no_value_of_the_type_is_a_schema_error(tmp_path):
    write(tmp_path / "n=x" / "p.csv", [{"time": TIME % 0}])
    with pytest.raises(SchemaError, match="n=x holds no int64"):
        ReplayReader(tmp_path, Schema({"time": "timestamp", "n": "int64"}))


def test_a_file_named_itself_has_no_columns_of_its_folders(tmp_path):
    write(tmp_path / "n=7" / "p.csv", [{"time": TIME % 0, "x": 1}])
    assert ["time", "x"] == list(ReplayReader(tmp_path / "n=7" / "p.csv").schema.fields)
    assert ["time", "x"] == list(ReplayReader(tmp_path / "n=7").schema.fields)
