"""Checks of the store's contract."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from typing import Any

import pandas as pd

from govlab.errors import CheckError, TakenOverError
from govlab.frames import ALERT_COLUMNS, from_us, time_us
from govlab.stores.store import LETTER_COLUMNS, PARTS, Snapshot, Store


def sample_alerts(n: int = 3) -> pd.DataFrame:
    """Make alerts as a pipeline gives them."""
    times = from_us(pd.Series(range(n)).to_numpy() * 60_000_000 + 1_772_409_600_000_001)
    rows = {
        "id": [f"a{i}" for i in range(n)], "time": times, "entity": "ann", "detector": "ewma_z",
        "score": [0.1 + i for i in range(n)],
        "p": [float("nan"), *([0.25] * (n - 1))], "severity": "low", "reason": "<script>alert(1)</script>", "start": times,
        "partition": 0,
        "offset": range(n), "evidence": "0:1-2", "recipe": "r",
    }  # fmt: skip
    return pd.DataFrame(rows)[list(ALERT_COLUMNS)]


class _Killed(BaseException):
    """What no handler of a store may catch: the nearest thing to a kill within a process."""


def check_store(make: Callable[[], Store]) -> None:
    """Check the contract of a store.

    Checked: what is written is read back to the last bit; writing again changes nothing; a write that fails or is cut off at
    any of its parts leaves nothing (so positions are never written before alerts); who claims a run shuts out those before;
    ranges, pages and counts agree with the whole; runs are kept apart; another store on the same data sees all of it; a file
    of its own is private.

    Parameters
    ----------
    make : function
        Opens the store; called several times, on the same data. A store calls its ``writing`` before each part of a save:
        the check puts there what raises, as a kill would.

    Raises
    ------
    CheckError
        Says which rule was broken.
    """
    _kept(make)
    for part in PARTS:
        _all_or_nothing(make, part)
    _fenced(make)
    _by_page(make)
    store = make()
    _private(store)
    store.close()


def _kept(make: Callable[[], Store]) -> None:
    store = make()
    alerts = sample_alerts()
    letters = _letters(7)
    snapshot = Snapshot({"f.csv": {0: 12}}, b"state", False, {"pandas": "3.1"})
    for _ in range(2):
        store.save("one", alerts, letters, snapshot)
    _equal(alerts, store.alerts("one"), "alerts")
    _true(
        len(store.dead_letters("one")) == 1 and store.dead_letters("one")["raw"].iloc[0] == b"\xff",
        "a dead letter written twice is one",
    )
    _true(store.snapshot("one") == snapshot, "a snapshot is read back as it was")
    _true(store.snapshot("two") is None and len(store.alerts("two")) == 0, "runs are kept apart")
    _true("one" in store.runs() and "two" not in store.runs(), "runs() names the runs that were written")
    store.save("one", alerts.assign(severity="high"), None, None)
    _true(
        store.alerts("one")["severity"].tolist() == ["high"] * len(alerts), "an alert written again takes the place of the old one"
    )
    other = make()
    _true(len(other.alerts("one")) == len(alerts) and other.snapshot("one") == snapshot, "another store on the same data sees it")
    other.close()
    store.close()


def _all_or_nothing(make: Callable[[], Store], part: str) -> None:
    """Cut a save off at a part: by what cannot be written there, and by a kill right before it."""
    run, before, after = f"cut at {part}", Snapshot({"f.csv": {0: 1}}, b"before"), Snapshot({"f.csv": {0: 3}}, b"after")
    for how in ("fails", "is cut off"):
        store = make()
        store.save(run, sample_alerts(1), _letters(0), before)
        given: dict[str, Any] = {
            "alerts": sample_alerts(3),
            "letters": _letters(0, 1, 2),
            "snapshot": Snapshot({"f.csv": {0: 3}}, b"3"),
        }
        if how == "fails":
            given[part] = _unwritable(part, given[part])
        else:
            store.writing = _killer(part)  # type: ignore[assignment, method-assign]
        try:
            store.save(run, given["alerts"], given["letters"], given["snapshot"])
        except _Killed:
            _true(how != "fails", "nothing but the check is killed")
        except Exception as error:
            if how != "fails":
                raise CheckError(f"broken: save must let pass what writing({part!r}) raises; it raised {error!r}.") from error
        else:
            _true(how == "fails", f"save calls writing({part!r}) right before it writes that part")
            raise CheckError(f"broken: {part} that cannot be written must be an error.")
        with contextlib.suppress(Exception):  # a process that is killed closes nothing either
            store.close()
        _unchanged(make, run, before, f"a write that {how} at its {part}")
    store = make()
    store.save(run, sample_alerts(3), _letters(0, 1, 2), after)
    _true(len(store.alerts(run)) == 3, f"a write goes through after one that was cut off at its {part}")
    store.close()


def _unchanged(make: Callable[[], Store], run: str, before: Snapshot, what: str) -> None:
    store = make()
    alerts, letters, snapshot = store.alerts(run), store.dead_letters(run), store.snapshot(run)
    _true(
        snapshot == before or (len(alerts) == 3 and len(letters) == 3),
        f"positions are never written before alerts and dead letters ({what} left only the positions)",
    )
    _true((len(alerts), len(letters)) == (1, 1) and snapshot == before, f"{what} leaves nothing behind")
    store.close()


def _unwritable(part: str, given: Any) -> Any:
    if part == "snapshot":
        return Snapshot({"f.csv": {0: object()}}, b"")  # type: ignore[dict-item]
    column = {"alerts": "entity", "letters": "reason"}[part]
    return given.assign(**{column: pd.Series(["ann", object(), "bob"], dtype="object")})


def _killer(at: str) -> Callable[[str], None]:
    def writing(part: str) -> None:
        if part == at:
            raise _Killed

    return writing


def _fenced(make: Callable[[], Store]) -> None:
    one, other = make(), make()
    first, second = one.claim("claimed"), other.claim("claimed")
    _true(first != second, "each claim of a run gives another epoch")
    other.save("claimed", sample_alerts(1), None, Snapshot({"f.csv": {0: 1}}, b"new"), second)
    try:
        one.save("claimed", sample_alerts(3), _letters(0), Snapshot({"f.csv": {0: 3}}, b"old"), first)
    except TakenOverError:
        pass
    except Exception as error:
        raise CheckError(f"broken: a save with an older epoch raises TakenOverError; it raised {error!r}.") from error
    else:
        raise CheckError("broken: a save with an older epoch is refused (TakenOverError).")
    kept = one.snapshot("claimed")
    _true(
        (len(one.alerts("claimed")), len(one.dead_letters("claimed"))) == (1, 0) and kept is not None and kept.state == b"new",
        "a save that is refused leaves nothing behind",
    )
    other.save("claimed", sample_alerts(2), None, None, second)
    one.save("not claimed by another", sample_alerts(1), None, None, one.claim("not claimed by another"))
    _true(len(one.alerts("claimed")) == 2, "the last to claim a run may write it, and other runs are not touched")
    one.close()
    other.close()


def _by_page(make: Callable[[], Store]) -> None:
    store = make()
    alerts = sample_alerts(7)
    tied = alerts.assign(time=alerts["time"].iloc[[0, 0, 0, 1, 1, 1, 1]].to_numpy())
    tied["time"] = from_us(time_us(tied))
    store.save("paged", tied.iloc[::-1], _letters(*range(5)), None)
    whole, letters = store.alerts("paged"), store.dead_letters("paged")
    _true(whole["id"].tolist() == tied["id"].tolist(), "alerts come in the order (time, id)")
    for limit in (1, 2, 3, 100):
        pages = list(store.alerts_pages("paged", limit=limit))
        _true(
            [one for page in pages for one in page["id"]] == whole["id"].tolist() and max(map(len, pages)) <= limit,
            "pages of alerts have each once, in the order of the whole, and at most limit rows",
        )
        pages = list(store.dead_letters_pages("paged", limit=limit))
        _true(
            [one for page in pages for one in page["offset"]] == letters["offset"].tolist() and max(map(len, pages)) <= limit,
            "pages of dead letters have each once, in the order of the whole, and at most limit rows",
        )
    edge = whole["time"].iloc[-1]
    for range_, rows in (
        ({"since": edge}, whole.iloc[3:]),
        ({"until": edge}, whole.iloc[:3]),
        ({"since": edge, "until": edge}, whole[:0]),
    ):
        _true(store.alerts("paged", **range_)["id"].tolist() == rows["id"].tolist(), "a range has its beginning and not its end")
        _true(store.count_alerts("paged", **range_) == len(rows), "count_alerts counts what alerts gives")
    _true(store.count_alerts("paged") == len(whole), "count_alerts counts what alerts gives")
    _true(store.count_dead_letters("paged") == len(letters), "count_dead_letters counts what dead_letters gives")
    _true(store.count_alerts() == len(store.alerts()), "count_alerts counts what alerts gives, also of all runs")
    _true(store.count_dead_letters() == len(store.dead_letters()), "count_dead_letters counts what dead_letters gives")
    ids = [one for page in store.alerts_pages(limit=2) for one in page["id"]]
    _true(ids == store.alerts()["id"].tolist(), "pages of the alerts of all runs have each id once")
    store.close()


def _private(store: Store) -> None:
    path = str(getattr(store, "path", ""))
    for file in (path, f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        if os.path.isfile(file):
            mode = stat.S_IMODE(os.stat(file).st_mode)
            _true(
                not mode & 0o077, f"a file of a store can be read by its owner only ({os.path.basename(file)} has mode {mode:04o})"
            )


def _letters(*offsets: int) -> pd.DataFrame:
    return pd.DataFrame([["f.csv", 0, offset, "bad", b"\xff"] for offset in offsets], columns=list(LETTER_COLUMNS))


def _true(holds: bool, rule: str) -> None:
    if not holds:
        raise CheckError(f"broken: {rule}.")


def _equal(expected: pd.DataFrame, actual: pd.DataFrame, what: str) -> None:
    try:
        pd.testing.assert_frame_equal(expected, actual, check_exact=True, check_dtype=False)
    except AssertionError as error:
        raise CheckError(f"{what} are not read back as they were written: {error}") from error
