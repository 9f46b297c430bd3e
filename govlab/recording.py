"""A recording on disk: Parquet files by hour of event time, and a manifest that says which of them count."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from govlab import frames
from govlab.errors import DataError, StoreError
from govlab.frames import POSITION, TIME, Schema, time_us
from govlab.schema import IN_FILES
from govlab.sinks.encode import plain
from govlab.sources.reader import DeadLetter, Reader

__all__ = ["Folder", "Recording", "locked", "on_disk"]

MANIFEST, LETTERS, LOCK = "_positions.json", "_dead_letters.ndjson", "_lock"
HOUR_US = 3_600_000_000
_PLACE = {"partition": pa.int32(), "offset": pa.int64()}


@dataclass
class Recording:
    """What a folder holds.

    Attributes
    ----------
    source, origin : str
        What was recorded, by name and in full.
    schema : dict or None
        The recipe of the schema with which it was read.
    position : dict
        Where the reader stands: all before that is in the files.
    rows, dead_letters : int
        How many were recorded in all.
    event_time : list of str or None
        First and last event time.
    finished : bool
        Whether the source has ended.
    files : dict of str to int
        The files, in the order in which they were written, with the number of their rows.
    letter_bytes : int
        How much of the file of dead letters counts.
    """

    source: str
    origin: str
    schema: dict[str, Any] | None
    position: dict[int, int] = field(default_factory=dict)
    rows: int = 0
    dead_letters: int = 0
    event_time: list[str] | None = None
    finished: bool = False
    files: dict[str, int] = field(default_factory=dict)
    letter_bytes: int = 0

    @classmethod
    def of(cls, folder: str | Path) -> Recording | None:
        """Read what a folder holds; None where nothing was recorded into it."""
        with on_disk(folder):
            try:
                known = json.loads((Path(folder) / MANIFEST).read_text())
                return cls(**known | {"position": {int(partition): n for partition, n in known["position"].items()}})
            except FileNotFoundError:
                return None
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise DataError(
                    f"{folder}: {MANIFEST} is damaged, or of another version of govlab ({error}); restore it, or record into "
                    "another folder. The files can still be read: gl.from_replay(folder)."
                ) from error


class Folder:
    """A recording on disk. What the manifest does not list does not count: it is deleted when the recording goes on."""

    def __init__(self, folder: Path, reader: Reader) -> None:
        self.folder = folder
        schema = reader.schema
        self._schema: Schema | None = None if schema is None else schema.written(envelope=True)
        known = Recording.of(folder)
        if known is None and any(path.name not in (LOCK, MANIFEST + ".part") for path in folder.iterdir()):
            raise DataError(f"{folder} is not empty, and holds no recording (no {MANIFEST}); choose an empty folder, or a new one.")
        self.kept = known or Recording(reader.name, reader.origin, None if schema is None else schema.recipe())
        if self.kept.origin != reader.origin:
            other = self.kept.source if self.kept.source != reader.name else "it with another schema, format, group or server"
            raise DataError(f"{folder} holds a recording of {other}, and now {reader.name} is given; choose another folder.")
        self._letters = self._clean()

    def _clean(self) -> set[tuple[int, int]]:
        """Delete what a recording that was killed has left; gives the places of the dead letters that count."""
        for path in self.folder.glob("hour=*/*.parquet*"):
            if path.relative_to(self.folder).as_posix() not in self.kept.files:
                path.unlink()
        missing = [name for name in self.kept.files if not (self.folder / name).is_file()]
        if missing:
            raise DataError(
                f"{self.folder}: {len(missing):,} files of the recording are gone, such as {missing[0]}; put them back."
            )
        path = self.folder / LETTERS
        if not path.exists():
            return set()
        os.truncate(path, self.kept.letter_bytes)
        known = map(json.loads, path.read_text().splitlines())
        return {(letter["partition"], letter["offset"]) for letter in known}

    def write(
        self, rows: pd.DataFrame, letters: Iterable[list[DeadLetter]], position: dict[int, int], finished: bool = False
    ) -> None:
        """Write rows and dead letters, and then the manifest, which makes them count."""
        kept = self.kept
        if len(rows):
            times = time_us(rows)
            hours = times // HOUR_US
            order = np.argsort(hours, kind="stable")
            for places in np.split(order, np.flatnonzero(np.diff(hours[order])) + 1):
                name = self._write_file(rows.iloc[places], np.datetime64(int(hours[places[0]]), "h"))
                kept.files[name] = places.size
            span = [*(kept.event_time or []), *frames.from_us(np.array([times.min(), times.max()])).astype(str)]
            kept.event_time = [min(span, key=pd.Timestamp), max(span, key=pd.Timestamp)]
        for page in letters:
            self._write_letters([letter for letter in page if (letter.partition, letter.offset) not in self._letters])
        _sync(self.folder)
        kept.rows, kept.position, kept.finished = kept.rows + len(rows), dict(position), finished
        with _whole(self.folder / MANIFEST) as out:
            out.write(json.dumps(vars(kept)).encode())
        _sync(self.folder)

    def _write_file(self, rows: pd.DataFrame, hour: np.datetime64) -> str:
        name = f"hour={hour}/{len(self.kept.files):06d}.parquet"
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        with _whole(path) as out:
            pq.write_table(self._table(rows), out, compression="zstd", row_group_size=65_536)
        _sync(path.parent)
        return name

    def _table(self, rows: pd.DataFrame) -> pa.Table:
        columns = {str(name): plain(frames.values(rows, name)) for name in rows.columns}
        if self._schema is None:
            found = pa.schema([(name, array.type) for name, array in columns.items() if name not in POSITION])
            self._schema = Schema.infer(found, time=TIME)
        kinds = {self._schema.frame_name(name): self._schema.arrow_type(name) for name in self._schema.fields} | _PLACE
        table = pa.table({name: columns[name].cast(kind) for name, kind in kinds.items()})
        return table.replace_schema_metadata({IN_FILES: json.dumps(self._schema.recipe())})

    def _write_letters(self, letters: list[DeadLetter]) -> None:
        if not letters:
            return
        with (self.folder / LETTERS).open("ab") as out:
            for letter in letters:
                out.write(json.dumps(vars(letter) | {"raw": base64.b64encode(letter.raw).decode()}).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
            self.kept.letter_bytes = out.tell()
        self.kept.dead_letters += len(letters)
        self._letters |= {(letter.partition, letter.offset) for letter in letters}


@contextlib.contextmanager
def on_disk(folder: str | Path) -> Iterator[None]:
    """Turn what a disk raises into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder} cannot be used for a recording: {error.strerror or error}. Mend that, or choose another folder; what was "
            "recorded before is whole."
        ) from error


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from recording into a folder, which is made if it is not there."""
    with on_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        opened = (folder / LOCK).open("w")
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{folder}: another process records into it; end that first, or choose another folder.") from None
        yield


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Any]:
    """Write a file that is there only when it is whole, and outlasts a crash of the machine."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())
    part.rename(path)


def _sync(folder: Path) -> None:
    """Make the names in a folder outlast a crash of the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
