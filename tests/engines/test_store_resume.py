"""A run with a store that is killed and started again ends with exactly what one that was not would have."""

import signal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from played import START, Running, at, events, total

import govlab as gl
from govlab.errors import ArgumentError, StoreError
from govlab.frames import event_frame, from_us
from govlab.sources import FrameReader
from govlab.stores import Sqlite
from govlab.testing import ScriptedReader

WATCH = gl.Pipeline(
    gl.features.WindowCount(by="actor", every="5s", lateness="2s"),
    gl.detectors.EwmaZ("count", by="actor"),
    gl.alerts.Threshold(0.5, entity="actor"),
)
SCHEMA = gl.Schema({"time": "epoch_us", "actor": "string"})


class Killed(BaseException):
    """What no handler of a run may catch: the nearest thing to a kill within a process (test_kill does it in earnest)."""


@pytest.fixture(autouse=True)
def own_key(monkeypatch):
    monkeypatch.setenv("GOVLAB_KEY", "mine, and of length")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two files, with late events and bad lines."""
    rng, made = np.random.default_rng(5), tmp_path_factory.mktemp("events")
    for part in "ab":
        times = START + np.sort(rng.integers(0, 200_000_000, 400)) - rng.integers(0, 4_000_000, 400) * (rng.random(400) < 0.2)
        lines = [f'{{"time": {t}, "actor": "u{a}"}}' for t, a in zip(times, rng.zipf(1.6, 400) % 6, strict=True)]
        lines[50] = lines[399] = "bad"
        (made / f"{part}.ndjson").write_text("\n".join(lines) + "\n")
    return made


def source_of(folder, max_rows=50, order="arrival", watch=WATCH):
    source = gl.from_replay(str(folder), SCHEMA, order=order, max_rows=max_rows)
    return source, source.through(watch)


def kept(store):
    return store.alerts().drop(columns="recipe"), store.dead_letters()


def same(expected, actual):
    for one, other in zip(kept(expected), kept(actual), strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.fixture(scope="module")
def whole(folder):
    """What a run that nobody disturbs leaves behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOVLAB_KEY", "mine, and of length")
        store = Sqlite(":memory:")
        source, _ = source_of(folder)
        summary = gl.run(source, store=store, progress=False)
        yield store, summary
        store.close()


def killed_at(source, frames):
    seen = []

    def kill(rows):
        seen.append(len(rows))
        if len(seen) == frames:
            raise Killed

    source.sink(kill)


def test_the_run_that_is_not_killed_gives_alerts_and_dead_letters_to_compare_with(whole):
    store, summary = whole
    assert len(store.alerts()) > 20
    assert [50, 399, 50, 399] == store.dead_letters()["offset"].tolist()
    assert ("finished", 796, 4) == (summary.state, summary.events, summary.dead_letters)


@settings(deadline=None, max_examples=12)
@given(kills=st.lists(st.tuples(st.integers(1, 12), st.sampled_from([7, 50, 1_000]), st.sampled_from([0.0, 1e9])), max_size=4))
def test_a_run_killed_at_any_frames_and_started_again_leaves_the_same_behind(folder, whole, kills):
    store = Sqlite(":memory:")
    for frames, max_rows, every_s in kills:
        source, _ = source_of(folder, max_rows)
        killed_at(source, frames)
        try:
            gl.run(source, store=store, progress=False, save_every_s=every_s)
        except Killed:
            assert "paused" == source.state
    source, _ = source_of(folder)
    summary = gl.run(source, store=store, progress=False)
    same(whole[0], store)
    assert (whole[1].fingerprint, whole[1].events, 4) == (summary.fingerprint, summary.events, summary.dead_letters)
    store.close()


@pytest.mark.parametrize("engine", [gl.engines.local.Local, gl.engines.streams.Streams])
def test_any_engine_goes_on_from_where_another_was_held(folder, whole, engine):
    store = Sqlite(":memory:")
    source, _ = source_of(folder)
    gl.run(source, store=store, max_events=300, progress=False)
    result = engine().run(WATCH, gl.sources.ReplayReader(str(folder), SCHEMA, "arrival"), store=store)
    same(whole[0], store)
    assert whole[1].fingerprint == result.summary.fingerprint
    assert whole[0].alerts()["id"].tolist() == result.rows["id"].tolist()
    store.close()


