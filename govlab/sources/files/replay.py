"""Replay: files as a stream, merged on one clock."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Iterable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from govlab import frames
from govlab.errors import ArgumentError, SourceError
from govlab.frames import POSITION, Schema
from govlab.sources.files.formats import file_of
from govlab.sources.files.infer import guess, say_left_out
from govlab.sources.files.opening import stamp
from govlab.sources.files.paths import locate
from govlab.sources.files.records import Decoder
from govlab.sources.files.trial import bounded, trial
from govlab.sources.files.unpack import ZSTD_WINDOW
from govlab.sources.lanes import Block
from govlab.sources.pieces import Piece, in_turn, pieces_of
from govlab.sources.ranged import RangedReader, spans_of
from govlab.sources.reader import DeadLetter

__all__ = ["ReplayReader"]


class ReplayReader(RangedReader):
    """Files as a stream of events, merged on one clock.

    Delivery: every row once, from wherever it is opened. Order: by (time, partition, offset) with ``order="event"``; by
    arrival, each file as it stands, with ``order="arrival"``. A bad record becomes a dead letter (file, line, reason,
    bytes) and the rest of the file is read; where no record of the head can be read, or there is none in any file, that is an
    error when the reader is made. Memory: ``look_ahead`` rows and a block of a file, whatever its length; rows that hold more
    than 2 GiB of text are an error that says so.

    Parameters
    ----------
    paths : str or list of str
        Files, folders, patterns or fsspec URLs: CSV, ndjson or Parquet, plain, ``.gz`` or ``.zst``. Sorted by name, so
        that the order in which they are given does not matter; the place of a file in that order is its ``partition``.
    schema : Schema, optional
        Guessed from the first file with a record where it is not given. Folders called ``key=value`` below the one named are
        columns too. What the guess leaves out stands in ``left_out``, and is logged.
    order : {"event", "arrival"}
        By the time of the events, or as they arrived (late ones late).
    start, stop : str or Timestamp, optional
        Only rows of this stretch of the clock, ``start`` included.
    look_ahead : int, default 65536
        So many rows a file may be out of order with ``order="event"``; more is an error that says so.
    zstd_window : int, default 134217728
        The largest window of zstd files in bytes (``zstd --long``); it is kept in memory. A larger one is an error.

    Attributes
    ----------
    left_out : dict of str to str
        Columns that are in the files and are not read, as the schema was guessed, each with the reason; and fields of a schema
        that was given which occur in none of the first JSON records.

    Raises
    ------
    SourceError, SchemaError
        A file is not there, is of no known format, lacks a column, or nothing in it can be read.
    """

    left_out: dict[str, str]

    def __init__(
        self,
        paths: Any,
        schema: Schema | None = None,
        order: str = "event",
        start: Any = None,
        stop: Any = None,
        look_ahead: int = 65_536,
        zstd_window: int = ZSTD_WINDOW,
    ) -> None:
        if schema is not None and not isinstance(schema, Schema):
            raise ArgumentError(f"schema={schema!r}; expected gl.Schema({{'time': 'timestamp', 'actor': 'string', ...}}).")
        if not isinstance(zstd_window, int) or not 1 <= zstd_window <= 2**31:
            raise ArgumentError(f"zstd_window={zstd_window!r}; expected a number of bytes, at most {2**31}.")
        self._files = [file_of(path, keys, zstd_window) for path, keys in locate(paths).items()]
        self.paths, self.zstd_window = [file.path for file in self._files], zstd_window
        known, self.left_out = (schema, {}) if schema is not None else guess(self._files)
        self._guessed = schema is None
        super().__init__(known, order, start, stop, look_ahead)
        self.name = ", ".join(str(path).rsplit("/", 1)[-1] for path in self.paths[:3]) + (" ..." if len(self.paths) > 3 else "")
        self._decoders: dict[str, Decoder] = {}
        self.left_out |= trial(self._files, known, given=schema is not None)
        say_left_out(self.name, self.left_out)

    @property
    def origin(self) -> str:
        """What is read, in full: two readers with one origin give the same rows. A file that was changed is another origin."""
        stamps = [stamp(path) for path in self.paths]
        return json.dumps([list(map(str, self.paths)), stamps, self.schema.recipe(), self.order, self.start_us, self.stop_us])

    def _partitions(self, position: Mapping[int, int]) -> dict[int, str]:
        return dict(enumerate(map(str, self.paths)))

    def _blocks(self, partition: int) -> Generator[Block, None, None]:
        held = self.look_ahead if self.order == "event" else 0
        return bounded(self._read(partition), self.paths[partition], held)

    def _read(self, partition: int, span: tuple[int, int] | None = None) -> Generator[Block, None, int]:
        file = self._files[partition]
        return file.blocks(partition, self.schema, span, partial(self._leave_out, file.path) if self._guessed else None)

    def _leave_out(self, path: str, names: Iterable[str]) -> None:
        """Say which columns of a file are not read, as the sample from which the schema was guessed had none of them."""
        new = [name for name in names if name not in self.schema.fields and name not in self.left_out and name not in POSITION]
        if new:
            fresh = dict.fromkeys(
                new, f"it is in {str(path).rsplit('/', 1)[-1]}, and not in the sample from which the schema was guessed"
            )
            self.left_out |= fresh
            say_left_out(self.name, fresh)

    def arguments(self) -> dict[str, Any]:
        """Give the arguments that make the same reader elsewhere: the files as they were found."""
        return super().arguments() | {"paths": self.paths}

    def pieces(self, rows: int) -> tuple[dict[int, str], list[Piece]] | None:
        """Cut files that can be cut (Parquet at its row groups, plain ndjson between lines); None where another is among them."""
        by = self.schema.arrival if self.order == "arrival" and self.schema.arrival else self.schema.time
        lanes = []
        for partition, file in enumerate(self._files):
            if (spans := file.spans(by, rows)) is None:
                return None
            lanes.append(pieces_of(partition, spans))
        ahead = math.ceil(self.look_ahead / rows) + 1 if self.order == "event" else 1
        return dict(enumerate(map(str, self.paths))), in_turn(lanes, ahead)

    def most_rows(self) -> int:
        """Give about how many rows there are at most."""
        return sum(file.most_rows() for file in self._files)

    def piece(self, piece: Piece) -> Generator[Block, None, int]:
        """Give the rows of a piece."""
        return self._read(piece.partition, (piece.first, piece.last))

    def redrive(self, letters: list[tuple[DeadLetter, bytes]]) -> tuple[pd.DataFrame, list[DeadLetter]]:
        """Read corrected records of text files; gives their rows and those that are still bad."""
        parts, still = [frames.empty()], []
        for letter, raw in letters:
            decoder = self._decoder(self.paths[letter.partition])
            rows, bad = decoder.records([(letter.offset, raw.rstrip(b"\r\n"))], letter.partition)
            parts.append(rows)
            still += [DeadLetter(letter.source, letter.partition, letter.offset, reason, again) for _, reason, again in bad]
        return frames.concat(parts), still

    def _decoder(self, path: str) -> Decoder:
        if path not in self._decoders:
            self._decoders[path] = self._files[self.paths.index(path)].decoder(self.schema)
        return self._decoders[path]

    def fetch(self, evidence: str) -> pd.DataFrame:
        """Read the rows of an alert's evidence, ``partition:first-last`` ranges; reads the file up to there."""
        parts = [frames.empty()]
        for partition, first, last in spans_of(evidence):
            if not 0 <= partition < len(self.paths):
                raise SourceError(f"{self.name} has no partition {partition}, as the evidence says; is the alert of other files?")
            for frame, _ in self._read(partition):
                offset = frame["offset"].to_numpy()
                parts.append(frame[(offset >= first) & (offset <= last)])
                if offset.size and offset[-1] > last:
                    break
        return frames.concat(parts)
