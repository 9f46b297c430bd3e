"""Files as one stream: merged on one clock, cut and taken up anywhere, with every bad record told of."""

import gzip
import json
from itertools import pairwise
from unittest.mock import patch

import fsspec
import numpy as np
import pandas as pd
import pytest
import zstandard
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from govlab.errors import ArgumentError, SourceError
from govlab.frames import Schema, concat, event_frame, from_us, time_us
from govlab.sources.files import text_file
from govlab.sources.files.replay import ReplayReader
from govlab.sources.reader import EndOfStream
from govlab.testing import check_reader
from govlab.testing.readers import read_all

START = 1_772_409_600_000_000
SCHEMA = Schema({"time": "epoch_us", "n": "int64"})
slow = settings(deadline=None, max_examples=60)


def ndjson(times, first=0):
    return b"".join(b'{"time": %d, "n": %d}\n' % (START + t, first + i) for i, t in enumerate(times))


def put(folder, *texts, name="part-%02d.ndjson"):
    system = fsspec.filesystem("memory")
    if system.exists(f"/{folder}"):
        system.rm(f"/{folder}", recursive=True)
    for i, text in enumerate(texts):
        system.pipe(f"/{folder}/{name % i}", text)
    return f"memory://{folder}"


def everything(folder, max_rows=1_000, block_bytes=text_file.BLOCK_BYTES, schema=SCHEMA, **options):
    with patch.object(text_file, "BLOCK_BYTES", block_bytes):
        reader = ReplayReader(folder, schema, **options)
        rows = read_all(reader, max_rows)
        letters = reader.take_dead_letters()
        reader.close()
    return rows, letters


FILES = st.lists(st.lists(st.integers(0, 30), max_size=12), min_size=1, max_size=4).filter(any)


@slow
@given(FILES, st.sampled_from([1, 3, 1_000]), st.sampled_from([1, 40, 1 << 22]))
def test_sorted_files_merge_as_one_sort_by_time_partition_and_offset(times, max_rows, block_bytes):
    rows, _ = everything(put("merge", *(ndjson(sorted(part)) for part in times)), max_rows, block_bytes)
    expected = sorted((START + t, p, o) for p, part in enumerate(times) for o, t in enumerate(sorted(part)))
    assert expected == list(zip(time_us(rows).tolist(), rows["partition"].tolist(), rows["offset"].tolist(), strict=True))


@slow
@given(FILES, st.integers(0, 12), st.sampled_from([1, 3, 1_000]), st.sampled_from([1, 40, 1 << 22]))
def test_files_out_of_order_within_the_look_ahead_are_sorted_and_others_refused_whatever_the_blocks(
    times, ahead, max_rows, block_bytes
):
    # of the rows before, the largest wait; the largest of the others was given
    late = any(i > ahead and t < sorted(part[:i])[i - ahead - 1] for part in times for i, t in enumerate(part))
    folder = put("order", *(ndjson(part) for part in times))
    if late:
        with pytest.raises(SourceError, match="look_ahead=more rows"):
            everything(folder, max_rows, block_bytes, look_ahead=ahead)
    else:
        rows, _ = everything(folder, max_rows, block_bytes, look_ahead=ahead)
        expected = sorted((START + t, p, o) for p, part in enumerate(times) for o, t in enumerate(part))
        assert expected == list(zip(time_us(rows).tolist(), rows["partition"].tolist(), rows["offset"].tolist(), strict=True))


@slow
@given(FILES, st.sampled_from([1, 3, 1_000]), st.sampled_from([1, 40, 1 << 22]))
def test_by_arrival_each_file_stands_as_it_is_and_files_meet_at_the_latest_time_so_far(times, max_rows, block_bytes):
    rows, _ = everything(put("arrival", *(ndjson(part) for part in times)), max_rows, block_bytes, order="arrival")
    keys = [np.maximum.accumulate(part).tolist() if part else [] for part in times]
    expected = sorted((key, p, o) for p, part in enumerate(keys) for o, key in enumerate(part))
    assert [(p, o) for _, p, o in expected] == list(zip(rows["partition"].tolist(), rows["offset"].tolist(), strict=True))