def test_a_run_that_was_finished_is_not_run_again(folder):
    store = Sqlite(":memory:")
    for _ in range(2):
        source, node = source_of(folder)
        given_rows = source.map(len).sink_to_list()
        summary = gl.run(source, store=store, progress=False)
    assert ([], "finished", "finished", 796) == (given_rows, source.state, node.state, summary.events)
    store.close()


def test_held_at_a_time_a_run_is_taken_up_by_another_process_up_to_the_next(folder, whole):
    store = Sqlite(":memory:")
    for until in (at(20), at(20), at(100), None):
        source, _ = source_of(folder, order="event")
        gl.run(source, until=until, store=store, progress=False)
    other = Sqlite(":memory:")
    source, _ = source_of(folder, order="event")
    gl.run(source, store=other, progress=False)
    same(other, store)
    assert len(other.alerts()) > 20
    store.close()
    other.close()


def test_two_sources_whose_files_have_one_name_are_taken_up_each_where_it_stood(tmp_path):
    for i, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        lines = [f'{{"time": {START + (2 * j + i) * 1_000_000}, "actor": "{name}"}}\n' for j in range(100 - 80 * i)]
        (tmp_path / name / "events.ndjson").write_text("".join(lines))

    def play(store, **options):
        sources = [gl.from_replay(tmp_path / name / "events.ndjson", SCHEMA, max_rows=9) for name in "ab"]
        node = sources[0].union(sources[1]).through(gl.Pipeline(gl.features.WindowCount(by="actor", every="5s", lateness="0s")))
        return gl.run(*sources, store=store, progress=False, **options), node

    store = Sqlite(":memory:")
    play(store, max_events=70)
    resumed, node = play(store)
    undisturbed, _ = play(None)
    assert (120, 0) == (node.carrier.counted.events, resumed.late)
    assert undisturbed.fingerprint == resumed.fingerprint
    store.close()


def test_a_file_of_the_same_name_elsewhere_is_another_run(folder, tmp_path):
    store = Sqlite(":memory:")
    gl.run(source_of(folder / "a.ndjson")[0], store=store, progress=False)
    (tmp_path / "a.ndjson").write_bytes((folder / "a.ndjson").read_bytes())
    source, _ = source_of(tmp_path / "a.ndjson")
    seen = source.map(len).sink_to_list()
    gl.run(source, store=store, progress=False)
    assert 398 == sum(seen)
    store.close()


def test_other_frames_at_hand_are_another_run_and_the_same_ones_are_not():
    store = Sqlite(":memory:")
    loud = gl.Pipeline(gl.alerts.Threshold(5.0, score="value", entity="actor"))
    runs = [loud.run(frame, store=store) for frame in (events(50), events(80, seed=1), events(50))]
    expected = [int((frame["value"] >= 5).sum()) for frame in (events(50), events(80, seed=1))]
    assert [*expected, expected[0]] == [len(result.rows) for result in runs]
    store.close()


def test_what_the_broker_is_told_never_leads_what_is_stored():
    store = Sqlite(":memory:")
    told = []

    class Broker(ScriptedReader):
        def commit(self, position):
            told.append((dict(position), {k: dict(v) for k, v in store.snapshot(journal_run(store)).positions.items()}))

    source = gl.from_reader(Broker([events(30), None, events(30)]), max_rows=7)
    source.through(Running())
    gl.run(source, store=store, progress=False, save_every_s=0.0, max_events=44)
    assert told[-1] == ({0: 44}, {"script": {0: 44}})
    assert all(position == stored["script"] for position, stored in told)
    store.close()


def journal_run(store):
    return store._db.execute("SELECT run FROM snapshots").fetchone()[0]


def test_a_resumed_run_can_be_wound_back_to_before_it_was_killed():
    store = Sqlite(":memory:")
    for _ in range(2):
        source = gl.from_reader(FrameReader(events()), max_rows=7)
        node = source.through(Running())
        gl.run(source, store=store, max_events=40, progress=False)
    source.seek(at(10))
    assert (10, events()["value"][:10].sum()) == (source.events, total(node))
    source.seek(at(90))
    assert (90, events()["value"][:90].sum()) == (source.events, total(node))
    store.close()


def test_a_step_that_fails_is_tried_again_from_the_last_snapshot():
    store, frame = Sqlite(":memory:"), events()
    frame.loc[60, "value"] = -1.0
    tried = []
    for max_events in (42, None, None):
        source = gl.from_reader(FrameReader([frame]), max_rows=7)
        source.through(Running())
        seen = source.map(len).sink_to_list()
        try:
            gl.run(source, store=store, progress=False, max_events=max_events, save_every_s=1e9)
        except gl.errors.StepError as error:
            tried.append((sum(seen), error.positions))
        assert 42 == store.snapshot(journal_run(store)).positions["frames"][0]
    assert [(14, "0:56-62")] * 2 == tried
    store.close()


