"""One row's clock moves nothing far: what is far ahead goes aside, what is only after a gap does not."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
from drawn import START, S
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_ahead import guard as naive_guard

import govlab as gl
from govlab import registry
from govlab.ahead import Guard
from govlab.errors import ArgumentError
from govlab.frames import event_frame, from_us
from govlab.step import Step
from govlab.testing import check_step, sample_events

MINUTE, HOUR, DAY = 60 * S, 3_600 * S, 86_400 * S
FAR = 4_070_908_800 * S  # 2099
STEPS = [(room, name) for room in registry.STEP_ROOMS for name in registry.names(room)]


def frame_of(times, partitions=None, arrivals=None):
    data = {"time": from_us(np.array(times, "int64")), "offset": np.arange(len(times))}
    data["partition"] = np.zeros(len(times), "int32") if partitions is None else np.array(partitions, "int32")
    if arrivals is not None:
        data["arrival"] = pd.to_datetime(pd.Series([pd.NaT if a is None else a for a in arrivals]), unit="us", utc=True)
    return event_frame(data)


def guarded(frame, cuts=(), ahead=HOUR, apart=False, resume_at=None):
    """Run a guard over a frame; gives [(row, the row at which it passes)] and the rows aside."""
    running, passed, aside = Guard(ahead, apart), [], []
    edges = [0, *sorted({c for c in cuts if 0 < c < len(frame)}), len(frame)]
    for a, b in itertools.pairwise(edges):
        if resume_at is not None and a >= resume_at:
            running = pickle.loads(pickle.dumps(running))
        for piece in running.process(frame.iloc[a:b].reset_index(drop=True)):
            passed += zip(piece["offset"].tolist(), (piece.index + a).tolist(), strict=True)
        aside += [row for rows, reasons in running.take_aside() for row, _ in zip(rows["offset"].tolist(), reasons, strict=True)]
    passed += [(row, len(frame)) for piece in running.finish() for row in piece["offset"].tolist()]
    aside += [row for rows, _ in running.take_aside() for row in rows["offset"].tolist()]
    assert 0 == running.held()
    return passed, aside


steps_us = st.sampled_from([0, 0, S, S, 7 * S, MINUTE, 40 * MINUTE, 2 * HOUR, 5 * HOUR, DAY, 30 * DAY])
strays = st.sampled_from([0] * 12 + [FAR - START, DAY, 2 * HOUR, -DAY, -START, 400 * DAY])


@st.composite
def streams(draw):
    """Draw rows (time, partition, arrival): gaps of any length, clocks that are wrong by any length."""
    rows, now = [], START
    partitions = draw(st.integers(1, 6))
    arrives = draw(st.booleans())
    for _ in range(draw(st.integers(0, 120))):
        now += draw(steps_us)
        t = now + draw(strays)
        arrival = now + draw(st.sampled_from([0, S, HOUR])) if arrives and draw(st.integers(0, 3)) else None
        rows.append((t, draw(st.integers(0, partitions - 1)), arrival))
    return rows


@given(streams(), st.lists(st.integers(1, 119), max_size=8), st.booleans(), st.one_of(st.none(), st.integers(0, 119)))
@settings(max_examples=100, deadline=None)
def test_it_judges_as_the_naive_twin_does_wherever_the_rows_are_cut(rows, cuts, apart, resume_at):
    frame = frame_of(*zip(*rows, strict=True)) if rows else frame_of([])
    passed, aside = naive_guard(rows, HOUR, apart)
    whole = guarded(frame, apart=apart)
    assert (passed, sorted(aside)) == (whole[0], sorted(whole[1]))
    for edges in (cuts, range(1, len(rows))):
        cut = guarded(frame, edges, apart=apart, resume_at=resume_at)
        assert (whole[0], sorted(whole[1])) == (cut[0], sorted(cut[1]))


def seconds(n):
    return [START + i * S for i in range(n)]


@pytest.mark.parametrize("far", [FAR, START + DAY, START + 30 * DAY])
@pytest.mark.parametrize(("at", "n"), [(0, 1), (1, 1), (300, 1), (600, 1), (2, 3), (300, 3), (597, 3), (600, 3)])
def test_rows_far_ahead_go_aside_and_all_others_pass_in_order(far, at, n):
    times = seconds(600)
    times[at:at] = [far + i * S for i in range(n)]
    passed, aside = guarded(frame_of(times))
    assert list(range(at, at + n)) == aside
    assert [i for i in range(len(times)) if not at <= i < at + n] == [row for row, _ in passed]


@pytest.mark.parametrize("far", [FAR - START, DAY, 2 * HOUR])
@pytest.mark.parametrize("partitions", [1, 4])
def test_of_a_device_whose_clock_is_wrong_all_rows_go_aside_and_no_other(far, partitions):
    rng = np.random.default_rng(3)
    odd = rng.random(20_000) < 0.01
    odd[0] = False
    times = np.array(seconds(20_000)) + np.where(odd, far, 0)
    _, aside = guarded(frame_of(times, rng.integers(0, partitions, 20_000)), range(0, 20_000, 997))
    assert np.flatnonzero(odd).tolist() == sorted(aside)


LEGITIMATE = {
    "an outage of two days": seconds(500) + [t + 2 * DAY for t in seconds(500)],
    "an outage near the end": seconds(500) + [t + 2 * DAY for t in seconds(20)],
    "an outage near the beginning": seconds(5) + [t + 2 * DAY for t in seconds(500)],
    "nights": [START + d * DAY + m * MINUTE for d in range(20) for m in range(600)],
    "nights and weekends": [START + d * DAY + m * 10 * MINUTE for d in range(40) if d % 7 < 5 for m in range(60)],
    "a row an hour": [START + i * HOUR for i in range(200)],
    "a row a month": [START + i * 30 * DAY for i in range(40)],
    "a row a year": [START + i * 365 * DAY for i in range(40)],
    "a few days of every year": [START + y * 365 * DAY + d * DAY for y in range(6) for d in range(5)],
    "two rows a year apart": [START, START + 365 * DAY],
    "a month, then an hour at a time": [START, START + 30 * DAY] + [START + 60 * DAY + i * HOUR for i in range(50)],
    "rows of the year 1970": [i * S for i in range(100)],
    "one row of the year 1970 first": [0, *seconds(100)],
    "three rows of the year 1970 second": [START, 0, 1, 2, *seconds(100)],
    "one row": [START],
}


@pytest.mark.parametrize("name", LEGITIMATE)
def test_a_legitimate_gap_loses_no_row(name):
    times = LEGITIMATE[name]
    passed, aside = guarded(frame_of(times))
    assert [] == aside
    assert list(range(len(times))) == sorted(row for row, _ in passed)


@given(st.integers(40, 300), st.integers(4, 300), st.integers(2 * HOUR, 4_000 * DAY), st.integers(1, 60 * S))
@settings(max_examples=60, deadline=None)
def test_whatever_the_gap_no_row_behind_it_is_lost(before, behind, gap, pace):
    times = [START + i * pace for i in range(before)]
    times += [times[-1] + gap + i * pace for i in range(behind)]
    passed, aside = guarded(frame_of(times))
    assert ([], list(range(len(times)))) == (aside, [row for row, _ in passed])
    assert 30 > max(at - row for row, at in passed if at < len(times))


@given(st.floats(0.02, 0.98), st.sampled_from([3 * DAY, 30 * DAY]), st.integers(0, 99), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_backfill_beside_live_rows_loses_none_where_they_are_partitions_of_their_own(share, behind, seed, apart):
    live = np.random.default_rng(seed).random(2_000) < share
    times = np.array(seconds(2_000)) - np.where(live, 0, behind)
    _, aside = guarded(frame_of(times, live.astype(int)), apart=apart)
    few = live.sum() < 4 or live[-300:].sum() == 0
    assert few or [] == aside


def test_rows_that_arrive_with_a_time_are_judged_by_it_and_not_by_their_neighbours():
    times = [START, START + 40 * DAY, START + 40 * DAY + S, FAR, START + 40 * DAY + 2 * S]
    arrivals = [START, START + 40 * DAY, START + 40 * DAY, START + 40 * DAY, START + 40 * DAY + 2 * S]
    passed, aside = guarded(frame_of([*times, *[times[-1]] * 3], None, [*arrivals, *[arrivals[-1]] * 3]))
    assert ([3], [0, 1, 2, 4, 5, 6, 7]) == (aside, [row for row, at in passed if row == at])


def test_where_all_are_ahead_of_their_arrival_the_zone_is_wrong_and_they_pass():
    times = [START + i * S for i in range(100)]
    passed, aside = guarded(frame_of(times, None, [t - 2 * HOUR for t in times]))
    assert ([], list(range(100))) == (aside, [row for row, _ in passed])


def test_a_day_after_an_outage_a_clock_that_is_a_day_ahead_moves_nothing():
    times = seconds(100) + [t + 2 * DAY for t in seconds(30_000)]
    times.insert(20_000, times[20_000] + DAY)
    assert [20_000] == guarded(frame_of(times))[1]


def test_the_bound_may_be_shorter_longer_or_none():
    times = seconds(100)
    times.insert(50, times[50] + 30 * MINUTE)
    for ahead, sides in (("1h", {}), ("5min", {"ahead": 1}), (None, {})):
        assert sides == gl.Pipeline(gl.detectors.Always(), ahead=ahead).run(frame_of(times)).summary.sides
    times[50] = FAR
    for ahead, sides in (("1h", {"ahead": 1}), ("40000d", {}), (None, {})):
        assert sides == gl.Pipeline(gl.detectors.Always(), ahead=ahead).run(frame_of(times)).summary.sides


def test_at_most_256_rows_are_held_and_the_oldest_goes_aside_first():
    # 64 partitions, of each a row far ahead and then silence; one that goes on
    times, parts = [], []
    for i in range(4_000):
        odd = i % 5 == 4 and i // 5 < 600
        times.append(FAR + i if odd else START + i * S)
        parts.append(1 + i // 5 if odd else 0)
    running = Guard(HOUR)
    for a in range(0, 4_000, 100):
        running.process(frame_of(times, parts).iloc[a : a + 100].reset_index(drop=True))
        assert running.held() <= 256
    assert list(range(4, 4 + 5 * 344, 5)) == [r for rows, _ in running.take_aside() for r in rows["offset"].tolist()]


# in pipelines


def with_odd(frame, at, n, far):
    """Put rows far ahead, copies of others, into a frame; they have offsets of their own."""
    odd = frame.iloc[[min(at, len(frame) - 1)] * n].assign(offset=10_000 + np.arange(n), event_id=[f"odd{i}" for i in range(n)])
    odd["time"] = from_us([far + i * S for i in range(n)]).to_numpy()
    odd["time"] = odd["time"].dt.tz_localize("UTC") if odd["time"].dt.tz is None else odd["time"]
    odd["time"] = odd["time"].dt.as_unit("us")
    return pd.concat([frame.iloc[:at], odd, frame.iloc[at:]], ignore_index=True)


EVENTS = sample_events(300, seed=5, entities=9, span_s=3_000)
ODD = [(0, 1), (1, 1), (150, 1), (150, 3), (300, 1), (300, 3)]


@pytest.mark.parametrize(("room", "name"), STEPS)
def test_every_registered_step_says_the_same_of_all_other_rows(room, name):
    watch = gl.Pipeline(registry.load(room, name).example())
    expected = watch.run(EVENTS)
    for at, n in ODD:
        for far in (FAR, START + 2 * DAY):
            result = watch.run(with_odd(EVENTS, at, n, far), max_rows=70)
            pd.testing.assert_frame_equal(expected.rows.reset_index(drop=True), result.rows.reset_index(drop=True))
            assert list(range(10_000, 10_000 + n)) == result.sides["ahead"]["offset"].tolist()
            assert expected.summary.sides == {side: n for side, n in result.summary.sides.items() if side != "ahead"}


SHARDED = {
    "by actor": gl.Pipeline(gl.Sharded(gl.features.WindowCount("actor", max_entities=20), by="actor", shards=3)),
    "by partition": gl.Pipeline(gl.Sharded(gl.features.WindowCount("actor", max_entities=20), by="partition", shards=3)),
    "nested": gl.Pipeline(gl.Pipeline(gl.features.WindowCount("actor", lateness="30s", max_entities=20)), gl.detectors.Volume()),
}


@pytest.mark.parametrize("name", SHARDED)
def test_shards_and_nested_pipelines_stand_behind_the_same_guard(name):
    events = EVENTS.assign(partition=np.arange(300, dtype="int32") % 3)
    expected, result = SHARDED[name].run(events), SHARDED[name].run(with_odd(events, 100, 2, FAR))
    pd.testing.assert_frame_equal(expected.rows, result.rows)
    assert 2 == result.summary.sides["ahead"]
    check_step(SHARDED[name], with_odd(events, 100, 2, FAR))


def test_each_partition_has_a_clock_of_its_own_where_members_of_a_group_may_share_the_run():
    watch = gl.Pipeline(gl.Sharded(gl.features.WindowCount(every="1h"), by="partition", shards=2))
    times = [t + (400 * DAY if i % 2 else 0) for i, t in enumerate(seconds(400))]
    frame = frame_of(times, [i % 2 for i in range(400)])
    alone = [watch.run(frame[frame["partition"] == p]).rows["count"].tolist() for p in (0, 1)]
    result = watch.run(frame)
    assert ([[200], [200]], {}) == (alone, result.summary.sides)
    assert [200, 200] == result.rows["count"].tolist()


def test_every_row_is_accounted_for_while_rows_are_held_and_after():
    watch = gl.Pipeline(gl.features.WindowCount(every="1min", lateness="30s"))
    times = seconds(600)
    times[100:100] = [FAR] * 2
    running = watch.fresh()
    for n in range(0, 602, 7):
        running.process(frame_of(times).iloc[n : n + 7].reset_index(drop=True))
        aside = sum(len(rows) for _, rows in running.take_sides())
        running.absorbed += aside
        assert min(602, n + 7) == running.absorbed + running.steps[0].absorbed + running.steps[0].held() + running._guard.held()
    running.finish()
    assert (0, 0) == (running.held(), len(running.finish()))


def test_what_is_ahead_carries_the_step_and_how_far_it_is():
    times = seconds(100)
    times.insert(50, times[49] + 3 * DAY)
    side = gl.Pipeline(gl.detectors.Always()).run(frame_of(times)).sides["ahead"]
    assert ["its time is 3 days ahead of the events beside it"] == side["reason"].tolist()
    assert ["govlab.pipeline:Pipeline"] == side["step"].tolist()


def test_one_event_of_2099_leaves_the_ten_windows_of_the_minutes():
    times = seconds(600)
    times.insert(100, FAR)
    result = gl.Pipeline(gl.features.WindowCount(every="1min", lateness="30s")).run(frame_of(times))
    assert ([60] * 10, 0, {"ahead": 1}) == (result.rows["count"].tolist(), result.summary.late, result.summary.sides)


def test_the_bound_is_part_of_the_recipe_only_where_it_is_not_the_default():
    plain, other = gl.Pipeline(gl.detectors.Always()), gl.Pipeline(gl.detectors.Always(), ahead="5min")
    assert "dc70a8f86578ca72" == plain.hash == gl.Pipeline(gl.detectors.Always(), ahead="1h").hash
    assert plain.hash != other.hash
    for watch in (other, gl.Pipeline(gl.detectors.Always(), ahead=None)):
        for again in (watch.fresh(), pickle.loads(pickle.dumps(watch)), Step.from_recipe(watch.recipe())):
            assert (watch.hash, watch.ahead, repr(watch)) == (again.hash, again.ahead, repr(again))
    assert "Pipeline(\n    Always(),\n    ahead='5min',\n)" == repr(other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gl.Pipeline(gl.detectors.Always(), ahead="soon"), "Pipeline: ahead='soon' is not a duration"),
        (lambda: gl.Pipeline(gl.detectors.Always(), ahead="0s"), "Pipeline: ahead='0s' must be more than zero"),
        (lambda: gl.Pipeline(gl.Pipeline(gl.detectors.Always(), ahead="5min")), "give it to the outermost one"),
        (lambda: gl.Sharded(gl.Pipeline(gl.detectors.Always(), ahead="5min")), "give it to the outermost one"),
    ],
)
def test_a_bound_that_is_none_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()


@pytest.mark.parametrize("first", ["2000-01-01", "1990-01-01", "1970-01-03"])
def test_a_clock_that_began_in_another_century_opens_no_gap_for_one_of_2099(first):
    times = seconds(3_000)
    times.insert(600, FAR)
    result = gl.Pipeline(gl.features.WindowCount(every="1min")).run(frame_of([time_us_of(first), *times]))
    assert (3_001, 0, {"ahead": 1}) == (result.rows["count"].sum(), result.summary.late, result.summary.sides)


def time_us_of(day):
    return int(pd.Timestamp(day, tz="UTC").timestamp()) * S
