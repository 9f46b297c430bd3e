"""Lines to rows: every good record comes out once, in its place; every bad one is told of, with its bytes."""

from unittest.mock import patch

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from govlab.frames import Schema, concat, time_us
from govlab.sources.files import csv_lines, text_file
from govlab.sources.files.csv_values import CsvDecoder
from govlab.sources.files.formats import file_of
from govlab.sources.files.json_lines import JsonDecoder
from govlab.sources.files.times import times_of

SCHEMA = Schema({"time": "timestamp", "actor": "string", "n": "int64", "value": "float64?"})
HEADER = b"time,actor,n,value,other\n"
GOOD_JSON = [
    b'{"time": "2026-03-02T00:00:00Z", "actor": "ann", "n": 1, "value": 2.5}',
    b'{"time":"2026-03-02 01:00:00","actor":"","n":-7}',
    b'{"other": {"deep": [1, {"a": "}\\n{"}]}, "actor": "b\xc3\xb6b", "time": "2026-03-02", "n": 3, "value": null}',
    b'  {"time": "2026-03-02T00:00:00+01:00", "actor": "x", "n": 1, "n": 9223372036854775807}  ',
]
BAD_JSON = [
    b"{",
    b"nonsense",
    b'{"time": "2026-03-02T00:00:00Z", "actor": "ann"}',
    b'{"time": 5, "actor": "a", "n": 1}',
    b'{"time": "2026-03-02T00:00:00Z", "actor": null, "n": 1}',
    b'{"time": "2026-03-02", "actor": "a", "n": 9223372036854775808}',
    b'{"time": "now", "actor": "a", "n": 1}',
    b'{"time": "9999-12-31", "actor": "a", "n": 1}',
    b'{"time": "2026-03-02", "actor": "\xff", "n": 1}',
    b'{"time": "2026-03-02", "actor": "a", "n": 1} {"time": "2026-03-02", "actor": "a", "n": 1}',
    b"[" * 100_000,
    b'{"n": NaN}',
    b'{"time": "2026-03-02", "actor": "a",',
    b'"n": 1}',
    b"null",
]
GOOD_CSV = [
    b"2026-03-02T00:00:00Z,ann,1,2.5,x",
    b'2026-03-02 01:00:00,"ann, ""the"" first", -7,,',
    b'"2026-03-02","a",0x1F,NaN,"z"',
    b'2026-03-02,5" pipe,3,1e3,\xff',
    b'2026-03-02,"two\nlines, and\r\nthree",4,.5,"\n"',
    b"2026-03-02T00:00:00.5Z," + b"y" * 200_000 + b",5,inf,",
]
BAD_CSV = [
    b"nonsense",
    b"2026-03-02,a,1,2",
    b"2026-03-02,a,1,2,3,4",
    b"soon,a,1,2,3",
    b",a,1,2,3",
    b"2026-03-02,,1,2,3",
    b"2026-03-02,a,1.5,2,3",
    b"2026-03-02,a,1_000,2,3",
    b"2026-03-02,a,1,two,3",
    b"2026-03-02,\xff,1,2,3",
    b'2026-03-02,"a"b,1,2,3',
    b"2026-03-02,a\rb,1,2,3",
    b"2026-03-02,a,99999999999999999999,2,3",
    b"0000-00-00,a,1,2,3",
    b"today,a,1,2,3",
]


def read(name, data, schema=SCHEMA, block_bytes=text_file.BLOCK_BYTES):
    fsspec.filesystem("memory").pipe(f"/{name}", data)
    with patch.object(text_file, "BLOCK_BYTES", block_bytes):
        parts = list(file_of(f"memory://{name}").blocks(3, schema))
    return concat([rows for rows, _ in parts]), [one for _, bad in parts for one in bad]


def in_lines(records):
    """Give, for records one after another, the number of the line at which each begins."""
    return np.cumsum([0, *(record.count(b"\n") + 1 for record in records[:-1])]).tolist()


def records_of(good, bad, picks):
    """Give (good?, record) for each pick; a blank line is neither."""
    choice = [*((True, one) for one in good), *((False, one) for one in bad), (None, b"")]
    return [choice[i % len(choice)] for i in picks]


PICKS = st.lists(st.integers(0, len(GOOD_JSON + BAD_JSON) * len(GOOD_CSV + BAD_CSV)), min_size=1, max_size=30)
BLOCKS = st.sampled_from([1, 7, 64, 1_000, 1 << 22])
slow = settings(deadline=None, max_examples=60)


