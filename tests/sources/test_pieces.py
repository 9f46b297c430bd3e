"""A stretch read in pieces, by whoever and in whatever order, gives the rows and the dead letters of one reader."""

import pickle
import random
import string

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from govlab.frames import Schema, concat, from_us
from govlab.sources import pieces
from govlab.sources.files import ndjson_file
from govlab.sources.files.replay import ReplayReader
from govlab.sources.pieces import Fed, Piece
from govlab.sources.reader import EndOfStream
from govlab.testing.readers import read_all

START = 1_772_409_600_000_000
SCHEMA = Schema({"time": "epoch_us", "n": "int64"})
LINES = st.lists(st.one_of(st.integers(0, 40), st.sampled_from([None, "?"])), max_size=40)  # None: an empty line; "?": a bad one


def text(times, rng):
    fill = ["".join(rng.choices(string.ascii_letters, k=rng.randint(0, 30))) for _ in times]
    lines = [
        "" if t is None else "{?" if t == "?" else f'{{"time": {START + t}, "n": {i}, "x": "{fill[i]}"}}'
        for i, t in enumerate(times)
    ]
    return ("\ufeff" if rng.random() < 0.3 else "") + "\n".join(lines) + rng.choice(["", "\n"])


def place(letter):
    return letter.partition, letter.offset


def in_pieces(reader, rows, seed, put_down):
    """Read each piece on its own; mix the order a little, as tasks that are not equally fast would."""
    names, cut = reader.pieces(rows)
    rng = random.Random(seed)
    order = sorted(range(len(cut)), key=lambda i: i + rng.randint(0, 5))
    fed, found, letters = Fed(reader, names), [], []
    for i in order:
        source = reader.piece(cut[i])
        blocks = []
        while True:
            try:
                blocks.append(next(source))
            except StopIteration as end:
                lines = end.value
                break
        for block in blocks:
            fed.feed(cut[i], [block])
        fed.feed(cut[i], [], lines)
        try:
            while len(frame := fed.read(7)):
                found.append(frame)
                letters += fed.take_dead_letters()
        except EndOfStream:
            letters += fed.take_dead_letters()
            break
        if put_down:
            fed = pickle.loads(pickle.dumps(fed))
    with pytest.raises(EndOfStream):
        fed.read(7)
    return concat(found), letters + fed.take_dead_letters()


@given(
    st.lists(LINES, min_size=1, max_size=3),
    st.sampled_from(["event", "arrival"]),
    st.sampled_from([0.01, 0.3, 2, 1_000]),
    st.one_of(st.none(), st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted)),
    st.booleans(),
    st.integers(0, 999),
)
@settings(deadline=None, max_examples=40)
def test_pieces_of_texts_give_what_one_reader_gives(tmp_path_factory, times, order, size, stretch, put_down, seed):
    folder, rng = tmp_path_factory.mktemp("texts"), random.Random(seed)
    for i, part in enumerate(times):
        (folder / f"part-{i}.ndjson").write_text(text(part, rng), newline="")
    (folder / "part-9.ndjson").write_text(f'{{"time": {START}, "n": 0}}\n')  # a source without a row is an error
    ends = {} if stretch is None else {"start": from_us([START + stretch[0]])[0], "stop": from_us([START + stretch[1]])[0]}
    reader = ReplayReader(folder, SCHEMA, order=order, look_ahead=50, **ends)
    expected = read_all(reader, 7)
    letters = reader.take_dead_letters()
    line, ndjson_file.LINE = ndjson_file.LINE, max(1, int(size * 10))
    try:
        rows, found = in_pieces(ReplayReader(folder, SCHEMA, order=order, look_ahead=50, **ends), 1, seed, put_down)
    finally:
        ndjson_file.LINE = line
    pd.testing.assert_frame_equal(expected.reset_index(drop=True), rows.reset_index(drop=True))
    if stretch is None:  # with a stretch, how many of the bad records behind its end are met depends on the blocks
        assert sorted(letters, key=place) == sorted(found, key=place)


@given(st.lists(st.lists(st.integers(0, 40), max_size=40), min_size=1, max_size=3), st.sampled_from([1, 3, 9]), st.integers(0, 99))
@settings(deadline=None, max_examples=15)
def test_row_groups_give_what_one_reader_gives(tmp_path_factory, times, size, seed):
    assume(any(times))  # a source without a row is an error
    folder = tmp_path_factory.mktemp("tables")
    for i, part in enumerate(times):
        frame = pd.DataFrame({"time": pd.Series(part, dtype="int64") + START, "n": pd.Series(range(len(part)), dtype="int64")})
        frame.to_parquet(folder / f"part-{i}.parquet", index=False, row_group_size=size)
    reader = ReplayReader(folder, SCHEMA, look_ahead=50)
    rows, _ = in_pieces(ReplayReader(folder, SCHEMA, look_ahead=50), 4, seed, False)
    pd.testing.assert_frame_equal(read_all(reader, 7).reset_index(drop=True), rows.reset_index(drop=True))


def test_pieces_are_in_the_order_in_which_a_merge_wants_them():
    # two hours in two files: of the second, only what the merge must look ahead is read before the first is done
    lanes = [[(Piece(p, i, i, i + 1, i == 3), 10 * p + i) for i in range(4)] for p in range(2)]
    assert ["0.0", "1.0", "0.1", "0.2", "0.3", "1.1", "1.2", "1.3"] == [
        f"{piece.partition}.{piece.number}" for piece in pieces.in_turn(lanes, 1)
    ]


def test_what_cannot_be_cut_says_so(tmp_path):
    (tmp_path / "a.csv").write_text('time,n\n1772409600000000,"1"\n')
    assert ReplayReader(tmp_path / "a.csv", SCHEMA).pieces(10) is None
