"""An interrupt from the keyboard at any row of any way to play: nothing is lost, nothing comes twice."""

import signal
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import govlab as gl
from govlab.engines.interrupts import Torn
from govlab.errors import SourceError
from govlab.sources import FrameReader
from govlab.testing import sample_events

EVENTS = sample_events(400)
LEFT = []  # signals still to be raised, each with the offset of the row at which it comes


class Counting(gl.Step):
    """Numbers the rows in its state, and is interrupted in the middle of changing it."""

    def start(self):
        self._seen = 0

    def process(self, frame):
        first, self._seen = self._seen, self._seen + len(frame)
        if len(frame) and LEFT and LEFT[0] <= frame["offset"].iloc[-1]:
            while LEFT and LEFT[0] <= frame["offset"].iloc[-1]:
                LEFT.pop(0)
                signal.raise_signal(signal.SIGINT)
        self._seen = first + len(frame)
        return frame.assign(number=range(first, first + len(frame)))


COUNTS = gl.Pipeline(Counting())
ALERTS = gl.Pipeline(Counting(), gl.detectors.EwmaZ("value", by="actor"), gl.alerts.Threshold(1.5, entity="actor"))


def playing(max_rows=64):
    source = gl.from_reader(FrameReader(EVENTS), max_rows=max_rows)
    before, after = source.map(lambda rows: rows["offset"].tolist()).sink_to_list(), []
    counted = source.through(COUNTS)
    counted.sink(after.append)
    alerts = counted.through(ALERTS).sink_to_list()
    last = source.map(len).sink_to_list()
    return source, before, after, alerts, last


def play(source, way, store):
    """Play on to the end, however often it is interrupted."""
    while source.state != "finished":
        try:
            if way == "run":
                gl.run(source, store=store, progress=False)
            elif way == "step":
                source.step(150)
            elif way == "until":
                source.run_until(EVENTS["time"].iloc[min(len(EVENTS) - 1, source.events + 100)])
                source.step(1)
            elif way == "alert":
                source.run_until("alert")
            else:
                source.seek("2100-01-01")
        except KeyboardInterrupt:
            continue


def flat(parts):
    return [x for part in parts for x in part]


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    way=st.sampled_from(["run", "step", "until", "alert", "seek"]),
    kept=st.booleans(),
    rows=st.sampled_from([1, 7, 64, 400]),
    at=st.lists(st.integers(0, 399), max_size=3).map(sorted),
    presses=st.integers(1, 2),
)
def test_whatever_is_interrupted_and_played_on_says_what_one_run_says(way, kept, rows, at, presses):
    expected = gl.Pipeline(*ALERTS.steps).run(EVENTS).rows["id"].tolist()
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "lab.db") if kept and way == "run" else None
        source, before, after, alerts, last = playing(rows)
        LEFT[:] = [row for row in at for _ in range(presses)]
        play(source, way, store)
        assert [] == LEFT
        assert list(range(400)) == flat(before)
        assert list(range(400)) == pd.concat(after)["offset"].tolist()
        assert list(range(400)) == pd.concat(after)["number"].tolist()
        assert 400 == sum(last) == source.events
        assert expected == flat(frame["id"].tolist() for frame in alerts)
        if store:
            kept_rows = gl.stores.Sqlite(store)
            assert sorted(expected) == sorted(kept_rows.alerts()["id"])
            kept_rows.close()


def test_a_second_interrupt_stops_a_step_in_the_middle_and_the_source_does_not_count_its_rows():
    source, before, after, _, last = playing(400)
    source.step(100)
    LEFT[:] = [150, 150]
    with pytest.raises(Torn):
        source.step(300)
    assert (100, "paused") == (source.events, source.state)
    assert 100 == sum(map(len, after)) == sum(last)
    source.step(300)
    assert list(range(400)) == flat(before) == pd.concat(after)["number"].tolist()


