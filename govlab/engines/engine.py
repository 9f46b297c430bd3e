"""The engine, and what all engines share: a fresh copy of a pipeline with its counters, and the journal of a run."""

from __future__ import annotations

import abc
import hashlib
import os
import pickle
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from govlab import frames
from govlab.errors import ArgumentError, SourceError, StoreError
from govlab.pipeline import Pipeline, Result
from govlab.sources.reader import DeadLetter, EndOfStream, Reader
from govlab.step import Step
from govlab.stores.store import LETTER_COLUMNS, Snapshot, Store
from govlab.summary import Fingerprint, Summary, content_hashes

NEVER = -(2**62)  # no time yet

__all__ = ["Carrier", "Engine", "FrameReader", "Journal", "as_reader", "letters_table", "whole_sides"]


class Engine(abc.ABC):
    """Carries the frames of a source through a fresh copy of a pipeline, to the end."""

    @abc.abstractmethod
    def run(self, pipeline: Step, source: Any, **options: Any) -> Result:
        """Run; the same rows give the same result on every engine."""


class Carrier:
    """A fresh copy of a pipeline on its way: takes frames, gives what comes out, counts, and can be put down and taken up.

    Parameters
    ----------
    step : Step
        A pipeline, or one step.
    """

    def __init__(self, step: Step) -> None:
        if not isinstance(step, Step):
            raise ArgumentError(f"{step!r} is not a pipeline or a step; give gl.Pipeline(...) or an instance of a step.")
        self.pipeline = step.fresh() if isinstance(step, Pipeline) else Pipeline(step)
        self.recipe = self.pipeline.recipe()
        self.fingerprint = Fingerprint()
        self.events = self.rows = 0
        self.ended = False
        self.sides: dict[str, int] = {}
        self.first_us = self.last_us = self.newest_us = NEVER

    def push(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, pd.DataFrame]]]:
        """Take the next rows; gives what came out, and what was put aside."""
        frames.require(frame, [frames.TIME, *frames.POSITION], "an event frame")
        if not isinstance(frame.index, pd.RangeIndex) or frame.index.start != 0:
            frame = frame.reset_index(drop=True)
        self.events += len(frame)
        if len(frame):
            times = frames.time_us(frame)
            self.first_us = times[0] if self.first_us == NEVER else self.first_us
            self.last_us, self.newest_us = times[-1], max(self.newest_us, int(times.max()))
        self.fingerprint.take(frame)
        return self.given(self.pipeline.process(frame))

    def finish(self) -> tuple[pd.DataFrame, list[tuple[str, pd.DataFrame]]]:
        """Let the steps emit what they hold; asked again, there is nothing more."""
        if self.ended:
            return frames.empty(), []
        found = self.given(self.pipeline.finish())
        self.ended = True
        return found

    def given(self, out: pd.DataFrame) -> tuple[pd.DataFrame, list[tuple[str, pd.DataFrame]]]:
        """Count what came out of the pipeline, and take what was put aside."""
        sides = self.pipeline.take_sides()
        self.rows += len(out)
        if len(out):
            self.fingerprint.give(out)
        for side, rows in sides:
            self.sides[side] = self.sides.get(side, 0) + len(rows)
        return out, sides

    def summary(self, state: str, dead_letters: int = 0, wall_s: float = 0.0, cpu_s: float = 0.0) -> Summary:
        """Say what was done so far."""
        steps = zip(self.pipeline.steps, self.pipeline.counts, strict=True)
        ends = () if self.newest_us == NEVER else (self.first_us, self.newest_us)
        span = [str(pd.Timestamp(t, unit="us", tz="UTC")) for t in ends] or None
        return Summary(
            state=state,
            events=self.events,
            rows=self.rows,
            steps=[{"step": s.name, "taken": a, "given": b, "aside": c} for s, (a, b, c) in steps],
            sides=dict(sorted(self.sides.items())),
            late=self.sides.get("late", 0),
            dead_letters=dead_letters,
            held=self.pipeline.held(),
            event_time=span,
            lag_s=None if self.newest_us == NEVER else (self.newest_us - self.last_us) / 1e6,
            scored=[one.to_dict() for one in self.pipeline.all_scored()],
            thresholds=self.pipeline.thresholds(),
            wall_s=wall_s,
            cpu_s=cpu_s,
            recipe=self.pipeline.hash,
            fingerprint=self.fingerprint.digest(self.recipe),
        )


