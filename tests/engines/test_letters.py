"""Dead letters: a million of them are all at hand, counted exactly, in the store, and not in memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import govlab as gl
from govlab.engines.streams.letters import Letters
from govlab.sources.reader import DeadLetter
from govlab.stores import Sqlite

SCHEMA = gl.Schema({"time": "epoch_us", "actor": "string"})


@pytest.fixture(autouse=True)
def own_key(monkeypatch):
    monkeypatch.setenv("GOVLAB_KEY", "a key of sixteen bytes or more")


def letter(offset, partition=0, reason="no time", raw=b"x"):
    return DeadLetter("a.csv", partition, offset, reason, raw)


@settings(deadline=None, max_examples=60)
@given(
    adds=st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.binary(max_size=3)), max_size=8), max_size=6),
    gone=st.lists(st.integers(0, 20), max_size=6),
    keep=st.integers(0, 8),
    keep_bytes=st.integers(0, 10),
)
def test_letters_are_a_mapping_in_the_order_in_which_they_came_whether_in_memory_or_in_the_file(adds, gone, keep, keep_bytes):
    letters, plain = Letters(keep, keep_bytes), {}
    for batch in adds:
        fresh = []
        for partition, offset, raw in batch:
            if (partition, offset) not in plain:
                plain[partition, offset] = letter(offset, partition, f"reason {offset % 2}", raw)
                fresh.append(plain[partition, offset])
        assert fresh == letters.add([letter(offset, partition, f"reason {offset % 2}", raw) for partition, offset, raw in batch])
        for i in gone:
            if i < len(plain):
                where = list(plain)[i]
                del letters[where], plain[where]
    reasons = [one.reason for one in plain.values()]
    assert list(plain.items()) == list(letters.items())
    assert list(plain.values()) == [one for page in letters.pages(2) for one in page]
    assert (len(plain), {reason: reasons.count(reason) for reason in set(reasons)}) == (len(letters), letters.reasons())
    assert (False, None) == ((9, 9) in letters, letters.get((9, 9)))
    with pytest.raises(KeyError):
        letters[9, 9]
    with pytest.raises(KeyError):
        del letters[9, 9]


def test_what_is_added_and_deleted_while_pages_are_read_does_not_disturb_them():
    letters, seen = Letters(keep=3), []
    letters.add(letter(n) for n in range(10))
    for page in letters.pages(2):
        seen += [one.offset for one in page]
        for one in page:
            del letters[one.partition, one.offset]
        letters.add([letter(100 + page[0].offset)])
    assert (list(range(10)), [(0, 100 + n) for n in range(0, 10, 2)]) == (seen, list(letters))


def test_no_more_than_a_thousand_or_eight_megabytes_stay_in_memory():
    many, large = Letters(), Letters()
    many.add(letter(n) for n in range(1_001))
    for n in range(200):
        large.add([letter(n, raw=b"x" * 65_536)])
    assert (0, 1_001, 0, 200) == (len(many._near), len(many), len(large._near), len(large))


def test_the_file_beside_the_memory_has_no_name_that_others_could_open(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("SQLITE_TMPDIR", str(tmp_path))
    letters = Letters()
    for n in range(300):
        letters.add([letter(n, raw=os.urandom(65_536))])
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]
    assert ([], 300) == (os.listdir(tmp_path), len(list(letters)))
    assert any("deleted" in link and "etilqs" in link for link in links)


def bad_lines(path, n, every=2):
    lines = (f'{{"time": {1_772_409_600_000_000 + i}, "actor": "ann"}}\n' if i % every == 0 else f"bad {i}\n" for i in range(n))
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize("stored", [False, True])
def test_letters_beyond_the_memory_are_all_in_the_source_and_in_the_store_and_can_be_corrected(tmp_path, stored):
    path, store = bad_lines(tmp_path / "a.ndjson", 12_000), Sqlite(tmp_path / "lab.db")
    source = gl.from_replay(path, SCHEMA, max_rows=500)
    rows = source.map(len).sink_to_list()
    summary = gl.run(source, store=store if stored else None, progress=False)
    assert (6_000, 6_000, 6_000) == (summary.events, summary.dead_letters, len(source.letters))
    assert b"bad 11999" == source.letters[0, 11_999].raw
    if stored:
        (run,) = store.runs()
        assert [b"bad 1", b"bad 3"] == store.dead_letters(run, limit=2)["raw"].tolist()
        assert 6_000 == store.count_dead_letters(run)

    def fix(one):
        good = f'{{"time": {1_772_409_600_000_000 + one.offset}, "actor": "bob"}}'.encode()
        return b"still bad" if one.offset == 9 else None if one.offset % 33 else good

    assert 182 == source.redrive(fix)
    assert (6_000 + 182, 6_000 - 182, b"still bad") == (sum(rows), len(source.letters), source.letters[0, 9].raw)
    store.close()


def test_letters_that_came_before_the_store_are_in_it_too(tmp_path):
    path, store = bad_lines(tmp_path / "a.ndjson", 30_000), Sqlite(tmp_path / "lab.db")
    for _ in range(2):
        source = gl.from_replay(path, SCHEMA, max_rows=500)
        gl.run(source, store=store, progress=False, save_every_s=1e9)
    assert 15_000 == store.count_dead_letters()
    store.close()


CODE = """
import resource, sys
import govlab as gl
from govlab.stores import Sqlite
path, store, engine = sys.argv[1:]
store = store or None
schema = gl.Schema({"time": "epoch_us", "actor": "string"})
watch = gl.Pipeline(gl.features.WindowCount(by="actor", every="1min"))
if engine == "run":
    source = gl.from_replay(path, schema)
    source.through(watch)
    summary = gl.run(source, store=store, progress=False)