@slow
@given(st.lists(st.integers(0, 30), min_size=1, max_size=20), st.lists(st.integers(0, 20), max_size=3))
def test_a_file_cut_into_several_gives_the_same_events_in_the_same_order(times, cuts):
    edges = [0, *sorted(min(cut, len(times)) for cut in cuts), len(times)]
    parts = [ndjson(times[a:b], a) for a, b in pairwise(edges)]
    whole, cut = everything(put("whole", ndjson(times)))[0], everything(put("cut", *parts))[0]
    assert whole["n"].tolist() == cut["n"].tolist()


@slow
@given(
    st.lists(st.one_of(st.integers(0, 30), st.none()), max_size=20),
    st.integers(0, 31),
    st.integers(0, 31),
    st.sampled_from([1, 2, 99]),
    st.sampled_from([1, 40, 1 << 22]),
)
def test_a_stretch_gives_its_rows_and_the_dead_letters_before_their_end_whatever_the_blocks(
    times, start, stop, max_rows, block_bytes
):
    assume(any(t is not None for t in times))
    lines = [b"bad\n" if t is None else ndjson([t]) for t in times]
    options = {"start": pd.Timestamp(START + start, unit="us"), "stop": pd.Timestamp(START + stop, unit="us")}
    rows, letters = everything(put("stretch", b"".join(lines)), max_rows, block_bytes, **options)
    again, letters_again = everything("memory://stretch", **options)
    assert sorted((t, i) for i, t in enumerate(times) if t is not None and start <= t < stop) == [
        (t - START, o) for t, o in zip(time_us(rows).tolist(), rows["offset"].tolist(), strict=True)
    ]
    pd.testing.assert_frame_equal(again, rows)
    assert letters_again == letters
    if all(t is None or t < stop for t in times):
        assert [(i, b"bad") for i, t in enumerate(times) if t is None] == [(letter.offset, letter.raw) for letter in letters]


KINDS = {
    "csv": lambda n: b"time,n\n" + b"".join(b"%d,%d\n" % (START + i * 7 % 400, i) for i in range(n)) + b"bad\n",
    "ndjson": lambda n: ndjson([i * 7 % 400 for i in range(n)]) + b"bad\n",
}
CORRECTED = {"csv": b"%d,3" % START, "ndjson": ndjson([3]).strip()}


