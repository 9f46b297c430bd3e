"""A source that is paused, stepped and wound: it is always as if the stream had run to where it stands."""

import threading
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

import govlab as gl
from govlab.clock import VirtualClock
from govlab.engines import winding
from govlab.engines.engine import FrameReader
from govlab.errors import ArgumentError, SourceError, StepError
from govlab.frames import event_frame, from_us
from govlab.testing import ScriptedReader

START = 1_772_409_600_000_000
SECOND = 1_000_000


class Running(gl.Detector):
    """Scores a row by the sum of all values before it, so that every row leaves its trace in the state."""

    poison: float = -1.0

    def start(self):
        self.total = 0.0

    def score_learn_many(self, frame):
        values = frame["value"].to_numpy()
        if (values == self.poison).any():
            raise ZeroDivisionError("poison")
        totals = self.total + np.cumsum(values)
        self.total = totals[-1] if len(totals) else self.total
        return totals - values


def events(n=100, step_s=1.0, seed=0):
    times = START + (np.arange(n) * step_s * SECOND).astype("int64")
    return event_frame(
        {"time": from_us(times), "actor": "ann", "value": np.random.default_rng(seed).integers(1, 9, n).astype(float)}
    )


def at(seconds):
    return pd.Timestamp(START + int(seconds * SECOND), unit="us", tz="UTC")


def playing(frame=None, max_rows=7, pipeline=None, clock=None, speed=None):
    source = gl.from_reader(FrameReader(events() if frame is None else frame), speed, max_rows, clock or VirtualClock())
    return source, source.through(pipeline or Running())


def total(node):
    return node.carrier.pipeline.steps[0].total


@pytest.fixture(params=["many marks", "few marks"])
def marks(request):
    """Marks at every frame, or only at the beginning: where one can go back to must not change what one finds."""
    with patch.object(winding.Marks, "due", property(lambda marks: request.param == "many marks")):
        yield


def test_step_gives_the_next_events_and_holds_whatever_the_size_of_the_frames():
    for max_rows in (1, 7, 1_000):
        source, _ = playing(max_rows=max_rows)
        rows = source.map(len).sink_to_list()
        assert (1, 12) == (source.step(), source.step(12))
        assert (13, "paused", 13) == (sum(rows), source.state, source.events)


def test_step_gives_what_there_is_and_ends_the_stream():
    source, node = playing()
    assert (100, 0) == (source.step(1_000), source.step())
    assert ("finished", "finished") == (source.state, node.state)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_step_refuses_what_is_no_number_of_events(n):
    with pytest.raises(ArgumentError, match="step: n="):
        playing()[0].step(n)


def test_run_until_stops_before_the_first_event_at_that_time():
    source, _ = playing()
    assert at(41) == source.run_until(at(42))
    assert (42, "paused") == (source.events, source.state)
    assert at(41) == source.run_until(at(42))
    assert 42 == source.events


def test_run_until_a_time_before_the_first_event_gives_nothing():
    assert playing()[0].run_until("2000-01-01") is None


def test_run_until_a_time_after_the_last_event_ends_the_stream():
    source, node = playing()
    assert source.run_until("2100-01-01") is None
    assert ("finished", 100, "finished") == (source.state, source.events, node.state)


@pytest.mark.parametrize("max_rows", [1, 7, 1_000])
def test_run_until_alert_stops_at_the_very_event_each_time(max_rows):
    frame = events()
    frame["score"] = np.where(np.isin(np.arange(100), [0, 1, 30, 99]), 5.0, 0.0)
    source, node = playing(frame, max_rows, gl.Pipeline(gl.alerts.Threshold(4.0, entity="actor")))
    seen, alerts = source.map(len).sink_to_list(), node.map(len).sink_to_list()
    assert [at(0), at(1), at(30), at(99), None] == [source.run_until("alert") for _ in range(5)]
    assert (100, 4, "finished") == (sum(seen), sum(alerts), source.state)


def test_run_until_alert_leaves_the_pipelines_as_if_they_had_run_there_once():
    source, node = playing(events(), 50, gl.Pipeline(Running(), gl.alerts.Threshold(150.0, entity="actor")))
    source.run_until("alert")
    expected = np.flatnonzero(np.cumsum(events()["value"].to_numpy())[:-1] >= 150.0)[0] + 2
    assert (expected, events()["value"][:expected].sum()) == (source.events, total(node))


def test_run_until_alert_stops_at_an_alert_that_comes_before_a_row_that_fails():
    frame = events()
    frame["score"] = np.where(np.arange(100) == 10, 5.0, 0.0)
    frame.loc[20, "value"] = -1.0
    source, _ = playing(frame, 100)
    source.through(gl.Pipeline(gl.alerts.Threshold(4.0, entity="actor")))
    assert at(10) == source.run_until("alert")
    with pytest.raises(StepError, match="on rows 0:11-20"):
        source.run_until("alert")
    assert "failed" == source.state


