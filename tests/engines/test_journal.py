"""A snapshot is resumed by the versions that wrote it only; a run that finished stays finished."""

import pickle
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from played import events

import govlab as gl
from govlab import registry
from govlab.engines.carrier import Carrier
from govlab.engines.journal import Journal
from govlab.errors import ArgumentError, StoreError
from govlab.sources import FrameReader
from govlab.step import Step
from govlab.stores import Snapshot, Sqlite

WATCH = gl.Pipeline(
    gl.features.WindowCount(by="actor", every="5s", lateness="2s"),
    gl.detectors.EwmaZ("count", by="actor"),
    gl.alerts.Threshold(0.5, entity="actor"),
    gl.alerts.Merge("5s"),
)


@pytest.fixture(autouse=True)
def own_key(monkeypatch):
    monkeypatch.setenv("GOVLAB_KEY", "a key of sixteen bytes or more")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("events")
    rng = np.random.default_rng(3)
    times = 1_772_409_600_000_000 + np.sort(rng.integers(0, 200_000_000, 400))
    lines = [f'{{"time": {t}, "actor": "u{a}"}}\n' for t, a in zip(times, rng.zipf(1.6, 400) % 6, strict=True)]
    (made / "a.ndjson").write_text("".join(lines))
    return made


def play(folder, store, watch=WATCH, **options):
    source = gl.from_replay(str(folder), gl.Schema({"time": "epoch_us", "actor": "string"}), order="arrival", max_rows=50)
    source.through(watch)
    return gl.run(source, store=store, progress=False, **options)


def rewritten(store, **changes):
    """Sign the snapshot anew with another writer, as that other writer would have."""
    (run,) = store.runs()
    found = store.snapshot(run)
    store.save(run, None, None, Snapshot(found.positions, found.state, found.finished, {**found.writer, **changes}, found.format))


@pytest.mark.parametrize("name", ["govlab", "pandas", "numpy", "python", "step ewma_z", "step merge"])
def test_a_snapshot_of_another_version_is_refused_with_both_named_and_nothing_is_given(folder, name):
    store = Sqlite(":memory:")
    play(folder, store, max_events=100)
    (run,) = store.runs()
    now = store.snapshot(run).writer[name]
    rewritten(store, **{name: "0.0.7"})
    with pytest.raises(StoreError, match=rf"written by {name} 0\.0\.7 and would be read by {name} {now};.*another store"):
        play(folder, store)
    with pytest.raises(StoreError, match=r"0\.0\.7"):
        WATCH.run(gl.sources.ReplayReader(str(folder), gl.Schema({"time": "epoch_us", "actor": "string"}), "arrival"), store=store)
    rewritten(store, **{name: now})
    assert ("finished", 400) == (play(folder, store).state, 400)
    store.close()


def test_a_snapshot_of_another_layout_is_refused(folder):
    store = Sqlite(":memory:")
    play(folder, store, max_events=100)
    (run,) = store.runs()
    found = store.snapshot(run)
    store.save(run, None, None, Snapshot(found.positions, found.state, False, found.writer, found.format + 1))
    with pytest.raises(StoreError, match=rf"format {found.format + 1} and would be read by format {found.format}"):
        play(folder, store)
    store.close()


@pytest.mark.parametrize("change", ["writer = '{}'", "writer = NULL", "format = 1", "format = '2x'", "state = 'text'"])
def test_what_a_snapshot_says_of_its_writer_is_signed_with_it(folder, change):
    store = Sqlite(":memory:")
    play(folder, store, max_events=100)
    store._db.execute(f"UPDATE snapshots SET {change}")
    with pytest.raises(StoreError, match="not written by this user"):
        play(folder, store)
    store.close()


def test_a_state_that_cannot_be_opened_is_a_store_error_and_no_raw_one(folder):
    store = Sqlite(":memory:")
    play(folder, store, max_events=100)
    (run,) = store.runs()
    found = store.snapshot(run)
    for state in (b"", b"no pickle", b"cnowhere\nNothing\n.", pickle.dumps(np.zeros(3))[:-20]):
        store.save(run, None, None, Snapshot(found.positions, state, False, found.writer))
        with pytest.raises(StoreError, match=r"cannot be opened .*another store"):
            play(folder, store)
    store.close()


def test_a_step_whose_version_was_raised_finds_its_old_snapshot_and_refuses_it(folder, monkeypatch):
    store = Sqlite(":memory:")
    play(folder, store, max_events=100)
    before, recipe = WATCH.hash, WATCH.steps[1].recipe()
    monkeypatch.setattr(gl.detectors.EwmaZ, "version", 2)
    with pytest.raises(StoreError, match=r"step ewma_z 1 and would be read by step ewma_z 2"):
        play(folder, store)
    assert before != WATCH.hash
    assert 2 == WATCH.steps[1].recipe()["version"]
    with pytest.raises(ArgumentError, match="version 1 of the step 'ewma_z', and here is version 2"):
        Step.from_recipe(recipe)
    assert 2 == Step.from_recipe(WATCH.steps[1].recipe()).version
    store.close()


def test_the_first_version_of_a_step_is_not_in_its_recipe_so_that_hashes_stay():
    assert [] == [
        name
        for room in registry.STEP_ROOMS
        for name in registry.names(room)
        if registry.load(room, name).version == 1 and "version" in registry.load(room, name).example().recipe()
    ]
    assert "c1fac298423c01bb" == gl.Pipeline(gl.detectors.EwmaZ("count", by="actor")).hash


@pytest.mark.parametrize("version", [0, -1, "2", 1.5, True, None])
def test_a_version_that_is_none_is_refused_when_the_class_is_made(version):
    with pytest.raises(ArgumentError, match="expected a whole number of at least 1"):
        type("Wrong", (gl.Step,), {"version": version, "process": lambda self, frame: frame})


def test_a_parameter_may_not_be_called_version():
    with pytest.raises(ArgumentError, match="give a parameter of that name another one"):

        class Wrong(gl.Step):
            version: int = 2

            def process(self, frame):
                return frame

    class Right(gl.Step):
        version: ClassVar[int] = 2

        def process(self, frame):
            return frame

    assert 2 == Right().recipe()["version"]


@settings(deadline=None, max_examples=20)
@given(holds=st.lists(st.sampled_from([0, 1, 399, 400, 1_000]), max_size=4))
def test_a_finished_run_stays_finished_wherever_it_is_asked_to_hold(folder, holds):
    store = Sqlite(":memory:")
    whole = play(folder, store)
    alerts = store.alerts()
    for hold in holds:
        play(folder, store, max_events=hold)
        (run,) = store.runs()
        assert store.snapshot(run).finished
    again = play(folder, store)
    assert ("finished", whole.rows, whole.fingerprint) == (again.state, again.rows, again.fingerprint)
    pd.testing.assert_frame_equal(alerts, store.alerts())
    assert len(alerts) > 5
    store.close()


def test_a_run_that_goes_on_behind_where_it_finished_is_not_finished_until_it_is_again():
    store = Sqlite(":memory:")
    journal = Journal(store, [FrameReader(events())], [Carrier(gl.alerts.Threshold(1.0, score="value"))])
    said = []
    for position, finished in ((40, False), (100, True), (100, False), (120, False), (120, True)):
        journal.save([{0: position}], finished)
        said.append(store.snapshot(journal.run).finished)
    assert [False, True, True, False, True] == said
    journal.close()
    store.close()