def test_a_store_that_fails_stops_the_run_and_the_source_can_go_on():
    class Full(Sqlite):
        def save(self, *args):
            raise StoreError("the disk is full")

    source = gl.from_reader(FrameReader(events()), max_rows=7)
    node = source.through(Running())
    store = Full(":memory:")
    with pytest.raises(StoreError, match="the disk is full"):
        gl.run(source, store=store, progress=False, save_every_s=0.0)
    assert "paused" == source.state
    gl.run(source, progress=False)
    assert events()["value"].sum() == total(node)
    store.close()


def test_a_snapshot_that_another_wrote_is_not_unpickled(folder, tmp_path, monkeypatch):
    path = tmp_path / "lab.db"
    gl.run(source_of(folder)[0], store=path, max_events=100, progress=False)
    monkeypatch.setenv("GOVLAB_KEY", "yours, of a length")
    with pytest.raises(StoreError, match="not written by this user"):
        gl.run(source_of(folder)[0], store=path, progress=False)


def test_what_is_no_store_is_refused_before_anything_is_given(folder):
    source, node = source_of(folder)
    with pytest.raises((StoreError, ArgumentError), match="store=5"):
        gl.run(source, store=5, progress=False)
    assert 0 == node.carrier.counted.events


def test_a_step_whose_state_cannot_be_pickled_runs_without_a_store_and_says_so_with_one():
    class Local(gl.Step):
        def process(self, frame):
            return frame

    source = gl.from_reader(FrameReader(events()), max_rows=7)
    node = source.through(Local())
    assert 100 == gl.run(source, progress=False).events
    source.seek(at(10))
    assert 10 == node.carrier.counted.events
    store = Sqlite(":memory:")
    with pytest.raises(StoreError, match="already given 10 events"):
        gl.run(source, store=store, progress=False)
    other = gl.from_reader(FrameReader(events()), max_rows=7)
    other.through(Local())
    with pytest.raises(StoreError, match=r"cannot be pickled.*Local"):
        gl.run(other, store=store, progress=False)
    store.close()


def test_alerts_told_twice_are_kept_once(folder, whole):
    store = Sqlite(":memory:")
    for max_rows in (13, 50):
        source, _ = source_of(folder, max_rows)
        gl.run(source, store=store, progress=False, save_every_s=0.0)
        store._db.execute("DELETE FROM snapshots")
    same(whole[0], store)
    store.close()


def test_times_of_alerts_are_kept_to_the_microsecond():
    store = Sqlite(":memory:")
    frame = event_frame({"time": from_us(np.array([START + 1, START + 999_999])), "actor": "ann", "value": [9.0, 9.0]})
    gl.Pipeline(gl.alerts.Threshold(5.0, score="value", entity="actor")).run(frame, store=store)
    assert [START + 1, START + 999_999] == store.alerts()["time"].astype("int64").tolist()
    store.close()


@pytest.mark.parametrize("engine", ["local", "streams"])
def test_a_finished_run_that_is_started_again_stays_finished_whatever_it_is_asked(folder, tmp_path, engine):
    watch = gl.Pipeline(*WATCH.steps, gl.alerts.Merge("20s"))

    def go(**options):
        if engine == "local":
            return watch.run(gl.sources.ReplayReader(str(folder), SCHEMA), store=tmp_path / "lab.db", **options).summary
        source, _ = source_of(folder, watch=watch)
        return gl.run(source, store=tmp_path / "lab.db", progress=False, **options)

    whole = go()
    for options in ({"max_events": 0}, {}, {"max_events": 5}):
        again = go(**options)
        assert ("finished", whole.rows, whole.fingerprint) == (again.state, again.rows, again.fingerprint)


def test_a_run_with_a_store_that_was_interrupted_goes_on_when_its_cell_runs_again(folder, tmp_path):
    source, _ = source_of(folder)
    stop = source.map(lambda rows: source.events == 400 and signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        gl.run(source, store=tmp_path / "lab.db", progress=False)
    stop.destroy()
    done = gl.run(source, store=tmp_path / "lab.db", progress=False)
    assert WATCH.run(gl.sources.ReplayReader(str(folder), SCHEMA, order="arrival")).summary.fingerprint == done.fingerprint
