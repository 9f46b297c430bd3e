"""The dead letters of a source: few in memory, all of them at hand."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import pandas as pd

from govlab.engines.streams.graph import Node
from govlab.errors import ArgumentError, StoreError
from govlab.sources.reader import DeadLetter, Reader

__all__ = ["Dead", "Fix", "Letters"]

KEEP, KEEP_BYTES = 1_000, 8 << 20
MOST = 5_000  # passed on at once
Fix = Callable[[DeadLetter], bytes | None] | Mapping[tuple[int, int], bytes]
_COLUMNS = '"partition", "offset", source, reason, raw'


class Letters(Mapping[tuple[int, int], DeadLetter]):
    """Maps (partition, offset) to a dead letter, in the order in which they came.

    Up to 1,000 (or 8 MiB) are in memory. When there are more, all go into a temporary file, which only this process can read
    and which is gone when the source or the process is, however it ends. About 5 µs a letter.

    Examples
    --------
    >>> letters = Letters()
    >>> [letter.offset for letter in letters.add([DeadLetter("a.csv", 0, 7, "no time", b"x")] * 2)]
    [7]
    >>> len(letters), letters[0, 7].reason, letters.reasons()
    (1, 'no time', {'no time': 1})
    """

    def __init__(self, keep: int = KEEP, keep_bytes: int = KEEP_BYTES) -> None:
        self._keep, self._keep_bytes = keep, keep_bytes
        self._near: dict[tuple[int, int], DeadLetter] = {}  # empty once there is a file
        self._bytes = self._count = 0
        self._file: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    def add(self, letters: Iterable[DeadLetter]) -> list[DeadLetter]:
        """Add those whose position is not there yet; gives them."""
        with self._lock:
            fresh = self._add_near(letters) if self._file is None else self._add_far(letters)
            self._count += len(fresh)
            if self._file is None and (self._count > self._keep or self._bytes > self._keep_bytes):
                self._file = self._opened()
                try:
                    self._add_far(self._near.values())
                except BaseException:
                    self._file = None  # they are still in memory
                    raise
                self._near = {}
        return fresh

    def _add_near(self, letters: Iterable[DeadLetter]) -> list[DeadLetter]:
        fresh = []
        for letter in letters:
            where = letter.partition, letter.offset
            if where not in self._near:
                self._near[where] = letter
                fresh.append(letter)
                self._bytes += len(letter.raw)
        return fresh

    def _opened(self) -> sqlite3.Connection:
        # a database without a name lies in a file without a name, of mode 0600
        file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, file.close)
        for setting in ("journal_mode = MEMORY", "synchronous = OFF", "cache_size = -4000"):
            file.execute(f"PRAGMA {setting}")
        file.execute(
            'CREATE TABLE letters (n INTEGER PRIMARY KEY AUTOINCREMENT, "partition" INTEGER, "offset" INTEGER, source TEXT, '
            'reason TEXT, raw BLOB, UNIQUE ("partition", "offset"))'
        )
        return file

    def _add_far(self, letters: Iterable[DeadLetter]) -> list[DeadLetter]:
        assert self._file is not None
        try:
            self._file.execute("BEGIN")
            put = f"INSERT OR IGNORE INTO letters ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)"
            rows = ((letter, (letter.partition, letter.offset, letter.source, letter.reason, letter.raw)) for letter in letters)
            fresh = [letter for letter, row in rows if self._file.execute(put, row).rowcount]
            self._file.execute("COMMIT")
        except BaseException as error:
            with contextlib.suppress(sqlite3.Error):  # the first error says more
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                raise
            raise StoreError(
                f"{self._count:,} dead letters are too many for the memory, and the temporary file for them cannot be written: "
                f"{error}. Make room in the temporary folder, or set TMPDIR to another."
            ) from error
        return fresh

    def reasons(self) -> dict[str, int]:
        """Count the dead letters by reason, the most frequent first."""
        with self._lock:
            if self._file is None:
                return dict(Counter(letter.reason for letter in self._near.values()).most_common())
            return dict(self._file.execute("SELECT reason, count(*) FROM letters GROUP BY reason ORDER BY count(*) DESC, min(n)"))

    def pages(self, limit: int = 1_000) -> Iterator[list[DeadLetter]]:
        """Give those that are there now, page by page; meanwhile some may be added and deleted."""
        with self._lock:
            if self._file is None:
                whole = list(self._near.values())
                pages = [whole[i : i + limit] for i in range(0, len(whole), limit)]
                last = None
            else:
                file = self._file
                last = file.execute("SELECT max(n) FROM letters").fetchone()[0] or 0
        if last is None:
            yield from pages
            return
        n, query = 0, f"SELECT n, {_COLUMNS} FROM letters WHERE n > ? AND n <= ? ORDER BY n LIMIT ?"
        while True:
            with self._lock:
                rows = file.execute(query, (n, last, limit)).fetchall()
            if not rows:
                return
            n = rows[-1][0]
            yield [_letter(row[1:]) for row in rows]

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((letter.partition, letter.offset) for page in self.pages() for letter in page)

    def __getitem__(self, where: tuple[int, int]) -> DeadLetter:
        with self._lock:
            if self._file is None:
                return self._near[where]
            query = f'SELECT {_COLUMNS} FROM letters WHERE "partition" = ? AND "offset" = ?'
            row = self._file.execute(query, tuple(where)).fetchone()
        if row is None:
            raise KeyError(where)
        return _letter(row)

    def __delitem__(self, where: tuple[int, int]) -> None:
        """Forget one, which was corrected."""
        with self._lock:
            if self._file is None:
                self._bytes -= len(self._near.pop(where).raw)
            elif not self._file.execute('DELETE FROM letters WHERE "partition" = ? AND "offset" = ?', tuple(where)).rowcount:
                raise KeyError(where)
            self._count -= 1

    def __repr__(self) -> str:
        return f"Letters({len(self):,}: {self.reasons()})"


class Dead(Node):
    """Emits dead letters as frames, each once.

    Attributes
    ----------
    letters : Letters
        All of them.
    quiet : bool
        Whether nothing is emitted: a source is on its way back to a time, and has shown it all before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.letters, self.quiet = Letters(), False
        self._listeners: list[Callable[[list[DeadLetter]], None]] = []

    def bury(self, letters: list[DeadLetter]) -> None:
        """Keep dead letters, and pass on those that are new."""
        for i in range(0, len(letters), MOST):
            fresh = self.letters.add(letters[i : i + MOST])
            for listener in self._listeners if fresh else ():
                listener(fresh)
            if fresh and not self.quiet and self.downstreams:
                self.emit(pd.DataFrame([vars(letter) for letter in fresh]))

    def listen(self, listener: Callable[[list[DeadLetter]], None]) -> Callable[[], None]:
        """Call a function with the records that could not be read; gives how to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def corrected(self, fix: Fix, reader: Reader) -> Iterator[pd.DataFrame]:
        """Let a reader read corrected letters, page by page, and give their rows; those that still cannot be read stay."""
        for page in self.letters.pages():
            found = [(letter, fix(letter) if callable(fix) else fix.get((letter.partition, letter.offset))) for letter in page]
            mended = [(letter, raw) for letter, raw in found if raw is not None]
            if odd := next((raw for _, raw in mended if not isinstance(raw, bytes)), None):
                raise ArgumentError(f"redrive: {odd!r:.80} is no corrected record; expected bytes, or None to leave it.")
            if not mended:
                continue
            rows, still = reader.redrive(mended)
            for letter, _ in mended:
                del self.letters[letter.partition, letter.offset]
            self.bury(still)
            if len(rows):
                yield rows


def _letter(row: tuple[int, int, str, str, bytes]) -> DeadLetter:
    partition, offset, source, reason, raw = row
    return DeadLetter(source, partition, offset, reason, raw)
