"""Each way in which a file breaks, with each time, format and packing: the good rows, one dead letter, a word of govlab's own."""

import functools
import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from broken_files import PACK, START_S, parquet, records, written

from govlab.errors import SchemaError, SourceError
from govlab.frames import Schema
from govlab.sources.files import parquet_batches, trial
from govlab.sources.files.replay import ReplayReader
from govlab.testing.readers import read_all

TEXT_TIMES = ["text", "date", "epoch_s", "epoch_ms", "epoch_us"]
ARROW_TIMES = ["arrow_s", "arrow_ms", "arrow_us", "arrow_ns", "date", "date64"]
N = 10_000
BREAKS = {
    "cut": lambda data: data[: len(data) * 2 // 3],
    "garbage at the end": lambda data: data + b"garbage",
    "garbage in the middle": lambda data: data[: len(data) * 2 // 3] + b"\xff" * 64 + data[len(data) * 2 // 3 + 64 :],
    "an empty member at the end": None,
    "an empty member at the beginning": None,
}


WRITTEN = functools.cache(lambda kind, time: written(kind, time, records(N)))


def schema_of(time, **more):
    return Schema({"time": time if time.startswith("epoch") else "timestamp", "n": "int64"} | more)


def read(path, schema=None, **options):
    reader = ReplayReader(path, schema, **options)
    rows = read_all(reader, 1_000)
    letters = reader.take_dead_letters()
    reader.close()
    return rows.sort_values("offset"), letters


@pytest.mark.parametrize("time", TEXT_TIMES)
@pytest.mark.parametrize("kind", ["csv", "ndjson"])
@pytest.mark.parametrize("packed", [".gz", ".zst"])
@pytest.mark.parametrize("how", BREAKS)
def test_a_packed_file_that_breaks_gives_what_it_holds_and_one_word_about_the_rest(tmp_path, time, kind, packed, how):
    whole, empty = PACK[packed](WRITTEN(kind, time)), PACK[packed](b"")
    members = {"an empty member at the end": whole + empty, "an empty member at the beginning": empty + whole}
    path = tmp_path / f"a.{kind}{packed}"
    path.write_bytes(members.get(how) or BREAKS[how](whole))
    rows, letters = read(path, schema_of(time))
    if how != "garbage in the middle":  # which gzip notices only at its end
        assert list(range(len(rows))) == rows["n"].tolist()
    if how in members:
        assert (N, []) == (len(rows), letters)
    else:
        assert (True, True) == (1_000 < len(rows) <= N + 10, len(letters) >= 1)
        assert "cut short" in letters[-1].reason
    if how == "garbage at the end":
        assert (N, 1) == (len(rows), len(letters))


@pytest.mark.parametrize("time", TEXT_TIMES)
@pytest.mark.parametrize("kind", ["csv", "ndjson"])
@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("value", ["soon", "99999999999999999999", ""])
def test_a_bad_time_is_one_dead_letter_with_each_type_of_time(tmp_path, time, kind, packed, value):
    bad = {"csv": f"{value},a,5,,True\n", "ndjson": f'{{"time": "{value}", "n": 5}}\n'}[kind].encode()
    path = tmp_path / f"a.{kind}{packed}"
    path.write_bytes(PACK[packed](written(kind, time, records(5)) + bad + written(kind, time, records(2)).split(b"\n")[-2] + b"\n"))
    rows, letters = read(path, schema_of(time))
    assert ([0, 1, 2, 3, 4, 1], 1) == (rows["n"].tolist(), len(letters))


@pytest.mark.parametrize("said", ["timestamp", "epoch_s", "epoch_ms", "epoch_us"])
@pytest.mark.parametrize("time", ARROW_TIMES)
def test_times_of_arrow_are_read_as_what_they_are_whatever_the_schema_says_they_count(tmp_path, said, time):
    (tmp_path / "a.parquet").write_bytes(written("parquet", time, records(5)))
    days = time.startswith("date")
    moments = [pd.Timestamp(START_S + (0 if days else i), unit="s", tz="UTC") for i in range(5)]
    rows, letters = read(tmp_path / "a.parquet", Schema({"time": said, "n": "int64"}))
    assert (moments, []) == (rows["time"].tolist(), letters)


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.date64(), pa.date32()])
def test_a_time_of_arrow_that_is_out_of_range_costs_its_row_and_not_the_file(tmp_path, kind):
    far = {pa.date32(): 2**31 - 1, pa.timestamp("s"): 2**52}.get(kind, 2**62)
    ends = np.array([0, far], "int32" if kind == pa.date32() else "int64")
    (tmp_path / "a.parquet").write_bytes(parquet(pa.table({"time": pa.array(ends).view(kind), "n": [0, 1]})))
    for said in ("timestamp", "epoch_ms"):
        rows, letters = read(tmp_path / "a.parquet", Schema({"time": said, "n": "int64"}))
        assert ([0], ["'time' is no time between 1700 and 2200"]) == (rows["n"].tolist(), [letter.reason for letter in letters])


