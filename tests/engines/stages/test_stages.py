"""A pipeline cut into stages says what it says in one piece, wherever it is cut and put down."""

import pickle
import random
from collections import deque

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import govlab as gl
from govlab import registry
from govlab.engines.engine import Output
from govlab.engines.stages.stages import Head, Shard, Tail, cut
from govlab.engines.stages.travel import pack_step, unpack_step
from govlab.errors import StepError
from govlab.sources import FrameReader
from govlab.testing import sample_events

EVENTS = sample_events(400, seed=3, entities=9, span_s=4_000)
STEPS = [(room, name) for room in registry.STEP_ROOMS for name in registry.names(room)]
COUNT = [gl.features.WindowCount(every="1min", by="actor", lateness="5s"), gl.detectors.EwmaZ("count", by="actor")]
PIPELINES = {
    "whole": gl.Pipeline(*COUNT, gl.alerts.Threshold(above=1.0)),
    "sharded": gl.Pipeline(gl.Sharded([*COUNT, gl.alerts.Threshold(above=1.0)], by="actor", shards=3)),
    "before and after": gl.Pipeline(
        gl.prepare.Deduplicate("event_id", within="1h"),
        gl.Sharded(COUNT, by="actor", shards=4, wait="30s"),
        gl.alerts.Threshold(above=1.0),
        gl.alerts.Budget(per_day=40),
    ),
    "sharded twice": gl.Pipeline(
        gl.Sharded(COUNT[:1], by="actor", shards=4), gl.Sharded(COUNT[1:], by="actor", shards=2), gl.alerts.Threshold(above=1.0)
    ),
}


def staged(pipeline, max_rows, most, put_down=False, seed=None, events=EVENTS):
    """Run the stages by hand; ``put_down`` pickles them after each turn, ``seed`` lets shards run ahead of each other."""
    head, tail, (_, sharded) = Head(pipeline, FrameReader(events)), Tail(pipeline), cut(pipeline)
    shards = {i: Shard(sharded.part(i), i) for i in range(sharded.shards)} if sharded else {}
    output, rng = Output(), random.Random(seed)
    while not tail.finished:
        queues = {}  # messages to one shard keep their order
        for number, message in head.read(max_rows, most=most):
            queues.setdefault(number, deque()).append(pickle.dumps(message))
        while queues:
            number = rng.choice(sorted(queues)) if seed is not None else next(iter(queues))
            message = pickle.loads(queues[number].popleft())
            if not queues[number]:
                del queues[number]
            passed = message if number < 0 else shards[number].take(message)
            for out, _ in tail.take(passed):
                output.add(*out)
        if put_down:
            head, shards, tail = pickle.loads(pickle.dumps((head, shards, tail)))
            head.reader = FrameReader(events)
    return output.result(tail.summary("finished"))


def same(pipeline, actual, events=EVENTS):
    expected = pipeline.run(FrameReader(events))
    pd.testing.assert_frame_equal(expected.rows.reset_index(drop=True), actual.rows.reset_index(drop=True))
    assert sorted(expected.sides) == sorted(actual.sides)
    for side, rows in expected.sides.items():
        pd.testing.assert_frame_equal(rows, actual.sides[side])
    left_out = {"wall_s", "cpu_s"}
    assert {k: v for k, v in expected.summary.to_dict().items() if k not in left_out} == {
        k: v for k, v in actual.summary.to_dict().items() if k not in left_out
    }


@pytest.mark.parametrize("name", PIPELINES)
@given(st.sampled_from([7, 50, 1_000]), st.sampled_from([40, 150, 1_000]), st.booleans(), st.one_of(st.none(), st.integers(0, 99)))
@settings(max_examples=10, deadline=None)
def test_stages_give_the_rows_and_the_summary_of_the_whole(name, max_rows, most, put_down, seed):
    pipeline = PIPELINES[name]
    same(pipeline, staged(pipeline, max_rows, most, put_down, seed))


@pytest.mark.parametrize("sharded", [False, True], ids=["alone", "in shards"])
@pytest.mark.parametrize(("room", "name"), STEPS)
def test_every_registered_step_travels_and_says_the_same_in_stages(room, name, sharded):
    step = registry.load(room, name).example()
    pipeline = gl.Pipeline(gl.Sharded(step, by="actor", shards=3) if sharded else step)
    same(pipeline, staged(unpack_step(pack_step(pipeline)), 60, 100, put_down=True))


def with_ahead():
    """Put rows of 2099 among the events: one, three in a row, and one at the end; then an outage of two days."""
    events = EVENTS.copy()
    events.loc[[0, 90, 200, 201, 202, 399], "time"] = pd.Timestamp("2099-01-01", tz="UTC").as_unit("us")
    later = EVENTS.assign(time=(EVENTS["time"] + pd.Timedelta("2D")).dt.as_unit("us"), offset=EVENTS["offset"] + 400)
    return pd.concat([events, later], ignore_index=True)


BY_PARTITION = gl.Pipeline(gl.Sharded([*COUNT, gl.alerts.Threshold(above=1.0)], by="partition", shards=3))


@pytest.mark.parametrize("name", [*PIPELINES, "by partition"])
@given(st.sampled_from([7, 50, 1_000]), st.sampled_from([40, 150, 1_000]), st.booleans())
@settings(max_examples=6, deadline=None)
def test_rows_far_ahead_are_put_aside_once_and_counted_as_in_the_whole(name, max_rows, most, put_down):
    pipeline, events = PIPELINES.get(name, BY_PARTITION), with_ahead()
    events["partition"] = (events["offset"] % 3).astype("int32")
    result = staged(pipeline, max_rows, most, put_down, events=events)
    same(pipeline, result, events)
    assert 6 == result.summary.sides["ahead"] == len(result.sides["ahead"])


class Fragile(gl.Step):
    """Raises at a value above 40."""

    def process(self, frame):
        if (frame["value"] > 40).any():
            raise ZeroDivisionError("boom")
        return frame


def test_a_step_before_the_shards_that_fails_is_named_with_its_rows():
    times = pd.date_range("2026-03-02", periods=50, freq="1s", tz="UTC")
    events = gl.event_frame({"time": times, "actor": "a", "value": range(50)})
    pipeline = gl.Pipeline(Fragile(), gl.Sharded([gl.detectors.EwmaZ("value")], by="actor", shards=2))
    message = r"step 1 of 2, .*:Fragile, raised ZeroDivisionError: boom \(on rows 0:40-49\)"
    with pytest.raises(StepError, match=message):
        pipeline.run(events, max_rows=10)
    with pytest.raises(StepError, match=message):
        list(Head(pipeline, FrameReader(events)).read(10))
