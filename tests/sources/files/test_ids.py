"""What is a name comes out as it went in, and no number is rounded without a word."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import govlab as gl
from govlab.frames import Schema
from govlab.hashing import hash_column
from govlab.keys import KeyIndex
from govlab.sources.files.replay import ReplayReader
from govlab.testing.readers import read_all

TIME = "2026-03-02T00:00:0%dZ"
FAR = 2**53 + 1


def csv(folder, name, column, values):
    lines = "".join(f"{TIME % (i % 10)},{value}\n" for i, value in enumerate(values))
    (folder / name).write_text(f"time,{column}\n{lines}")
    return str(folder / name)


def ndjson(folder, name, column, values):
    lines = [json.dumps({"time": TIME % (i % 10), column: value}) + "\n" for i, value in enumerate(values)]
    (folder / name).write_text("".join(lines))
    return str(folder / name)


def table(folder, name, column, values):
    times = pa.array(range(len(values)), pa.timestamp("s"))
    pq.write_table(pa.table({"time": times, column: pa.array(values)}), folder / name)
    return str(folder / name)


def read(paths, schema=None):
    reader = ReplayReader(paths, schema)
    rows = read_all(reader, 100)
    letters = reader.take_dead_letters()
    reader.close()
    return rows, letters


def counts(paths, by, schema=None):
    """Count the events of each name, the missing ones under None."""
    rows = gl.Pipeline(gl.features.WindowCount(by, every="1min")).run(ReplayReader(paths, schema)).rows
    names = [None if missing else str(name) for name, missing in zip(rows[by], rows[by].isna(), strict=True)]
    return dict(zip(names, rows["count"].tolist(), strict=True))


@pytest.mark.parametrize(
    "values",
    [
        ["007", "7", "0007"], ["+49123", "49123"], ["1234567890123456", "1234567890123457"], ["0x1F", "31"], ["1", "x"], ["00", "0"],
        ["-01", "-1"], ["18446744073709551615", "18446744073709551614"], ["10:30:00", "10:30"], ["1_000", "1000"], ["true", "yes"],
        ["True", "1"], ["0001-01-01", "2026-03-02"],
    ],
)  # fmt: skip
def test_names_that_look_like_numbers_are_told_apart_in_csv(tmp_path, values):
    assert dict.fromkeys(values, 1) == counts(csv(tmp_path, "a.csv", "account", values), "account")


@pytest.mark.parametrize("values", [["1", "2", "10"], ["0", "0.5", "-0.25"], ["1e5", "3"], ["0.12345678901234567", "1"]])
def test_measures_stay_numbers_in_csv_and_words_for_missing_are_missing_among_them(tmp_path, values):
    rows, letters = read(csv(tmp_path, "a.csv", "value", [*values, "NA", "null", ""]))
    assert ([*map(float, values)], 3, []) == (rows["value"].dropna().tolist(), int(rows["value"].isna().sum()), letters)


@pytest.mark.parametrize("schema", [None, Schema({"time": "timestamp", "country": "string?"})])
def test_words_for_missing_are_texts_in_a_column_of_text_and_only_the_empty_field_is_missing(tmp_path, schema):
    path = csv(tmp_path, "a.csv", "country", ["NA", "null", "None", "nan", "N/A", "", '""'])
    assert {"NA": 1, "null": 1, "None": 1, "nan": 1, "N/A": 1, None: 2} == counts(path, "country", schema)


@pytest.mark.parametrize(
    "schema", [None, Schema({"time": "timestamp", "user": "int64?"}), Schema({"time": "timestamp", "user": "string?"})]
)
def test_large_ids_some_of_which_are_missing_are_exact_in_json(tmp_path, schema):
    path = ndjson(tmp_path, "a.ndjson", "user", [FAR, FAR - 1, None, 5])
    assert {str(FAR): 1, str(FAR - 1): 1, "5": 1, None: 1} == counts(path, "user", schema)


@pytest.mark.parametrize("write", [csv, table])
def test_large_ids_some_of_which_are_missing_are_exact_in_csv_and_parquet(tmp_path, write):
    path = write(
        tmp_path, "a.csv" if write is csv else "a.parquet", "user", ["", FAR, FAR - 1] if write is csv else [None, FAR, FAR - 1]
    )
    for schema in (None, Schema({"time": "timestamp", "user": "int64?"}), Schema({"time": "timestamp", "user": "string?"})):
        assert {str(FAR): 1, str(FAR - 1): 1, None: 1} == counts(path, "user", schema)


def test_ids_beyond_64_bits_are_text_as_they_are_written(tmp_path):
    ids = [2**64 - 1, 2**64 - 2, 2**70]
    rows, letters = read(ndjson(tmp_path, "a.ndjson", "user", ids))
    assert ([*map(str, ids)], []) == (rows["user"].tolist(), letters)


def test_numbers_and_texts_and_flags_in_one_field_are_text_as_they_are_written(tmp_path):
    lines = ["false", "1.50", '"x"', "7", "null", "1e3"]
    (tmp_path / "a.ndjson").write_text("".join(f'{{"time": "{TIME % i}", "edited": {v}}}\n' for i, v in enumerate(lines)))
    rows, letters = read(tmp_path / "a.ndjson")
    assert (["false", "1.50", "x", "7", "1e3"], []) == (rows["edited"].dropna().tolist(), letters)


@pytest.mark.parametrize(("write", "name"), [(csv, "b.csv"), (ndjson, "b.ndjson"), (table, "b.parquet")])
def test_a_later_number_that_a_float_would_round_is_a_dead_letter_that_says_what_to_do(tmp_path, write, name):
    first = csv(tmp_path, "a.csv", "user", [12])
    rows, letters = read([first, write(tmp_path, name, "user", [FAR - 1, FAR, 2**60, 7])])
    assert sorted([12.0, float(FAR - 1), float(2**60), 7.0]) == sorted(rows["user"].tolist())
    assert [True] == [str(FAR) in letter.reason and "'int64?' or 'string'" in letter.reason for letter in letters]


def test_a_fraction_of_many_digits_is_a_measure_and_may_be_rounded(tmp_path):
    schema = Schema({"time": "timestamp", "value": "float64"})
    rows, letters = read(csv(tmp_path, "a.csv", "value", ["9007199254740993.5", "1e300", "0.1000000000000000055", "inf"]), schema)
    assert ([9007199254740993.5, 1e300, 0.1, np.inf], []) == (rows["value"].tolist(), letters)


@pytest.mark.parametrize("whole", [[1, 2, 3], [FAR, FAR - 1, -(2**63)]])
def test_whole_numbers_that_may_be_missing_have_one_dtype_and_the_keys_and_prints_of_plain_ones(tmp_path, whole):
    path = ndjson(tmp_path, "a.ndjson", "n", whole)
    maybe, plain = (read(path, Schema({"time": "timestamp", "n": kind}))[0] for kind in ("int64?", "int64"))
    assert ("Int64", whole) == (str(maybe["n"].dtype), maybe["n"].tolist())
    assert hash_column(plain["n"]).tolist() == hash_column(maybe["n"]).tolist()
    assert KeyIndex().encode(plain["n"]).tolist() == KeyIndex().encode(maybe["n"]).tolist()
    runs = [gl.Pipeline(gl.features.WindowCount("n", every="1min")).run(rows) for rows in (maybe, plain)]
    assert runs[0].summary.fingerprint == runs[1].summary.fingerprint


def test_keys_that_may_be_missing_come_back_exactly_however_the_rows_are_cut():
    column = pd.Series([FAR, None, FAR - 1, 5], dtype="Int64", name="n")
    whole, index = KeyIndex(), KeyIndex()
    numbers = whole.encode(column)
    parts = [index.take(index.encode(column[a : a + 1])) for a in range(4)]
    pd.testing.assert_series_equal(whole.take(numbers), pd.concat(parts, ignore_index=True), check_names=False)
    assert ([FAR, None, FAR - 1, 5], "Int64") == (whole.names, str(whole.take(numbers).dtype))


def test_conform_keeps_whole_numbers_that_may_be_missing_exact():
    schema = Schema({"time": "timestamp", "n": "int64?"})
    frame = gl.event_frame({"time": ["2026-03-02"] * 2, "n": pd.array([FAR, None], "Int64")})
    assert [FAR, pd.NA] == gl.prepare.Conform(schema).process(frame)["n"].tolist()


@pytest.mark.parametrize("size", [2, 2_000])
def test_ids_are_read_the_same_whatever_stands_beside_them(tmp_path, size):
    good = ndjson(tmp_path, "a.ndjson", "user", [FAR + i if i % 3 else None for i in range(size)])
    with open(good, "ab") as file:
        file.write(b"bad\n")
    schema = Schema({"time": "timestamp", "user": "int64?"})
    rows, letters = read(good, schema)
    assert ([FAR + i for i in range(size) if i % 3], 1) == (rows.sort_values("offset")["user"].dropna().tolist(), len(letters))
    assert size == len(rows)
