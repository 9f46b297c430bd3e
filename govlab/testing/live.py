"""Checks of the reader's contract, for sources that never end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pandas as pd

from govlab import frames
from govlab.errors import CheckError
from govlab.schema import Schema
from govlab.sources.reader import DeadLetter, EndOfStream, Reader
from govlab.testing.readers import check_fetch, check_redrive, event_frames, keys, once

__all__ = ["LIVE_SCHEMA", "check_live_reader", "live_events"]

LIVE_SCHEMA = Schema({"time": "timestamp", "event_id": "string", "actor": "string", "value": "float64"}, id="event_id")


def live_events(first: int, n: int) -> pd.DataFrame:
    """Make ``n`` events of ``LIVE_SCHEMA`` that differ from each other and from all before the number ``first``.

    Examples
    --------
    >>> live_events(3, 2)["event_id"].to_list()
    ['e3', 'e4']
    """
    numbers = range(first, first + n)
    return frames.event_frame(
        {
            "time": frames.from_us(pd.Series(numbers, dtype="int64").to_numpy() * 1_000_000 + 1_772_409_600_000_000),
            "event_id": [f"e{i}" for i in numbers],
            "actor": [f"u{i % 7}" for i in numbers],
            "value": [i / 3 for i in numbers],
        }
    )


def check_live_reader(
    make: Callable[[], Reader],
    put: Callable[[pd.DataFrame], None],
    put_raw: Callable[[bytes], None] | None = None,
    corrected: bytes | None = None,
    remembers: bool = False,
    patience_s: float = 300.0,
) -> None:
    """Check the contract of a live reader on its real origin.

    Checked: what is written comes, each row once, in the order of its partition; nothing is lost and nothing comes twice over
    openings at ``position()`` and ``position_before()``, before any row; nothing is acknowledged that is not committed;
    ``lag()`` is asked, so it knows of rows before they are read and counts down to none; ``trouble()`` is None when all is
    well; a bad record is a dead letter once, and none is lost over an opening; what the reader offers of ``fetch()`` and
    ``redrive()``; it never ends.

    Parameters
    ----------
    make : function
        Makes a fresh reader of one origin, which is empty at first, with the schema ``LIVE_SCHEMA``.
    put : function
        Writes the rows of a frame to the origin, one record a row.
    put_raw : function, optional
        Writes a record as it is given, here such as cannot be read (``b"?1"``).
    corrected : bytes, optional
        A record as it should be, to be read in place of a bad one.
    remembers : bool
        Whether the origin keeps what is committed (a consumer group, a queue), so that a reader that is opened without a
        position goes on there.
    patience_s : float
        What does not happen within so many seconds is an error.

    Raises
    ------
    CheckError
        Says which rule was broken.
    """
    live = _Live(make, put, put_raw, patience_s)
    live.comes()
    live.counts()
    live.goes_on()
    if put_raw is not None:
        live.buries(corrected)
    if remembers:
        live.remembers()


class _Live:
    """An origin that is written to, and what was read of it so far."""

    def __init__(
        self,
        make: Callable[[], Reader],
        put: Callable[[pd.DataFrame], None],
        put_raw: Callable[[bytes], None] | None,
        patience_s: float,
    ) -> None:
        self.make, self._put, self.put_raw, self.patience_s = make, put, put_raw, patience_s
        self.position: dict[int, int] | None = None
        self.sent, self.got = 0, Counter[str]()
        self.letters: list[DeadLetter] = []

    def put(self, n: int) -> None:
        self._put(live_events(self.sent, n))
        self.sent += n

    def open(self) -> Reader:
        reader = self.make()
        reader.open(self.position)
        return reader

    def read(self, reader: Reader, max_rows: int) -> pd.DataFrame:
        try:
            rows = reader.read(max_rows)
        except EndOfStream as error:
            raise CheckError(f"{reader.name}: a live reader never ends, and it raised EndOfStream.") from error
        if len(rows) > max_rows:
            raise CheckError(f"{reader.name}: read({max_rows}) gave {len(rows)} rows.")
        return rows

    def until(self, happened: Callable[[], bool], what: Callable[[], str]) -> None:
        """Ask again and again; what does not happen in time is an error."""
        end = time.monotonic() + self.patience_s
        while not happened():
            if time.monotonic() > end:
                raise CheckError(f"{what()} (not within {self.patience_s:g} s).")
            time.sleep(0.002)

    def take(self, reader: Reader, n: int, max_rows: int = 5) -> pd.DataFrame:
        """Read the next ``n`` rows, and count them as done."""
        parts = [frames.empty()]

        def read() -> bool:
            rows = self.read(reader, min(max_rows, n - sum(map(len, parts)))) if n else frames.empty()
            if len(rows):
                parts.append(rows)
                self.count(reader, rows)
            return sum(map(len, parts)) == n

        self.until(read, lambda: f"{reader.name}: rows are lost: {n} that were written and not read must come")
        return frames.concat(parts)

    def count(self, reader: Reader, rows: pd.DataFrame) -> None:
        self.got.update(rows["event_id"].tolist() if len(rows) else [])
        self.letters += reader.take_dead_letters()
        if twice := [one for one, n in self.got.items() if n > 1]:
            raise CheckError(f"{reader.name}: rows come twice, such as {twice[:3]}.")

    def lag_is(self, reader: Reader, n: int, reading: bool = False) -> None:
        """Wait until the lag is known to be ``n``; while nothing is read, or until all is."""
        heard: list[dict[int, int]] = [{}]

        def asked() -> bool:
            if reading:
                self.count(reader, self.read(reader, 100))
            heard[0] = reader.lag()
            return bool(heard[0]) and sum(heard[0].values()) == n

        self.until(asked, lambda: f"{reader.name}: lag() is asked of the origin: {n} rows wait, and it says {heard[0]}")

    def settle(self, reader: Reader) -> None:
        """See that all is read: no lag, nothing more, nothing lost, no trouble. Reads on, as who joins a group has to."""
        self.take(reader, self.sent - self.got.total())
        self.lag_is(reader, 0, reading=True)
        if lost := {f"e{i}" for i in range(self.sent)} - set(self.got):
            raise CheckError(f"{reader.name}: rows are lost, such as {sorted(lost)[:3]}.")
        self.until(
            lambda: reader.trouble() is None, lambda: f"{reader.name}: trouble() must be None when all is well: {reader.trouble()}"
        )

    def leave(self, reader: Reader) -> None:
        self.position = reader.position()
        reader.commit(self.position)
        reader.close()
        reader.close()  # closing twice is harmless

    def comes(self) -> None:
        """Write a row, several, and read them."""
        reader = self.open()
        self.read(reader, 3)
        parts = []
        for n, max_rows in ((1, 1), (7, 3), (30, 1_000)):
            self.put(n)
            parts.append(self.take(reader, n, max_rows))
        rows = frames.concat(parts)
        event_frames(reader, rows)
        for _, mine in rows.groupby("partition"):
            numbers = mine["event_id"].str[1:].astype("int64")
            if not (mine["offset"].is_monotonic_increasing and numbers.is_monotonic_increasing):
                raise CheckError(f"{reader.name}: the rows of a partition must come in the order in which they were written.")
        self.settle(reader)
        written = live_events(0, len(rows)).set_index("event_id").loc[rows["event_id"]].reset_index()
        for column in ("time", "event_id", "actor", "value"):
            if rows[column].tolist() != written[column].tolist():
                raise CheckError(f"{reader.name}: the values of {column!r} are not read as they were written.")
        check_fetch(reader, rows)
        if reader.position() != reader.position():
            raise CheckError(f"{reader.name}: position() must not move by being asked.")
        self.leave(reader)

    def counts(self) -> None:
        """Ask for the lag before rows are read, while they are, and after."""
        self.put(1)
        reader = self.open()
        self.settle(reader)
        self.put(20)
        self.lag_is(reader, 20)
        self.take(reader, 7)
        self.lag_is(reader, 13)
        self.settle(reader)
        self.leave(reader)

    def goes_on(self) -> None:
        """Leave the reader before each of several rows, with and without some that were read in vain, and open another there."""
        for done, pending, commit in ((0, 3, False), (1, 0, True), (4, 5, False), (6, 1, True), (0, 1, False)):
            self.put(done + pending + 2)
            reader = self.open()
            self.take(reader, done, max_rows=2)
            self.drop(reader, pending, commit)
        reader = self.open()
        self.settle(reader)
        self.leave(reader)

    def drop(self, reader: Reader, pending: int, commit: bool) -> None:
        """Read some rows, and leave before them: they are to come again."""
        rows = self.some(reader, pending) if pending else frames.empty()
        self.position = reader.position_before(rows)
        self.letters += reader.take_dead_letters()
        if commit:
            reader.commit(self.position)
        reader.close()

    def some(self, reader: Reader, most: int) -> pd.DataFrame:
        """Read until there are rows, at most so many."""
        found: list[pd.DataFrame] = []

        def came() -> bool:
            found[:] = [self.read(reader, most)]
            return len(found[0]) > 0

        self.until(came, lambda: f"{reader.name}: rows are lost: those that were written and not read must come")
        return found[0]

    def buries(self, corrected: bytes | None) -> None:
        """Write what cannot be read between rows, and leave before, between and after."""
        assert self.put_raw is not None
        bad = [b"?1", b"?2", b"?3"]
        reader = self.open()
        self.settle(reader)
        self.letters = []
        for raw in bad:
            self.put(3)
            self.put_raw(raw)
        self.put(2)
        self.take(reader, 4, 2)
        once(reader, self.letters)
        early = self.letters
        self.drop(reader, 3, commit=True)
        reader = self.open()
        early, self.letters = early + self.letters, []

        def buried() -> bool:
            self.count(reader, self.read(reader, 5))
            return {letter.raw for letter in early + self.letters} >= set(bad)

        self.until(buried, lambda: f"{reader.name}: dead letters are lost: each record that cannot be read is one")
        self.settle(reader)
        once(reader, self.letters)
        found = {letter.raw for letter in early + self.letters}
        if found != set(bad):
            raise CheckError(f"{reader.name}: dead letters have the record as it was: {sorted(found)}, expected {bad}.")
        check_redrive(reader, self.letters, corrected)
        self.leave(reader)
        reader, self.letters = self.open(), []
        self.put(1)
        self.settle(reader)
        if self.letters:
            raise CheckError(f"{reader.name}: dead letters before its position come again: {keys(self.letters)}.")
        self.leave(reader)

    def remembers(self) -> None:
        """Open without a position: what is committed is gone, and nothing else."""
        self.put(9)
        reader = self.open()
        self.take(reader, 4)
        self.drop(reader, 3, commit=True)  # five rows are not committed
        for last in (False, True):
            self.position = None
            reader = self.open()
            if not last:
                self.take(reader, 2)
                self.leave(reader)
                continue
            self.settle(reader)
            self.leave(reader)
