"""Recording a queue into Parquet files by hour of event time: resumable, with no gap and no row twice."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from govlab import frames
from govlab.errors import DataError, StoreError
from govlab.frames import TIME, Schema, duration_us, time_us
from govlab.sources.reader import DeadLetter, EndOfStream, Reader

__all__ = ["Recording", "record"]

MANIFEST, LETTERS, LOCK = "_recording.json", "_dead_letters.ndjson", "_lock"
HOUR_US = 3_600_000_000


@dataclass
class Recording:
    """What a folder holds.

    Attributes
    ----------
    rows, dead_letters : int
        How many were recorded in all.
    files : list of str
        The files, in the order in which they were written, relative to the folder.
    position : dict
        Where the reader stands.
    finished : bool
        Whether the source has ended.
    """

    rows: int = 0
    dead_letters: int = 0
    files: list[str] = field(default_factory=list)
    position: dict[int, int] = field(default_factory=dict)
    finished: bool = False


class _Folder:
    """A recording on disk. What the manifest does not list is not there: it is deleted when the recording goes on."""

    def __init__(self, folder: Path, reader: Reader) -> None:
        self.folder, self.origin = folder, reader.origin
        self.schema: Schema | None = getattr(reader, "schema", None)
        self.kept = Recording()
        self._letter_bytes = 0
        manifest = folder / MANIFEST
        if manifest.exists():
            self._load(manifest)
        elif any(path.suffix == ".parquet" for path in folder.rglob("*")):
            raise DataError(f"{folder} holds Parquet files, but no recording ({MANIFEST}); choose an empty folder.")

    def _load(self, manifest: Path) -> None:
        known = json.loads(manifest.read_text())
        if known["origin"] != self.origin:
            raise DataError(f"{self.folder} holds a recording of another source; choose another folder.")
        position = {int(partition): offset for partition, offset in known["position"].items()}
        self.kept = Recording(known["rows"], known["dead_letters"], known["files"], position, known["finished"])
        listed = {self.folder / name for name in self.kept.files}
        for path in self.folder.rglob("*.parquet*"):
            if path not in listed:
                path.unlink()
        missing = [name for name in self.kept.files if not (self.folder / name).exists()]
        if missing:
            raise DataError(f"{self.folder}: the recording lists {missing[0]!r}, which is not there.")
        self._letter_bytes = known["letter_bytes"]
        if (self.folder / LETTERS).exists():
            os.truncate(self.folder / LETTERS, self._letter_bytes)

    def write(self, rows: pd.DataFrame, letters: list[DeadLetter], position: dict[int, int], finished: bool) -> None:
        """Write rows, then the manifest that makes them count."""
        hours = time_us(rows) // HOUR_US if len(rows) else np.empty(0, "int64")
        for hour in np.unique(hours).tolist():
            name = pd.Timestamp(hour * HOUR_US, unit="us").strftime("hour=%Y-%m-%dT%H")
            file = f"{name}/{len(self.kept.files):09d}.parquet"
            (self.folder / name).mkdir(exist_ok=True)
            self._table(rows[hours == hour], self.folder / file)
            _sync(self.folder / name)
            self.kept.files.append(file)
        if letters:
            with (self.folder / LETTERS).open("ab") as out:
                for letter in letters:
                    raw = base64.b64encode(letter.raw).decode()
                    out.write(json.dumps(vars(letter) | {"raw": raw}).encode() + b"\n")
                out.flush()
                os.fsync(out.fileno())
                self._letter_bytes = out.tell()
        self.kept.rows += len(rows)
        self.kept.dead_letters += len(letters)
        self.kept.position, self.kept.finished = position, finished
        manifest = vars(self.kept) | {
            "origin": self.origin,
            "letter_bytes": self._letter_bytes,
            "schema": None if self.schema is None else self.schema.written().recipe(),
        }
        aside = self.folder / (MANIFEST + ".part")
        with aside.open("w") as out:
            json.dump(manifest, out)
            out.flush()
            os.fsync(out.fileno())
        aside.rename(self.folder / MANIFEST)
        _sync(self.folder)

    def _table(self, rows: pd.DataFrame, path: Path) -> None:
        arrays, fields = [], []
        for name in map(str, rows.columns):
            if name in (TIME,) or isinstance(rows[name].dtype, pd.DatetimeTZDtype):
                micros = time_us(rows, name)
                array = pa.array(micros, pa.timestamp("us", "UTC"), mask=micros == np.iinfo("int64").min)
            else:
                array = pa.Array.from_pandas(rows[name])
                array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
            # a column that may be missing is read back as floats, and one that may not as it is
            whole = pa.types.is_integer(array.type) or pa.types.is_boolean(array.type) or name == TIME
            arrays.append(array)
            fields.append(pa.field(name, array.type, nullable=not (whole and not array.null_count)))
        with path.open("wb") as out:
            pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), out, compression="zstd", row_group_size=65_536)
            out.flush()
            os.fsync(out.fileno())


def record(
    reader: Reader,
    folder: str | Path,
    every: str = "60s",
    every_rows: int = 500_000,
    for_s: float | None = None,
    progress: bool = True,
) -> Recording:
    """Read a source into Parquet files, one folder for each hour of event time; ``gl.from_replay(folder)`` replays it.

    A recording that was stopped, or killed at any moment, goes on where it stood when it is started again: files count once
    the manifest lists them, and the manifest holds the position of the reader. Only then is the position committed.

    Parameters
    ----------
    reader : Reader
        What to read: of Kafka, of RabbitMQ, of files.
    folder : str or Path
        Where to; a folder of this machine.
    every : str, default "60s"
        So often the rows read are written.
    every_rows : int
        Written earlier when so many rows wait (memory).
    for_s : float, optional
        Stop after so many seconds; by default at the end of the source, or when interrupted.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Recording

    Raises
    ------
    DataError
        The folder holds something else.
    """
    folder = Path(folder).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    every_s = duration_us(every, "every") / 1e6
    with _locked(folder):
        kept = _Folder(folder, reader)
        reader.open(kept.kept.position or None)
        try:
            with tqdm(unit=" rows", unit_scale=True, disable=not progress, initial=kept.kept.rows) as bar:
                _record(reader, kept, every_s, every_rows, for_s, bar)
        finally:
            reader.close()
    return kept.kept


def _record(reader: Reader, kept: _Folder, every_s: float, every_rows: int, for_s: float | None, bar: Any) -> None:
    parts: list[pd.DataFrame] = []
    letters: list[DeadLetter] = []
    waiting, ended, began = 0, kept.kept.finished, time.monotonic()
    due = began + every_s

    def write() -> None:
        nonlocal parts, letters, waiting, due
        position = reader.position()
        kept.write(frames.concat(parts), letters, position, ended)
        reader.commit(position)
        parts, letters, waiting, due = [], [], 0, time.monotonic() + every_s

    try:
        while not ended and (for_s is None or time.monotonic() - began < for_s):
            try:
                rows = reader.read(16_384)
            except EndOfStream:
                ended, rows = True, frames.empty()
            letters += reader.take_dead_letters()
            if len(rows):
                parts.append(rows)
                waiting += len(rows)
                bar.update(len(rows))
                bar.set_postfix_str(f"{rows[TIME].iloc[-1]:%Y-%m-%d %H:%M:%S}", refresh=False)
            if waiting >= every_rows or time.monotonic() >= due or (reader.wants_commit and waiting):
                write()
    except KeyboardInterrupt:
        pass  # that is how a live recording ends
    write()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{folder} is being recorded into by another process.") from None
        yield


def _sync(folder: Path) -> None:
    """Make names in a folder outlast a crash of the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
