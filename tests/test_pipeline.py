import json
import pickle

import numpy as np
import pandas as pd
import pytest
from drawn import START, S, cuts, frame_of, pairs, rows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import hash_value

import govlab as gl
from govlab.errors import ArgumentError, StepError
from govlab.frames import event_frame, from_us, time_us
from govlab.step import Detector, Step
from govlab.testing import check_step, sample_events


class Fragile(Detector):
    """Raises at a value of 13."""

    column: str = "value"

    def score_one(self, x):
        if x[self.column] == 13:
            raise ZeroDivisionError("thirteen")
        return 0.0

    def learn_one(self, x):
        pass


class Broken(Step):
    """Raises at any frame, or at the end."""

    at_end: bool = False

    def process(self, frame):
        if self.at_end:
            return frame
        raise KeyError("no such thing")

    def finish(self):
        raise KeyError("no such end")


class Stamp(Step):
    """Writes the number of the row into it."""

    def start(self):
        self.row = 0

    def process(self, frame):
        first, self.row = self.row, self.row + len(frame)
        return frame.assign(row=np.arange(first, self.row))


EVENTS = sample_events(300)
WATCHES = {
    "windows": gl.Pipeline(
        gl.prepare.Deduplicate(), gl.features.WindowCount("actor", lateness="30s", max_entities=20), gl.detectors.EwmaZ("count", "actor", warm=2, max_entities=20),
        gl.alerts.Budget(5, "10min", warm="0s"),
    ),
    "nested": gl.Pipeline(gl.Pipeline(gl.prepare.Deduplicate(), gl.features.EntityRate(max_entities=20)), gl.detectors.RobustZ("rate", warm=3), gl.alerts.Threshold(1)),
    "sharded windows": gl.Pipeline(
        gl.Sharded([gl.features.WindowCount("actor", lateness="30s", max_entities=20), gl.detectors.EwmaZ("count", "actor", warm=2, max_entities=20)], shards=3),
        gl.alerts.Budget(5, "10min", warm="0s"),
    ),
    "sharded rows": gl.Pipeline(gl.Sharded([gl.detectors.EwmaZ("value", "actor", warm=2, max_entities=20)], shards=2, wait="2min"), gl.alerts.Budget(30, warm="0s")),
    "sharded partitions": gl.Pipeline(gl.Sharded(gl.features.WindowCount("actor", max_entities=20), by="partition", shards=2, wait="0s"), gl.detectors.Volume()),
}  # fmt: skip


@pytest.mark.parametrize("name", WATCHES)
def test_a_pipeline_keeps_the_contract_of_a_step(name):
    check_step(WATCHES[name], EVENTS.assign(partition=np.arange(300, dtype="int32") % 3))


@given(rows(), cuts, st.integers(1, 4), st.sampled_from([0, 60, 600]))
@settings(max_examples=40, deadline=None)
def test_shards_give_their_rows_in_order_and_wait_for_the_slowest(drawn, cuts, shards, wait):
    frame = frame_of(drawn)
    out, _ = run(gl.Sharded([Stamp()], by="key", shards=shards, wait=f"{wait}s"), frame, cuts)
    event_time, latest, waiting, expected, counts = [-(2**63)] * shards, -(2**63), [], [], [0] * shards
    for i, row in enumerate(drawn):
        s = hash_value(row["key"]) % shards
        event_time[s], latest = max(event_time[s], row["time"]), max(latest, row["time"])
        waiting.append((max(event_time[s], latest - wait * S), s, i, counts[s]))
        counts[s] += 1
        slowest = min(max(t, latest - wait * S) for t in event_time)
        ready = sorted(item for item in waiting if item[0] < slowest)
        waiting = [item for item in waiting if item[0] >= slowest]
        expected += [(i, *item[2:]) for item in ready]
    expected += [(len(drawn), *item[2:]) for item in sorted(waiting)]
    assert (
        expected == list(zip(out.index.tolist(), out["offset"].tolist(), out["row"].tolist(), strict=True)) if drawn else out.empty
    )


def test_a_shard_keeps_what_it_gives_until_the_slowest_has_passed_it_and_counts_it_as_held():
    names = [next(f"k{i}" for i in range(99) if hash_value(f"k{i}") % 2 == s) for s in (0, 1)]
    step = gl.Sharded([gl.detectors.Always()], by="actor", shards=2, wait="1h")
    first = step.process(event_frame({"time": from_us([START, START + 9 * S]), "actor": [names[0]] * 2}))
    assert (0, 2) == (len(first), step.held())
    second = step.process(event_frame({"time": from_us([START + 5 * S]), "actor": [names[1]]}))
    assert (time_us(second).tolist(), step.held()) == ([START], 2)
    assert time_us(step.finish()).tolist() == [START + 5 * S, START + 9 * S]
    assert 0 == step.held()