@slow
@given(PICKS, BLOCKS, st.sampled_from([b"\n", b"\r\n"]))
def test_good_json_lines_all_come_out_once_whatever_stands_between_them_and_however_large_the_blocks(picks, block_bytes, newline):
    lines = records_of(GOOD_JSON, BAD_JSON, picks)
    data = newline.join(line for _, line in lines) + newline
    rows, bad = read("mixed.ndjson", data, block_bytes=max(block_bytes, len(data) // 200))
    assert [i for i, (good, _) in enumerate(lines) if good] == rows["offset"].tolist()
    assert [(i, line) for i, (good, line) in enumerate(lines) if good is False] == [(offset, raw) for offset, _, raw in bad]


@slow
@given(PICKS, BLOCKS)
def test_good_csv_records_all_come_out_once_whatever_stands_between_them_and_however_large_the_blocks(picks, block_bytes):
    lines = records_of(GOOD_CSV, BAD_CSV, picks)
    records = [record for _, record in lines]
    data = HEADER + b"\n".join(records) + b"\n"
    rows, bad = read("mixed.csv", data, block_bytes=max(block_bytes, len(data) // 200))
    first = [line + 1 for line in in_lines(records)]
    assert [at for at, (good, _) in zip(first, lines, strict=True) if good] == rows["offset"].tolist()
    assert [(at, raw) for at, (good, raw) in zip(first, lines, strict=True) if good is False] == [(at, raw) for at, _, raw in bad]


@slow
@given(st.text(st.sampled_from('ab,"\n\r 1'), max_size=60), st.sampled_from([1, 3, 11]))
def test_any_mess_of_quotes_and_newlines_reads_the_same_in_blocks_of_any_size(text, block_bytes):
    schema = Schema({"t": "timestamp?", "a": "string?", "b": "string?", "time": "timestamp?"})
    data = b"t,a,b,time\n" + text.encode()
    rows, bad = read("mess.csv", data, schema)
    again, bad_again = read("mess.csv", data, schema, block_bytes)
    pd.testing.assert_frame_equal(rows.reset_index(drop=True), again.reset_index(drop=True))
    assert bad == bad_again


@pytest.mark.parametrize("i", range(len(GOOD_CSV + BAD_CSV)))
def test_a_csv_record_is_read_the_same_alone_and_among_others(i):
    record = (GOOD_CSV + BAD_CSV)[i]
    decoder = CsvDecoder(SCHEMA, HEADER.decode().strip().split(","))
    alone, bad_alone, _ = decoder.block(record + b"\n", 0, 5)
    one_by_one, bad = decoder.records([(5, record)], 0)
    pd.testing.assert_frame_equal(one_by_one, alone)
    assert [(offset, raw) for offset, _, raw in bad] == [(offset, raw) for offset, _, raw in bad_alone]


def test_an_open_quote_costs_its_own_line_and_not_the_ones_after_it():
    good = b"2026-03-02,a,1,2,3\n"
    rows, bad = read("open.csv", HEADER + good + b'2026-03-02,"a,1,2,3\n' + good * 5_000)
    assert 5_001 == len(rows)
    assert [(2, b'2026-03-02,"a,1,2,3')] == [(offset, raw) for offset, _, raw in bad]
    assert "4 values" in bad[0][1] or "quote" in bad[0][1]


def test_an_open_quote_that_closes_far_below_in_a_row_of_the_wrong_length_swallows_nothing():
    good = b"2026-03-02,a,1,2,3\n"
    rows, bad = read("far.csv", HEADER + b'2026-03-02,"b,1,2,3\n' + good * 4 + b'2026-03-02,c,1,2,x"\n' + good)
    assert ([*"aaaa", "c", "a"], [1]) == (rows["actor"].tolist(), [offset for offset, _, _ in bad])


def test_two_stray_quotes_far_apart_do_not_swallow_the_lines_between_them():
    good = b"2026-03-02,a,1,2,3\n"
    rows, bad = read("stray.csv", HEADER + b'2026-03-02,a"b,1,2,3\n' + good * 10 + b'2026-03-02,c"d,1,2,3\n')
    assert (['a"b', *["a"] * 10, 'c"d'], []) == (rows["actor"].tolist(), bad)


def test_a_quoted_value_longer_than_the_limit_of_a_record_is_bad_in_blocks_of_any_size():
    data = HEADER + b'2026-03-02,"' + b"long\n" * (csv_lines.RECORD_LIMIT // 5 + 1) + b'",1,2,3\n2026-03-02,a,1,2,3\n'
    one, many = read("long.csv", data), read("long.csv", data, block_bytes=300_000)
    assert (["a"], ["a"]) == (one[0]["actor"].tolist(), many[0]["actor"].tolist())
    assert one[1] == many[1]


def test_of_two_columns_with_one_name_the_first_counts():
    rows, _ = read("twice.csv", b"time,actor,n,value,n\n2026-03-02,a,1,2,9\n")
    assert [1] == rows["n"].tolist()


def test_a_json_object_on_two_lines_beside_two_on_one_line_does_not_shift_the_offsets():
    one = b'{"time": "2026-03-02", "actor": "a", "n": 1}'
    rows, bad = read("shift.ndjson", one.replace(b", ", b",\n", 1) + b"\n" + one + one + b"\n" + one + b"\n")
    assert ([3], [0, 1, 2]) == (rows["offset"].tolist(), [offset for offset, _, _ in bad])


@pytest.mark.parametrize("number", [2**62, -(2**63), 2**63, 18_446_744_073_709, 1e300, 253_402_300_799, -9e15])
def test_a_number_that_is_no_sane_time_is_a_dead_letter_and_never_wraps_around(number):
    schema = Schema({"time": "epoch_s"})
    rows, bad = read("epoch.ndjson", b'{"time": %s}\n{"time": 1.5}\n{"time": 2}\n' % str(number).encode(), schema)
    assert ([1_500_000, 2_000_000], [0]) == (time_us(rows).tolist(), [offset for offset, _, _ in bad])
    rows, bad = read("epoch.csv", b"time\n%s\n1.5\n2\n" % str(number).encode(), schema)
    assert ([1_500_000, 2_000_000], [1]) == (time_us(rows).tolist(), [offset for offset, _, _ in bad])


def test_a_missing_value_is_missing_where_it_may_be_and_a_dead_letter_where_it_may_not():
    rows, bad = read("null.csv", HEADER + b"2026-03-02,a,1,NA,\n2026-03-02,,1,2,\n2026-03-02,a,null,2,\nNaN,a,1,2,\n")
    assert ([1], True) == (rows["offset"].tolist(), bool(rows["value"].isna().all()))
    assert [(2, "'actor' is missing"), (3, "'n' is missing"), (4, "'time' is missing")] == [(offset, why) for offset, why, _ in bad]


def test_a_time_that_may_be_missing_but_is_nonsense_is_a_dead_letter_too():
    schema = Schema({"time": "timestamp", "arrival": "timestamp?"}, arrival="arrival")
    rows, bad = read("arrival.csv", b"time,arrival\n2026-03-02,\n2026-03-02,soon\n2026-03-02,2026-03-03\n", schema)
    assert ([1, 3], [(2, "'arrival' is no time between 1700 and 2200")]) == (
        rows["offset"].tolist(),
        [(o, why) for o, why, _ in bad],
    )


def test_a_column_has_one_type_whatever_its_values_are():
    schema = Schema({"time": "timestamp", "i": "int64", "f": "float64", "s": "string?", "b": "bool?", "k": "int64?"})
    some, _ = read("types.ndjson", b'{"time": "2026-03-02", "i": 1, "f": 1, "s": "x", "b": true, "k": 4}\n', schema)
    none, _ = read("types.ndjson", b'{"time": "2026-03-02", "i": 1, "f": 1.5}\n', schema)
    empty = JsonDecoder(schema).block(b"", 0, 0)[0]
    assert some.dtypes.tolist() == none.dtypes.tolist() == empty.dtypes.tolist()


@slow
@given(
    st.datetimes(pd.Timestamp("1700-01-02"), pd.Timestamp("2199-12-30")),
    st.sampled_from(["", "Z", "+05:30", "-0800"]),
    st.sampled_from("T "),
)
def test_a_time_reads_the_same_beside_times_written_in_other_ways(moment, zone, between):
    text = moment.isoformat(between) + zone
    expected = (pd.Timestamp(text).tz_localize("UTC") if not zone else pd.Timestamp(text)).value // 1_000
    beside = times_of([text, "2026-03-02", "2026-03-02T00:00:00Z", "20260302", "soon"], None)[0]
    alone = times_of([text], None)[0]
    assert expected == alone.cast(pa.int64())[0].as_py() == beside.cast(pa.int64())[0].as_py()


def test_numbers_are_no_times_unless_it_is_said_what_they_count():
    with pytest.raises(ValueError, match="epoch_ms"):
        times_of(pa.array([1, 2]), None)
