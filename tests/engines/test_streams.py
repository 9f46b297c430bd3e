"""streamz and ``run``: everything is drained, nothing is lost, and what fails is raised."""

import gc
import logging
import os
import signal
import threading

import fsspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from played import START, Running, at, events, playing, total
from streamz import Stream

import govlab as gl
from govlab.clock import VirtualClock
from govlab.errors import ArgumentError, GovlabError, SourceError, StepError
from govlab.frames import concat, event_frame, from_us
from govlab.sources import FrameReader

LOUD = gl.Pipeline(gl.alerts.Threshold(5.0, score="value", entity="actor"))
COUNT = gl.Pipeline(gl.features.WindowCount(by="actor", every="10s", lateness="0s"))


def timed(seconds, name):
    times = from_us(START + np.array(seconds, "int64") * 1_000_000)
    return event_frame({"time": times, "actor": name, "value": np.arange(float(len(seconds)))})


def test_run_returns_after_the_pipelines_gave_on_what_they_held():
    source, node = playing(pipeline=COUNT)
    windows = node.sink_to_list()
    summary = gl.run(source, progress=False)
    assert 100 == concat(windows)["count"].sum()
    assert ("finished", 100, 0) == (summary.state, summary.events, summary.held)


@pytest.mark.parametrize("before", ["buffer", "nothing"])
@pytest.mark.parametrize("after", ["buffer", "nothing"])
def test_run_returns_after_all_is_through_the_buffers_before_and_behind_a_pipeline(before, after):
    source, _ = playing()
    top = source.buffer(5) if before == "buffer" else source
    node = top.through(COUNT)
    windows = (node.buffer(5) if after == "buffer" else node).sink_to_list()
    summary = gl.run(source, progress=False)
    assert ("finished", 100) == (summary.state, concat(windows)["count"].sum())


@pytest.mark.parametrize("between", [lambda source: source.buffer(5), lambda source: source.delay(0.02)])
def test_where_a_source_holds_all_it_gave_is_through_the_queues_too(between):
    source = gl.from_reader(FrameReader(events()), max_rows=20)
    node = between(source).through(Running())
    for goal in (50, 20, 70):
        source.seek(at(goal))
        assert events()["value"][:goal].sum() == total(node)


def test_a_step_that_fails_behind_a_buffer_still_fails_the_run():
    frame = events()
    frame.loc[60, "value"] = -1.0
    source = gl.from_reader(FrameReader(frame), max_rows=7)
    node = source.buffer(3).through(Running())
    with pytest.raises(StepError, match=r"Running.*0:56-62"):
        gl.run(source, progress=False)
    assert ("failed", "failed") == (source.state, node.state)


def test_a_step_that_fails_raises_its_name_and_the_positions_of_its_rows():
    frame = events()
    frame.loc[60, "value"] = -1.0
    source, node = playing(frame)
    with pytest.raises(StepError, match=r"step 1 of 1, .*Running, raised ZeroDivisionError: poison \(on rows 0:56-62\)"):
        gl.run(source, progress=False)
    assert ("failed", "failed", 63) == (source.state, node.state, source.events)


def test_a_step_that_fails_at_the_end_of_the_stream_fails_the_run():
    class Late(gl.Step):
        def process(self, frame):
            return frame

        def finish(self):
            raise ZeroDivisionError("at the end")

    source, node = playing(pipeline=Late())
    with pytest.raises(StepError, match="at the end"):
        gl.run(source, progress=False)
    assert ("failed", "failed") == (source.state, node.state)


def test_a_sink_that_fails_fails_the_run_with_its_own_error_and_is_logged(caplog):
    source, _ = playing()
    source.sink(lambda rows: {}[len(rows)])
    with caplog.at_level(logging.ERROR, "govlab"), pytest.raises(KeyError, match="7"):
        gl.run(source, progress=False)
    assert "failed" == source.state
    assert "frames stopped: 7" in caplog.text


