"""A store in one SQLite file."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from govlab.errors import ArgumentError, StoreError, TakenOverError
from govlab.frames import from_us, instant_us, time_us
from govlab.stores.signing import sign, signed
from govlab.stores.sqlite_file import errors_named, open_file
from govlab.stores.store import ALERT_COLUMNS, LETTER_COLUMNS, Snapshot, Store

__all__ = ["Sqlite"]

_MISSING = np.iinfo("int64").min
# of an alert that several runs gave, the one written last
_LATEST = "NOT EXISTS (SELECT 1 FROM alerts AS later WHERE later.id = alerts.id AND later.rowid > alerts.rowid)"


class Sqlite(Store):
    """Alerts, dead letters and snapshots in one SQLite file (write-ahead log); may be used from several threads.

    Step states are pickles, so each is signed with a key of the user's own (``GOVLAB_KEY``, else a file in the user's
    configuration folder), and one that this user did not write is refused. A new file can be read by its owner only.

    Parameters
    ----------
    path : str or Path
        The file; made if it is not there.

    Raises
    ------
    StoreError
        The file cannot be opened or made, or is no store: says why and what to do.

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
        self._db = open_file(self.path)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, errors_named(self.path, "write to"):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # the first error says more
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
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
                self.writing("alerts")
                names = [*ALERT_COLUMNS, "run"]
                update = ", ".join(f'"{n}"=excluded."{n}"' for n in names[1:])
                db.executemany(
                    f"INSERT INTO alerts ({', '.join(map(_quoted, names))}) VALUES ({', '.join('?' * len(names))}) "
                    f"ON CONFLICT (id, run) DO UPDATE SET {update}",
                    [(*row, run) for row in zip(*(_values(alerts, name) for name in ALERT_COLUMNS), strict=True)],
                )
            if letters is not None and len(letters):
                self.writing("letters")
                db.executemany(
                    "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?)",
                    [(run, *row) for row in zip(*(_values(letters, name) for name in LETTER_COLUMNS), strict=True)],
                )
            if snapshot is not None:
                self.writing("snapshot")
                positions, writer = json.dumps(snapshot.positions), json.dumps(dict(snapshot.writer))
                mac = _sign(run, positions, snapshot.state, snapshot.finished, snapshot.format, writer)
                row = (run, positions, snapshot.state, int(snapshot.finished), mac, snapshot.format, writer)
                db.execute(
                    "INSERT OR REPLACE INTO snapshots (run, positions, state, finished, mac, format, writer) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?)",
                    row,
                )

    def alerts(
        self,
        run: str | None = None,
        *,
        since: Any = None,
        until: Any = None,
        after: tuple[Any, str] | None = None,
        limit: int | None = None,
    ) -> pd.DataFrame:
        """Give the alerts of a run, or all; of one that several runs gave, what the latest of them said."""
        which, values = _alerts_of(run, since, until)
        if after is not None:
            which, values = f"{which} AND (time, id) > (?, ?)", [*values, instant_us(after[0], "after"), after[1]]
        table = self._read("alerts", ALERT_COLUMNS, which, values, "time, id", limit)
        try:
            for column in ("time", "start"):
                micros = np.array([_MISSING if us is None else us for us in table[column].tolist()], "int64")
                table[column] = from_us(micros)
            return table.infer_objects().astype({"score": "float64", "p": "float64"})
        except (ValueError, TypeError, OverflowError) as error:
            raise StoreError(f"the alerts in {self.path!r} were changed by another hand ({error}); restore the store.") from error

    def dead_letters(
        self, run: str | None = None, *, after: tuple[str, int, int] | None = None, limit: int | None = None
    ) -> pd.DataFrame:
        """Give the dead letters of a run, or all."""
        if run is None and (after is not None or limit is not None):
            raise ArgumentError(
                "dead_letters: give the run with after= and limit=; runs() names them, dead_letters_pages() gives all."
            )
        values: list[Any]
        which, values = ("TRUE", []) if run is None else ("run = ?", [run])
        if after is not None:
            which = f'{which} AND (source, "partition", "offset") > (?, ?, ?)'
            values = [*values, after[0], int(after[1]), int(after[2])]
        order = 'source, "partition", "offset"'
        return self._read("dead_letters", LETTER_COLUMNS, which, values, order, limit).infer_objects()

    def count_alerts(self, run: str | None = None, *, since: Any = None, until: Any = None) -> int:
        """Count the alerts of a run, or all."""
        which, values = _alerts_of(run, since, until)
        return self._count("alerts", which, values)

    def count_dead_letters(self, run: str | None = None) -> int:
        """Count the dead letters of a run, or all."""
        return self._count("dead_letters", "TRUE" if run is None else "run = ?", [] if run is None else [run])

    def letter_reasons(self, run: str) -> dict[str, int]:
        """Count the dead letters of a run by their reason, the most frequent first."""
        query = "SELECT reason, count(*) FROM dead_letters WHERE run = ? GROUP BY reason ORDER BY count(*) DESC, min(rowid)"
        return dict(self._rows(query, [run]))

    def runs(self) -> list[str]:
        """Give the names of the runs."""
        tables = " UNION ".join(f"SELECT run FROM {table}" for table in ("owners", "snapshots", "alerts", "dead_letters"))
        return [row[0] for row in self._rows(f"{tables} ORDER BY run", [])]

    def _read(
        self, table: str, columns: tuple[str, ...], which: str, values: list[Any], order: str, limit: int | None
    ) -> pd.DataFrame:
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise ArgumentError(f"limit={limit!r}; expected a whole number of at least 1.")
        # with the table's name, without which SQLite takes a column that is not there for a text
        names = ", ".join(f"{table}.{_quoted(name)}" for name in columns)
        query = f"SELECT {names} FROM {table} WHERE {which} ORDER BY {order}"
        rows = self._rows(query if limit is None else f"{query} LIMIT {limit}", values)
        return pd.DataFrame(rows, columns=list(columns), dtype="object")

    def _count(self, table: str, which: str, values: list[Any]) -> int:
        return int(self._rows(f"SELECT count(*) FROM {table} WHERE {which}", values)[0][0])

    def _rows(self, query: str, values: list[Any]) -> list[tuple[Any, ...]]:
        with self._lock, errors_named(self.path, "read"):
            return self._db.execute(query, values).fetchall()

    def snapshot(self, run: str) -> Snapshot | None:
        """Give the last snapshot of a run, if this user wrote it."""
        rows = self._rows("SELECT positions, state, finished, mac, format, writer FROM snapshots WHERE run = ?", [run])
        if not rows:
            return None
        positions, state, finished, mac, form, writer = rows[0]
        if form is None:
            raise StoreError(
                f"the snapshot of {run!r} in {self.path!r} was written by a govlab that did not say which versions wrote it, so it "
                "is not opened. Its alerts and dead letters can be read. Finish the run with the govlab that began it, or begin "
                "anew with another store."
            )
        if not isinstance(state, bytes) or not signed(mac, *_parts(run, positions, state, bool(finished), form, writer)):
            raise StoreError(
                f"the snapshot of {run!r} in {self.path!r} was not written by this user, and a pickle from elsewhere is not "
                "opened. Use another store, or set GOVLAB_KEY to the key with which it was written."
            )
        read = {source: {int(p): n for p, n in position.items()} for source, position in json.loads(positions).items()}
        return Snapshot(read, state, bool(finished), json.loads(writer), form)

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _alerts_of(run: str | None, since: Any, until: Any) -> tuple[str, list[Any]]:
    """Give the condition of the alerts of a run and a range of time."""
    values: list[Any]
    which, values = (_LATEST, []) if run is None else ("run = ?", [run])
    for bound, sign_, name in ((since, ">=", "since"), (until, "<", "until")):
        if bound is not None:
            which, values = f"{which} AND time {sign_} ?", [*values, instant_us(bound, name)]
    return which, values


def _quoted(name: str) -> str:
    return f'"{name}"'


def _values(table: pd.DataFrame, name: str) -> list[Any]:
    if name in ("time", "start"):
        return [None if v == _MISSING else v for v in time_us(table, name).tolist()]
    column = table[name].astype("object")
    return [None if v is None or v is pd.NA or v != v else v for v in column.tolist()]


def _parts(run: str, positions: str, state: bytes, finished: bool, form: int, writer: str) -> tuple[str | bytes, ...]:
    return "snapshot", run, str(positions), str(finished), str(form), str(writer), state


def _sign(*snapshot: Any) -> str:
    return sign(*_parts(*snapshot))