class FrameReader(Reader):
    """Frames at hand as a reader. Delivery: each row once, in the order of the frames; there are no bad records."""

    name = "frames"

    def __init__(self, source: pd.DataFrame | Iterable[pd.DataFrame]) -> None:
        self._source = source
        self._iterator: Iterator[pd.DataFrame] = iter(())
        self._rest = frames.empty()
        self._opened, self._given = False, 0

    @property
    def origin(self) -> str:
        """The hash of the rows, where they are at hand; else the name."""
        known = [self._source] if isinstance(self._source, pd.DataFrame) else self._source
        if not isinstance(known, list | tuple):
            return self.name
        whole = hashlib.sha256()
        for frame in known:
            whole.update(content_hashes(frame).tobytes())
        return f"{self.name} {whole.hexdigest()}"

    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin, after the number of rows that a position says were given."""
        if self._given and iter(self._source) is self._source:
            raise SourceError("frames from a generator cannot be read again; give a list of frames, or a reader.")
        source = [self._source] if isinstance(self._source, pd.DataFrame) else self._source
        self._iterator, self._rest, self._opened, self._given = iter(source), frames.empty(), True, 0
        skip = (position or {}).get(0, 0)
        while skip > self._given:
            self.read(skip - self._given)

    def read(self, max_rows: int) -> pd.DataFrame:
        """Give the next rows."""
        if not self._opened:
            self.open()
        while not len(self._rest):
            frame = next(self._iterator, None)
            if frame is None:
                raise EndOfStream("there are no more frames.")
            self._rest = frames.event_frame(frame, offset=self._given)
        rows, self._rest = self._rest.iloc[:max_rows], self._rest.iloc[max_rows:]
        self._given += len(rows)
        return rows.reset_index(drop=True)

    def position(self) -> dict[int, int]:
        """Give the number of rows given."""
        return {0: self._given}

    def position_before(self, rows: pd.DataFrame) -> dict[int, int]:
        """Give the position from which the last rows come again."""
        return {0: self._given - len(rows)}

    def close(self) -> None:
        """Forget the frames at hand."""
        self._opened = False


def as_reader(source: Any) -> Reader:
    """Make a reader of frames, or give back the reader."""
    if isinstance(source, Reader):
        return source
    if isinstance(source, pd.DataFrame) or (isinstance(source, Iterable) and not isinstance(source, str | bytes | Mapping)):
        return FrameReader(source)
    raise ArgumentError(
        f"cannot run over {type(source).__name__}: give a DataFrame, DataFrames, or a reader such as gl.sources.ReplayReader(path)."
    )


def whole_sides(parts: Mapping[str, list[pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """Put each side together, in the order of the rows' positions, which does not depend on the frames."""
    return {
        side: frames.concat(rows).sort_values(list(frames.POSITION), kind="stable", ignore_index=True)
        for side, rows in parts.items()
    }


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
        whole = "\n".join([*(reader.origin for reader in readers), *(carrier.pipeline.hash for carrier in carriers)])
        self.run = hashlib.sha256(whole.encode()).hexdigest()[:16]
        names = [reader.name for reader in readers]
        self.names = [name if names.count(name) == 1 else f"{name} #{i}" for i, name in enumerate(names)]
        self.epoch = self.store.claim(self.run)
        self.carriers, self.every_s = carriers, every_s
        self._alerts: list[pd.DataFrame] = []
        self._letters: list[DeadLetter] = []
        self._last: list[dict[int, int]] | None = None  # the positions last written
        self._due = time.monotonic() + every_s

    def load(self) -> Stand | None:
        """Take up the states of the last snapshot, if there is one; gives where to read on."""
        snapshot = self.store.snapshot(self.run)
        if snapshot is None:
            return None
        states, events = pickle.loads(snapshot.state)
        for carrier, state in zip(self.carriers, states, strict=True):
            carrier.__dict__.update(state)
        return Stand([dict(snapshot.positions[name]) for name in self.names], snapshot.finished, events)

    def add(self, alerts: pd.DataFrame | None = None, letters: Iterable[DeadLetter] = ()) -> None:
        """Keep alerts and dead letters for the next write."""
        if alerts is not None and len(alerts):
            self._alerts.append(alerts)
        self._letters += letters

    def unsaved(self) -> list[pd.DataFrame]:
        """Give the alerts that are not yet written."""
        return self._alerts

    def save(self, positions: list[dict[int, int]], finished: bool = False, events: Sequence[int] = ()) -> None:
        """Write now; ``positions`` are those of the readers, in their order, ``events`` how many each has given."""
        began = time.monotonic()
        if positions == self._last and not (self._alerts or self._letters or finished):
            self.written(began)
            return
        state = self.pickled(([carrier.__dict__ for carrier in self.carriers], list(events)))
        alerts = frames.concat(self._alerts) if self._alerts else None
        snapshot = Snapshot(dict(zip(self.names, positions, strict=True)), state, finished)
        self.store.save(self.run, alerts, letters_table(self._letters), snapshot, self.epoch)
        self._alerts, self._letters, self._last = [], [], positions
        self.written(began)

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
        return len(self.store.dead_letters(self.run))

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() >= self._due

    def close(self) -> None:
        """Close the store, if it was opened here."""
        if self._own:
            self.store.close()


def open_store(store: Any) -> tuple[Store, bool]:
    """Give the store, and whether it was opened here."""
    if isinstance(store, Store):
        return store, False
    if isinstance(store, str | os.PathLike):
        from govlab.stores.sqlite import Sqlite

        return Sqlite(store), True
    raise StoreError(f"store={store!r}; expected the path of a SQLite file, or a store such as gl.stores.Sqlite('lab.db').")
