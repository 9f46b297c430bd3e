"""Replay: files as a stream, merged on one clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.errors import ArgumentError, SourceError
from govlab.frames import Schema, instant_us, time_us
from govlab.sources import files
from govlab.sources.decode import Bad, JsonDecoder
from govlab.sources.reader import RAW_LIMIT, DeadLetter, EndOfStream, Reader

__all__ = ["ReplayReader"]


class _File:
    """One file as sorted rows: its block iterator and the rows read but not yet given."""

    def __init__(self, reader: ReplayReader, partition: int) -> None:
        self.reader, self.partition, self.path = reader, partition, reader.paths[partition]
        self._blocks: Iterator[tuple[pd.DataFrame, list[Bad]]] = files.blocks(self.path, partition, reader.schema)
        self.rows: pd.DataFrame | None = None
        self.keys = np.empty(0, "int64")
        self.ended = False
        self.given = 0
        self._given_key = self._seen_key = np.iinfo("int64").min

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
            self.reader.bury(self.partition, bad)
            parts.append(frame)
            keys.append(self._key(frame))
            waiting += len(frame)
        if not parts or len(keys) == 1:
            return
        rows, key = frames.concat(parts), np.concatenate(keys)
        if key.size > 1 and (np.diff(key) < 0).any():
            order = np.argsort(key, kind="stable")
            rows, key = rows.iloc[order].reset_index(drop=True), key[order]
        if key.size and key[0] < self._given_key:
            late_s = (self._given_key - key[0]) / 1e6
            raise SourceError(
                f"{self.path} is out of order by more than {look_ahead:,} rows (line or row {int(rows['offset'].iloc[0]) + 1} is {late_s:,.0f} s "
                "older than one already given). Give from_replay(..., look_ahead=more rows), sort the file, or use order='arrival'."
            )
        self.rows, self.keys = rows, key

    def _key(self, frame: pd.DataFrame) -> np.ndarray:
        """Give the time by which rows are merged."""
        if self.reader.order == "event":
            return time_us(frame)
        column = self.reader.schema.arrival
        key = time_us(frame) if column is None else time_us(frame, self.reader.schema.frame_name(column))
        # by arrival a file is in its order as it stands: an older row comes right after the one before it
        key = np.maximum.accumulate(np.maximum(key, self._seen_key)) if key.size else key
        self._seen_key = key[-1] if key.size else self._seen_key
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
        self._given_key = keys[-1] if n else self._given_key
        return rows, keys


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
        self.schema = schema or files.infer(self.paths[0])
        self.order, self.look_ahead = order, look_ahead
        self.start_us, self.stop_us = (None if t is None else instant_us(t, w) for t, w in ((start, "start"), (stop, "stop")))
        self.name = ", ".join(path.rsplit("/", 1)[-1] for path in self.paths[:3]) + (" ..." if len(self.paths) > 3 else "")
        self._letters: list[DeadLetter] = []
        self._files: list[_File] = []
        self._ready, self._ready_keys = frames.empty(), np.empty(0, "int64")
        self._opened = False

    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin at a position: for each partition, the number of its rows already given."""
        self.close()
        self._letters = []
        self._files = [_File(self, partition) for partition in range(len(self.paths))]
        self._skip = {int(k): int(v) for k, v in (position or {}).items()}
        self._opened = True

    def read(self, max_rows: int) -> pd.DataFrame:
        """Give the next rows; ``last_keys`` then holds the clock's time of each (int64, microseconds)."""
        if not self._opened:
            self.open()
        while not len(self._ready):
            self._merge()
            self._cut_out()
        rows, self.last_keys = self._ready.iloc[:max_rows], self._ready_keys[:max_rows]
        self._ready, self._ready_keys = self._ready.iloc[max_rows:], self._ready_keys[max_rows:]
        return rows.reset_index(drop=True)

    def _merge(self) -> None:
        """Take, from all files, the rows that no row still unread can come before."""
        ahead = self.look_ahead if self.order == "event" else 0
        for file in self._files:
            if not file.free(ahead) and not file.ended:
                file.load(ahead)
        if all(file.ended and not file.keys.size for file in self._files):
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
        self._ready, self._ready_keys = self._ready.iloc[a:b], self._ready_keys[a:b]

    def position(self) -> dict[int, int]:
        """Give the number of rows of each partition that were given."""
        given = {file.partition: file.given for file in self._files}
        for p, n in zip(*np.unique(self._ready["partition"].to_numpy(), return_counts=True), strict=True):
            given[int(p)] -= int(n)
        return given

    def bury(self, partition: int, bad: list[Bad]) -> None:
        """Keep bad records as dead letters."""
        self._letters += [DeadLetter(self.paths[partition], partition, o, reason, raw[:RAW_LIMIT]) for o, reason, raw in bad]

    def take_dead_letters(self) -> list[DeadLetter]:
        """Hand over the records that could not be read since the last call."""
        letters, self._letters = self._letters, []
        return letters

    def redrive(self, letters: list[tuple[DeadLetter, bytes]]) -> tuple[pd.DataFrame, list[DeadLetter]]:
        """Read corrected records of text files; gives their rows and those that are still bad."""
        parts, still = [frames.empty()], []
        for letter, raw in letters:
            kind, _ = files.format_of(letter.source)
            if kind == "parquet":
                raise SourceError(f"{letter.source}: a row of a Parquet file cannot be corrected as bytes; correct the file.")
            decoder: Any = JsonDecoder(self.schema) if kind == "ndjson" else files.csv_decoder(self.schema, letter.source)
            rows, bad = decoder.records([(letter.offset, raw)], letter.partition)
            parts.append(rows)
            still += [DeadLetter(letter.source, letter.partition, letter.offset, reason, again) for _, reason, again in bad]
        return frames.concat(parts), still

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
            close = getattr(file._blocks, "close", None)
            if close:
                close()
        self._files, self._opened = [], False
        self._ready, self._ready_keys = frames.empty(), np.empty(0, "int64")
