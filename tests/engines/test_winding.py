"""A source that is wound back or forth: it is always as if the stream had run to where it stands."""

from unittest.mock import patch

import numpy as np
import pytest
from played import SECOND, START, Running, at, events, playing, total

import govlab as gl
from govlab.engines.streams import marks as marks_along
from govlab.errors import SourceError, StepError
from govlab.frames import event_frame, from_us
from govlab.sources import FrameReader


@pytest.fixture(params=["many marks", "few marks"])
def marks(request):
    """Marks at every frame, or only at the beginning: where one can go back to must not change what one finds."""
    with patch.object(marks_along.Marks, "due", property(lambda marks: request.param == "many marks")):
        yield


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
        with pytest.raises(StepError, match=r"Running.*0:56-62"):
            gl.run(source, progress=False)
        assert ("failed", "failed") == (source.state, node.state)
        assert "poison" in source.status()["last_error"]
        source.seek(at(30))
        assert ("paused", "running", None, 30) == (source.state, node.state, source.error, source.events)
        source.run_until(at(56))


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
    with patch.object(marks_along.Marks, "due", True), patch.object(marks_along, "KEEP_MARKS", 8):
        gl.run(source, progress=False)
        assert len(source.flow.marks) <= 8
        source.seek(at(2))
        assert (2, events()["value"][:2].sum()) == (source.events, total(node))


def test_marks_stay_small_when_the_states_are_large():
    source, _ = playing(max_rows=1)
    with patch.object(marks_along.Marks, "due", True), patch.object(marks_along, "KEEP_BYTES", 1):
        gl.run(source, progress=False)
    assert len(source.flow.marks) <= 2
