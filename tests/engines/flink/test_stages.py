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
from govlab.engines.engine import FrameReader
from govlab.engines.flink.stages import Cut, Head, Shard, Tail
from govlab.engines.flink.travel import pack_step, unpack_step
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


def staged(pipeline, max_rows, most, put_down=False, seed=None):
    """Run the stages by hand; ``put_down`` pickles them after each turn, ``seed`` lets shards run ahead of each other."""
    head, tail, cut = Head(pipeline, FrameReader(EVENTS)), Tail(pipeline), Cut(pipeline)
    shards = {i: Shard(pickle.loads(pickle.dumps(cut.part)), i) for i in range(cut.shards)}
    rows, rng = [], random.Random(seed)
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
            rows += [given for given, _, _ in tail.take(passed)]
        if put_down:
            head, shards, tail = pickle.loads(pickle.dumps((head, shards, tail)))
            head.reader = FrameReader(EVENTS)
    return gl.frames.concat(rows), tail.summary("finished")


def same(pipeline, rows, summary):
    expected = pipeline.run(FrameReader(EVENTS))
    pd.testing.assert_frame_equal(expected.rows.reset_index(drop=True), rows.reset_index(drop=True))
    left_out = {"wall_s", "cpu_s"}
    assert {k: v for k, v in expected.summary.to_dict().items() if k not in left_out} == {
        k: v for k, v in summary.to_dict().items() if k not in left_out
    }


@pytest.mark.parametrize("name", PIPELINES)
@given(st.sampled_from([7, 50, 1_000]), st.sampled_from([40, 150, 1_000]), st.booleans(), st.one_of(st.none(), st.integers(0, 99)))
@settings(max_examples=10, deadline=None)
def test_stages_give_the_rows_and_the_summary_of_the_whole(name, max_rows, most, put_down, seed):
    pipeline = PIPELINES[name]
    same(pipeline, *staged(pipeline, max_rows, most, put_down, seed))


@pytest.mark.parametrize("sharded", [False, True], ids=["alone", "in shards"])
@pytest.mark.parametrize(("room", "name"), STEPS)
def test_every_registered_step_travels_and_says_the_same_in_stages(room, name, sharded):
    step = registry.load(room, name).example()
    pipeline = gl.Pipeline(gl.Sharded(step, by="actor", shards=3) if sharded else step)
    same(pipeline, *staged(unpack_step(pack_step(pipeline)), 60, 100, put_down=True))