else:
    summary = watch.run(gl.sources.ReplayReader(path, schema), store=store).summary
print(summary.events, summary.dead_letters, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak(path, store="", engine="run"):
    done = subprocess.run([sys.executable, "-c", CODE, str(path), str(store), engine], capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    return tuple(map(int, done.stdout.split()))


@pytest.fixture(scope="module")
def million(tmp_path_factory):
    """A file of a million bad lines, all in a row, and a good one before and behind them."""
    path = tmp_path_factory.mktemp("million") / "million.ndjson"
    good = '{"time": %d, "actor": "ann"}\n'
    with path.open("w") as out:
        out.write(good % 1_772_409_600_000_000)
        for i in range(1_000_000):
            out.write(f"this line is bad, and number {i}\n")
        out.write(good % 1_772_409_700_000_000)
    return path


@pytest.fixture(scope="module")
def nothing(million):
    """The memory of a run over the two good lines only."""
    lines = million.read_text().splitlines(keepends=True)
    few = Path(million).with_name("few.ndjson")
    few.write_text(lines[0] + lines[-1])
    peak(few)  # kernels are compiled before anything is measured
    return peak(few)[2]


@pytest.mark.parametrize("engine", ["run", "local"])
@pytest.mark.parametrize("store", ["", "lab.db"])
def test_a_million_bad_lines_take_less_than_100_mb(million, nothing, store, engine, tmp_path):
    events, dead, peak_mb = peak(million, store and tmp_path / store, engine)
    assert (2, 1_000_000) == (events, dead)
    assert peak_mb - nothing < 100


@pytest.mark.parametrize("engine", ["local", "streams"])
def test_a_run_that_is_taken_up_still_says_why_records_could_not_be_read(engine, tmp_path):
    (tmp_path / "a.ndjson").write_text("\n".join(['{"time": "2026-03-02"}', "no record"] * 20))
    run = gl.registry.load("engines", engine)().run
    once, again = (run(gl.detectors.Always(), str(tmp_path / "a.ndjson"), store=tmp_path / "lab.db").summary for _ in range(2))
    assert (20, once.letter_reasons) == (again.dead_letters, again.letter_reasons)
    assert "dead letters: 20 (20 times: JSON" in again.explain()
