"""Alerts and dead letters by range and page: each once, in one order, in constant memory."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from govlab.errors import ArgumentError
from govlab.frames import from_us
from govlab.stores import Sqlite
from govlab.stores.store import LETTER_COLUMNS
from govlab.testing.stores import sample_alerts


def letters(*rows):
    return pd.DataFrame(rows, columns=list(LETTER_COLUMNS))


@settings(deadline=None, max_examples=30)
@given(
    times=st.lists(st.integers(0, 5), max_size=12),
    again=st.lists(st.integers(0, 5), max_size=12),
    limit=st.integers(1, 5),
    bounds=st.tuples(st.one_of(st.none(), st.integers(0, 6)), st.one_of(st.none(), st.integers(0, 6))),
)
def test_pages_of_a_range_are_the_whole_of_it_however_large_they_are(times, again, limit, bounds):
    store = Sqlite(":memory:")
    for run, of in (("one", times), ("two", again)):
        store.save(run, sample_alerts(max(len(of), 1)).iloc[: len(of)].assign(time=from_us(np.array(of, "int64"))), None, None)
    since, until = (None if b is None else pd.Timestamp(b, unit="us") for b in bounds)
    for run in ("one", "two", None):
        whole = store.alerts(run)
        us = whole["time"].astype("int64")
        whole = whole[(us >= (bounds[0] or 0)) & (us < (7 if bounds[1] is None else bounds[1]))].reset_index(drop=True)
        pages = list(store.alerts_pages(run, since=since, until=until, limit=limit))
        assert whole["id"].tolist() == [one for page in pages for one in page["id"]]
        assert all(len(page) <= limit for page in pages)
        assert len(whole) == store.count_alerts(run, since=since, until=until)
        pd.testing.assert_frame_equal(whole, store.alerts(run, since=since, until=until), check_dtype=len(whole) > 0)
    store.close()


def test_the_range_has_its_beginning_and_not_its_end():
    store = Sqlite(":memory:")
    store.save("run", sample_alerts(5), None, None)
    times = store.alerts("run")["time"]
    assert ["a1", "a2"] == store.alerts("run", since=times[1], until=times[3])["id"].tolist()
    assert ["a1", "a2"] == store.alerts("run", since=str(times[1]), until=str(times[3]))["id"].tolist()
    store.close()


def test_a_page_goes_on_behind_the_last_one_also_among_alerts_of_one_time():
    store = Sqlite(":memory:")
    store.save("run", sample_alerts(5).assign(time=from_us(np.zeros(5))), None, None)
    first = store.alerts("run", limit=2)
    assert ["a2", "a3"] == store.alerts("run", after=(first["time"].iloc[-1], "a1"), limit=2)["id"].tolist()
    store.close()


def test_dead_letters_come_by_page_in_the_order_of_their_positions_run_after_run():
    store = Sqlite(":memory:")
    rows = [("b", 0, 9, "bad", b"1"), ("a", 1, 3, "bad", b"2"), ("a", 0, 12, "bad", b"3"), ("a", 0, 2, "bad", b"4")]
    for run in ("one", "two"):
        store.save(run, None, letters(*rows), None)
    pages = list(store.dead_letters_pages("one", limit=3))
    assert [[b"4", b"3", b"2"], [b"1"]] == [page["raw"].tolist() for page in pages]
    assert [b"4", b"3", b"2", b"1"] * 2 == [raw for page in store.dead_letters_pages(limit=1) for raw in page["raw"]]
    assert (4, 8) == (store.count_dead_letters("one"), store.count_dead_letters())
    assert [b"2", b"1"] == store.dead_letters("one", after=("a", 0, 12))["raw"].tolist()
    store.close()


def test_the_runs_are_named_whatever_was_written_of_them():
    store = Sqlite(":memory:")
    store.save("alerts", sample_alerts(1), None, None)
    store.save("letters", None, letters(("f", 0, 0, "bad", b"")), None)
    store.claim("claimed")
    assert ["alerts", "claimed", "letters"] == store.runs()
    store.close()


@pytest.mark.parametrize("limit", [0, -1, True, 2.0, "5"])
def test_a_limit_that_is_none_is_refused(limit):
    store = Sqlite(":memory:")
    with pytest.raises(ArgumentError, match="limit="):
        store.alerts(limit=limit)
    with pytest.raises(ArgumentError, match="limit="):
        store.dead_letters("run", limit=limit)
    store.close()


def test_a_page_of_dead_letters_of_all_runs_is_refused_with_what_to_do():
    store = Sqlite(":memory:")
    with pytest.raises(ArgumentError, match="dead_letters_pages"):
        store.dead_letters(limit=5)
    with pytest.raises(ArgumentError, match="dead_letters_pages"):
        store.dead_letters(after=("f", 0, 0))
    store.close()


@pytest.mark.parametrize("run", ["one", None])
def test_no_page_makes_sqlite_sort_or_read_the_whole_table(tmp_path, run):
    store, seen = Sqlite(":memory:"), []
    store.save("one", sample_alerts(50), letters(("f", 0, 0, "bad", b"")), None)
    store._db.set_trace_callback(seen.append)
    store.alerts(run, since="2020-01-01", until="2030-01-01", after=("2021-01-01", "a"), limit=5)
    store.dead_letters("one", after=("f", 0, 0), limit=5)
    store._db.set_trace_callback(None)
    plans = [row[3] for query in seen for row in store._db.execute(f"EXPLAIN QUERY PLAN {query}")]
    assert [] == [step for step in plans if "TEMP B-TREE" in step or step.startswith("SCAN")]
    store.close()


def test_a_hundred_thousand_alerts_go_by_in_little_memory(tmp_path):
    code = """
import resource, sys
import pandas as pd
from govlab.stores import Sqlite
from govlab.testing.stores import sample_alerts
store = Sqlite(sys.argv[1])
alerts = sample_alerts(20_000)
for part in range(5):
    store.save("run", alerts.assign(id=[f"{part}-{i}" for i in range(20_000)]), None, None)
next(store.alerts_pages("run"))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seen = sum(len(page) for page in store.alerts_pages("run", limit=5_000))
print(seen, store.count_alerts("run"), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "lab.db")], capture_output=True, text=True, timeout=500)
    seen, counted, grown_mb = map(int, done.stdout.split())
    assert (100_000, 100_000) == (seen, counted)
    assert grown_mb < 40
