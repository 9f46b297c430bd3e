"""A store in one SQLite file."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from govlab.errors import StoreError, TakenOverError
from govlab.frames import from_us, time_us
from govlab.stores.store import ALERT_COLUMNS, LETTER_COLUMNS, Snapshot, Store

__all__ = ["Sqlite"]

_MISSING = np.iinfo("int64").min
_TABLES = """
CREATE TABLE IF NOT EXISTS alerts (
    id TEXT NOT NULL, time INTEGER NOT NULL, entity TEXT, detector TEXT, score REAL, p REAL, severity TEXT, reason TEXT,
    start INTEGER, "partition" INTEGER, "offset" INTEGER, evidence TEXT, recipe TEXT, run TEXT NOT NULL,
    PRIMARY KEY (id, run));
CREATE INDEX IF NOT EXISTS alerts_by_time ON alerts (run, time, id);
CREATE TABLE IF NOT EXISTS dead_letters (
    run TEXT, source TEXT, "partition" INTEGER, "offset" INTEGER, reason TEXT, raw BLOB,
    PRIMARY KEY (run, source, "partition", "offset"));
CREATE TABLE IF NOT EXISTS owners (run TEXT PRIMARY KEY, epoch INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS snapshots (run TEXT PRIMARY KEY, positions TEXT, state BLOB, finished INTEGER, mac TEXT);
"""


class Sqlite(Store):
    """Alerts, dead letters and snapshots in one SQLite file (write-ahead log); may be used from several threads.

    Step states are pickles, so each is signed with a key of the user's own (``GOVLAB_KEY``, else a file in the user's
    configuration folder), and one that this user did not write is refused.

    Parameters
    ----------
    path : str or Path
        The file; made if it is not there.

    Examples
    --------
    >>> store = Sqlite(":memory:")
    >>> store.save("run", None, None, Snapshot({"edits": {0: 12}}))
    >>> store.snapshot("run").positions
    {'edits': {0: 12}}
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.executescript(_TABLES)
            except sqlite3.Error:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise StoreError(
                f"cannot open the store {self.path!r}: {error}. Give the path of a SQLite file or of a new one."
            ) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise StoreError(f"cannot write to the store {self.path!r}: {error}.") from error
                raise

    def claim(self, run: str) -> int:
        """Become the one that writes a run."""
        with self._transaction() as db:
            claimed = "INSERT INTO owners VALUES (?, 1) ON CONFLICT (run) DO UPDATE SET epoch = epoch + 1 RETURNING epoch"
            return int(db.execute(claimed, [run]).fetchone()[0])

    def save(
        self,
        run: str,
        alerts: pd.DataFrame | None,
        letters: pd.DataFrame | None,
        snapshot: Snapshot | None,
        epoch: int | None = None,
    ) -> None:
        """Write all of it in one transaction."""
        with self._transaction() as db:
            owner = db.execute("SELECT epoch FROM owners WHERE run = ?", [run]).fetchone()
            if epoch is not None and owner is not None and owner[0] != epoch:
                raise TakenOverError(
                    f"the run {run} in {self.path!r} was taken over by another process (or another run in this one); only one "
                    "may write it. Stop one of them, or give each a store of its own."
                )
            if alerts is not None and len(alerts):
                names = [*ALERT_COLUMNS, "run"]
                update = ", ".join(f'"{n}"=excluded."{n}"' for n in names[1:])
                db.executemany(
                    f"INSERT INTO alerts ({', '.join(map(_quoted, names))}) VALUES ({', '.join('?' * len(names))}) "
                    f"ON CONFLICT (id, run) DO UPDATE SET {update}",
                    [(*row, run) for row in zip(*(_values(alerts, name) for name in ALERT_COLUMNS), strict=True)],
                )
            if letters is not None and len(letters):
                db.executemany(
                    "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?)",
                    [(run, *row) for row in zip(*(_values(letters, name) for name in LETTER_COLUMNS), strict=True)],
                )
            if snapshot is not None:
                positions = json.dumps(snapshot.positions)
                row = (
                    run,
                    positions,
                    snapshot.state,
                    int(snapshot.finished),
                    _sign(run, positions, snapshot.state, snapshot.finished),
                )
                db.execute("INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?)", row)

    def alerts(self, run: str | None = None) -> pd.DataFrame:
        """Give the alerts of a run, or all; of one that several runs gave, what the latest of them said."""
        which = "rowid IN (SELECT max(rowid) FROM alerts GROUP BY id)" if run is None else "run = ?"
        table = self._read("alerts", ALERT_COLUMNS, which, run, "time, id")
        for column in ("time", "start"):
            micros = np.array([_MISSING if us is None else us for us in table[column].tolist()], "int64")
            table[column] = from_us(micros)
        return table.infer_objects().astype({"score": "float64", "p": "float64"})

    def dead_letters(self, run: str | None = None) -> pd.DataFrame:
        """Give the dead letters of a run, or all."""
        which = "TRUE" if run is None else "run = ?"
        return self._read("dead_letters", LETTER_COLUMNS, which, run, 'source, "partition", "offset"').infer_objects()

    def _read(self, table: str, columns: tuple[str, ...], which: str, run: str | None, order: str) -> pd.DataFrame:
        query = f"SELECT {', '.join(map(_quoted, columns))} FROM {table} WHERE {which} ORDER BY {order}"
        with self._lock:
            rows = self._db.execute(query, [] if run is None else [run]).fetchall()
        return pd.DataFrame(rows, columns=list(columns), dtype="object")

    def snapshot(self, run: str) -> Snapshot | None:
        """Give the last snapshot of a run, if this user wrote it."""
        with self._lock:
            row = self._db.execute("SELECT positions, state, finished, mac FROM snapshots WHERE run = ?", [run]).fetchone()
        if row is None:
            return None
        positions, state, finished, mac = row
        if not hmac.compare_digest(mac or "", _sign(run, positions, state, bool(finished))):
            raise StoreError(
                f"the snapshot of {run!r} in {self.path!r} was not written by this user, and a pickle from elsewhere is not "
                "opened. Use another store, or set GOVLAB_KEY to the key with which it was written."
            )
        read = {source: {int(p): n for p, n in position.items()} for source, position in json.loads(positions).items()}
        return Snapshot(read, state, bool(finished))

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _quoted(name: str) -> str:
    return f'"{name}"'


def _values(table: pd.DataFrame, name: str) -> list[Any]:
    if name in ("time", "start"):
        return [None if v == _MISSING else v for v in time_us(table, name).tolist()]
    column = table[name].astype("object")
    return [None if v is None or v is pd.NA or v != v else v for v in column.tolist()]


def _sign(run: str, positions: str, state: bytes, finished: bool) -> str:
    return hmac.new(_key(), f"{run}\0{positions}\0{finished}\0".encode() + state, hashlib.sha256).hexdigest()


def _key() -> bytes:
    given = os.environ.get("GOVLAB_KEY")
    if given:
        return given.encode()
    file = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "govlab" / "key"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        # written aside and linked into place, so that two processes starting at once agree on one key
        fresh = file.with_name(f"key.{os.getpid()}.{secrets.token_hex(4)}")
        fresh.touch(mode=0o600)
        fresh.write_bytes(secrets.token_hex(32).encode())
        with contextlib.suppress(FileExistsError):
            os.link(fresh, file)
        fresh.unlink()
    return file.read_bytes()
