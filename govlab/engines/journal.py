"""The journal of a run: what comes of it is written to a store as it goes."""

from __future__ import annotations

import hashlib
import os
import pickle
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd

from govlab import frames
from govlab.engines.carrier import Carrier
from govlab.errors import StoreError
from govlab.recipes import recipe_hash
from govlab.sources.frames import FrameReader
from govlab.sources.reader import DeadLetter, Reader
from govlab.stores.store import FORMAT, LETTER_COLUMNS, Snapshot, Store
from govlab.stores.writer import refuse_other, without_versions, writer_of

__all__ = ["Journal", "letters_table", "open_store", "opened"]

MOST_LETTERS, MOST_BYTES, MOST_ALERTS = 5_000, 8 << 20, 50_000  # in memory before they are written


def letters_table(letters: Iterable[DeadLetter]) -> pd.DataFrame:
    """Make a table of dead letters."""
    return pd.DataFrame([[getattr(letter, name) for name in LETTER_COLUMNS] for letter in letters], columns=list(LETTER_COLUMNS))


@dataclass(frozen=True)
class Stand:
    """Where a stored run stands: the position of each reader, whether all ended, and how many events each has given."""

    positions: list[dict[int, int]]
    finished: bool
    events: list[int]


class Journal:
    """Writes a run to a store as it goes: alerts, dead letters, step states and positions, each time in one transaction.

    Parameters
    ----------
    store : Store, str or Path
        A store, or the path of a SQLite file.
    readers : list of Reader
        Where the rows come from. What is written is taken up again only by a run over the same origins.
    carriers : list of Carrier
        The pipelines.
    every_s : float
        So often it is written, though never so often that writing takes more than a twentieth of the time.
    """

    def __init__(self, store: Any, readers: list[Reader], carriers: list[Carrier], every_s: float = 1.0) -> None:
        for reader in readers:
            if isinstance(reader, FrameReader) and reader.origin == reader.name:
                raise StoreError("frames from a generator cannot be taken up again; give a list of frames, or files.")
        hashes = [carrier.pipeline.hash for carrier in carriers]
        if len(set(hashes)) < len(hashes):
            raise StoreError(
                "two branches run the same pipeline, so their alerts have the same ids; keep only one of them with a store."
            )
        self.store, self._own = open_store(store)
        # without versions, so that a snapshot of another version of a step is found, and refused
        recipes = [recipe_hash(without_versions(carrier.recipe)) for carrier in carriers]
        whole = "\n".join([*(reader.origin for reader in readers), *recipes])
        self.run = hashlib.sha256(whole.encode()).hexdigest()[:16]
        names = [reader.name for reader in readers]
        self.names = [name if names.count(name) == 1 else f"{name} #{i}" for i, name in enumerate(names)]
        self.epoch = self.store.claim(self.run)
        self.carriers, self.every_s = carriers, every_s
        self._alerts: list[pd.DataFrame] = []
        self._letters: list[DeadLetter] = []
        self._raw = 0  # bytes of those letters
        self._writer = writer_of(carrier.pipeline for carrier in carriers)
        self._last: list[dict[int, int]] | None = None  # the positions last written
        self._finished: list[dict[int, int]] | None = None  # those at which the run finished
        self._due = time.monotonic() + every_s

    def load(self) -> Stand | None:
        """Take up the states of the last snapshot, if there is one; gives where to read on."""
        snapshot = self.store.snapshot(self.run)
        if snapshot is None:
            return None
        states, events = self.opened(snapshot, self.run)
        for carrier, state in zip(self.carriers, states, strict=True):
            carrier.__dict__.update(state)
        positions = [dict(snapshot.positions[name]) for name in self.names]
        self._finished = positions if snapshot.finished else None
        return Stand(positions, snapshot.finished, events)

    def opened(self, snapshot: Snapshot, run: str) -> Any:
        """Unpickle the state of a snapshot, which the store has found to be this user's, if the same versions wrote it.

        Raises
        ------
        StoreError
            Other versions wrote it: names both, and says what to do.
        """
        what, mend = f"the snapshot of the run {run!r}", "begin anew with another store"
        written = {**snapshot.writer, "format": str(snapshot.format)}
        refuse_other(written, {**self._writer, "format": str(FORMAT)}, what, mend)
        try:
            return pickle.loads(snapshot.state)
        except Exception as error:  # whatever a step's own class raises when it is unpickled
            raise StoreError(f"{what} cannot be opened ({type(error).__name__}: {error}); {mend}.") from error

    def add(self, alerts: pd.DataFrame | None = None, letters: Iterable[DeadLetter] = ()) -> None:
        """Keep alerts and dead letters for the next write."""
        if alerts is not None and len(alerts):
            self._alerts.append(alerts)
        fresh = list(letters)
        self._letters += fresh
        self._raw += sum(len(letter.raw) for letter in fresh)

    def unsaved(self) -> list[pd.DataFrame]:
        """Give the alerts that are not yet written."""
        return self._alerts

    def save(self, positions: list[dict[int, int]], finished: bool = False, events: Sequence[int] = ()) -> None:
        """Write now; ``positions`` are those of the readers, in their order, ``events`` how many each has given."""
        began = time.monotonic()
        finished = finished or positions == self._finished  # a finished run stays finished, wherever it is asked to hold
        if positions == self._last and not (self._alerts or self._letters or finished):
            self.written(began)
            return
        state = self.pickled(([carrier.__dict__ for carrier in self.carriers], list(events)))
        alerts = frames.concat(self._alerts) if self._alerts else None
        snapshot = Snapshot(dict(zip(self.names, positions, strict=True)), state, finished, self._writer)
        self.store.save(self.run, alerts, letters_table(self._letters), snapshot, self.epoch)
        self._alerts, self._letters, self._raw, self._last = [], [], 0, positions
        self._finished = positions if finished else None
        self.written(began)

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Keep dead letters for the next write; many are written ahead of it, and when they come again they change nothing."""
        for i in range(0, len(letters), MOST_LETTERS):
            self.add(letters=letters[i : i + MOST_LETTERS])
            if self._crowded:
                self.store.save(self.run, None, letters_table(self._letters), None, self.epoch)
                self._letters, self._raw = [], 0

    @property
    def _crowded(self) -> bool:
        return len(self._letters) >= MOST_LETTERS or self._raw >= MOST_BYTES

    @staticmethod
    def pickled(state: Any) -> bytes:
        """Pickle the states of steps, or say why that cannot be done."""
        try:
            return pickle.dumps(state, protocol=pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise StoreError(f"a step cannot be pickled, so a run of it cannot be stored: {error}") from error

    def written(self, began: float) -> None:
        """Settle when to write next, having begun to write at a time."""
        now = time.monotonic()
        self._due = now + max(self.every_s, 20 * (now - began))

    def count_letters(self) -> int:
        """Count the dead letters of the run, also those of before it was taken up."""
        return self.store.count_dead_letters(self.run)

    def letter_reasons(self) -> dict[str, int]:
        """Count the same by their reason."""
        return self.store.letter_reasons(self.run)

    @property
    def due(self) -> bool:
        """Whether it is time to write, or too much waits to be written."""
        return time.monotonic() >= self._due or self._crowded or sum(map(len, self._alerts)) >= MOST_ALERTS

    def close(self) -> None:
        """Close the store, if it was opened here."""
        if self._own:
            self.store.close()


@contextmanager
def opened(store: Any) -> Iterator[Store]:
    """Open a store for a while, where it is given by its path."""
    found, own = open_store(store)
    try:
        yield found
    finally:
        if own:
            found.close()


def open_store(store: Any) -> tuple[Store, bool]:
    """Give the store, and whether it was opened here."""
    if isinstance(store, Store):
        return store, False
    if isinstance(store, str | os.PathLike):
        from govlab.stores.sqlite import Sqlite

        return Sqlite(store), True
    raise StoreError(f"store={store!r}; expected the path of a SQLite file, or a store such as gl.stores.Sqlite('lab.db').")