def test_a_failure_of_one_source_leaves_the_other_paused():
    one, other = gl.from_reader(FrameReader(timed([1, 3], "a"))), gl.from_reader(FrameReader(timed([2, 4], "b")))
    other.sink(lambda rows: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        gl.run(one, other, progress=False)
    assert ("paused", "failed") == (one.state, other.state)


def test_branches_that_nobody_holds_still_run_down_to_the_last():
    source, _ = playing()
    seen = []
    source.map(len).map(float).sink(seen.append)
    source.map(lambda rows: rows).through(LOUD).map(len).sink(seen.append)
    source.map(lambda rows: rows).through(COUNT)
    gc.collect()
    gl.run(source, progress=False)
    assert 100 + int((events()["value"] >= 5).sum()) == sum(seen)
    assert (
        100
        == next(
            node for node in gl.engines.streams.through.pipelines_below(source) if node.carrier.pipeline == COUNT
        ).carrier.counted.events
    )


def test_through_works_on_any_streamz_stream_and_its_branches_are_held_too():
    stream, late, rows = Stream(), [], []
    stream.map(lambda frame: frame).through(COUNT).sides["late"].map(len).sink(late.append)
    stream.map(lambda frame: frame).through(COUNT).listen(lambda out, sides: rows.append(len(out)))
    gc.collect()
    stream.emit(timed([0, 20, 5, 30], "ann"))
    assert ([1], [2]) == (late, rows)


def test_the_sides_are_streams_and_one_that_gets_nothing_is_just_quiet():
    source, node = playing(timed([0, 20, 5, 30], "ann"), pipeline=COUNT)
    late, never = node.sides["late"].sink_to_list(), node.sides["no such side"].sink_to_list()
    gl.run(source, progress=False)
    assert ([5_000_000], []) == ([int(rows["time"].astype("int64").iloc[0]) - START for rows in late], never)
    assert "step" in late[0]
    assert isinstance(node.sides["late"], Stream)


def test_a_pipeline_behind_a_side_ends_when_all_sources_above_it_have():
    one, other = gl.from_reader(FrameReader(timed([0, 20, 5], "a"))), gl.from_reader(FrameReader(timed([0, 20, 6, 40], "b")))
    behind = one.union(other).through(COUNT).sides["late"].through(COUNT)
    windows = behind.sink_to_list()
    one.step(1_000)
    assert ("finished", "running") == (one.state, behind.state)
    gl.run(other, progress=False)
    assert ("finished", 3) == (behind.state, concat(windows)["count"].sum())


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.integers(0, 20), max_size=12), min_size=1, max_size=3), st.sampled_from([1, 3, 100]))
def test_several_sources_are_merged_by_time_and_their_order_as_one_sort_would(times, max_rows):
    sources = [gl.from_reader(FrameReader(timed(sorted(part), f"s{i}")), max_rows=max_rows) for i, part in enumerate(times)]
    given_rows = []
    for i, source in enumerate(sources):
        source.sink(
            lambda rows, i=i: given_rows.extend(
                (us, i, o) for us, o in zip(rows["time"].astype("int64"), rows["offset"], strict=True)
            )
        )
    gl.run(*sources, progress=False)
    assert sorted((START + t * 1_000_000, i, o) for i, part in enumerate(times) for o, t in enumerate(sorted(part))) == given_rows


@pytest.mark.parametrize("max_rows", [1, 7, 1_000])
def test_until_holds_before_the_first_event_at_that_time_and_the_next_run_goes_on(max_rows):
    source, node = playing(max_rows=max_rows)
    held = gl.run(source, until=at(42), progress=False)
    assert ("paused", 42, "paused", "running") == (held.state, held.events, source.state, node.state)
    done = gl.run(source, progress=False)
    assert ("finished", 100, events()["value"].sum()) == (done.state, done.events, total(node))


@pytest.mark.parametrize("max_rows", [1, 7, 1_000])
def test_max_events_holds_after_so_many_of_this_call(max_rows):
    source, _ = playing(max_rows=max_rows)
    assert [10, 20] == [gl.run(source, max_events=10, progress=False).events for _ in range(2)]


def test_a_timeout_holds_a_run_whose_reader_never_ends():
    source = gl.from_reader(FrameReader(event_frame({"time": ["2026-03-02"]}) for _ in iter(int, 1)), max_rows=1)
    assert "paused" == gl.run(source, timeout_s=0.2, progress=False).state


def test_a_pause_from_within_holds_the_run_after_the_frame_on_its_way():
    source, _ = playing()
    source.sink(lambda rows: source.pause())
    assert ("paused", 7) == (gl.run(source, progress=False).state, source.events)


def test_an_interrupt_waits_for_the_frame_on_its_way_and_the_next_run_goes_on():
    source, node = playing()
    stop = source.map(lambda rows: os.kill(os.getpid(), signal.SIGINT) or rows)
    sink = stop.sink(lambda rows: None)
    with pytest.raises(KeyboardInterrupt):
        gl.run(source, progress=False)
    assert ("paused", 7, events()["value"][:7].sum()) == (source.state, source.events, total(node))
    sink.destroy()
    stop.destroy()
    assert "finished" == gl.run(source, progress=False).state


def test_a_run_works_in_any_thread():
    source, _ = playing()
    states = []
    thread = threading.Thread(target=lambda: states.append(gl.run(source, progress=False).state))
    thread.start()
    thread.join(300)
    assert ["finished"] == states


def test_a_source_that_runs_in_the_background_is_taken_over_by_a_run():
    source, node = playing(speed=1e-3, clock=None)
    source.clock.base = VirtualClock()
    source.start()
    source.clock.speed = None
    assert ("finished", 100, events()["value"].sum()) == (gl.run(source, progress=False).state, source.events, total(node))


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ((), "expected one or more sources"),
        ((Stream(),), "Stream cannot be read as events: give a path"),
        ((gl.detectors.Always(),), r"run: Always is no source: watch\.run\(source\) runs a pipeline"),
        (("nowhere.csv",), "there is no file at 'nowhere.csv'"),
    ],
)
def test_run_wants_sources_and_says_so(what, says):
    with pytest.raises(GovlabError, match=says):
        gl.run(*what)


