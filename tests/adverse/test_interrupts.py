"""Interrupted from the keyboard in any way to play, at any row, once or twice: nothing is lost, nothing comes twice."""

import pytest
from adverse.interrupting import BELL, AtLine, Bench, at, few, play, reader, write
from hypothesis import example, given, settings
from hypothesis import strategies as st

import govlab as gl

FORWARD = ["run", "run to the time", "step", "run_until a time", "run_until an alert"]
WAYS = [*FORWARD, "seek", "start"]
KINDS = ["file", "script"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write(tmp_path_factory.mktemp("events"))


class Kept(dict):
    """What undisturbed runs gave, by kind; short in the report of a failure."""

    def __repr__(self):
        return f"<of {', '.join(self)}>"


@pytest.fixture(scope="module")
def undisturbed(path):
    made = Kept()
    for kind in KINDS:
        BELL.set({})
        bench = Bench(kind, path, 50)
        summary = gl.run(bench.source, progress=False)
        made[kind] = bench.rows(), bench.ids(), summary.fingerprint, bench.source.events
    return made


def go_on(source, way, k):
    """Play; an interrupt ends it, and nothing else may."""
    try:
        play(source, way, k)
    except KeyboardInterrupt:
        assert "failed" != source.state, source.error
    except gl.errors.SourceError as error:  # the way cannot be played from where the source stands
        if "has ended" not in str(error):
            raise


def finish(bench):
    for _ in range(100):
        go_on(bench.source, "run", 10_000)
        if bench.source.state == "finished":
            return
    raise AssertionError(f"it does not come to its end: {bench.source.state}")


def plays(ways):
    return st.lists(st.tuples(st.sampled_from(ways), st.integers(1, 130)), min_size=1, max_size=4)


def bells(twice):
    return st.dictionaries(st.integers(1, 400), st.sampled_from([1, 2] if twice else [1]), min_size=1, max_size=3)


def check(kind, path, undisturbed, max_rows, how, rings):
    BELL.set(rings)
    bench = Bench(kind, path, max_rows)
    for way, k in how:
        go_on(bench.source, way, k)
        assert bench.source.events == len(bench.rows()), f"after {way}: events counts what came out at the bottom"
    finish(bench)
    BELL.set({})
    rows, ids, _, events = undisturbed[kind]
    assert rows == bench.rows()
    assert ids == bench.ids()
    assert events == bench.source.events


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", FORWARD)
@settings(deadline=None, max_examples=few(12))
@given(k=st.integers(1, 130), rings=bells(twice=False), max_rows=st.sampled_from([1, 7, 50, 1_000]))
@example(k=120, rings={60: 1}, max_rows=50)
def test_one_interrupt_at_any_row_of_any_way_to_play_loses_nothing(kind, way, path, undisturbed, k, rings, max_rows):
    check(kind, path, undisturbed, max_rows, [(way, k)], rings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", FORWARD)
@settings(deadline=None, max_examples=few(12))
@given(k=st.integers(1, 130), rings=bells(twice=True), max_rows=st.sampled_from([1, 7, 50, 1_000]))
@example(k=120, rings={60: 2}, max_rows=50)
def test_a_second_interrupt_in_quick_succession_ends_it_and_loses_nothing(kind, way, path, undisturbed, k, rings, max_rows):
    check(kind, path, undisturbed, max_rows, [(way, k)], rings)


@pytest.mark.parametrize("way", FORWARD)
def test_a_second_interrupt_does_not_wait_for_the_rest_of_a_frame(way, path):
    bench = Bench("file", path, 1_000)
    bench.source.flow.peek()
    BELL.set({60: 2})
    with pytest.raises(KeyboardInterrupt):
        play(bench.source, way, 120)
    assert 60 == BELL.calls


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=few(12))
@given(k=st.integers(1, 130), rings=bells(twice=True), max_rows=st.sampled_from([7, 50]))
def test_an_interrupt_while_it_plays_in_the_background_loses_nothing(kind, path, undisturbed, k, rings, max_rows):
    check(kind, path, undisturbed, max_rows, [("start", k)], rings)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=few(25))