@pytest.mark.parametrize("order", ["event", "arrival"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("packed", "pack"), [("", bytes), (".gz", gzip.compress), (".zst", zstandard.compress)])
def test_a_replay_of_text_keeps_the_contract_of_a_reader(tmp_path, kind, packed, pack, order):
    for part in range(3):
        (tmp_path / f"{part}.{kind}{packed}").write_bytes(pack(KINDS[kind](40 * part)))
    with patch.object(text_file, "BLOCK_BYTES", 100):
        check_reader(lambda: ReplayReader(str(tmp_path), SCHEMA, order), bad=3, corrected=CORRECTED[kind])


def test_a_replay_of_parquet_keeps_the_contract_of_a_reader(tmp_path):
    for part in range(3):
        event_frame({"time": from_us(START + np.arange(50) * part), "n": range(50)}).to_parquet(
            tmp_path / f"{part}.parquet", row_group_size=7
        )
    check_reader(lambda: ReplayReader([tmp_path], Schema({"time": "timestamp", "n": "int64"})))


def test_a_replay_of_files_of_several_kinds_keeps_the_contract_of_a_reader(tmp_path):
    (tmp_path / "a.csv").write_bytes(KINDS["csv"](30))
    (tmp_path / "b.ndjson.gz").write_bytes(gzip.compress(KINDS["ndjson"](30)))
    (tmp_path / "empty.ndjson").touch()
    check_reader(lambda: ReplayReader(tmp_path, SCHEMA), bad=2)


def test_the_order_in_which_files_are_named_does_not_matter(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.ndjson").write_bytes(ndjson([1, 2]))
    one, other = ([f"{tmp_path}/{name}.ndjson" for name in names] for names in ("ab", "ba"))
    assert ReplayReader(one, SCHEMA).paths == ReplayReader(other, SCHEMA).paths


def test_a_file_of_which_no_record_can_be_read_is_refused_with_the_first_value_and_the_reason():
    with pytest.raises(SourceError, match=r"part-00.ndjson: none of the first 2 records .* line or row 1: .*malformed.*b'bad'"):
        ReplayReader(put("allbad", b"bad\nworse\n"), SCHEMA)


def test_a_small_file_without_a_good_row_beside_others_gives_dead_letters():
    _, letters = everything(put("somebad", b"bad\nworse\n", ndjson([1])))
    assert [(0, b"bad"), (1, b"worse")] == [(letter.offset, letter.raw) for letter in letters]
    assert [1, 2] == [letter.line for letter in letters]
    assert "memory:///somebad/part-00.ndjson" == letters[0].source


def test_a_dead_letter_comes_with_the_rows_around_it_and_not_long_before():
    reader = ReplayReader(put("letters", ndjson([0, 1, 2]) + b"bad\n" + ndjson([3, 4])), SCHEMA)
    told = []
    for _ in range(5):
        reader.read(1)
        told.append(len(reader.take_dead_letters()))
    reader.close()
    assert [0, 0, 0, 1, 0] == told


def test_a_dead_letter_keeps_at_most_the_first_64_kib_of_its_record():
    _, letters = everything(put("huge", b"x" * 100_000 + b"\n" + ndjson([1])))
    assert b"x" * 65_536 == letters[0].raw


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zst", "a.tsv", "a.ndjson"])
def test_corrected_records_are_read_in_their_place_and_bad_ones_stay_dead(tmp_path, name):
    between = b"\t" if name == "a.tsv" else b","
    good = b'{"time": 1, "n": 5}\n' if name == "a.ndjson" else b"1" + between + b"5\n"
    text = b"bad\nworse\n" + good if name == "a.ndjson" else b"time" + between + b"n\nbad\nworse\n" + good
    pack = {"gz": gzip.compress, "zst": zstandard.compress}.get(name.rsplit(".", 1)[-1], bytes)
    (tmp_path / name).write_bytes(pack(text))
    reader = ReplayReader(tmp_path / name, SCHEMA)
    read_all(reader, 10)
    letters = reader.take_dead_letters()
    rows, still = reader.redrive([(letters[0], good), (letters[1], b"bad again")])
    reader.close()
    assert ([5], [letters[0].offset]) == (rows["n"].tolist(), rows["offset"].tolist())
    assert [(letters[1].offset, b"bad again")] == [(letter.offset, letter.raw) for letter in still]


def test_two_records_given_for_one_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"time,n\nbad\n1,5\n")
    reader = ReplayReader(tmp_path / "a.csv", SCHEMA)
    _, (letter,) = read_all(reader, 10), reader.take_dead_letters()
    rows, still = reader.redrive([(letter, b"1,5\n2,6\n")])
    reader.close()
    assert (0, 1) == (len(rows), len(still))


def test_the_evidence_of_an_alert_is_read_from_its_files():
    reader = ReplayReader(put("evidence", ndjson(range(9)), ndjson(range(9), 100)), SCHEMA)
    assert [3, 4, 102] == reader.fetch("0:3-4, 1:2")["n"].tolist()


def test_a_number_with_a_fraction_in_a_later_file_does_not_fall_to_a_guess_at_the_first():
    lines = [json.dumps({"time": "2026-03-02T00:00:00Z", "n": n}).encode() for n in (1, 2.5)]
    cut = everything(put("guess", *lines), schema=None)[0]
    whole = everything(put("guessed", b"\n".join(lines)), schema=None)[0]
    assert [1.0, 2.5] == cut["n"].tolist() == whole["n"].tolist()


def test_a_reader_is_the_same_origin_only_over_the_same_files_schema_and_stretch():
    put("one", ndjson([1]))
    put("two", ndjson([1]))
    readers = [
        ("memory://one", SCHEMA),
        ("memory://two", SCHEMA),
        ("memory://one", Schema({"time": "epoch_us"})),
        ("memory://one", SCHEMA, "arrival"),
    ]
    origins = [ReplayReader(*options).origin for options in readers] + [
        ReplayReader("memory://one", SCHEMA, start="2026-01-01").origin
    ]
    assert 5 == len(set(origins))
    assert origins[0] == ReplayReader(["memory://one/part-00.ndjson"], SCHEMA).origin


@pytest.mark.parametrize("options", [{"order": "random"}, {"schema": {"time": "timestamp"}}, {"start": "soon"}, {"stop": "NaT"}])
def test_an_argument_that_is_wrong_is_named(options):
    with pytest.raises(ArgumentError, match=next(iter(options))):
        ReplayReader(put("wrong", ndjson([1])), **{"schema": SCHEMA, **options})


def test_a_replay_holds_no_more_than_its_look_ahead_and_a_block():
    n = 20_000
    folder = put("memory", *(ndjson(range(i, n, 2)) for i in range(2)))
    most = 0
    with patch.object(text_file, "BLOCK_BYTES", 4_096):
        reader = ReplayReader(folder, SCHEMA, look_ahead=500)
        parts = []
        try:
            while True:
                parts.append(reader.read(1_000))
                most = max(most, sum(lane.keys.size for lane in reader._lanes) + len(reader._ready))
        except EndOfStream:
            reader.close()
    assert n == len(concat(parts))
    assert most < 2 * (500 + 4_096 // 20 + 200)


@pytest.mark.parametrize("order", ["event", "arrival"])
@pytest.mark.parametrize("n", [100, 40_000])
@pytest.mark.parametrize("apart", [1, 3])
def test_rows_among_more_bad_records_than_wait_in_memory_are_all_read(order, n, apart, tmp_path):
    lines = [b"no event\n" if i % (apart + 1) == 0 else ndjson([i], i) for i in range(1, n)]
    (tmp_path / "events.ndjson").write_bytes(ndjson([0]) + b"".join(lines))
    reader, rows, letters = ReplayReader(str(tmp_path), SCHEMA, order=order), [], []
    reader.open()
    while True:
        try:
            rows += reader.read(5_000)["n"].tolist()
        except EndOfStream:
            break
        finally:
            letters += [letter.offset for letter in reader.take_dead_letters()]
    reader.close()
    bad = [i for i in range(1, n) if i % (apart + 1) == 0]
    assert ([i for i in range(n) if i not in set(bad)], bad) == (rows, sorted(letters))


def test_the_arguments_of_a_reader_make_the_same_one_elsewhere_with_the_files_and_the_schema_as_found(tmp_path):
    (tmp_path / "a.ndjson").write_text('{"time": "2026-03-02", "n": 1}\n')
    reader = ReplayReader(f"{tmp_path}/*.ndjson", order="arrival")
    (tmp_path / "b.ndjson").write_text('{"time": "2026-03-03", "n": 2}\n')  # comes too late to be found
    given = reader.arguments()
    assert {"paths": [f"{tmp_path}/a.ndjson"], "schema": reader.schema, "order": "arrival"} == given
    assert reader.origin == ReplayReader(**given).origin


@pytest.mark.parametrize("paths", [None, 5, event_frame({"time": ["2026-03-02"]}), [3]])
def test_what_names_no_files_is_said(paths):
    with pytest.raises(ArgumentError, match="names no files"):
        ReplayReader(paths)