def test_an_idle_shard_is_waited_for_no_longer_than_said():
    step = gl.Sharded([gl.detectors.Always()], by="actor", shards=2, wait="1min")
    out = step.process(event_frame({"time": from_us([START, START + 61 * S]), "actor": ["a", "a"]}))
    assert (time_us(out).tolist(), out.index.tolist()) == ([START], [1])


def test_a_row_lives_in_the_shard_of_its_key_or_its_partition():
    by_key = gl.Sharded([gl.detectors.Always()], by="actor", shards=8).shard_of(EVENTS)
    assert [hash_value(a if isinstance(a, str) else None) % 8 for a in EVENTS["actor"].tolist()] == by_key.tolist()
    partitions = event_frame({"time": from_us([START] * 3), "partition": np.array([0, 5, 8], "int32")})
    assert [0, 1, 0] == gl.Sharded([gl.detectors.Always()], by="partition", shards=4).shard_of(partitions).tolist()


@pytest.mark.parametrize("name", WATCHES)
def test_a_recipe_makes_the_same_pipeline_again(name):
    again = Step.from_recipe(WATCHES[name].recipe())
    assert (WATCHES[name], WATCHES[name].hash) == (again, again.hash)
    assert WATCHES[name].run(EVENTS).summary.fingerprint == again.run(EVENTS).summary.fingerprint


def test_a_duration_given_as_a_timedelta_is_text_in_the_recipe():
    step = gl.detectors.EwmaZ(expire=pd.Timedelta("36h"))
    again = Step.from_recipe(json.loads(json.dumps(step.recipe())))
    assert (again.expire, again.recipe()) == ("1 days 12:00:00", step.recipe())


@pytest.mark.parametrize("name", WATCHES)
def test_running_twice_gives_the_same_since_engines_run_fresh_copies(name):
    first, second = WATCHES[name].run(EVENTS), WATCHES[name].run(EVENTS)
    assert first.summary.fingerprint == second.summary.fingerprint
    pd.testing.assert_frame_equal(first.rows, second.rows, check_exact=True)
    assert len(first.rows)


@pytest.mark.parametrize("name", WATCHES)
@given(edges=st.lists(st.integers(1, 299), max_size=6))
@settings(max_examples=6, deadline=None)
def test_the_fingerprint_of_a_run_does_not_depend_on_the_cut(name, edges):
    bounds = [0, *sorted(edges), 300]
    parts = [EVENTS.iloc[a:b] for a, b in pairs(bounds)]
    assert WATCHES[name].run(EVENTS).summary.fingerprint == WATCHES[name].run(parts).summary.fingerprint


def test_the_number_of_shards_is_part_of_the_recipe():
    two, three = (gl.Pipeline(gl.Sharded([gl.detectors.Always()], shards=n)) for n in (2, 3))
    assert two.hash != three.hash


def test_the_hash_of_a_recipe_is_stable_and_another_parameter_makes_another():
    def make(**more):
        return gl.Pipeline(gl.features.WindowCount("actor"), gl.detectors.EwmaZ("count", **more))

    assert "dc70a8f86578ca72" == gl.Pipeline(gl.detectors.Always()).hash
    assert make().hash == make().hash == make(alpha=0.1).hash == pickle.loads(pickle.dumps(make())).hash
    assert make().hash != make(alpha=0.2).hash


def test_alerts_carry_the_hash_of_the_whole_recipe_also_from_inside_shards_and_nested_pipelines():
    inner = [gl.detectors.Always(), gl.alerts.Threshold(0.5, entity="actor")]
    for watch in (gl.Pipeline(*inner), gl.Pipeline(gl.Pipeline(*inner)), gl.Pipeline(gl.Sharded(inner))):
        assert {watch.hash} == set(watch.run(EVENTS).rows["recipe"])


@pytest.mark.parametrize("by", ["partition", "actor"])
def test_the_same_window_of_two_shards_makes_two_alerts_which_a_store_keeps_both(tmp_path, by):
    window = [gl.features.WindowCount(every="1min", lateness="0s"), gl.alerts.Threshold(1, score="count")]
    rows = sample_events(300).assign(partition=np.arange(300, dtype="int32") % 3)
    watch = gl.Pipeline(gl.Sharded(window, by=by, shards=3))
    alerts = watch.run(rows).rows
    assert len(alerts) == alerts["id"].nunique() > alerts.drop_duplicates(["entity", "start", "time"]).shape[0]
    kept = watch.run(rows, store=tmp_path / "lab.db").rows
    assert sorted(alerts["id"]) == sorted(kept["id"])


def test_the_entity_of_an_alert_after_shards_is_that_of_the_steps_inside():
    rows = WATCHES["sharded windows"].run(EVENTS).rows
    assert {f"u{i}" for i in range(1, 12)} | {""} >= set(rows["entity"])
    assert {"ewma_z"} == set(rows["detector"])