@pytest.mark.parametrize("time", ["epoch_s", "epoch_ms", "epoch_us", "text"])
def test_numbers_and_texts_of_parquet_are_times_as_the_schema_says(tmp_path, time):
    (tmp_path / "a.parquet").write_bytes(written("parquet", time, records(3)))
    rows, _ = read(tmp_path / "a.parquet", schema_of(time))
    assert [START_S, START_S + 1, START_S + 2] == [int(moment.timestamp()) for moment in rows["time"]]


@pytest.mark.parametrize("kind", [pa.time32("s"), pa.duration("s"), pa.bool_()])
@pytest.mark.parametrize("said", ["timestamp", "epoch_s"])
def test_a_column_that_is_no_time_is_refused_with_both_types(tmp_path, kind, said):
    (tmp_path / "a.parquet").write_bytes(parquet(pa.table({"time": pa.nulls(1, kind)})))
    with pytest.raises(SchemaError, match=f"'time'.*{said}"):
        read(tmp_path / "a.parquet", Schema({"time": said}))


@pytest.mark.parametrize("log", [27, 28, 31])
def test_a_zstd_window_is_read_up_to_128_mib_and_beyond_it_as_the_reader_allows(tmp_path, log):
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=log)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    path = tmp_path / "a.ndjson.zst"
    path.write_bytes(packer.compress(written("ndjson", "text", records(3))) + packer.flush())
    if log > 27:
        with pytest.raises(SourceError, match=f"window of {2**log:,} bytes.*zstd_window={2**log}"):
            read(path)
    assert 3 == len(read(path, zstd_window=2**31 if log > 27 else 2**27)[0])


@pytest.mark.parametrize("name", ["actor\nname", 'a"b', "a\tb", "a,b", " a", "ä", "\ufeffa", "a b\r\n"])
@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_a_column_of_any_name_is_read_or_named_as_left_out(tmp_path, name, kind):
    table = pd.DataFrame({"time": ["2026-03-02T00:00:00Z"], name: ["x"]})
    path = tmp_path / f"a.{kind}"
    {"csv": lambda: table.to_csv(path, index=False), "parquet": lambda: table.to_parquet(path, index=False)}.get(
        kind, lambda: table.to_json(path, orient="records", lines=True)
    )()
    reader = ReplayReader(path)
    assert {"time", name} == {*reader.schema.fields, *reader.left_out}
    rows, letters = read(path)
    assert ([["x"]] if name in rows else [], []) == ([rows[name].tolist()] if name in rows else [], letters)


def test_a_column_without_a_name_is_left_out_aloud(tmp_path, caplog):
    (tmp_path / "a.csv").write_text(",time,a\n0,2026-03-02,1\n")
    assert ({"": "has no name"}, 1) == (ReplayReader(tmp_path / "a.csv").left_out, len(caplog.records))


def test_a_small_parquet_file_that_unpacks_to_much_is_read_in_slices(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_batches, "BATCH_BYTES", 1 << 20)
    codes = pa.DictionaryArray.from_arrays(pa.array([0] * 500, pa.int32()), ["x" * 100_000])
    pq.write_table(pa.table({"time": pa.array([0] * 500, pa.timestamp("s")), "a": codes}), tmp_path / "a.parquet")
    with (tmp_path / "a.parquet").open("rb") as raw:
        sizes = [batch.nbytes for batch in parquet_batches.batches(raw, pq.ParquetFile(raw), [0], ["time", "a"])]
    assert (True, True) == (max(sizes) <= 1.2 * (1 << 20), len(sizes) >= 48)
    assert 500 == len(read(tmp_path / "a.parquet", order="arrival")[0])


