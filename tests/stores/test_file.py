"""The file of a store: private, of a known version, and with errors that say what to do."""

import logging
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pandas as pd
import pytest

from govlab.errors import StoreError
from govlab.stores import Snapshot, Sqlite, sqlite_file
from govlab.testing.stores import sample_alerts

OLD = Path(__file__).with_name("written_at_81c2711.sqlite")  # by the code of that commit, over six events


@pytest.fixture(autouse=True)
def own_key(monkeypatch):
    monkeypatch.setenv("GOVLAB_KEY", "the key of the fixture, of length")


def modes(folder):
    return {name: stat.S_IMODE((folder / name).stat().st_mode) for name in sorted(os.listdir(folder)) if name.startswith("lab.db")}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_store_and_the_files_beside_it_can_be_read_by_their_owner_only(tmp_path, umask):
    before = os.umask(umask)
    try:
        store = Sqlite(tmp_path / "lab.db")
        store.save("run", sample_alerts(3), None, None)
        assert {"lab.db": 0o600, "lab.db-shm": 0o600, "lab.db-wal": 0o600} == modes(tmp_path)
        store.close()
    finally:
        os.umask(before)


def test_a_store_that_others_may_read_is_left_as_it_is_and_said_once(tmp_path, caplog):
    Sqlite(tmp_path / "lab.db").close()
    (tmp_path / "lab.db").chmod(0o644)
    with caplog.at_level(logging.WARNING, "govlab"):
        for _ in range(3):
            Sqlite(tmp_path / "lab.db").close()
    assert 1 == sum("others may read the store" in record.getMessage() for record in caplog.records)
    assert 0o644 == modes(tmp_path)["lab.db"]


def test_a_folder_in_the_place_of_a_store_is_an_error_that_says_so(tmp_path):
    with pytest.raises(StoreError, match="it is a folder"):
        Sqlite(tmp_path)


def test_an_empty_path_is_an_error_and_not_a_store_that_is_lost(tmp_path):
    with pytest.raises(StoreError, match="is empty"):
        Sqlite("")


def test_a_link_to_nowhere_is_an_error_that_says_so(tmp_path):
    (tmp_path / "lab.db").symlink_to(tmp_path / "gone" / "lab.db")
    with pytest.raises(StoreError, match="No such file"):
        Sqlite(tmp_path / "lab.db")


NOT_OPENED = """
    import os, sys
    from govlab.errors import StoreError
    from govlab.stores import Sqlite
    if os.geteuid() == 0:  # to whom no permissions apply
        os.setgid(65534)
        os.setuid(65534)
    try:
        Sqlite(sys.argv[1]).claim("run")
    except StoreError as error:
        print("StoreError:", error)
"""


def said_of(path):
    """Open a store in another process, as a user to whom permissions apply."""
    program = [sys.executable, "-c", textwrap.dedent(NOT_OPENED), str(path)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=300)
    return done.stdout.strip() or done.stderr


@pytest.fixture
def shared(tmp_path_factory):
    """A folder that any user can enter, as those of pytest are not."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="govlab-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_folder_into_which_one_may_not_write_is_an_error_that_says_so(shared):
    shared.chmod(0o555)
    assert "StoreError: cannot make the store" in said_of(shared / "lab.db")


def test_a_store_that_one_may_not_read_is_an_error_that_says_so(shared):
    Sqlite(shared / "lab.db").close()
    (shared / "lab.db").chmod(0o000 if os.geteuid() else 0o600)
    assert "StoreError: cannot open the store" in said_of(shared / "lab.db")


def test_a_store_that_one_may_only_read_is_an_error_that_says_so(shared):
    Sqlite(shared / "lab.db").close()
    (shared / "lab.db").chmod(0o444)
    shared.chmod(0o555)
    said = said_of(shared / "lab.db")
    assert said.startswith("StoreError:")
    assert "mend the permissions" in said


@pytest.mark.parametrize("damage", [slice(0, 16), slice(1_024, 6_000)])
def test_a_damaged_file_is_a_store_error_in_every_call(tmp_path, damage):
    store = Sqlite(tmp_path / "lab.db")
    store.save("run", sample_alerts(200), None, Snapshot({"f": {0: 1}}, b"state" * 5_000))
    store.close()
    raw = bytearray((tmp_path / "lab.db").read_bytes())
    raw[damage] = b"\xa5" * len(raw[damage])
    (tmp_path / "lab.db").write_bytes(raw)
    with pytest.raises(StoreError, match=r"(damaged|not a SQLite database|malformed)"):
        every_call(Sqlite(tmp_path / "lab.db"))


def every_call(store):
    store.alerts("run")
    store.alerts()
    store.count_alerts()
    store.dead_letters()
    store.snapshot("run")
    store.runs()
    store.save("run", sample_alerts(300), None, Snapshot({"f": {0: 1}}, b"state" * 5_000))


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.alerts(),
        lambda store: store.dead_letters(),
        lambda store: store.count_alerts(),
        lambda store: store.count_dead_letters(),
        lambda store: store.runs(),
        lambda store: store.snapshot("run"),
        lambda store: store.claim("run"),
        lambda store: store.save("run", sample_alerts(1), None, None),
    ],
)
def test_a_store_that_was_closed_says_so_in_every_call(tmp_path, call):
    store = Sqlite(tmp_path / "lab.db")
    store.close()
    with pytest.raises(StoreError, match="it was closed; open it anew"):
        call(store)


def test_a_full_disk_is_a_store_error_and_leaves_the_last_save_whole(tmp_path):
    store = Sqlite(tmp_path / "lab.db")
    store.save("run", sample_alerts(2), None, Snapshot({"f": {0: 2}}, b"state"))
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="the disk is full; make room"):
        store.save("run", sample_alerts(2_000), None, Snapshot({"f": {0: 2_000}}, b"state"))
    assert (2, {"f": {0: 2}}) == (len(store.alerts("run")), store.snapshot("run").positions)
    store.close()


def test_a_limit_on_the_size_of_files_is_a_store_error(tmp_path):
    code = """
        import resource, signal, sys
        from govlab.errors import StoreError
        from govlab.stores import Sqlite
        from govlab.testing.stores import sample_alerts
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = Sqlite(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            store.save("run", sample_alerts(5_000), None, None)
        except StoreError as error:
            print("StoreError:", error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "lab.db")], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.startswith("StoreError: cannot write to the store"), done.stderr
    assert resource.RLIM_INFINITY == resource.getrlimit(resource.RLIMIT_FSIZE)[0]