def test_run_until_alert_without_a_pipeline_that_gives_any_is_an_error():
    with pytest.raises(ArgumentError, match=r"end one with a step of gl\.alerts"):
        playing()[0].run_until("alert")


@pytest.mark.parametrize("method", ["seek", "run_until"])
@pytest.mark.parametrize("moment", ["soon", None, object()])
def test_what_is_no_moment_is_refused_and_nothing_is_given(method, moment):
    source, _ = playing()
    with pytest.raises(ArgumentError, match=method):
        getattr(source, method)(moment)
    assert 0 == source.events


@pytest.mark.parametrize("goals", [[50, 20], [50, 50], [99, 0], [70, 69.5, 3, 80, 2], [200, 40], [-5, 10]])
def test_wherever_it_is_wound_it_stands_as_if_it_had_run_there(marks, goals):
    source, node = playing()
    for goal in goals:
        source.seek(at(goal))
        before = events()["value"][: max(0, int(np.ceil(goal)))]
        assert (len(before), before.sum()) == (source.events, total(node))
    gl.run(source, progress=False)
    assert events()["value"].sum() == total(node)
    assert gl.Pipeline(Running()).run(events()).summary.fingerprint == node.carrier.summary("").fingerprint


def test_winding_a_stream_out_of_order_goes_by_the_latest_time_so_far(marks):
    seconds = np.array([1, 10, 5, 7, 12, 8, 20])
    frame = event_frame({"time": from_us(START + seconds * SECOND), "value": np.arange(7.0)})
    for max_rows in (1, 2, 100):
        source, node = playing(frame, max_rows)
        source.step(6)
        source.seek(at(9))
        assert (1, 0.0) == (source.events, total(node))
        source.seek(at(11))
        assert (4, 6.0) == (source.events, total(node))


def test_winding_back_shows_nothing_again_and_says_to_where_it_went(marks):
    source, node = playing()
    between = source.map(lambda rows: rows)  # leads to a pipeline, and to a sink of its own
    between.through(Running())
    shown = [stream.map(len).sink_to_list() for stream in (source, node, between)]
    went = source.rewound.sink_to_list()
    source.step(60)
    source.seek(at(30))
    assert [60, 60, 60] == [sum(rows) for rows in shown]
    assert [at(30)] == went
    source.step(1)
    assert [61, 61, 61] == [sum(rows) for rows in shown]


def test_winding_back_also_winds_pipelines_behind_maps_sides_and_other_pipelines(marks):
    source, first = playing(
        pipeline=gl.prepare.Conform(gl.Schema({"time": "timestamp", "value": "float64"}), ranges={"value": (0, 4)})
    )
    nodes = [
        source.map(lambda rows: rows.assign(value=rows["value"] * 2)).through(Running()),
        first.sides["rejected"].through(Running()),
    ]
    source.run_until(at(30))
    stood = [total(node) for node in nodes]
    source.run_until(at(70))
    source.seek(at(30))
    assert stood == [total(node) for node in nodes]
    assert min(stood) > 0


def test_a_pipeline_hung_on_later_is_wound_as_if_it_had_been_there_from_the_beginning():
    source, node = playing()
    source.step(50)
    late = source.through(Running())
    source.seek(at(30))
    assert total(node) == total(late) > 0


def test_pipelines_of_the_same_recipe_are_not_mistaken_for_each_other(marks):
    source, node = playing()
    doubled = source.map(lambda rows: rows.assign(value=rows["value"] * 2)).through(Running())
    source.step(50)
    source.seek(at(30))
    assert 2 * total(node) == total(doubled) > 0


def test_a_failure_is_wound_away_and_comes_again_where_it_came_first(marks):
    frame = events()
    frame.loc[60, "value"] = -1.0
    source, node = playing(frame)
    for _ in range(2):
        with pytest.raises(StepError, match="Running.*0:56-62"):
            gl.run(source, progress=False)
        assert ("failed", "failed") == (source.state, node.state)
        assert "poison" in source.status()["last_error"]
        source.seek(at(30))
        assert ("paused", "running", None, 30) == (source.state, node.state, source.error, source.events)
        source.run_until(at(56))


def test_what_has_failed_does_not_go_on_before_it_is_wound_back():
    frame = events()
    frame.loc[0, "value"] = -1.0
    source, _ = playing(frame)
    with pytest.raises(StepError):
        source.step()
    for play in (
        source.step,
        source.start,
        source.resume,
        lambda: source.run_until("2100"),
        lambda: gl.run(source, progress=False),
    ):
        with pytest.raises(SourceError, match=r"has failed.*seek\(\) back"):
            play()
    assert "failed" == source.state


