"""A source that is played: stepped, run to a time or an alert, paused, timed; and its state, which tells the truth."""

import threading

import numpy as np
import pytest
from played import START, Running, at, events, playing, total

import govlab as gl
from govlab import frames
from govlab.clock import VirtualClock
from govlab.errors import ArgumentError, SourceError, StepError
from govlab.testing import ScriptedReader


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
    frame["score"] = np.where(np.isin(np.arange(100), [1, 2, 30, 99]), 5.0, 0.0)  # the first event waits for the second
    source, node = playing(frame, max_rows, gl.Pipeline(gl.alerts.Threshold(4.0, entity="actor")))
    seen, alerts = source.map(len).sink_to_list(), node.map(len).sink_to_list()
    assert [at(1), at(2), at(30), at(99), None] == [source.run_until("alert") for _ in range(5)]
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


def test_what_has_failed_does_not_go_on_before_it_is_wound_back():
    frame = events()
    frame.loc[0, "value"] = -1.0
    source, _ = playing(frame)
    with pytest.raises(StepError):
        source.step(2)
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


def test_in_the_background_it_runs_to_the_end_and_says_so():
    source, node = playing()
    source.start()
    source.background.join(300)
    assert ("finished", "finished", 100) == (source.state, node.state, source.events)


def test_in_the_background_an_exception_of_any_kind_is_kept_and_the_state_tells_of_it():
    for error in (ZeroDivisionError("by a sink"), SystemExit("by a sink")):
        source, _ = playing()

        def sink(_, error=error):
            raise error

        source.sink(sink)
        source.start()
        source.background.join(300)
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
    assert paused.wait(300)
    source.stop()
    assert ("paused", 7) == (source.state, source.events)
    source.resume()
    source.background.join(300)
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


def test_what_was_given_is_acknowledged_also_while_nothing_comes():
    class HoldsBack(ScriptedReader):
        """Gives the next rows when those before are acknowledged, as a queue does that has sent all it may."""

        acknowledged = 0

        def read(self, max_rows):
            return frames.empty() if self._given != self.acknowledged else super().read(max_rows)

        def commit(self, position):
            self.acknowledged = position[0]

    source = gl.from_reader(HoldsBack([events().iloc[i : i + 1].reset_index(drop=True) for i in range(3)]))
    assert ("finished", 3) == (gl.run(source, timeout_s=60, progress=False).state, source.events)
