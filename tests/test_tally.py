"""Tallies of parts add up to the tally of the whole, however it is cut: into frames, partitions, stages or pipelines."""

import numpy as np
from drawn import pairs
from hypothesis import given, settings
from hypothesis import strategies as st

import govlab as gl
from govlab.engines.carrier import Carrier
from govlab.engines.streams.group import Parted
from govlab.frames import cut
from govlab.summary import Fingerprint
from govlab.tally import Tally
from govlab.testing import sample_events

EVENTS = sample_events(300, seed=5, entities=6, span_s=3_000).sort_values("time", kind="stable", ignore_index=True)
STEPS = [
    gl.prepare.Conform(gl.Schema({"time": "timestamp", "actor": "string?", "value": "float64"}), ranges={"value": (0, 4)}),
    gl.detectors.EwmaZ("value", by="actor", warm=3),
    gl.alerts.Threshold(1.0, entity="actor"),
]
# no step spans two rows, so that it makes no difference which others a part has
ROWS_ALONE = gl.Pipeline(STEPS[0], gl.detectors.Volume("value"), gl.alerts.Threshold(2.0, entity="actor"), ahead=None)
cuts = st.lists(st.integers(0, 300), max_size=4).map(lambda found: list(pairs([0, *sorted(found), 300])))


def told(tally, recipe=None):
    return tally.summary("running", recipe or {}).to_dict()


def carried(pipeline, *parts, kind=Carrier):
    carrier = kind(pipeline)
    for part in parts:
        carrier.push(part)
    return carrier


@given(cuts, st.permutations(range(5)))
@settings(max_examples=25, deadline=None)
def test_tallies_of_parts_of_the_rows_add_to_that_of_all_in_any_order(edges, order):
    parts = [carried(ROWS_ALONE, cut(EVENTS, first, last)).tally() for first, last in edges if first < last]
    whole = carried(ROWS_ALONE, EVENTS).tally()
    assert told(whole) == told(sum((parts[i] for i in order if i < len(parts)), Tally()))
    assert whole.sides["rejected"] > 0 < whole.rows
    assert whole.steps[1].scored[0].scored == whole.events - whole.sides["rejected"]


@given(cuts, st.lists(st.integers(0, 2), min_size=300, max_size=300))
@settings(max_examples=15, deadline=None)
def test_what_members_of_a_group_count_adds_to_what_one_alone_counts(edges, partition):
    shared = gl.Pipeline(gl.Sharded(STEPS, by="partition", shards=3))
    events = EVENTS.assign(partition=np.array(partition, "int32"))
    frames = [cut(events, first, last) for first, last in edges if first < last]
    alone = carried(shared, *frames)
    members = [Parted(shared), Parted(shared)]
    for member, mine in zip(members, ([0, 2], [1]), strict=True):
        member.parts |= {p: member.part(p) for p in mine}
        for frame in frames:
            member.push(frame)
    outs = [carrier.finish()[0] for carrier in (alone, *members)]
    assert len(outs[0]) == len(outs[1]) + len(outs[2])
    one, other, whole = members[0].tally(), members[1].tally(), alone.tally()
    assert told(whole, alone.recipe) == told(one + other, alone.recipe)


@given(cuts, st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_tallies_of_stages_add_to_that_of_the_whole(edges, before):
    pipeline = gl.Pipeline(*STEPS)
    head, tail, whole = Carrier(pipeline, before), Carrier(pipeline), Carrier(pipeline)
    for first, last in edges:
        frame = cut(EVENTS, first, last)
        whole.push(frame)
        out, _ = head.push(frame)
        tail.passed(tail.pipeline.process(out, before))
    assert told(whole.tally()) == told(head.tally() + tail.tally())


def test_pipelines_that_are_listed_behind_each_other_keep_their_steps_apart():
    one, other = carried(gl.Pipeline(*STEPS), EVENTS).tally(), carried(ROWS_ALONE, EVENTS).tally()
    both = told(one + other.behind(len(one.steps)))
    assert told(one)["steps"] + told(other)["steps"] == both["steps"]
    assert told(one)["scored"] + told(other)["scored"] == both["scored"]
    assert one.rows + other.rows == both["rows"]


def test_a_tally_that_was_given_does_not_change_when_the_run_goes_on():
    carrier = carried(gl.Pipeline(*STEPS), cut(EVENTS, 0, 100))
    then = carrier.tally()
    before = told(then)
    carrier.push(cut(EVENTS, 100, 300))
    assert before == told(then) != told(carrier.tally())


def test_nothing_adds_nothing():
    assert told(Tally()) == told(Tally() + Tally())
    assert Fingerprint().digest({}) == (Fingerprint() + Fingerprint()).digest({})
    assert (None, None) == (told(Tally())["event_time"], told(Tally())["lag_s"])
