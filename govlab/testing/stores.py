"""Checks of the store's contract."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from govlab.errors import CheckError
from govlab.frames import ALERT_COLUMNS, from_us
from govlab.stores.store import LETTER_COLUMNS, Snapshot, Store


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


def check_store(make: Callable[[], Store]) -> None:
    """Check the contract of a store.

    Checked: what is written is read back to the last bit; writing again changes nothing; a write that fails leaves nothing;
    snapshots and alerts of runs are kept apart; another store on the same data sees it.

    Parameters
    ----------
    make : function
        Opens the store; called twice, on the same data.

    Raises
    ------
    CheckError
        Says which rule was broken.
    """
    store = make()
    alerts = sample_alerts()
    letters = pd.DataFrame([["f.csv", 0, 7, "bad", b"\xff"]], columns=list(LETTER_COLUMNS))
    snapshot = Snapshot({"f.csv": {0: 12}}, b"state", False)
    for _ in range(2):
        store.save("one", alerts, letters, snapshot)
    _equal(alerts, store.alerts("one"), "alerts")
    _true(
        len(store.dead_letters("one")) == 1 and store.dead_letters("one")["raw"].iloc[0] == b"\xff",
        "a dead letter written twice is one",
    )
    _true(store.snapshot("one") == snapshot, "a snapshot is read back as it was")
    _true(store.snapshot("two") is None and len(store.alerts("two")) == 0, "runs are kept apart")
    store.save("one", alerts.assign(severity="high"), None, None)
    _true(
        store.alerts("one")["severity"].tolist() == ["high"] * len(alerts), "an alert written again takes the place of the old one"
    )
    try:
        store.save("one", sample_alerts(5), None, Snapshot({"f.csv": {0: object()}}, b"", False))  # type: ignore[dict-item]
    except Exception:
        _true(
            len(store.alerts("one")) == len(alerts) and store.snapshot("one") == snapshot,
            "a write that fails leaves nothing behind",
        )
    else:
        raise CheckError("a snapshot that cannot be written must be an error.")
    other = make()
    _true(len(other.alerts("one")) == len(alerts) and other.snapshot("one") == snapshot, "another store on the same data sees it")
    other.close()
    store.close()


def _true(holds: bool, rule: str) -> None:
    if not holds:
        raise CheckError(f"broken: {rule}.")


def _equal(expected: pd.DataFrame, actual: pd.DataFrame, what: str) -> None:
    try:
        pd.testing.assert_frame_equal(expected, actual, check_exact=True, check_dtype=False)
    except AssertionError as error:
        raise CheckError(f"{what} are not read back as they were written: {error}") from error