def test_a_stream_that_has_ended_can_be_wound_back_and_ends_anew():
    source, node = playing()
    gl.run(source, progress=False)
    with pytest.raises(SourceError, match="has ended"):
        source.start()
    source.seek(at(50))
    assert ("paused", "running", 50) == (source.state, node.state, source.events)
    gl.run(source, progress=False)
    assert ("finished", 100, events()["value"].sum()) == (source.state, source.events, total(node))


def test_one_of_two_sources_of_a_pipeline_cannot_be_wound_back_alone():
    one, other = (playing()[0] for _ in range(2))
    one.union(other).through(Running())
    gl.run(one, other, progress=False)
    with pytest.raises(SourceError, match="another source too"):
        one.seek(at(5))


def test_frames_of_a_generator_cannot_be_wound_back_and_say_so():
    source = gl.from_reader(FrameReader(events().iloc[i : i + 10] for i in range(0, 100, 10)))
    source.step(50)
    with pytest.raises(SourceError, match="generator cannot be read again"):
        source.seek(at(5))


def test_marks_stay_few_and_the_beginning_is_always_among_them():
    source, node = playing(max_rows=1)
    with patch.object(winding.Marks, "due", True), patch.object(winding, "KEEP_MARKS", 8):
        gl.run(source, progress=False)
        assert len(source._marks) <= 8
        source.seek(at(1))
        assert (1, events()["value"][0]) == (source.events, total(node))


def test_marks_stay_small_when_the_states_are_large():
    source, _ = playing(max_rows=1)
    with patch.object(winding.Marks, "due", True), patch.object(winding, "KEEP_BYTES", 1):
        gl.run(source, progress=False)
    assert len(source._marks) <= 2


def test_in_the_background_it_runs_to_the_end_and_says_so():
    source, node = playing()
    source.start()
    source._thread.join(30)
    assert ("finished", "finished", 100) == (source.state, node.state, source.events)


def test_in_the_background_an_exception_of_any_kind_is_kept_and_the_state_tells_of_it():
    for error in (ZeroDivisionError("by a sink"), SystemExit("by a sink")):
        source, _ = playing()

        def sink(_, error=error):
            raise error

        source.sink(sink)
        source.start()
        source._thread.join(30)
        assert ("failed", "by a sink") == (source.state, source.status()["last_error"])


def test_in_the_background_it_can_be_paused_from_within_and_goes_on_where_it_stood():
    source, node = playing()
    paused = threading.Event()

    def pause_once(_):
        if not paused.is_set():
            source.pause()
            paused.set()

    source.sink(pause_once)
    source.start()
    assert paused.wait(30)
    source.stop()
    assert ("paused", 7) == (source.state, source.events)
    source.resume()
    source._thread.join(30)
    assert ("finished", 100, events()["value"].sum()) == (source.state, source.events, total(node))


@pytest.mark.parametrize("speed", [0.5, 1, 3_600, 1e6])
def test_with_a_speed_each_event_is_given_when_it_is_due_and_none_before(speed):
    clock = VirtualClock()
    source, _ = playing(clock=clock, speed=speed)
    given = []
    source.sink(lambda rows: given.extend((clock.now_us(), us) for us in rows["time"].astype("int64")))
    gl.run(source, progress=False)
    waited = np.array([now for now, _ in given])
    due = np.array([(us - START) / speed for _, us in given])
    assert 100 == len(given)
    assert (waited >= np.floor(due)).all()
    assert (waited <= due + 20_001).all()


def test_a_reader_that_has_nothing_yet_is_waited_for_without_spinning():
    clock = VirtualClock()
    source = gl.from_reader(ScriptedReader([None, None, events(3), None, events(2)]), clock=clock)
    assert 4 == source.step(4)
    assert 3 * 20_000 == clock.now_us()


def test_a_reader_that_breaks_is_a_failure_and_not_a_pause():
    source = gl.from_reader(ScriptedReader([events(3), OSError("gone")]), max_rows=3)
    with pytest.raises(OSError, match="gone"):
        gl.run(source, progress=False)
    assert ("failed", "gone", 3) == (source.state, source.status()["last_error"], source.events)


def test_the_status_says_where_the_source_stands():
    source, _ = playing(pipeline=gl.prepare.Conform(gl.Schema({"time": "timestamp", "value": "float64"}), ranges={"value": (0, 4)}))
    before = source.status()
    source.step(50)
    after = source.status()
    assert ("idle", 0, None, None) == (before["state"], before["rows"], before["event_time"], before["last_error"])
    assert ("paused", 50, at(49)) == (after["state"], after["rows"], after["event_time"])
    assert int((events()["value"][:50] > 4).sum()) == after["sides"]["rejected"]


def test_the_table_of_the_status_escapes_what_a_file_may_be_called():
    source = gl.from_reader(ScriptedReader([]))
    source.name = "<script>"
    assert "&lt;script&gt;" in source._repr_html_()
