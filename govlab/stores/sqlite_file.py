"""The file of a SQLite store: opened private, its tables made or brought up to date, its errors put into words."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import stat
from collections.abc import Iterator

from govlab.errors import StoreError

__all__ = ["errors_named", "open_file"]

log = logging.getLogger("govlab")
SCHEMA = 1  # PRAGMA user_version; 0 is what govlab 0.1.0 wrote before snapshots said who wrote them
_TABLES = (
    """CREATE TABLE IF NOT EXISTS alerts (
    id TEXT NOT NULL, time INTEGER NOT NULL, entity TEXT, detector TEXT, score REAL, p REAL, severity TEXT, reason TEXT,
    start INTEGER, "partition" INTEGER, "offset" INTEGER, evidence TEXT, recipe TEXT, run TEXT NOT NULL,
    PRIMARY KEY (id, run))""",
    "CREATE INDEX IF NOT EXISTS alerts_by_time ON alerts (run, time, id)",
    "CREATE INDEX IF NOT EXISTS alerts_of_all_by_time ON alerts (time, id)",
    """CREATE TABLE IF NOT EXISTS dead_letters (
    run TEXT, source TEXT, "partition" INTEGER, "offset" INTEGER, reason TEXT, raw BLOB,
    PRIMARY KEY (run, source, "partition", "offset"))""",
    "CREATE TABLE IF NOT EXISTS owners (run TEXT PRIMARY KEY, epoch INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS snapshots (run TEXT PRIMARY KEY, positions TEXT, state BLOB, finished INTEGER, mac TEXT)",
)
_SINCE_0 = ("ALTER TABLE snapshots ADD COLUMN format INTEGER", "ALTER TABLE snapshots ADD COLUMN writer TEXT")
_ADVICE = {
    "SQLITE_FULL": "the disk is full; make room and run again, nothing half written is left",
    "SQLITE_BUSY": "another process keeps it locked; wait for it or end it, and run again",
    "SQLITE_LOCKED": "another connection keeps it locked; wait for it or end it, and run again",
    "SQLITE_READONLY": "it cannot be written to; mend the permissions of the file and its folder, or choose another path",
    "SQLITE_PERM": "it cannot be written to; mend the permissions of the file and its folder, or choose another path",
    "SQLITE_NOTADB": "it is not a SQLite database; choose another path",
    "SQLITE_CORRUPT": "the file is damaged; restore it from a copy, or choose another path",
    "SQLITE_CANTOPEN": "the file cannot be opened; mend the permissions of the file and its folder, or choose another path",
    "SQLITE_IOERR": "the disk failed or is full; mend that and run again",
    "SQLITE_TOOBIG": "a value is larger than SQLite can hold",
}
_said: set[str] = set()  # stores that others may read, of which this process has warned


def open_file(path: str) -> sqlite3.Connection:
    """Open the file of a store, or make it so that only its owner can read it."""
    if not path:
        raise StoreError("the path of a store is empty; give the path of a SQLite file or of a new one, such as 'lab.db'.")
    if path != ":memory:":
        _touch(path)
    with errors_named(path, "open"):
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            _tables(db, path)
        except BaseException:
            db.close()
            raise
    return db


def _touch(path: str) -> None:
    """Make the file with mode 0600 before SQLite would make it for all to read; its -wal and -shm get the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        try:
            mode = os.stat(path).st_mode
        except OSError as error:  # a link to nowhere
            raise StoreError(
                f"cannot open the store {path!r}: {error.strerror}. Give the path of a SQLite file or a new one."
            ) from error
        if stat.S_ISDIR(mode):
            raise StoreError(f"cannot open the store {path!r}: it is a folder; give the path of a file in it.") from None
        if mode & 0o077 and path not in _said:
            _said.add(path)
            log.warning(
                "others may read the store %s, which has entity names and raw records: chmod 600 it, if they should not", path
            )
    except OSError as error:
        raise StoreError(
            f"cannot make the store {path!r}: {error.strerror}. Give a path in a folder that is there and that you may write into."
        ) from error


def _tables(db: sqlite3.Connection, path: str) -> None:
    """Make the tables, or bring those of an older govlab up to date, all in one transaction."""
    if _version(db) == SCHEMA:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db)  # another process may have been faster
        if version > SCHEMA:
            raise StoreError(
                f"the store {path!r} was written by a newer govlab (its tables have version {version}, this govlab reads up to "
                f"{SCHEMA}); upgrade govlab, or choose another path."
            )
        for statement in (*_TABLES, *_SINCE_0) if version < SCHEMA else ():
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {SCHEMA}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


@contextlib.contextmanager
def errors_named(path: str, doing: str) -> Iterator[None]:
    """Turn what SQLite raises into a StoreError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        advice = next((text for prefix, text in _ADVICE.items() if name.startswith(prefix)), "")
        advice = "it was closed; open it anew" if "closed database" in str(error) else advice
        raise StoreError(f"cannot {doing} the store {path!r}: {error}{f' ({advice})' if advice else ''}.") from error
    except (OverflowError, UnicodeEncodeError) as error:
        raise StoreError(
            f"cannot {doing} the store {path!r}: a value does not fit into it ({error}); whole numbers have 64 bits, text is UTF-8."
        ) from error