def failing(*steps, values=(1, 2, 13, 4)):
    return gl.Pipeline(*steps), event_frame(
        {"time": from_us([START] * len(values)), "value": list(values), "actor": "a"}, offset=40
    )


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([gl.detectors.Always(), Fragile()], r"step 2 of 2, .*:Fragile, raised ZeroDivisionError: thirteen \(on rows 0:42\)"),
        ([Broken()], r"step 1 of 1, .*:Broken, raised KeyError: 'no such thing' \(on rows 0:40-43\)"),
        (
            [gl.Pipeline(gl.detectors.Always(), Fragile())],
            r"step 1 of 1, .*Pipeline, in it step 2 of 2, .*:Fragile, raised .* \(on rows 0:42\)",
        ),
        (
            [gl.Sharded([Fragile()])],
            r"step 1 of 1, .*Sharded, in it step 1 of 1, .*:Fragile, raised ZeroDivisionError: thirteen \(on rows 0:42\)",
        ),
        ([Broken(at_end=True)], r"step 1 of 1, .*:Broken, raised KeyError: 'no such end' \(on rows none\)"),
    ],
)
def test_a_step_that_raises_is_named_with_its_place_and_the_rows(steps, message):
    watch, frame = failing(*steps)
    with pytest.raises(StepError, match=message) as caught:
        watch.run(frame)
    assert isinstance(caught.value.__cause__, Exception)
    assert isinstance(caught.value.cause, ZeroDivisionError | KeyError)


def test_an_error_of_a_step_pickles():
    again = pickle.loads(pickle.dumps(StepError("step 1 of 1, x,", "0:1", ValueError("no"))))
    assert "step 1 of 1, x, raised ValueError: no (on rows 0:1)" == str(again)


@pytest.mark.parametrize("wrap", [lambda step: step, gl.Pipeline, lambda step: gl.Sharded([step], by="event_id", shards=2)])
def test_what_is_put_aside_carries_the_step_and_the_reason(wrap):
    events = event_frame({"time": from_us([START] * 2), "event_id": ["a", "a"]})
    sides = gl.Pipeline(gl.detectors.Always(), wrap(gl.prepare.Deduplicate())).run(events).sides
    assert [("deduplicate", "event_id was seen within 1h")] == list(
        zip(sides["duplicate"]["step"], sides["duplicate"]["reason"], strict=True)
    )


def test_what_a_step_holds_at_the_end_passes_through_the_steps_after_it():
    result = gl.Pipeline(gl.features.WindowCount(), gl.detectors.Volume(), gl.alerts.Threshold(2)).run(
        event_frame({"time": from_us([START] * 3)})
    )
    assert [3.0] == result.rows["score"].tolist()
    assert [(3, 1), (1, 1), (1, 1)] == [(step["taken"], step["given"]) for step in result.summary.steps]


def test_a_pickled_pipeline_goes_on_where_it_stood():
    whole, first = WATCHES["sharded windows"].fresh(), WATCHES["sharded windows"].fresh()
    one = [whole.process(EVENTS), whole.finish()]
    two = [first.process(EVENTS.iloc[:120].reset_index(drop=True))]
    second = pickle.loads(pickle.dumps(first))
    two += [second.process(EVENTS.iloc[120:].reset_index(drop=True)), second.finish()]
    one, two = (pd.concat([part for part in parts if len(part)], ignore_index=True) for parts in (one, two))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_a_pipeline_shows_the_arguments_that_differ_from_the_defaults_only():
    text = repr(gl.Pipeline(gl.Sharded([gl.detectors.EwmaZ("value")], by="key"), gl.Pipeline(gl.alerts.Threshold(3))))
    shards = "Sharded([EwmaZ('value')], by='key', shards=8, wait='1min')"
    assert f"Pipeline(\n    {shards},\n    Pipeline(\n        Threshold(3),\n    ),\n)" == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gl.Pipeline(), "give at least one step, such as"),
        (lambda: gl.Pipeline(gl.detectors.Always), "is not a step \\(write it with parentheses\\)"),
        (lambda: gl.Pipeline("ewma_z"), "'ewma_z' is not a step; expected instances of govlab.Step"),
        (lambda: gl.Sharded([gl.detectors.Always()], shards=0), "shards=0; expected a whole number of at least 1 and at most 4096"),
        (lambda: gl.Sharded([gl.detectors.Always()], wait="soon"), "wait='soon' is not a duration; expected text such as"),
        (lambda: gl.Sharded([]), "give at least one step"),
        (lambda: Step.from_recipe({"step": "ewma_y"}), "there is no step 'ewma_y'. Did you mean 'ewma_z'?"),
    ],
)
def test_a_pipeline_of_what_is_no_step_is_refused(make, message):
    with pytest.raises(ArgumentError, match=message):
        make()
