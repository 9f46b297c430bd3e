"""Whatever happens to a file: rows, dead letters, or an error of govlab's own; never another error, never a line lost."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from broken_files import ODD, PACK, records, spoiled, written

from govlab.errors import GovlabError
from govlab.frames import Schema
from govlab.sources.files import text_file
from govlab.sources.files.formats import file_of
from govlab.sources.files.replay import ReplayReader
from govlab.testing.readers import read_all

N = int(os.environ.get("GOVLAB_FUZZ_FILES", "10000"))  # files in all
PARTS = 10
TIMES = ["text", "epoch_s", "epoch_ms", "epoch_us", "date", "arrow_s", "arrow_ms", "arrow_us", "arrow_ns", "date64"]


def drawn(rng):
    """Give the name of a file, its bytes, and a schema or None."""
    kind = ["csv", "ndjson", "parquet"][rng.integers(3)]
    time = TIMES[rng.integers(10 if kind == "parquet" else 5)]
    packed = "" if kind == "parquet" else list(PACK)[rng.integers(3)]
    data = written(kind, time, records(int(rng.integers(1, 40))))
    data = PACK[packed](spoiled(rng, data) if rng.random() < 0.7 else data)
    data = spoiled(rng, data) if rng.random() < 0.4 else data
    said = ["timestamp", "epoch_s"][int(rng.random() < 0.3)] if not time.startswith("epoch") else time
    number = ["int64", "int64?", "float64", "string?"][rng.integers(4)]
    schema = Schema({"time": said, "actor": "string", "n": number, "value": "float64?", "ok": "bool?"})
    return f"f.{kind}{packed}", data, schema if rng.random() < 0.7 else None


@pytest.mark.parametrize("seed", range(PARTS))
def test_a_spoiled_file_gives_rows_and_dead_letters_or_an_error_of_govlab_and_nothing_else(tmp_path, seed):
    rng = np.random.default_rng(seed)
    given = {"rows": 0, "letters": 0, "errors": 0}
    for _ in range(N // PARTS):
        name, data, schema = drawn(rng)
        (tmp_path / name).write_bytes(data)
        try:
            reader = ReplayReader(tmp_path / name, schema)
            given["rows"] += len(read_all(reader, 1_000))
            letters = reader.take_dead_letters()
        except GovlabError:
            given["errors"] += 1
            continue
        assert all(letter.reason for letter in letters)
        given["letters"] += len(letters)
        reader.close()
    assert {"rows": True, "letters": True, "errors": True} == {what: n > 0 for what, n in given.items()}


@pytest.mark.parametrize("seed", range(PARTS))
def test_each_line_of_a_spoiled_text_is_a_row_or_a_dead_letter_and_whatever_the_blocks(tmp_path, seed, monkeypatch):
    rng = np.random.default_rng(seed)
    schema = Schema({"time": "timestamp", "actor": "string", "n": "int64?", "value": "float64?"})
    for _ in range(N // PARTS // 10):
        lines = written("ndjson", "text", records(int(rng.integers(1, 30)))).splitlines()
        for at in rng.integers(0, len(lines), 5):
            lines[at] = b" ".join([lines[at][: rng.integers(len(lines[at]) + 1)], ODD[rng.integers(len(ODD))]])
        lines = [line.replace(b"\n", b"").replace(b"\r", b"") for line in lines]
        (tmp_path / "f.ndjson").write_bytes(b"\n".join(lines) + b"\n")
        found = []
        for size in (1 << 22, 700):
            monkeypatch.setattr(text_file, "BLOCK_BYTES", size)
            parts = list(file_of(str(tmp_path / "f.ndjson")).blocks(0, schema))
            rows = [n for frame, _ in parts for n in frame["offset"].tolist()]
            found.append((rows, [(offset, why) for _, bad in parts for offset, why, _ in bad]))
        assert found[0] == found[1]
        first = lines[0].removeprefix(b"\xef\xbb\xbf")
        filled = [i for i, line in enumerate([first, *lines[1:]]) if line.strip()]
        assert filled == sorted([*found[0][0], *(offset for offset, _ in found[0][1])])


@pytest.mark.parametrize("kind", [pa.time32("s"), pa.duration("s"), pa.bool_(), pa.binary(), pa.list_(pa.int64()), pa.float16()])
@pytest.mark.parametrize("said", ["timestamp", "epoch_s", "string", "int64", "float64", "bool"])
def test_a_parquet_column_of_any_type_is_read_or_refused_by_its_name(tmp_path, kind, said):
    pq.write_table(pa.table({"time": pa.array([0], pa.timestamp("s")), "x": pa.nulls(1, kind)}), tmp_path / "a.parquet")
    schema, why = Schema({"time": "timestamp", "x": said + "?"}), ""
    try:
        given = len(read_all(ReplayReader(tmp_path / "a.parquet", schema), 10))
    except GovlabError as error:
        given, why = 1, str(error)
    assert (1, True) == (given, not why or "column 'x' is" in why)