def test_a_number_or_a_text_that_does_not_fit_is_a_store_error_that_leaves_nothing(tmp_path):
    store = Sqlite(tmp_path / "lab.db")
    for wrong in (
        sample_alerts(2).assign(entity=pd.Series(["ann", "\ud800"], dtype=object)),
        sample_alerts(2).astype({"offset": object}).assign(offset=[0, 2**70]),
    ):
        with pytest.raises(StoreError, match="does not fit"):
            store.save("run", wrong, None, None)
    assert 0 == store.count_alerts()
    store.close()


def test_alerts_and_dead_letters_of_a_store_written_by_older_code_are_read(tmp_path):
    shutil.copy(OLD, tmp_path / "lab.db")
    store = Sqlite(tmp_path / "lab.db")
    (run,) = store.runs()
    alerts, letters = store.alerts(run), store.dead_letters(run)
    assert ["57ac5ec6551bcac2", "c186a9642733a9ca", "957d5605d24cf2dd"] == alerts["id"].tolist()
    assert (["bob"] * 3, [9.0] * 3) == (alerts["entity"].tolist(), alerts["score"].tolist())
    assert [("f.csv", 0, 7, "no time", b"\xff,1")] == list(letters.itertuples(index=False, name=None))
    store.close()


def test_a_snapshot_of_a_store_written_by_older_code_is_refused_with_what_to_do_and_new_ones_are_taken(tmp_path):
    shutil.copy(OLD, tmp_path / "lab.db")
    for _ in range(2):  # the second time, the file is of this version
        store = Sqlite(tmp_path / "lab.db")
        (run,) = (name for name in store.runs() if name != "another")
        with pytest.raises(StoreError, match=r"did not say which versions wrote it.*can be read.*begin anew with another store"):
            store.snapshot(run)
        store.save("another", None, None, Snapshot({"f": {0: 1}}, b"state", writer={"pandas": "3.1"}))
        assert Snapshot({"f": {0: 1}}, b"state", writer={"pandas": "3.1"}) == store.snapshot("another")
        store.close()


def test_an_old_snapshot_stays_refused_when_another_hand_fills_in_what_it_lacks(tmp_path):
    shutil.copy(OLD, tmp_path / "lab.db")
    store = Sqlite(tmp_path / "lab.db")
    (run,) = store.runs()
    store._db.execute("UPDATE snapshots SET format = 2, writer = '{}'")
    with pytest.raises(StoreError, match="not written by this user"):
        store.snapshot(run)
    store.close()


def test_processes_that_bring_an_old_store_up_to_date_at_once_do_it_once(tmp_path):
    shutil.copy(OLD, tmp_path / "lab.db")
    code = "import sys; from govlab.stores import Sqlite; print(Sqlite(sys.argv[1]).count_alerts())"
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lab.db")], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert ["3"] * 4 == [one.communicate(timeout=300)[0].strip() for one in running]


def test_a_store_of_a_newer_govlab_is_refused_and_left_as_it_was(tmp_path):
    Sqlite(tmp_path / "lab.db").close()
    with sqlite3.connect(tmp_path / "lab.db") as db:
        db.execute(f"PRAGMA user_version = {sqlite_file.SCHEMA + 1}")
    db.close()
    with pytest.raises(StoreError, match=r"written by a newer govlab.*upgrade govlab"):
        Sqlite(tmp_path / "lab.db")
    with sqlite3.connect(tmp_path / "lab.db") as db:
        assert sqlite_file.SCHEMA + 1 == db.execute("PRAGMA user_version").fetchone()[0]
    db.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE alerts SET time = 'noon'",
        "UPDATE alerts SET score = 'high'",
        "ALTER TABLE alerts RENAME COLUMN entity TO who",
        "ALTER TABLE alerts RENAME COLUMN score TO points",
    ],
)
def test_alerts_that_another_hand_has_changed_are_an_error_and_no_other_answer(tmp_path, change):
    store = Sqlite(tmp_path / "lab.db")
    store.save("run", sample_alerts(3), None, None)
    with sqlite3.connect(tmp_path / "lab.db") as other:
        other.execute(change)
    with pytest.raises(StoreError):
        store.alerts("run")
