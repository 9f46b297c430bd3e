"""Files of every kind, whole and broken: what is in them is given, and what is wrong is said."""

import gzip
import json
from unittest.mock import patch

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from govlab.errors import SchemaError, SourceError
from govlab.frames import Schema, concat, event_frame
from govlab.sources.files import text_file
from govlab.sources.files.formats import file_of
from govlab.sources.files.infer import guess
from govlab.sources.files.paths import find
from govlab.sources.files.unpack import LINE_LIMIT

SCHEMA = Schema({"time": "timestamp", "n": "int64"})
PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}


def lines(n, first=0):
    return b"".join(b'{"time": "2026-03-02T00:00:%02dZ", "n": %d}\n' % (i % 60, i) for i in range(first, first + n))


def infer(path):
    return guess([file_of(str(path))]).schema


def read(path, schema=SCHEMA, block_bytes=text_file.BLOCK_BYTES):
    with patch.object(text_file, "BLOCK_BYTES", block_bytes):
        parts = list(file_of(str(path)).blocks(0, schema))
    return concat([rows for rows, _ in parts]), [one for _, bad in parts for one in bad]


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("url", ["file", "memory"])
def test_a_file_reads_the_same_however_it_is_packed_and_wherever_it_is(tmp_path, packed, url):
    path = f"{tmp_path}/a.ndjson{packed}" if url == "file" else f"memory://packed/a.ndjson{packed}"
    with fsspec.open(path, "wb") as file:
        file.write(PACK[packed](lines(100)))
    rows, bad = read(find(path)[0])
    assert (list(range(100)), []) == (rows["n"].tolist(), bad)


