"""Parquet files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from govlab.errors import SchemaError, SourceError
from govlab.frames import Schema
from govlab.schema import IN_FILES
from govlab.sources.files.columns import constant, frame_of, readable
from govlab.sources.files.file import Blocks, File, Names, Part, need
from govlab.sources.files.opening import opened, reading
from govlab.sources.files.parquet_batches import VALUE_LIMIT, batches, row_bytes
from govlab.sources.files.records import Bad
from govlab.sources.files.times import times_of
from govlab.sources.reader import RAW_LIMIT

__all__ = ["ParquetFile"]


class ParquetFile(File):
    """A Parquet file; a span is one of its row groups, and offsets count from its first row."""

    def _open(self, raw: Any) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(raw, pre_buffer=False)  # with it, whole columns stay in memory
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{self.path} is no Parquet file, or is cut short ({error}).") from error

    def blocks(self, partition: int, schema: Schema, span: Part = None, names: Names = None, size: int | None = None) -> Blocks:
        """Give its rows, or those of some row groups, batch by batch."""
        with opened(self.path) as raw:
            file = self._open(raw)
            with reading(self.path):
                there = file.schema_arrow.names
            wanted = self.wanted(schema, there)
            need(schema, [*there, *wanted], self.path)
            read = [name for name in schema.fields if name not in wanted]
            for name in read:
                if there.count(name) > 1:
                    raise SchemaError(
                        f"{self.path} has more than one column {name!r}; leave it out of the schema, or rename all but one."
                    )
            if names is not None:
                names(there)
            of = range(*(span or (0, file.num_row_groups)))
            row = sum(file.metadata.row_group(i).num_rows for i in range(of.start))
            parts = batches(raw, file, list(of), read)
            while True:
                try:
                    batch = next(parts, None)
                except SourceError as error:
                    raise SourceError(f"{self.path}: {error}") from error
                except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
                    raise SourceError(f"{self.path} is damaged after row {row:,} ({error}).") from error
                if batch is None:
                    return 0
                yield _block(batch, partition, schema, row, self.path, wanted)
                row += batch.num_rows

    def columns(self, left_out: dict[str, str]) -> pa.Schema | dict[str, Any] | None:
        """Give the columns that it names, or the recipe of the schema by which govlab wrote it."""
        with opened(self.path) as raw, reading(self.path):
            file = self._open(raw)
            found = file.schema_arrow
            recipe: dict[str, Any] | None = json.loads((found.metadata or {}).get(IN_FILES) or "null")
            if recipe is not None or not file.metadata.num_rows:
                return recipe
            large = _large(file.metadata)
            return readable(pa.schema([pa.field(f.name, pa.string() if f.name in large else f.type) for f in found]), left_out)

    def decoder(self, schema: Schema) -> NoReturn:
        """Refuse: a row of it is no bytes."""
        raise SourceError(f"{self.path}: a row of a Parquet file cannot be corrected as bytes; correct the file.")

    def most_rows(self) -> int:
        """Give how many rows it has."""
        with opened(self.path) as raw, reading(self.path):
            return int(self._open(raw).metadata.num_rows)

    def spans(self, column: str, rows: int) -> list[tuple[int, int, Any]]:
        """Cut it between row groups."""
        found: list[tuple[int, int, Any]] = []
        first = held = 0
        least: Any = None
        groups = self._groups(column)
        for i, (n, low) in enumerate(groups):
            held, least = held + n, low if first == i else least
            if held >= rows or i == len(groups) - 1:
                found.append((first, i + 1, least))
                first, held = i + 1, 0
        return found

    def _groups(self, column: str) -> list[tuple[int, Any]]:
        """Give, for each row group, its rows and the least value of a column (None where that is not known)."""
        with opened(self.path) as raw, reading(self.path):
            about = self._open(raw).metadata
            at = next((i for i in range(about.num_columns) if about.schema.column(i).path == column), None)
            groups = [about.row_group(i) for i in range(about.num_row_groups)]
            known = [None if at is None else group.column(at).statistics for group in groups]
            return [
                (group.num_rows, one.min if one is not None and one.has_min_max else None)
                for group, one in zip(groups, known, strict=True)
            ]


def _large(metadata: pq.FileMetaData) -> set[str]:
    """Name the columns of a Parquet file with whole numbers that a float cannot hold: such a number is a name."""
    large: set[str] = set()
    for group in range(metadata.num_row_groups):
        about = metadata.row_group(group)
        for i in range(metadata.num_columns):
            known = about.column(i).statistics
            if known is not None and known.has_min_max and isinstance(known.max, int) and max(-known.min, known.max) > 2**53:
                large.add(about.column(i).path_in_schema)
    return large


def _block(
    batch: pa.RecordBatch, partition: int, schema: Schema, row: int, path: str, keys: Mapping[str, str | None]
) -> tuple[pd.DataFrame, list[Bad]]:
    unfit: dict[int, str] = {}
    columns: dict[str, Any] = {}
    for name in schema.fields:
        if name in keys:
            columns[name] = constant(keys[name], batch.num_rows, schema, name)
            continue
        array = batch.column(name)
        for at in _too_long(array):
            unfit.setdefault(at, f"{name!r} is longer than the limit of {VALUE_LIMIT:,} bytes")
        try:
            columns[name] = _conform(array, schema, name, unfit)
        except (pa.ArrowException, ValueError) as error:
            raise SchemaError(
                f"{path}: column {name!r} is {array.type}, the schema says {schema.fields[name]!r} ({error})."
            ) from error
    try:
        frame, missing = frame_of(columns, schema, partition, np.arange(row, row + batch.num_rows), unfit)
    except (pa.ArrowException, ValueError) as error:
        raise SchemaError(f"{path}: column {schema.time!r} cannot be read as {schema.fields[schema.time]!r} ({error}).") from error
    return frame, [(row + i, why, _row(columns, i)) for i, why in missing]


def _conform(array: pa.Array, schema: Schema, name: str, unfit: dict[int, str]) -> pa.Array:
    """Give a column in the type of the schema; a row with a value that is no text is put into ``unfit``."""
    kind = schema.arrow_type(name)
    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    unlike = (pa.types.is_nested, pa.types.is_time, pa.types.is_duration, pa.types.is_interval)
    if any(is_kind(array.type) for is_kind in unlike) and not (pa.types.is_string(kind) and pa.types.is_time(array.type)):
        raise ValueError("it cannot be read as that")
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type) or pa.types.is_binary(array.type):
        array = _texts(array, name, unfit)
    if pa.types.is_timestamp(kind):
        times_of(array[:0], schema.epoch(name))  # a ValueError, of this column, if its type holds no times
        return array
    if pa.types.is_floating(kind) and (pa.types.is_integer(array.type) or pa.types.is_decimal(array.type)):
        return array  # whether it is rounded is for each row to say
    return array.cast(kind)


def _texts(array: pa.Array, name: str, unfit: dict[int, str]) -> pa.Array:
    """See that bytes are text, which Parquet does not."""
    kind = pa.large_string() if pa.types.is_large_string(array.type) else pa.string()
    try:
        array.validate(full=True)
        return array.cast(kind)
    except pa.ArrowInvalid:
        values: list[str | None] = []
        for row, raw in enumerate(array.cast(pa.large_binary()).to_pylist()):
            try:
                values.append(None if raw is None else raw.decode())
            except UnicodeDecodeError as error:
                unfit.setdefault(row, f"{name!r} is no text ({error})")
                values.append("")
        return pa.array(values, kind)


def _too_long(array: pa.Array) -> Iterator[int]:
    sizes = row_bytes(array)
    return iter(() if sizes is None else np.flatnonzero(sizes > VALUE_LIMIT).tolist())


def _row(columns: dict[str, Any], row: int) -> bytes:
    return repr({name: _plain(column[row]) for name, column in columns.items()}).encode(errors="backslashreplace")


def _plain(value: pa.Scalar) -> Any:
    try:
        plain = value.as_py()
    except (OverflowError, ValueError):  # a time that Python has no word for
        return value.value
    return plain[:RAW_LIMIT] if isinstance(plain, str | bytes) else plain