@given(how=plays(WAYS), max_rows=st.sampled_from([7, 50, 1_000]))
def test_any_ways_to_play_one_after_the_other_give_what_one_run_gives(kind, path, undisturbed, how, max_rows):
    check(kind, path, undisturbed, max_rows, how, {})


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=few(25))
@given(how=plays(WAYS), rings=bells(twice=True), max_rows=st.sampled_from([7, 50, 1_000]))
def test_any_ways_to_play_one_after_the_other_with_interrupts_give_what_one_run_gives(
    kind, path, undisturbed, how, rings, max_rows
):
    check(kind, path, undisturbed, max_rows, how, rings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rings", [1, 2])
@settings(deadline=None, max_examples=few(12))
@given(first=st.integers(20, 119), back=st.integers(1, 100), ring=st.integers(1, 200), max_rows=st.sampled_from([7, 50]))
def test_an_interrupt_while_winding_back_leaves_nothing_out_and_shows_nothing_twice(
    kind, rings, path, undisturbed, first, back, ring, max_rows
):
    BELL.set({})
    bench = Bench(kind, path, max_rows)
    play(bench.source, "step", first)
    BELL.set({ring: rings})
    go_on(bench.source, "seek", back)
    finish(bench)
    BELL.set({})
    assert undisturbed[kind][:2] == (bench.rows(), bench.ids())


@pytest.mark.parametrize("way", FORWARD)
@settings(deadline=None, max_examples=few(20))
@given(line=st.integers(1, 6_000), k=st.integers(1, 130), max_rows=st.sampled_from([7, 50]))
def test_one_interrupt_at_any_line_of_the_code_that_plays_loses_nothing(way, path, undisturbed, line, k, max_rows):
    BELL.set({})
    bench = Bench("file", path, max_rows)
    bench.source.flow.peek()
    with AtLine(line):
        go_on(bench.source, way, k)
    assert bench.source.events == len(bench.rows())
    finish(bench)
    assert undisturbed["file"][:2] == (bench.rows(), bench.ids())


# -- with a store ------------------------------------------------------------------------------------------------------


def stored(store):
    alerts = store.alerts()
    return alerts["id"].tolist(), store.dead_letters()["offset"].tolist()


@pytest.fixture(scope="module")
def whole(path):
    made = Kept()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOVLAB_KEY", "a key for the tests alone")
        for kind in KINDS:
            BELL.set({})
            store = gl.stores.Sqlite(":memory:")
            bench = Bench(kind, path, 50)
            summary = gl.run(bench.source, store=store, progress=False)
            made[kind] = stored(store), summary.fingerprint, bench.rows(), summary.events
            store.close()
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("same_source", [True, False], ids=["the same cell again", "made anew"])
@settings(deadline=None, max_examples=few(15))
@given(
    rings=bells(twice=True),
    cuts=st.lists(st.integers(1, 130), max_size=3),
    max_rows=st.sampled_from([7, 50, 1_000]),
    every_s=st.sampled_from([0.0, 1e9]),
)
@example(rings={60: 1}, cuts=[], max_rows=50, every_s=0.0)
@example(rings={60: 2}, cuts=[], max_rows=50, every_s=1e9)
def test_a_run_with_a_store_that_is_interrupted_goes_on_exactly(kind, same_source, path, whole, rings, cuts, max_rows, every_s):
    BELL.set(rings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOVLAB_KEY", "a key for the tests alone")
        store = gl.stores.Sqlite(":memory:")
        bench = Bench(kind, path, max_rows)
        for n in [*cuts, *[None] * 20]:
            try:
                summary = gl.run(bench.source, store=store, max_events=n, progress=False, save_every_s=every_s)
                if summary.state == "finished":
                    break
            except KeyboardInterrupt:
                assert "failed" != bench.source.state, bench.source.error
            if not same_source:
                bench = Bench(kind, path, max_rows)
        BELL.set({})
        kept = stored(store)
        store.close()
    expected, fingerprint, rows, events = whole[kind]
    assert ("finished", fingerprint, events) == (summary.state, summary.fingerprint, summary.events)
    assert expected == kept
    if same_source:
        assert rows == bench.rows()


def test_the_reader_of_the_tests_gives_the_same_rows_from_a_file_and_from_a_script(path):
    of_file, of_script = (gl.Pipeline(gl.detectors.Always()).run(reader(kind, path)).rows for kind in KINDS)
    assert of_script["value"].tolist() == of_file["value"].tolist()
    assert at(0) == of_file["time"].iloc[0]
