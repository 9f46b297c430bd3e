"""Cells that are run again, and sources that nobody can reach any more."""

import gc
import threading

import pytest
from played import events

import govlab as gl
from govlab.engines.streams import outlets, through
from govlab.engines.streams import source as sources
from govlab.sinks.sink import Sink
from govlab.testing import ScriptedReader

WATCH = gl.Pipeline(gl.alerts.Threshold(50, score="value"))


@pytest.fixture
def run_cell(monkeypatch):
    """Let what follows be made by a run of a cell."""
    now = [(None, None)]
    for cells in (sources.cells, through.cells, outlets.cells):
        monkeypatch.setattr(cells, "current", lambda: now[0])
    return lambda cell, run: now.__setitem__(0, (cell, run))


def waiting():
    """A reader that never ends and never has anything."""
    return ScriptedReader([events(), *[None] * 1_000_000])


def background():
    return [thread for thread in threading.enumerate() if thread.name == "govlab script"]


def test_a_cell_that_is_run_again_hears_each_alert_once(run_cell):
    source, heard = gl.from_reader(ScriptedReader([events()])), []
    for run in range(3):
        run_cell("a", run)
        source.through(WATCH).sink(lambda rows: heard.append(len(rows)))
        source.step(10)
    gl.run(source, progress=False)
    assert len(WATCH.run(events()).rows) == sum(heard)


def test_two_nodes_of_one_pipeline_in_one_cell_both_run_and_a_warning_says_so(run_cell, caplog):
    run_cell("a", 1)
    source = gl.from_reader(ScriptedReader([events()]))
    one, two = (source.through(WATCH).map(len).sink_to_list() for _ in range(2))
    gl.run(source, progress=False)
    assert len(WATCH.run(events()).rows) == sum(one) == sum(two)
    assert "the same pipeline is on script already" in caplog.text


def test_a_source_whose_cell_is_run_again_stops(run_cell):
    before = len(background())
    for run in range(4):
        run_cell("a", run)
        source = gl.from_reader(waiting()).start()
    assert before + 1 == len(background())
    source.stop()


def test_a_source_that_nobody_refers_to_stops():
    before = len(background())
    for _ in range(4):
        source = gl.from_reader(waiting())
        source.through(WATCH).sink(len)
        source.start()
    del source
    for thread in background()[before:]:
        while thread.is_alive():  # it holds its source for a moment in each turn
            gc.collect()
            thread.join(0.1)
    assert before == len(background())


def test_a_source_that_is_reached_by_what_hangs_below_it_goes_on():
    source = gl.from_reader(waiting())
    alerts = source.through(WATCH)
    source.start()
    del source
    gc.collect()
    assert [True] == [thread.is_alive() for thread in background()]
    alerts.upstreams[0].stop()


class Kept(Sink):
    """A sink that keeps what it was sent, and whether it was closed."""

    name, rows, closed = "kept", 0, 0

    def send(self, frame):
        Kept.rows += len(frame)

    def flush(self, timeout_s=60.0):
        pass

    def close(self):
        Kept.closed += 1


def test_a_cell_with_a_sink_that_is_run_again_sends_each_alert_once_and_closes_the_earlier_sink(run_cell):
    source = gl.from_reader(ScriptedReader([events()]))
    alerts = source.through(WATCH)
    Kept.rows = Kept.closed = 0
    for run in range(3):
        run_cell("b", run)
        outlets.Outlet(alerts, Kept())
        source.step(10)
    gl.run(source, progress=False)
    assert (len(WATCH.run(events()).rows), 2) == (Kept.rows, Kept.closed)
