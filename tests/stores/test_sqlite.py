"""The store in one SQLite file: idempotent, all or nothing, signed, and safe among threads and processes."""

import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from govlab.errors import StoreError
from govlab.frames import ALERT_COLUMNS, from_us
from govlab.stores import Snapshot, Sqlite
from govlab.stores.store import LETTER_COLUMNS
from govlab.testing import check_store
from govlab.testing.stores import sample_alerts


@pytest.fixture(autouse=True)
def own_key(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("GOVLAB_KEY", raising=False)


@pytest.fixture
def store(tmp_path):
    with_path = Sqlite(tmp_path / "lab.db")
    yield with_path
    with_path.close()


def letters(*rows):
    return pd.DataFrame(rows, columns=list(LETTER_COLUMNS))


def test_it_keeps_the_contract_of_a_store(tmp_path):
    check_store(lambda: Sqlite(tmp_path / "lab.db"))


@pytest.mark.parametrize("us", [0, -1, 2**53 + 1, 253_402_300_799_999_999, -8_520_336_000_000_001])
def test_a_time_is_read_back_to_the_microsecond_also_beside_one_that_is_missing(store, us):
    times = from_us(np.array([us, us]))
    starts = from_us(np.array([np.iinfo("int64").min, us]))
    store.save("run", sample_alerts(2).assign(time=times, start=starts), None, None)
    back = store.alerts("run")
    assert times.astype("int64").tolist() == back["time"].astype("int64").tolist()
    assert starts.astype("int64").tolist() == back["start"].astype("int64").tolist()


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf"), 5e-324, 1.7976931348623157e308, 0.1 + 0.2])
def test_a_score_is_read_back_to_the_last_bit(store, score):
    store.save("run", sample_alerts(1).assign(score=score), None, None)
    np.testing.assert_array_equal([score], store.alerts("run")["score"].to_numpy())


def test_text_is_kept_as_it_is_whatever_is_in_it(store):
    texts = ["'; DROP TABLE alerts; --", "\x00nul", "žluťoučký 🐎", ""]
    store.save("run", sample_alerts(4).assign(entity=texts), None, None)
    assert texts == store.alerts("run")["entity"].tolist()


def test_a_missing_entity_is_read_back_as_missing(store):
    store.save("run", sample_alerts(2).assign(entity=["ann", None]), None, None)
    assert [False, True] == store.alerts("run")["entity"].isna().tolist()


def test_alerts_come_in_the_order_of_time_and_id_whatever_the_order_in_which_they_were_written(store):
    alerts = sample_alerts(5).assign(time=from_us(np.array([3, 1, 2, 1, 3])))
    store.save("run", alerts.iloc[:2], None, None)
    store.save("run", alerts.iloc[2:], None, None)
    assert ["a1", "a3", "a2", "a0", "a4"] == store.alerts("run")["id"].tolist()


def test_an_empty_store_gives_empty_tables_with_all_columns(store):
    assert list(ALERT_COLUMNS) == store.alerts().columns.to_list()
    assert list(LETTER_COLUMNS) == store.dead_letters().columns.to_list()
    assert (0, 0, None) == (len(store.alerts()), len(store.dead_letters()), store.snapshot("run"))
    assert ("datetime64[us, UTC]", "float64") == (str(store.alerts()["time"].dtype), str(store.alerts()["score"].dtype))


def test_dead_letters_keep_their_bytes_and_are_one_for_each_position(store):
    raw = bytes(range(256))
    for reason in ("bad", "still bad"):
        store.save("run", None, letters(["f.csv", 0, 7, reason, raw], ["f.csv", 0, 2**40, reason, b""]), None)
    kept = store.dead_letters("run")
    assert [(7, "still bad", raw), (2**40, "still bad", b"")] == list(zip(kept["offset"], kept["reason"], kept["raw"], strict=True))


def test_all_runs_together_are_given_when_none_is_named_and_each_alert_once(store):
    store.save("one", sample_alerts(2), letters(["f", 0, 0, "bad", b""]), None)
    store.save("two", sample_alerts(3).iloc[1:].assign(severity="high"), letters(["f", 0, 0, "bad", b""]), None)
    assert ["low", "high", "high"] == store.alerts()["severity"].tolist()
    assert ["low", "low"] == store.alerts("one")["severity"].tolist()
    assert (2, 2, 1) == (len(store.dead_letters()), len(store.alerts("two")), len(store.dead_letters("two")))


def test_a_write_that_fails_in_its_last_part_leaves_nothing_of_the_first(store):
    with pytest.raises(TypeError):
        store.save("run", sample_alerts(2), letters(["f", 0, 0, "bad", b""]), Snapshot({"f": {0: object()}}))
    assert (0, 0) == (len(store.alerts()), len(store.dead_letters()))
    store.save("run", sample_alerts(2), None, None)
    assert 2 == len(store.alerts())


def test_a_file_that_is_no_store_is_refused_and_left_as_it_was(tmp_path):
    (tmp_path / "notes.db").write_bytes(b"these are my notes, not a database" * 100)
    with pytest.raises(StoreError, match="cannot open the store"):
        Sqlite(tmp_path / "notes.db")
    assert b"these are my notes" == (tmp_path / "notes.db").read_bytes()[:18]


def test_a_folder_that_is_not_there_is_an_error_that_names_the_path(tmp_path):
    with pytest.raises(StoreError, match="nowhere"):
        Sqlite(tmp_path / "nowhere" / "lab.db")


def test_a_store_that_cannot_be_written_to_says_so(tmp_path, store):
    other = sqlite3.connect(tmp_path / "lab.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store._db.execute("PRAGMA busy_timeout = 1")
    with pytest.raises(StoreError, match="locked"):
        store.save("run", sample_alerts(1), None, None)
    other.execute("ROLLBACK")
    other.close()
    store.save("run", sample_alerts(1), None, None)
    assert 1 == len(store.alerts())


@pytest.mark.parametrize(
    "change", ["state = x'00'", """positions = '{"f": {"0": 999}}'""", "mac = 'no'", "mac = NULL", "run = 'other'", "finished = 1"]
)
def test_a_snapshot_that_was_changed_by_another_hand_is_not_opened(tmp_path, store, change):
    store.save("run", None, None, Snapshot({"f": {0: 12}}, b"state"))
    with sqlite3.connect(tmp_path / "lab.db") as other:
        other.execute(f"UPDATE snapshots SET {change}")
    other.close()
    with pytest.raises(StoreError, match="not written by this user"):
        store.snapshot("other" if "other" in change else "run")


def test_a_snapshot_of_another_key_is_refused_until_that_key_is_given(store, monkeypatch):
    monkeypatch.setenv("GOVLAB_KEY", "mine, and of length")
    store.save("run", None, None, Snapshot({"f": {0: 12}}, b"state", True))
    monkeypatch.setenv("GOVLAB_KEY", "yours, of a length")
    with pytest.raises(StoreError, match="GOVLAB_KEY"):
        store.snapshot("run")
    monkeypatch.setenv("GOVLAB_KEY", "mine, and of length")
    assert Snapshot({"f": {0: 12}}, b"state", True) == store.snapshot("run")


def test_the_key_is_made_once_and_may_be_read_by_its_owner_only(tmp_path, store):
    store.save("run", None, None, Snapshot({}, b"state"))
    key = tmp_path / "config" / "govlab" / "key"
    made = key.read_bytes()
    assert (0o600, 64) == (key.stat().st_mode & 0o777, len(made))
    assert b"state" == store.snapshot("run").state
    assert made == key.read_bytes()
    assert ["key"] == os.listdir(key.parent)


def test_threads_and_connections_that_write_at_once_lose_nothing(tmp_path):
    alerts, stores, start = sample_alerts(80), [Sqlite(tmp_path / "lab.db") for _ in range(2)], threading.Barrier(4)

    def write(i):
        start.wait()
        for j in range(i, 80, 4):
            stores[i % 2].save("run", alerts.iloc[j : j + 1], None, Snapshot({"f": {0: j}}, b"state"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert 80 == len(stores[0].alerts("run"))
    assert b"state" == stores[1].snapshot("run").state
    for store in stores:
        store.close()
