"""Replay: files as a stream, merged on one clock."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Generator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.errors import ArgumentError, SourceError
from govlab.frames import TIME, Schema, instant_us, time_us
from govlab.sources import files
from govlab.sources.decode import Bad, CsvDecoder, JsonDecoder
from govlab.sources.infer import infer
from govlab.sources.reader import RAW_LIMIT, DeadLetter, EndOfStream, Reader

__all__ = ["ReplayReader"]


class _File:
    """One file as sorted rows: its block iterator, and the rows and dead letters read but not yet given."""

    def __init__(self, reader: ReplayReader, partition: int) -> None:
        self.reader, self.partition, self.path = reader, partition, reader.paths[partition]
        self._blocks: Generator[tuple[pd.DataFrame, list[Bad]], None, None] = files.blocks(self.path, partition, reader.schema)
        self.rows: pd.DataFrame | None = None
        self.keys = np.empty(0, "int64")
        self.ended = False
        self.read = self.given = 0
        self.letters: deque[tuple[int, DeadLetter]] = deque()
        self._peaks = np.empty(0, "int64")

    def load(self, look_ahead: int) -> None:
        """Read on until more than ``look_ahead`` rows wait, and sort them by the clock's time if they are not."""
        parts, keys = ([] if self.rows is None else [self.rows]), [self.keys]
        waiting = self.keys.size
        while not self.ended and waiting <= look_ahead:
            block = next(self._blocks, None)
            if block is None:
                self.ended = True
                break
            frame, bad = block
            self._bury(frame, bad)
            parts.append(frame)
            keys.append(self._key(frame))
            waiting += len(frame)
            self.read += len(frame)
        if not parts or len(keys) == 1:
            return
        rows, key = frames.concat(parts), np.concatenate(keys)
        if key.size > 1 and (np.diff(key) < 0).any():
            order = np.argsort(key, kind="stable")
            rows, key = rows.iloc[order].reset_index(drop=True), key[order]
        self.rows, self.keys = rows, key

    def _bury(self, frame: pd.DataFrame, bad: list[Bad]) -> None:
        """Keep bad records, each with the number of rows that come before it."""
        before = self.read + np.searchsorted(frame["offset"].to_numpy(), [offset for offset, _, _ in bad])
        for n, (offset, reason, raw) in zip(before.tolist(), bad, strict=True):
            self.letters.append((n, DeadLetter(self.path, self.partition, offset, reason, raw[:RAW_LIMIT])))

    def _key(self, frame: pd.DataFrame) -> np.ndarray:
        """Give the time by which rows are merged."""
        column = (
            TIME
            if self.reader.order == "event"
            else self.reader.schema.frame_name(self.reader.schema.arrival or self.reader.schema.time)
        )
        key = time_us(frame, column)
        # the latest time of all rows up to each one, after those of the rows just before
        peaks = np.maximum.accumulate(np.concatenate([self._peaks, key]))
        here = peaks.size - key.size
        ahead = self.reader.look_ahead + 1
        self._peaks = peaks[-ahead:]
        if self.reader.order == "arrival":
            # a file is in its order as it stands: an older row comes right after the one before it
            return peaks[here:]
        first = max(0, ahead - here)
        passed = peaks[here + first - ahead :][: max(0, key.size - first)]
        late = np.flatnonzero(key[first:] < passed)
        if late.size:
            row, late_s = int(late[0]) + first, (passed[late[0]] - key[late[0] + first]) / 1e6
            raise SourceError(
                f"{self.path} is out of order by more than {self.reader.look_ahead:,} rows: line or row "
                f"{frame['offset'].iloc[row] + 1} is {late_s:,.0f} s older than one so far before it. "
                "Give from_replay(..., look_ahead=more rows), sort the file, or use order='arrival'."
            )
        return key

    def free(self, look_ahead: int) -> int:
        """Count the rows that no row still in the file can come before."""
        return self.keys.size if self.ended else max(0, self.keys.size - look_ahead)

    def take(self, n: int) -> tuple[pd.DataFrame, np.ndarray]:
        """Hand over the first rows."""
        assert self.rows is not None
        rows, keys = self.rows.iloc[:n], self.keys[:n]
        self.rows, self.keys = self.rows.iloc[n:], self.keys[n:]
        self.given += n
        return rows, keys

    def close(self) -> None:
        """Let go of the file."""
        self._blocks.close()


