"""What can be read as events, as a reader: paths, tables and frames at hand, readers, and what plays a reader."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from govlab import frames
from govlab.access import without_password
from govlab.connectors import SCHEMES
from govlab.errors import ArgumentError, SourceError
from govlab.sources.files.replay import ReplayReader
from govlab.sources.ranged import spans_of
from govlab.sources.reader import EndOfStream, Reader
from govlab.summary import content_hashes

__all__ = ["ACCEPTED", "FrameReader", "reader_of", "whole"]

ACCEPTED = (
    "a path, pattern or URL of files ('edits.csv.gz', 'logs/*.parquet'), a list of them, a table (pandas, polars or pyarrow), "
    "a list or an iterable of tables, a reader, or a source such as gl.from_replay('edits.csv.gz')"
)
"""What can be read as events, for messages."""

_MASKED = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def reader_of(source: Any) -> Reader:
    """Make a reader of whatever can be read as events. All that takes a source takes the same, since all come here.

    Parameters
    ----------
    source : path, table, iterable of them, Reader or Source
        - The path, pattern or URL of files, or several: as of :class:`~govlab.sources.ReplayReader`, by event time.
        - A table at hand: a pandas DataFrame, or whatever hands over Arrow tables (``__arrow_c_stream__``: polars, pyarrow, ...),
          or an iterable of them, in their order. What can be iterated but once, such as a generator, can be read but once.
        - A Reader: itself.
        - What plays a reader (``gl.from_replay(...)``, ``gl.from_kafka(...)``): another reader of the same, which begins at the
          start; the source stays where it is. Where its reader says ``stop="now"``, now is when the other one is opened.

        The address of a queue is not enough, as it says neither how to get in nor where to begin and end.

    Raises
    ------
    ArgumentError
        It is none of these; or a source that cannot be read beside the one that plays it (a queue, a consumer group, a generator).
    SourceError, SchemaError
        The files are not there, or cannot be read.

    Examples
    --------
    >>> reader_of([{"time": "2026-03-02"}])
    Traceback (most recent call last):
    ...
    govlab.errors.ArgumentError: list of dict cannot be read as events: give a path, ...
    """
    if isinstance(source, Reader):
        return source
    if _is_path(source):
        return _files(source)
    if _is_table(source):
        return FrameReader(source)
    if isinstance(played := getattr(source, "reader", None), Reader):
        return played.another()
    if isinstance(source, Mapping):
        raise ArgumentError(
            f"{_kind(source)} cannot be read as events: make a table of it with gl.event_frame(...), or give {ACCEPTED}."
        )
    if isinstance(source, Collection) and not isinstance(source, bytes | bytearray | memoryview):
        if len(source) and all(map(_is_path, source)):
            return _files(*source)
        for one in source:
            if not _is_table(one):
                raise ArgumentError(f"{_kind(source)} of {_kind(one)} cannot be read as events: give {ACCEPTED}.")
        return FrameReader(source)
    if isinstance(source, Iterable) and not isinstance(source, bytes | bytearray | memoryview):
        return FrameReader(source)
    raise ArgumentError(f"{_kind(source)} cannot be read as events: give {ACCEPTED}.")


def whole(source: Any, max_rows: int = 16_384) -> pd.DataFrame:
    """Read all events of a source that ends, as one event frame.

    Raises
    ------
    SourceError
        A record cannot be read: all of them means all.
    """
    reader = reader_of(source)
    parts: list[pd.DataFrame] = []
    reader.open()
    try:
        while True:
            parts.append(reader.read(max_rows))
            if not len(parts[-1]) and reader.waits:
                raise ArgumentError(f"{reader.name} is live and has no end; give a range of it (stop=...), or a recording.")
            _refuse_dead(reader)
    except EndOfStream:
        _refuse_dead(reader)
        return frames.concat(parts)
    finally:
        reader.close()


def _refuse_dead(reader: Reader) -> None:
    for letter in reader.take_dead_letters():
        raise SourceError(f"{letter.source}, record {letter.offset}: {letter.reason}; correct it, or take it out.")


def _is_path(thing: Any) -> bool:
    return isinstance(thing, str | os.PathLike) or hasattr(thing, "__fspath__")


def _is_table(thing: Any) -> bool:
    return isinstance(thing, pd.DataFrame) or (hasattr(thing, "__arrow_c_stream__") and not isinstance(thing, pd.Series | pd.Index))


def _kind(thing: Any) -> str:
    return f"the class {thing.__name__}" if isinstance(thing, type) else type(thing).__name__


def _files(*paths: Any) -> Reader:
    for path in paths:
        scheme, mark, _ = str(path).partition("://")
        if mark and scheme.lower() in SCHEMES:
            shown = without_password(str(path))
            raise ArgumentError(f"{shown!r} is the address of a queue; read it with {SCHEMES[scheme.lower()].hint}.")
    return ReplayReader(paths[0] if len(paths) == 1 else list(paths))


def _frame(table: Any) -> pd.DataFrame:
    """Give a table as a frame; whole numbers and booleans with missing values stay what they are."""
    if isinstance(table, pd.DataFrame):
        return table
    if not _is_table(table):
        raise ArgumentError(
            f"an iterable gives {_kind(table)}, which is no table (pandas, polars or pyarrow); several paths are given as a list."
        )
    try:
        rows = pa.RecordBatchReader.from_stream(table).read_all()
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ArgumentError(f"{_kind(table)} has no columns ({error}): give {ACCEPTED}.") from error
    columns = [
        column.to_pandas(types_mapper=_MASKED.get if column.null_count else None, ignore_metadata=True) for column in rows.columns
    ]
    frame = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(rows.num_rows))
    return frame.set_axis(rows.column_names, axis=1)


class FrameReader(Reader):
    """Tables at hand as a reader. Delivery: each row once, in the order of the tables; there are no bad records.

    Parameters
    ----------
    source : table, or iterable of tables
        pandas DataFrames, or what hands over Arrow tables. Of an iterable, one at a time is kept in memory.
    """

    name = "frames"

    def __init__(self, source: Any) -> None:
        self._source = _frame(source) if _is_table(source) else source
        self._iterator: Iterator[pd.DataFrame] = iter(())
        self._rest = frames.empty()
        self._opened, self._given, self._broken = False, 0, False

    @property
    def once(self) -> bool:
        """Whether the tables come from what can be iterated but once."""
        return not isinstance(self._source, pd.DataFrame) and iter(self._source) is self._source

    @property
    def origin(self) -> str:
        """The hash of the rows, where they are at hand; else the name."""
        if not isinstance(self._source, pd.DataFrame | list | tuple):
            return self.name
        digest = hashlib.sha256()
        for frame in self._tables():
            digest.update(content_hashes(frame).tobytes())
        return f"{self.name} {digest.hexdigest()}"

    def _tables(self) -> Iterator[pd.DataFrame]:
        return iter([self._source]) if isinstance(self._source, pd.DataFrame) else map(_frame, self._source)

    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin, after the number of rows that a position says were given."""
        if self._given and self.once:
            raise SourceError("frames from a generator cannot be read again; give a list of frames, or a reader.")
        self._iterator, self._rest, self._opened, self._given = self._tables(), frames.empty(), True, 0
        skip = (position or {}).get(0, 0)
        while skip > self._given:
            self.read(skip - self._given)

    def read(self, max_rows: int) -> pd.DataFrame:
        """Give the next rows."""
        if not self._opened:
            self.open()
        while not len(self._rest):
            frame = self._next()
            if frame is None:
                raise EndOfStream("there are no more frames.")
            self._rest = frames.event_frame(frame, offset=self._given)
        rows, self._rest = self._rest.iloc[:max_rows], self._rest.iloc[max_rows:]
        self._given += len(rows)
        return rows.reset_index(drop=True)

    def _next(self) -> pd.DataFrame | None:
        if self._broken:  # a generator that was left by an error or an interrupt only says that it has ended
            raise SourceError("the generator of frames was stopped in the middle, and what it had left is lost; make it anew.")
        try:
            return next(self._iterator, None)
        except BaseException:
            self._broken = self.once
            raise

    def position(self) -> dict[int, int]:
        """Give the number of rows given."""
        return {0: self._given}

    def position_before(self, rows: pd.DataFrame) -> dict[int, int]:
        """Give the position from which the last rows come again."""
        return {0: self._given - len(rows)}

    def fetch(self, evidence: str) -> pd.DataFrame:
        """Read the rows of an alert's evidence, ``partition:first-last`` ranges, again."""
        if self.once:
            return super().fetch(evidence)
        parts, given = [frames.empty()], 0
        for table in self._tables():
            frame = frames.event_frame(table, offset=given)
            given += len(frame)
            partition, offset = frame["partition"], frame["offset"]
            parts += [frame[(partition == p) & offset.between(first, last)] for p, first, last in spans_of(evidence)]
        return frames.concat(parts)

    def close(self) -> None:
        """Forget the frames at hand."""
        self._opened = False