@pytest.mark.parametrize("packed", [".gz", ".zst"])
@pytest.mark.parametrize("block_bytes", [1_000, 1 << 22])
def test_a_packed_file_that_is_cut_short_gives_all_it_holds_and_says_where_it_ends(tmp_path, packed, block_bytes):
    path = tmp_path / f"cut.ndjson{packed}"
    whole = PACK[packed](lines(8_000))
    path.write_bytes(whole[: len(whole) * 3 // 4])
    rows, bad = read(path, block_bytes=block_bytes)
    assert list(range(len(rows))) == rows["offset"].tolist() == rows["n"].tolist()
    assert (True, [len(rows)]) == (len(rows) > 3_000, [offset for offset, _, _ in bad])
    assert "cut short" in bad[0][1]


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_packed_files_put_one_behind_the_other_are_one_file(tmp_path, packed):
    path = tmp_path / f"two.ndjson{packed}"
    path.write_bytes(PACK[packed](lines(10)) + PACK[packed](lines(10, 10)))
    assert (list(range(20)), []) == (read(path)[0]["n"].tolist(), read(path)[1])


def test_what_follows_the_end_of_a_gzip_file_is_told_of_and_the_rows_before_it_are_given(tmp_path):
    (tmp_path / "tail.ndjson.gz").write_bytes(gzip.compress(lines(10)) + b"garbage")
    rows, bad = read(tmp_path / "tail.ndjson.gz")
    assert (10, [10]) == (len(rows), [offset for offset, _, _ in bad])


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_a_file_that_is_not_packed_as_its_name_says_is_a_dead_letter(tmp_path, packed):
    (tmp_path / f"plain.csv{packed}").write_bytes(b"time,n\n2026-03-02,1\n")
    rows, bad = read(tmp_path / f"plain.csv{packed}")
    assert (0, 1) == (len(rows), len(bad))


@pytest.mark.parametrize("block_bytes", [300_000, 1 << 22, 1 << 24])
def test_a_line_of_ten_megabytes_is_one_dead_letter_and_keeps_its_number(tmp_path, block_bytes):
    long = b'{"time": "2026-03-02", "n": 1, "x": "' + b"y" * 10_000_000 + b'"}\n'
    (tmp_path / "long.ndjson").write_bytes(lines(3) + long + lines(2, 3) + long.strip())
    rows, bad = read(tmp_path / "long.ndjson", block_bytes=block_bytes)
    assert [0, 1, 2, 4, 5] == rows["offset"].tolist()
    assert [(3, long[:65_536]), (6, long[:65_536])] == [(offset, raw) for offset, _, raw in bad]
    assert "longer than the limit" in bad[0][1]


def test_a_line_just_under_the_limit_is_read_in_blocks_of_any_size(tmp_path):
    long = b'{"time": "2026-03-02", "n": 1, "x": "' + b"y" * (LINE_LIMIT - 100) + b'"}\n'
    (tmp_path / "long.ndjson").write_bytes(long + lines(1))
    assert [2, 2, 2] == [len(read(tmp_path / "long.ndjson", block_bytes=size)[0]) for size in (500_000, 1 << 22, 1 << 24)]


@pytest.mark.parametrize(
    ("text", "offsets"),
    [
        (b"", []),
        (b"time,n", []),
        (b"time,n\n", []),
        (b"time,n\r\n2026-03-02,1\r\n\r\n2026-03-02,2", [1, 3]),
        (b"\n\ntime,n\n2026-03-02,1\n", [3]),
        (b"\xef\xbb\xbftime,n\n2026-03-02,1\n", [1]),
        (b'"time","n"\n"2026-03-02","1"\n\n\n', [1]),
        (b"n,other,time\n1,,2026-03-02\n", [1]),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 5, 1 << 22])
def test_odd_but_right_csv_files_lose_nothing(tmp_path, text, offsets, block_bytes):
    (tmp_path / "odd.csv").write_bytes(text)
    rows, bad = read(tmp_path / "odd.csv", block_bytes=block_bytes)
    assert (offsets, []) == (rows["offset"].tolist() if len(rows) else [], bad)


@pytest.mark.parametrize("text", [b"", b"\n\r\n  \n", b"\xef\xbb\xbf"])
def test_an_ndjson_file_without_a_record_gives_none(tmp_path, text):
    (tmp_path / "none.ndjson").write_bytes(text)
    assert [] == [len(rows) for rows, bad in file_of(str(tmp_path / "none.ndjson")).blocks(0, SCHEMA) if len(rows) or bad]


def test_a_byte_order_mark_costs_no_row(tmp_path):
    (tmp_path / "mark.ndjson").write_bytes(b"\xef\xbb\xbf" + lines(2))
    assert [0, 1] == read(tmp_path / "mark.ndjson")[0]["n"].tolist()


def test_a_file_without_a_column_of_the_schema_is_refused_by_the_name_of_the_column(tmp_path):
    (tmp_path / "a.csv").write_text("time,m\n2026-03-02,1\n")
    with pytest.raises(SchemaError, match="no column 'n'"):
        read(tmp_path / "a.csv")


def test_parquet_rows_that_lack_a_value_or_have_an_absurd_time_are_dead_letters(tmp_path):
    table = pa.table({"time": pa.array([0, None, -(2**63), 7], pa.timestamp("us")), "n": [1, 2, 3, None]})
    pq.write_table(table, tmp_path / "a.parquet")
    rows, bad = read(tmp_path / "a.parquet")
    assert ([0], [1, 2, 3]) == (rows["offset"].tolist(), [offset for offset, _, _ in bad])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_times_of_any_unit_and_zone_are_the_same_moment(tmp_path, unit):
    moment = pd.Timestamp("2026-03-02T01:00:00+01:00")
    pq.write_table(pa.table({"time": pa.array([moment], pa.timestamp(unit, "Europe/Paris")), "n": [1]}), tmp_path / "a.parquet")
    assert [moment] == read(tmp_path / "a.parquet")[0]["time"].tolist()


def test_numbers_in_a_parquet_file_are_not_taken_for_times(tmp_path):
    pq.write_table(pa.table({"time": [1_772_409_600], "n": [1]}), tmp_path / "a.parquet")
    with pytest.raises(SchemaError, match="epoch_s"):
        read(tmp_path / "a.parquet")
    assert [pd.Timestamp("2026-03-02", tz="UTC")] == read(tmp_path / "a.parquet", Schema({"time": "epoch_s"}))[0]["time"].tolist()


def test_a_parquet_file_that_is_cut_short_or_damaged_is_a_source_error(tmp_path):
    event_frame({"time": ["2026-03-02"] * 1_000, "n": range(1_000)}).to_parquet(tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    (tmp_path / "bad.parquet").write_bytes(whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :])
    for name, why in (("cut", "cut short"), ("bad", "damaged")):
        with pytest.raises(SourceError, match=why):
            read(tmp_path / f"{name}.parquet")


def test_paths_folders_and_patterns_name_each_file_once_in_the_order_of_names(tmp_path):
    for name in ("b.csv", "a.ndjson.gz", "notes.txt", "odd[1].csv"):
        (tmp_path / name).touch()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "c.parquet").touch()
    names = [f"{tmp_path}/{name}" for name in ("a.ndjson.gz", "b.csv", "deep/c.parquet", "odd[1].csv")]
    assert names == find(tmp_path) == find([f"{tmp_path}/b.csv", str(tmp_path), f"{tmp_path}/*.gz"])
    assert names[-1:] == find(names[-1])


@pytest.mark.parametrize("paths", [[], "nowhere.csv", "no*.csv"])
def test_paths_that_name_nothing_are_an_error_that_says_so(paths):
    with pytest.raises(SourceError, match="there is no file"):
        find(paths)


def test_a_name_that_tells_no_format_is_an_error_that_lists_the_known_ones():
    with pytest.raises(SourceError, match=r"\.csv, \.ndjson"):
        file_of("events.xlsx")


BAD_LINES = [b"[" * 100_000 + b"]" * 100_000, b"nonsense", b"\xff\xfe", b'{"time": 1, "n": "x", "s": 5}']


def test_a_schema_is_guessed_from_the_good_lines_whatever_the_bad_ones_are(tmp_path):
    good = [
        json.dumps({"time": "2026-03-02T00:00:00Z", "n": i, "s": "x", "ok": True, "list": [1], "at": "2026-03-02"}).encode()
        for i in range(9)
    ]
    (tmp_path / "a.ndjson").write_bytes(b"\n".join([*BAD_LINES, *good]))
    kinds = {"time": "timestamp", "n": "float64?", "s": "string?", "ok": "bool?", "at": "timestamp?"}
    assert kinds == infer(tmp_path / "a.ndjson").fields


def test_a_stray_quote_does_not_spoil_the_guess_at_a_csv_file(tmp_path):
    (tmp_path / "a.csv").write_bytes(b'time,n,s,id\n2026-03-02,"1,x,5\n' + b"2026-03-02T00:00:00Z,1,x,9223372036854775807\n" * 50)
    kinds = {"time": "timestamp", "n": "float64?", "s": "string?", "id": "string?"}
    assert kinds == infer(tmp_path / "a.csv").fields


@pytest.mark.parametrize("block_bytes", [10, 1 << 22])
def test_the_guess_does_not_depend_on_the_size_of_the_blocks(tmp_path, block_bytes):
    (tmp_path / "a.csv").write_bytes(b"time,n\n" + b"2026-03-02,1\n" * 100 + b"2026-03-02,word\n")
    with patch.object(text_file, "BLOCK_BYTES", block_bytes):
        assert "string?" == infer(tmp_path / "a.csv").fields["n"]


def test_columns_of_a_parquet_file_that_no_schema_can_name_are_left_out(tmp_path):
    table = pa.table({"time": pa.array([0], pa.timestamp("us")), "list": [[1]], "n": pa.array([1], pa.int8()), "raw": [b"x"]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert {"time": "timestamp", "n": "float64?"} == infer(tmp_path / "a.parquet").fields


def test_a_file_without_a_record_gives_no_guess_but_says_what_to_do(tmp_path):
    (tmp_path / "a.csv").touch()
    with pytest.raises(SourceError, match="give schema="):
        infer(tmp_path / "a.csv")