def test_rows_kept_to_be_put_in_order_may_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "HELD_BYTES", 1 << 20)
    monkeypatch.setattr(parquet_batches, "BATCH_BYTES", 500_000)
    pq.write_table(pa.table({"time": pa.array([0] * 50, pa.timestamp("s")), "a": ["x" * 100_000] * 50}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"rows hold more than .*smaller look_ahead"):
        read(tmp_path / "a.parquet")
    assert 50 == len(read(tmp_path / "a.parquet", order="arrival")[0])


def test_a_value_longer_than_the_limit_is_a_dead_letter_in_parquet_too(tmp_path):
    texts = ["y" * (parquet_batches.VALUE_LIMIT + 1), "z"]
    pq.write_table(pa.table({"time": pa.array([0, 1], pa.timestamp("s")), "a": texts}), tmp_path / "a.parquet")
    rows, letters = read(tmp_path / "a.parquet")
    assert (["z"], [0]) == (rows["a"].tolist(), [letter.offset for letter in letters])
    assert "longer than the limit" in letters[0].reason


def test_a_csv_of_very_many_columns_is_refused_by_the_guess_and_read_with_a_schema(tmp_path):
    names = ",".join(f"c{i}" for i in range(100_000))
    (tmp_path / "a.csv").write_text(f"time,{names}\n2026-03-02,{names.replace('c', '')}\n")
    with pytest.raises(SchemaError, match="100,001 columns; at most 10,000"):
        read(tmp_path / "a.csv")
    assert [77_777] == read(tmp_path / "a.csv", Schema({"time": "timestamp", "c77777": "int64"}))[0]["c77777"].tolist()


def test_bytes_that_are_no_text_cost_their_row_in_parquet(tmp_path):
    pq.write_table(pa.table({"time": pa.array([0, 1], pa.timestamp("s")), "b": [b"\xff", b"ok"]}), tmp_path / "a.parquet")
    rows, letters = read(tmp_path / "a.parquet", Schema({"time": "timestamp", "b": "string"}))
    assert (["ok"], [0]) == (rows["b"].tolist(), [letter.offset for letter in letters])


NOTHING = {
    "utf-16": ("a.csv", "time,n\n2026-03-02,1\n".encode("utf-16"), "looks like UTF-16"),
    "latin-1": ("a.csv", "time,n\n2026-03-02,Müller\n2026-03-02,Jürgen\n".encode("latin-1"), "looks like latin-1"),
    "array": ("a.ndjson", b'[\n{"time": "2026-03-02", "n": 1},\n{"time": "2026-03-02", "n": 1}\n]', "one JSON array"),
    "array on a line": ("a.json", b'[{"time": "2026-03-02", "n": 1}]', "one JSON array"),
    "all bad": ("a.ndjson", b'{"time": "soon", "n": 1}\n' * 3, "none of the first 3 records"),
    "day and clock": ("a.csv", b"date,time,n\n2020-01-01,10:30:00,1\n", "none of the first 1 records.*'time' is no time"),
    "empty": ("a.csv", b"", "no record"),
    "header only": ("a.csv", b"time,n\n", "no record"),
    "nothing but blanks": ("a.ndjson", b"\n \n", "no record"),
    "broken": ("a.csv.gz", gzip.compress(b"time,n\n2026-03-02,1\n")[:15], "no record|cut short"),
}


@pytest.mark.parametrize("guessed", [True, False])
@pytest.mark.parametrize("name", NOTHING)
def test_a_file_in_which_nothing_can_be_read_is_an_error_as_the_reader_is_made(tmp_path, name, guessed):
    file, data, why = NOTHING[name]
    (tmp_path / file).write_bytes(data)
    with pytest.raises(SourceError, match=why):
        ReplayReader(tmp_path / file, None if guessed else Schema({"time": "timestamp", "n": "string"}))


def test_a_stray_letter_of_another_encoding_costs_its_line_only(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"time,n\n" + b"2026-03-02,x\n" * 300 + "2026-03-02,Müller\n".encode("latin-1"))
    assert (300, 1) == tuple(map(len, read(tmp_path / "a.csv")))


def test_values_between_other_signs_than_commas_are_a_word_about_that(tmp_path):
    (tmp_path / "a.csv").write_text("time;n\n2026-03-02;1\n")
    with pytest.raises(SchemaError, match="separated by ';'"):
        ReplayReader(tmp_path / "a.csv")
