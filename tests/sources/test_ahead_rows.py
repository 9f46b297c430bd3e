"""Rows far ahead in files: they move neither the order of the others, nor the clock of a replay, nor where it stops."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_replay import START, everything, ndjson, put

import govlab as gl
from govlab.frames import Schema, event_frame, from_us, time_us
from govlab.sources.disorder import Disorder
from govlab.sources.files.replay import ReplayReader

SCHEMA = Schema({"time": "epoch_us", "n": "int64"})
S = 1_000_000
FAR = 2 * 10**15  # of START: 63 years
DAY = 86_400 * S


def merged_by_peaks(parts, odd):
    """Give (time, partition, offset) of rows by arrival: each at the latest time so far in its file, of those not odd."""
    keyed = []
    for p, times in enumerate(parts):
        peak = -(2**62)
        for o, t in enumerate(times):
            peak = peak if t in odd else max(peak, t)
            keyed.append((peak, p, o, t))
    return [(START + t, p, o) for _, p, o, t in sorted(keyed, key=lambda row: row[:3])]


def rows_of(frame):
    return list(zip(time_us(frame).tolist(), frame["partition"].tolist(), frame["offset"].tolist(), strict=True))


@pytest.mark.parametrize("far", [FAR, DAY])
@given(
    st.lists(st.lists(st.integers(0, 300), min_size=40, max_size=60), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 35)), max_size=3),
    st.sampled_from([1, 7, 1_000]),
    st.sampled_from([1, 300, 1 << 22]),
)
@settings(deadline=None, max_examples=40)
def test_by_arrival_a_row_far_ahead_comes_after_the_one_before_it_and_no_row_waits_for_its_time(
    far, times, odd, max_rows, block_bytes
):
    parts = [[t * S for t in part] for part in times]
    wrong = set()
    for n, (p, i) in enumerate(odd):
        wrong.add(far + n)
        parts[p % len(parts)].insert(i, far + n)
    rows, _ = everything(put("peaks", *map(ndjson, parts)), max_rows, block_bytes, SCHEMA, order="arrival")
    assert merged_by_peaks(parts, wrong) == rows_of(rows)


@given(st.integers(2 * 3_600, 10**6), st.integers(4, 60), st.sampled_from([1, 1_000]), st.sampled_from([1, 1 << 22]))
@settings(deadline=None, max_examples=30)
def test_by_arrival_files_meet_behind_a_gap_row_by_row_as_before_it(gap_s, behind, max_rows, block_bytes):
    parts = [[(i + p / 2) * S for i in range(40)] + [(gap_s + i + p / 2) * S for i in range(behind)] for p in range(2)]
    parts = [[int(t) for t in part] for part in parts]
    rows, _ = everything(put("gap", *map(ndjson, parts)), max_rows, block_bytes, SCHEMA, order="arrival")
    assert merged_by_peaks(parts, ()) == rows_of(rows)


@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=60),
    st.lists(st.integers(0, 59), max_size=4),
    st.sampled_from([1, 1_000]),
    st.sampled_from([1, 1 << 22]),
)
@settings(deadline=None, max_examples=40)
def test_by_event_time_rows_far_ahead_come_last_and_take_a_place_each_of_those_that_wait(times, odd, max_rows, block_bytes):
    part = [t * S for t in times]
    for n, i in enumerate(odd):
        part.insert(i, FAR + n)
    folder = put("late", ndjson(part))
    rows, _ = everything(folder, max_rows, block_bytes, SCHEMA, look_ahead=60 + len(odd))
    assert [START + t for t in sorted(part)] == time_us(rows).tolist()


def test_more_rows_far_ahead_than_may_wait_are_an_error():
    part = [*[FAR + i for i in range(10)], *range(0, 50 * S, S)]
    with pytest.raises(gl.errors.SourceError, match="out of order by more than 9 rows: line or row 11 is"):
        everything(put("many", ndjson(part)), 7, 1, SCHEMA, look_ahead=9)
    assert 60 == len(everything(put("many", ndjson(part)), 7, 1, SCHEMA, look_ahead=10)[0])


@given(st.lists(st.integers(0, 40), max_size=80), st.integers(0, 12), st.lists(st.integers(1, 79), max_size=5))
@settings(deadline=None, max_examples=200)
def test_a_row_comes_too_late_if_it_is_below_what_need_not_wait_wherever_the_rows_are_cut(keys, most, cuts):
    late = next((i for i, k in enumerate(keys) if i > most and k < sorted(keys[:i])[i - most - 1]), len(keys))
    disorder, edges = Disorder(most), [0, *sorted({c for c in cuts if c < len(keys)}), len(keys)]
    found = len(keys)
    for a, b in pairwise(edges):
        n = disorder.check(np.array(keys[a:b], "int64"))
        if n < b - a:
            found = a + n
            break
    assert late == found


@pytest.mark.parametrize("order", ["event", "arrival"])
@pytest.mark.parametrize("at", [0, 50, 100])
def test_a_replay_in_time_does_not_wait_for_a_row_of_another_age(order, at):
    part = [i * S for i in range(100)]
    part.insert(at, FAR)
    source = gl.from_replay(put("pace", ndjson(part)), SCHEMA, order=order, speed=10_000)
    assert 101 == gl.run(source, progress=False).events


@pytest.mark.parametrize("max_rows", [1, 7, 1_000])
@pytest.mark.parametrize("at", [1, 50, 97])
def test_a_replay_by_arrival_stops_at_a_moment_though_a_row_far_ahead_comes_before_it(at, max_rows):
    part = [i * S for i in range(100)]
    part.insert(at, FAR)
    folder = put("until", ndjson(part))
    source = gl.from_replay(folder, SCHEMA, order="arrival", max_rows=max_rows)
    source.run_until(gl.frames.from_us([START + 98 * S])[0])
    assert 99 == source.events
    source.seek(gl.frames.from_us([START + 97 * S])[0])
    assert 98 == source.events
    source.run_until("2200-01-01")
    assert 101 == source.events
    reader = ReplayReader(folder, SCHEMA, order="arrival", stop=gl.frames.from_us([START + 98 * S])[0])
    source = gl.from_reader(reader)
    assert 99 == gl.run(source, progress=False).events


@pytest.mark.parametrize("max_rows", [1, 7, 1_000])
@pytest.mark.parametrize("at", [1, 50, 94])
def test_so_does_one_over_frames(at, max_rows):
    times = [START + i * S for i in range(100)]
    times.insert(at, START + FAR)
    source = gl.from_reader(gl.sources.FrameReader(event_frame({"time": from_us(times)})), max_rows=max_rows)
    source.run_until(from_us([START + 98 * S])[0])
    assert 99 == source.events


@pytest.mark.parametrize("order", ["event", "arrival"])
@pytest.mark.parametrize("max_rows", [1, 7, 1_000])
def test_a_replay_stops_in_a_gap_at_the_last_row_before_it(order, max_rows):
    part = [*range(0, 100 * S, S), *range(3 * DAY, 3 * DAY + 50 * S, S)]
    source = gl.from_replay(put("gap", ndjson(part)), SCHEMA, order=order, max_rows=max_rows)
    source.run_until(from_us([START + DAY])[0])
    assert 100 == source.events