def test_what_is_no_source_yet_is_read_by_run_and_the_summary_counts_it(tmp_path):
    path = tmp_path / "events.ndjson"
    events().drop(columns=["partition", "offset"]).to_json(path, orient="records", lines=True, date_format="iso", date_unit="us")
    with path.open("a") as file:
        file.write("no record\n")
    for what in (path, str(path), gl.sources.ReplayReader(path)):
        done = gl.run(what, progress=False)
        assert ("finished", 100, 0, 1) == (done.state, done.events, done.rows, done.dead_letters)
    source = gl.from_replay(path)
    assert ("finished", 200) == (gl.run(source, events(), progress=False).state, gl.run(path, events(), progress=False).events)
    assert 100 == source.events


@pytest.mark.parametrize("max_rows", [0, -1, 1.5, True])
def test_a_frame_has_at_least_one_row(max_rows):
    with pytest.raises(ArgumentError, match="max_rows="):
        gl.from_reader(FrameReader(events()), max_rows=max_rows)


def test_through_wants_a_step_and_a_stream():
    with pytest.raises(ArgumentError, match="not a pipeline or a step"):
        Stream().through("pipeline")


def test_dead_letters_come_on_a_stream_with_the_rows_and_can_be_corrected_into_them(tmp_path):
    (tmp_path / "a.csv").write_text("time,actor,value\n2026-03-02,ann,1\n2026-03-02,bob,x\nsoon,cid,3\n2026-03-03,dan,4\n")
    source = gl.from_replay(tmp_path / "a.csv", gl.Schema({"time": "timestamp", "actor": "string", "value": "float64"}))
    dead, seen = source.dead.sink_to_list(), source.sink_to_list()
    assert 2 == gl.run(source, progress=False).dead_letters
    assert [2, 3] == concat(dead)["offset"].tolist()
    corrected = {(0, 2): b"2026-03-02,bob,2", (0, 3): b"still,cid,3"}
    assert 1 == source.redrive(corrected)
    assert ["ann", "dan", "bob"] == concat(seen)["actor"].tolist()
    assert {(0, 3): b"still,cid,3"} == {where: letter.raw for where, letter in source.letters.items()}
    assert 0 == source.redrive(lambda letter: None)


def test_dead_letters_behind_the_last_good_row_are_told_of_before_the_end(tmp_path):
    (tmp_path / "a.ndjson").write_text('bad\n{"time": "2026-03-02"}\nworse\n')
    source = gl.from_replay(tmp_path / "a.ndjson", gl.Schema({"time": "timestamp"}))
    gl.run(source, progress=False)
    assert (1, [0, 2]) == (source.events, [offset for _, offset in source.letters])


def test_a_replay_gives_the_same_whatever_its_frames_speed_and_files():
    lines = [f'{{"time": {START + i // 3 * 1_000_000}, "actor": "u{i % 5}"}}\n'.encode() for i in range(300)]
    system = fsspec.filesystem("memory")
    system.pipe("/whole/a.ndjson", b"".join(lines))
    for i in range(3):
        system.pipe(f"/parts/{i}.ndjson", b"".join(lines[i * 100 : i * 100 + 100]))
    schema = gl.Schema({"time": "epoch_us", "actor": "string"})
    prints = set()
    for url in ("memory://whole", "memory://parts"):
        for max_rows, speed in ((1, None), (64, None), (1_000, 3_600)):
            source = gl.from_replay(url, schema, speed=speed, max_rows=max_rows, clock=VirtualClock())
            source.through(COUNT)
            prints.add(gl.run(source, progress=False).fingerprint)
    frame = event_frame({"time": from_us(START + np.arange(300) // 3 * 1_000_000), "actor": [f"u{i % 5}" for i in range(300)]})
    assert {COUNT.run(frame).summary.fingerprint} == prints


def test_evidence_is_read_again_from_the_files_and_narrowed_to_the_entity(tmp_path):
    (tmp_path / "a.csv").write_text("time,actor,value\n" + "".join(f"2026-03-02,u{i % 2},{i}\n" for i in range(10)))
    source = gl.from_replay(tmp_path / "a.csv", gl.Schema({"time": "timestamp", "actor": "string", "value": "int64"}))
    alerts = source.through(gl.Pipeline(gl.alerts.Threshold(6.0, score="value", entity="actor"))).sink_to_list()
    gl.run(source, progress=False)
    assert [6] == source.evidence(concat(alerts).iloc[0], by="actor")["value"].tolist()
    assert [3, 5] == source.evidence({"evidence": "0:4-6", "entity": "u1"}, by="actor")["value"].tolist()


def test_a_source_that_failed_cannot_be_run_again_before_it_is_wound_back():
    source, _ = playing()
    source.sink(lambda rows: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        gl.run(source, progress=False)
    with pytest.raises(SourceError, match="has failed"):
        gl.run(source, progress=False)
