"""Messages of queues to frames."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from govlab import Schema
from govlab.errors import ArgumentError, SourceError
from govlab.sinks.encode import arrow_bodies
from govlab.sources.cuts import Cuts
from govlab.sources.files.infer import infer_messages
from govlab.sources.files.records import Bad
from govlab.sources.messages import MessageDecoder, Messages

SCHEMA = Schema({"time": "timestamp", "actor": "string", "value": "float64?"})


def line(n, **more):
    return json.dumps({"time": f"2026-03-02T00:00:{n:02d}Z", "actor": f"a{n}", "value": n / 4} | more).encode()


def arrow_of(frame):
    [(_, body)] = arrow_bodies(frame)
    return body


def table(n):
    times = pd.to_datetime([f"2026-03-02T00:00:{i:02d}Z" for i in range(n)], utc=True).as_unit("us")
    return pd.DataFrame({"time": times, "actor": [f"a{i}" for i in range(n)], "value": np.arange(n) / 4})


def read(bodies, form="json", schema=SCHEMA, **columns) -> tuple[pd.DataFrame, list[Bad]]:
    return MessageDecoder(schema, form).block(Messages(list(range(10, 10 + 2 * len(bodies), 2)), bodies, **columns), 3)


def test_a_message_is_a_row_at_its_own_offset():
    rows, bad = read([line(0), line(1), line(2)])
    assert ([10, 12, 14], [3, 3, 3], []) == (rows["offset"].tolist(), rows["partition"].tolist(), bad)
    assert ["a0", "a1", "a2"] == rows["actor"].tolist()


@pytest.mark.parametrize(
    "wrong",
    [b"", b"\xff\xfe\x00", b"[" * 100_000, b'{"time": 5, "actor": "x"}', line(1) + b"\n" + line(2), b"null", b'{"actor": "x"}', line(1)[:-1]],
    ids=["empty", "broken UTF-8", "deep", "wrong type", "two objects", "null", "no time", "cut short"],
)  # fmt: skip
def test_a_bad_message_is_told_with_its_offset_reason_and_bytes_and_the_others_are_read(wrong):
    rows, bad = read([line(0), wrong, line(2)])
    assert ["a0", "a2"] == rows["actor"].tolist()
    [(offset, reason, raw)] = bad
    assert (12, wrong) == (offset, raw)
    assert reason


def test_a_message_may_be_written_over_several_lines():
    rows, bad = read([json.dumps(json.loads(line(1)), indent=2).encode(), line(2)])
    assert (["a1", "a2"], []) == (rows["actor"].tolist(), bad)


def test_of_ndjson_the_good_lines_are_read_and_the_bad_ones_are_one_dead_letter():
    rows, bad = read([line(0) + b"\n" + line(1), line(2) + b"\n?\n" + line(3) + b"\n!\n"], "ndjson")
    assert (["a0", "a1", "a2", "a3"], [10, 10, 12, 12]) == (rows["actor"].tolist(), rows["offset"].tolist())
    [(offset, reason, raw)] = bad
    assert (12, b"?\n!") == (offset, raw)
    assert "1 more line" in reason


def test_arrow_frames_are_read_bit_for_bit_and_a_broken_one_is_a_dead_letter():
    whole = arrow_of(table(3))
    rows, bad = read([whole, whole[:-60], b"no arrow", whole], "arrow")
    assert ([10] * 3 + [16] * 3, [12, 14]) == (rows["offset"].tolist(), [offset for offset, _, _ in bad])
    assert table(3)["value"].tolist() * 2 == rows["value"].tolist()


def test_an_arrow_stream_without_a_row_as_one_cut_off_behind_its_schema_is_a_dead_letter():
    whole = arrow_of(table(3))
    end = whole.index(b"\xff\xff\xff\xff", 4)  # where the rows begin
    rows, bad = read([whole[:end], arrow_of(table(0)), whole], "arrow")
    assert ([14] * 3, [(10, True), (12, True)]) == (
        rows["offset"].tolist(),
        [(offset, "it holds no row" in reason) for offset, reason, _ in bad],
    )


def test_an_arrow_frame_with_a_missing_name_is_one_dead_letter_that_names_the_row():
    frame = table(3)
    frame.loc[1, "actor"] = None
    rows, bad = read([arrow_of(table(2)), arrow_of(frame)], "arrow")
    assert [10, 10, 12, 12] == rows["offset"].tolist()
    assert [(12, "row 1 of the message: 'actor' is missing")] == [(offset, reason) for offset, reason, _ in bad]


def test_a_pickle_is_a_bad_message():
    import pickle

    for form in ("json", "ndjson", "arrow"):
        rows, bad = read([pickle.dumps({"time": 1})], form)
        assert (0, 1) == (len(rows), len(bad))


def test_the_envelope_is_read_where_the_schema_asks_for_it():
    schema = Schema(
        {
            "message_time": "epoch_ms",
            "message_key": "string?",
            "message_headers": "string",
            "message_topic": "string",
            "actor": "string",
        },
        time="message_time",
    )
    rows, bad = MessageDecoder(schema).block(
        Messages([5, 6, 7], [b'{"actor": "x"}', b"?", b'{"actor": "y"}'], [b"k", None, None], [1_000, 2_000, 3_000], [[("h", b"v")], None, None], "t"), 0
    )  # fmt: skip
    assert (["k", None], [5, 7], ["t", "t"]) == (
        rows["message_key"].replace({np.nan: None}).tolist(),
        rows["offset"].tolist(),
        rows["message_topic"].tolist(),
    )
    assert (1_000_000, '{"h": "v"}') == (rows["time"].astype("int64").iloc[0], rows["message_headers"].iloc[0])
    assert [6] == [offset for offset, _, _ in bad]


def test_an_unknown_format_or_a_wrong_type_of_the_envelope_is_told():
    with pytest.raises(ArgumentError, match="Did you mean 'json'"):
        MessageDecoder(SCHEMA, "jsn")
    with pytest.raises(ArgumentError, match="expected 'epoch_ms'"):
        MessageDecoder(Schema({"message_time": "timestamp"}, time="message_time"))


def test_the_schema_is_guessed_from_messages():
    guessed = Schema({"time": "timestamp", "actor": "string?", "value": "float64?"})
    assert guessed == infer_messages([b"?", line(1)], "edits")
    assert guessed == infer_messages([line(1) + b"\n" + line(2)], "edits")
    assert guessed == infer_messages([arrow_of(table(2))], "edits")
    with pytest.raises(SourceError, match="edits has no message"):
        infer_messages([], "edits")


def test_tombstones_are_left_out_and_counted():
    messages, found = Messages([1, 2, 3], [b"a", None, b"c"], keys=[b"x", b"y", b"z"]).without_tombstones()
    assert ([1, 3], [b"x", b"z"], 1) == (messages.offsets, messages.keys, found)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_however_rows_of_messages_are_cut_each_comes_once(data):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    partitions = data.draw(st.lists(st.integers(0, 1), min_size=len(sizes), max_size=len(sizes)))
    offsets, following = [], {0: 0, 1: 0}
    for p in partitions:
        offsets.append(following[p])
        following[p] += 1
    rows = pd.DataFrame({
        "partition": np.repeat(partitions, sizes), "offset": np.repeat(offsets, sizes), "row": np.arange(sum(sizes)),
    })  # fmt: skip
    position, seen = {}, []
    for _ in range(data.draw(st.integers(1, 4))):
        # a reader is opened at the position, and reads on in frames of any size, of which the last is given in part
        cuts = Cuts(position)
        left = rows[rows["offset"] >= rows["partition"].map(lambda p, at=position: at.get(p, 0))]
        parts = [cuts.skip(p, (left[left["partition"] == p].reset_index(drop=True), []))[0] for p in (0, 1)]
        left = pd.concat(parts).sort_values("row", ignore_index=True)
        while len(left):
            n = data.draw(st.integers(1, len(left)))
            frame, left = left.iloc[:n].reset_index(drop=True), left.iloc[n:]
            cuts.give(frame)
            kept = data.draw(st.integers(0, n))
            position = cuts.position(following, left, frame.iloc[kept:])
            seen += frame["row"].iloc[:kept].tolist()
            if kept < n or data.draw(st.booleans()):
                break
        if not len(left) and (not seen or seen[-1] == len(rows) - 1):
            break
    assert sorted(set(seen)) == sorted(seen)
    done = {p: rows[(rows["partition"] == p) & rows["row"].isin(seen)]["row"].tolist() for p in (0, 1)}
    for p in (0, 1):
        assert rows[rows["partition"] == p]["row"].tolist()[: len(done[p])] == done[p]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("epoch", ["epoch_s", "epoch_ms", "epoch_us"])
def test_times_of_arrow_are_the_same_whatever_their_unit_and_the_unit_that_the_schema_names(unit, epoch):
    made = table(3)
    body = arrow_of(made.assign(time=made["time"].dt.as_unit(unit)))
    rows, bad = read([body], "arrow", Schema({"time": epoch, "actor": "string", "value": "float64?"}))
    assert (made["time"].tolist(), []) == (rows["time"].tolist(), bad)


def test_times_of_arrow_that_the_unit_of_the_schema_cannot_count_are_a_dead_letter():
    made = table(3)
    body = arrow_of(made.assign(time=made["time"] + pd.Timedelta("250ms")))
    rows, bad = read([body], "arrow", Schema({"time": "epoch_s", "actor": "string", "value": "float64?"}))
    assert (0, 1) == (len(rows), len(bad))
    assert "finer than 'epoch_s' counts" in bad[0][1]