def test_an_interrupted_seek_goes_on_to_its_goal_before_anything_else_is_played():
    source, _, after, _, _ = playing(16)
    goal = EVENTS["time"].iloc[300]
    source.step(400)
    after.clear()
    LEFT[:] = [200, 200]
    with pytest.raises(KeyboardInterrupt):
        source.seek(goal)
    assert [] == after
    source.step(1)
    first = int((EVENTS["time"] < goal).sum())
    assert [first] == pd.concat(after)["number"].tolist()


def test_a_step_that_does_not_pickle_is_taken_again_from_the_first_row():
    class Locked(Counting):
        def start(self):
            super().start()
            self._unpicklable = lambda: None

    source = gl.from_reader(FrameReader(EVENTS), max_rows=50)
    out = source.through(gl.Pipeline(Locked())).sink_to_list()
    source.step(200)
    LEFT[:] = [210, 210]
    with pytest.raises(KeyboardInterrupt):
        source.step(200)
    source.step(200)
    assert list(range(400)) == pd.concat(out)["number"].tolist()


def test_a_plain_loop_that_is_interrupted_keeps_what_it_has_done_in_its_store(tmp_path):
    store = str(tmp_path / "lab.db")
    LEFT[:] = [250]
    with pytest.raises(KeyboardInterrupt):
        ALERTS.run(EVENTS, store=store, max_rows=50)
    LEFT[:] = [300, 300]
    with pytest.raises(KeyboardInterrupt):
        ALERTS.run(EVENTS, store=store, max_rows=50)
    again = ALERTS.run(EVENTS, store=store, max_rows=50)
    whole = ALERTS.run(EVENTS)
    assert (whole.summary.fingerprint, len(whole.rows)) == (again.summary.fingerprint, len(again.rows))


def rung(presses):
    """Frames from a generator, in whose second one the interrupt comes."""
    for first in range(0, 400, 100):
        if first == 100:
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)
        yield EVENTS.iloc[first : first + 100]


def test_a_second_interrupt_does_not_stop_a_generator_which_could_not_be_read_again():
    source = gl.from_reader(rung(2))
    out = source.through(COUNTS).sink_to_list()
    with pytest.raises(KeyboardInterrupt):
        gl.run(source, progress=False)
    assert 400 == gl.run(source, progress=False).events
    assert list(range(400)) == pd.concat(out)["number"].tolist()


def test_a_generator_that_a_third_interrupt_has_stopped_is_an_error_and_never_the_end():
    source = gl.from_reader(rung(3))
    with pytest.raises(KeyboardInterrupt):
        gl.run(source, progress=False)
    with pytest.raises(SourceError, match="stopped in the middle"):
        gl.run(source, progress=False)
    assert "failed" == source.state


class Pressed(FrameReader):
    """A reader at which somebody presses Ctrl-C while it is opened where a run stood."""

    presses = 0

    def open(self, position=None):
        if position:
            for _ in range(self.presses):
                signal.raise_signal(signal.SIGINT)
        super().open(position)


@pytest.mark.parametrize("presses", [1, 2, 3])
def test_an_interrupt_while_a_stored_run_is_resumed_leaves_it_where_it_stood(tmp_path, monkeypatch, presses):
    def source():
        made = gl.from_reader(Pressed(EVENTS), max_rows=32)
        made.through(gl.Pipeline(gl.detectors.EwmaZ("value"), gl.alerts.Threshold(2.0)))
        return made

    expected = gl.run(source(), store=tmp_path / "whole.db", progress=False)
    gl.run(source(), store=tmp_path / "a.db", max_events=150, progress=False)
    resumed = source()
    monkeypatch.setattr(Pressed, "presses", presses)
    with pytest.raises(KeyboardInterrupt):
        gl.run(resumed, store=tmp_path / "a.db", progress=False)
    monkeypatch.setattr(Pressed, "presses", 0)
    assert expected.fingerprint == gl.run(resumed, store=tmp_path / "a.db", progress=False).fingerprint
    stores = [gl.stores.Sqlite(tmp_path / name) for name in ("whole.db", "a.db")]
    pd.testing.assert_frame_equal(*(store.alerts() for store in stores))
    for store in stores:
        store.close()