class ReplayReader(Reader):
    """Files as a stream of events, merged on one clock.

    Delivery: every row once, from wherever it is opened. Order: by (time, partition, offset) with ``order="event"``; by
    arrival, each file as it stands, with ``order="arrival"``. A bad record becomes a dead letter (file, line, reason,
    bytes) and the rest of the file is read. Memory: ``look_ahead`` rows and a block of a file, whatever its length.

    Parameters
    ----------
    paths : str or list of str
        Files, folders, patterns or fsspec URLs: CSV, ndjson or Parquet, plain, ``.gz`` or ``.zst``. Sorted by name, so
        that the order in which they are given does not matter; the place of a file in that order is its ``partition``.
    schema : Schema, optional
        Guessed from the first file where it is not given.
    order : {"event", "arrival"}
        By the time of the events, or as they arrived (late ones late).
    start, stop : str or Timestamp, optional
        Only rows of this stretch of the clock, ``start`` included.
    look_ahead : int, default 65536
        So many rows a file may be out of order with ``order="event"``; more is an error that says so.

    Raises
    ------
    SourceError, SchemaError
        A file is not there, is of no known format, or lacks a column.
    """

    def __init__(
        self,
        paths: Any,
        schema: Schema | None = None,
        order: str = "event",
        start: Any = None,
        stop: Any = None,
        look_ahead: int = 65_536,
    ) -> None:
        if order not in ("event", "arrival"):
            raise ArgumentError(f"order={order!r}; expected 'event' (by event time) or 'arrival' (as the events arrived).")
        if schema is not None and not isinstance(schema, Schema):
            raise ArgumentError(f"schema={schema!r}; expected gl.Schema({{'time': 'timestamp', 'actor': 'string', ...}}).")
        self.paths = files.find(paths)
        self.schema = schema or infer(self.paths[0])
        self.order, self.look_ahead = order, look_ahead
        self.start_us, self.stop_us = (None if t is None else instant_us(t, w) for t, w in ((start, "start"), (stop, "stop")))
        self.name = ", ".join(path.rsplit("/", 1)[-1] for path in self.paths[:3]) + (" ..." if len(self.paths) > 3 else "")
        self._decoders: dict[str, JsonDecoder | CsvDecoder] = {}
        self._files: list[_File] = []
        self._ready, self._ready_keys = frames.empty(), np.empty(0, "int64")
        self._opened = self._ended = False

    @property
    def origin(self) -> str:
        """What is read, in full: two readers with one origin give the same rows. A file that was changed is another origin."""
        stamps = [files.stamp(path) for path in self.paths]
        return json.dumps([self.paths, stamps, self.schema.recipe(), self.order, self.start_us, self.stop_us])

    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin at a position: for each partition, the number of its rows already given."""
        self.close()
        self._files = [_File(self, partition) for partition in range(len(self.paths))]
        self._skip = {int(k): int(v) for k, v in (position or {}).items()}
        self._opened, self._ended = True, False

    def read(self, max_rows: int) -> pd.DataFrame:
        """Give the next rows; ``last_keys`` then holds the clock's time of each (int64, microseconds)."""
        if not self._opened:
            self.open()
        while not len(self._ready):
            self._merge()
            self._cut_out()
        n = min(max_rows, len(self._ready))
        rows, self.last_keys = frames.cut(self._ready, 0, n), self._ready_keys[:n]
        self._ready, self._ready_keys = self._ready.iloc[n:], self._ready_keys[n:]
        return rows

    def _merge(self) -> None:
        """Take, from all files, the rows that no row still unread can come before."""
        ahead = self.look_ahead if self.order == "event" else 0
        for file in self._files:
            if not file.free(ahead) and not file.ended:
                file.load(ahead)
        if all(file.ended and not file.keys.size for file in self._files):
            self._ended = True
            raise EndOfStream(f"{self.name} has no more rows.")
        # the first (time, partition) at which a file that has more to come runs out of rows that are free to go
        open_ends = [(file.keys[file.free(ahead) - 1], file.partition) for file in self._files if not file.ended]
        parts = []
        for file in self._files:
            n = file.free(ahead)
            if open_ends:
                time, partition = min(open_ends)
                n = min(n, int(np.searchsorted(file.keys, time, side="right" if file.partition <= partition else "left")))
            if n:
                parts.append(file.take(n))
        if len(parts) == 1:
            self._ready, self._ready_keys = parts[0]
        else:
            keys = np.concatenate([key for _, key in parts])
            order = np.argsort(keys, kind="stable")  # the parts stand in the order of their partitions
            self._ready, self._ready_keys = frames.concat([rows for rows, _ in parts]).iloc[order], keys[order]

    def _cut_out(self) -> None:
        """Drop rows before the position at which the reader was opened, and outside of [start, stop)."""
        if any(self._skip.values()):
            keep = np.ones(len(self._ready), bool)
            partition = self._ready["partition"].to_numpy()
            for p, n in self._skip.items():
                mine = np.flatnonzero(partition == p)[:n]
                keep[mine] = False
                self._skip[p] -= mine.size
            self._ready, self._ready_keys = self._ready[keep], self._ready_keys[keep]
        a = 0 if self.start_us is None else int(np.searchsorted(self._ready_keys, self.start_us))
        b = len(self._ready) if self.stop_us is None else int(np.searchsorted(self._ready_keys, self.stop_us))
        if self.stop_us is not None and b < len(self._ready):
            for file in self._files:
                file.ended, file.keys = True, file.keys[:0]
                file.given -= int(np.count_nonzero(self._ready["partition"].to_numpy()[b:] == file.partition))
        self._ready, self._ready_keys = self._ready.iloc[a:b], self._ready_keys[a:b]

    def position(self) -> dict[int, int]:
        """Give the number of rows of each partition that were given."""
        given = {file.partition: file.given for file in self._files}
        for p, n in zip(*np.unique(self._ready["partition"].to_numpy(), return_counts=True), strict=True):
            given[int(p)] -= int(n)
        return given

    def take_dead_letters(self) -> list[DeadLetter]:
        """Hand over the records that could not be read, of those before the rows given since the last call."""
        given, letters = self.position(), []
        for file in self._files:
            while file.letters and (self._ended or file.letters[0][0] < given[file.partition]):
                letters.append(file.letters.popleft()[1])
        return letters

    def redrive(self, letters: list[tuple[DeadLetter, bytes]]) -> tuple[pd.DataFrame, list[DeadLetter]]:
        """Read corrected records of text files; gives their rows and those that are still bad."""
        parts, still = [frames.empty()], []
        for letter, raw in letters:
            decoder = self._decoder(letter.source)
            rows, bad = decoder.records([(letter.offset, raw.rstrip(b"\r\n"))], letter.partition)
            parts.append(rows)
            still += [DeadLetter(letter.source, letter.partition, letter.offset, reason, again) for _, reason, again in bad]
        return frames.concat(parts), still

    def _decoder(self, path: str) -> JsonDecoder | CsvDecoder:
        kind, _ = files.format_of(path)
        if kind == "parquet":
            raise SourceError(f"{path}: a row of a Parquet file cannot be corrected as bytes; correct the file.")
        if path not in self._decoders:
            self._decoders[path] = JsonDecoder(self.schema) if kind == "ndjson" else files.csv_decoder(self.schema, path)
        return self._decoders[path]

    def fetch(self, evidence: str) -> pd.DataFrame:
        """Read the rows of an alert's evidence, ``partition:first-last`` ranges; reads the file up to there."""
        parts = [frames.empty()]
        for span in evidence.split(", "):
            partition, _, ends = span.partition(":")
            first, _, last = ends.partition("-")
            for frame, _ in files.blocks(self.paths[int(partition)], int(partition), self.schema):
                offset = frame["offset"].to_numpy()
                parts.append(frame[(offset >= int(first)) & (offset <= int(last or first))])
                if offset.size and offset[-1] > int(last or first):
                    break
        return frames.concat(parts)

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files:
            file.close()
        self._files, self._opened = [], False
        self._ready, self._ready_keys = frames.empty(), np.empty(0, "int64")
