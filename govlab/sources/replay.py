"""Replay: files as a stream, merged on one clock."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Mapping
from typing import Any

import pandas as pd

from govlab import frames
from govlab.errors import ArgumentError, SourceError
from govlab.frames import Schema
from govlab.sources import files, parquet, pieces
from govlab.sources.decode import CsvDecoder, JsonDecoder
from govlab.sources.infer import infer
from govlab.sources.lanes import Block
from govlab.sources.pieces import Piece
from govlab.sources.ranged import RangedReader, spans_of
from govlab.sources.reader import DeadLetter

__all__ = ["ReplayReader"]


class ReplayReader(RangedReader):
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
        if schema is not None and not isinstance(schema, Schema):
            raise ArgumentError(f"schema={schema!r}; expected gl.Schema({{'time': 'timestamp', 'actor': 'string', ...}}).")
        self.paths = files.find(paths)
        super().__init__(schema or infer(self.paths[0]), order, start, stop, look_ahead)
        self.name = ", ".join(path.rsplit("/", 1)[-1] for path in self.paths[:3]) + (" ..." if len(self.paths) > 3 else "")
        self._decoders: dict[str, JsonDecoder | CsvDecoder] = {}

    @property
    def origin(self) -> str:
        """What is read, in full: two readers with one origin give the same rows. A file that was changed is another origin."""
        stamps = [files.stamp(path) for path in self.paths]
        return json.dumps([self.paths, stamps, self.schema.recipe(), self.order, self.start_us, self.stop_us])

    def _partitions(self, position: Mapping[int, int]) -> dict[int, str]:
        return dict(enumerate(self.paths))

    def _blocks(self, partition: int) -> Generator[Block, None, int]:
        return files.blocks(self.paths[partition], partition, self.schema)

    def pieces(self, rows: int) -> tuple[dict[int, str], list[Piece]] | None:
        """Cut Parquet files at their row groups and plain ndjson files between lines; None where any other is among them."""
        by = self.schema.arrival if self.order == "arrival" and self.schema.arrival else self.schema.time
        lanes = [pieces.of_file(path, p, self.schema, by, rows) for p, path in enumerate(self.paths)]
        if None in lanes:
            return None
        ahead = math.ceil(self.look_ahead / rows) + 1 if self.order == "event" else 1
        return dict(enumerate(self.paths)), pieces.in_turn([lane for lane in lanes if lane is not None], ahead)

    def piece(self, piece: Piece) -> Generator[Block, None, int]:
        """Give the rows of a piece."""
        path, span = self.paths[piece.partition], (piece.first, piece.last)
        if files.format_of(path)[0] == "parquet":
            return (yield from parquet.blocks(path, piece.partition, self.schema, span))
        return (yield from files.blocks(path, piece.partition, self.schema, span))

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
        for partition, first, last in spans_of(evidence):
            for frame, _ in self._blocks(partition):
                offset = frame["offset"].to_numpy()
                parts.append(frame[(offset >= first) & (offset <= last)])
                if offset.size and offset[-1] > last:
                    break
        return frames.concat(parts)
