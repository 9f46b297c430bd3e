"""``govlab record``: a queue into Parquet files by hour of event time, resumable, with no gap and no row twice."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from govlab import frames
from govlab.addresses import Address, access_of, reader_at
from govlab.connectors import options_of
from govlab.engines.interrupts import abortable, interruptible
from govlab.engines.streams.letters import Letters
from govlab.errors import ArgumentError
from govlab.event_clock import AHEAD_US, EventClock
from govlab.frames import TIME, Schema, duration_us, instant_us, time_us
from govlab.recording import Folder, Recording, locked, on_disk
from govlab.sources.reader import EndOfStream, Reader, SharedReader

__all__ = ["record", "run"]


def record(
    reader: Reader,
    folder: str | Path,
    every: str = "60s",
    every_rows: int = 1_000_000,
    until: Any = None,
    for_s: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    progress: bool = True,
) -> Recording:
    """Read a source into Parquet files, one folder for each hour of event time; ``gl.from_replay(folder)`` replays it.

    A recording that was stopped, or killed at any moment, goes on where it stood when it is started again: files count once
    the manifest lists them, and the manifest holds the position of the reader. Only then is the position committed. An
    interrupt from the keyboard ends it after what was read is written; a second one at once, in the middle of a read. In a file
    rows stand in the order in which they came.

    Parameters
    ----------
    reader : Reader
        What to read: of Kafka, of RabbitMQ, of files. It is closed at the end.
    folder : str or Path
        Where to; a folder of this machine, new, empty, or with a recording of the same source.
    every : str, default "60s"
        So often what was read is written.
    every_rows : int
        Written earlier when so many rows wait (memory).
    until : str or Timestamp, optional
        Stop before the first row at or after this event time (one whose clock is ahead of the others does not count, see
        :mod:`govlab.ahead`); ``"now"`` stops when nothing waits to be read.
    for_s : float, optional
        Stop after so many seconds. By default it goes on to the end of the source, or until it is interrupted.
    stop : function, optional
        Stop when it says so.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Recording

    Raises
    ------
    DataError
        The folder holds something else, or cannot be written.
    StoreError
        Another process records into it.
    """
    folder = Path(folder).expanduser()
    until_us = None if until in (None, "now") else instant_us(until, "until")
    end_s = None if for_s is None else time.monotonic() + for_s
    every_s = duration_us(every, "every") / 1e6
    with contextlib.ExitStack() as whole:
        whole.callback(reader.close)
        whole.enter_context(locked(folder))
        with on_disk(folder):
            waiting = _Waiting(Folder(folder, reader), every_s, every_rows)
        kept = waiting.folder.kept
        if kept.finished:
            return kept
        bar = whole.enter_context(tqdm(unit=" rows", unit_scale=True, disable=not progress, initial=kept.rows))
        done = False
        try:
            with interruptible(signal.SIGTERM) as asked:
                waiting.begin(reader)
                while not done:
                    ended = waiting.read(reader, until_us)
                    bar.update(waiting.came)
                    bar.set_postfix_str(waiting.told(reader), refresh=False)
                    late = end_s is not None and time.monotonic() >= end_s
                    last = ended or waiting.full or late or bool(asked) or stop() or (until == "now" and waiting.quiet(reader))
                    if last or waiting.due or reader.wants_commit:
                        waiting.write(reader, finished=ended)
                    done = last
        except KeyboardInterrupt:
            if not done:  # a third one, which stops whatever runs
                raise
    return kept


class _Waiting:
    """What was read and is not yet written."""

    def __init__(self, folder: Folder, every_s: float, every_rows: int) -> None:
        self.folder, self.every_s, self.every_rows = folder, every_s, every_rows
        self.position = folder.kept.position
        self.full = self.torn = False  # the row at which to stop has come; a read was stopped in the middle
        self.came = 0
        self._clock = EventClock(AHEAD_US)
        self._event_time = ""
        self._clear()

    def begin(self, reader: Reader) -> None:
        """Open the source where the recording stands."""
        if isinstance(reader, SharedReader):
            reader.alone = True  # what other members of its group read would be missing here
        reader.open(self.folder.kept.position)
        self.position = reader.position()
        if not self.folder.kept.position:
            with on_disk(self.folder.folder):  # it begins here, also if it is killed before the first row
                self.folder.write(frames.empty(), [], self.position)

    def _clear(self) -> None:
        self.parts, self.letters, self.rows = list[pd.DataFrame](), Letters(), 0
        self._due_s = time.monotonic() + self.every_s

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        return self.rows >= self.every_rows or time.monotonic() >= self._due_s

    def read(self, reader: Reader, until_us: int | None) -> bool:
        """Take the next rows, those before ``until_us``; tells whether the source has ended."""
        self.came = 0
        try:
            if reader.once:  # nobody may stop it in the middle: what it has given is given
                rows = reader.read(min(16_384, self.every_rows))
            else:
                with abortable():
                    rows = reader.read(min(16_384, self.every_rows))
        except EndOfStream:
            self.position = reader.position()
            self.letters.add(reader.take_dead_letters())
            return True
        except KeyboardInterrupt:  # a second one: what was read before is written, with its position
            self.torn = True
            return False
        self.position = reader.position()
        self.letters.add(reader.take_dead_letters())
        after = np.flatnonzero(self._reached(time_us(rows)) >= until_us) if until_us is not None else np.empty(0, "int64")
        if after.size:
            self.full, self.position = True, reader.position_before(rows.iloc[after[0] :])
            rows = rows.iloc[: after[0]]
        self.came = len(rows)
        if self.came:
            self.parts.append(rows)
            self.rows += self.came
            self._event_time = f"{rows[TIME].iloc[-1]:%Y-%m-%d %H:%M:%S}"
        elif not reader.waits:
            time.sleep(0.02)
        return False

    def _reached(self, times: np.ndarray) -> np.ndarray:
        """Give how far event time had come at each row."""
        newest = np.zeros(times.size, "int64")
        self._clock.take(times, newest=newest)
        return newest

    def told(self, reader: Reader) -> str:
        """Say how it goes."""
        trouble = reader.trouble()
        return f"{trouble[0]}: {trouble[1]}" if trouble else self._event_time

    def quiet(self, reader: Reader) -> bool:
        """Tell whether nothing waits to be read, as the origin says that was asked; where it cannot say, nobody knows."""
        lag = reader.lag()
        return bool(lag) and not any(lag.values()) and not reader.trouble()

    def write(self, reader: Reader, finished: bool) -> None:
        """Write it, and tell the origin."""
        if self.rows or self.letters or finished or self.position != self.folder.kept.position:
            with on_disk(self.folder.folder):
                self.folder.write(frames.concat(self.parts), self.letters.pages(), self.position, finished)
            if not self.torn:  # a reader that was stopped in the middle may be in no state to be told
                reader.commit(self.position)
        self._clear()


def run(options: argparse.Namespace) -> int:
    """Do what was asked; gives the exit status."""
    for_s = None if options.duration is None else duration_us(options.duration, "--for") / 1e6
    address = Address.of(options.source)
    there = Recording.of(options.into)
    schema = None if options.schema is None else _schema(options.schema)
    if schema is None and there is not None and there.schema is not None:
        schema = Schema(**there.schema)  # that with which it began
    given = {name: getattr(options, name) for name in options_of("reading")}
    reader = reader_at(address, access_of(options, address), schema=schema, format=options.format, **given)
    kept = record(reader, options.into, options.every, until=options.until, for_s=for_s, progress=not options.quiet)
    span = f", {kept.event_time[0]} to {kept.event_time[1]}," if kept.event_time else ""
    dead = f", {kept.dead_letters:,} dead letters" if kept.dead_letters else ""
    print(f"{kept.rows:,} rows{span} in {len(kept.files):,} files{dead} in {options.into}")
    return 0


def _schema(path: Path) -> Schema:
    try:
        known = json.loads(path.read_text())
        return Schema(**known) if isinstance(known.get("fields"), dict) else Schema(known)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ArgumentError(f"--schema {path}: no schema can be read from it ({error}).") from error
