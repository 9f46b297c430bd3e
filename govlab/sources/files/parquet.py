"""Parquet files to frames."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from govlab.errors import SchemaError, SourceError, did_you_mean
from govlab.frames import Schema
from govlab.sources.files.columns import constant, frame_of
from govlab.sources.files.parquet_batches import VALUE_LIMIT, batches, row_bytes
from govlab.sources.files.paths import opened, reading
from govlab.sources.files.records import Bad
from govlab.sources.files.times import times_of
from govlab.sources.reader import RAW_LIMIT

__all__ = ["blocks", "need", "parquet", "row_groups"]

Block = tuple[pd.DataFrame, list[Bad]]


def need(schema: Schema, names: list[str], path: str) -> None:
    """See that a file has the columns that a schema names."""
    known = set(names)
    for name in schema.fields:
        if name not in known:
            raise SchemaError(f"{path} has no column {name!r}, which the schema names. {did_you_mean(name, names[:1000])}")


def parquet(raw: Any, path: str) -> pq.ParquetFile:
    """Open a Parquet file."""
    try:
        return pq.ParquetFile(raw, pre_buffer=False)  # with it, whole columns stay in memory
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is no Parquet file, or is cut short ({error}).") from error


def row_groups(path: str, column: str) -> list[tuple[int, Any]]:
    """Give, for each row group, its rows and the least value of a column (None where that is not known)."""
    with opened(path) as raw, reading(path):
        about = parquet(raw, path).metadata
        at = next((i for i in range(about.num_columns) if about.schema.column(i).path == column), None)
        groups = [about.row_group(i) for i in range(about.num_row_groups)]
        known = [None if at is None else group.column(at).statistics for group in groups]
        return [
            (group.num_rows, one.min if one is not None and one.has_min_max else None)
            for group, one in zip(groups, known, strict=True)
        ]


def blocks(
    path: str,
    partition: int,
    schema: Schema,
    groups: tuple[int, int] | None = None,
    keys: Mapping[str, str | None] | None = None,
    names: Callable[[Iterable[str]], None] | None = None,
) -> Generator[Block, None, int]:
    """Give the rows of a file, or of some of its row groups; returns 0, as offsets count from the first row of the file."""
    with opened(path) as raw:
        file = parquet(raw, path)
        with reading(path):
            there = file.schema_arrow.names
        wanted = {key: value for key, value in (keys or {}).items() if key in schema.fields and key not in there}
        need(schema, [*there, *wanted], path)
        read = [name for name in schema.fields if name not in wanted]
        for name in read:
            if there.count(name) > 1:
                raise SchemaError(f"{path} has more than one column {name!r}; leave it out of the schema, or rename all but one.")
        if names is not None:
            names(there)
        of = range(*(groups or (0, file.num_row_groups)))
        row = sum(file.metadata.row_group(i).num_rows for i in range(of.start))
        parts = batches(raw, file, list(of), read)
        while True:
            try:
                batch = next(parts, None)
            except SourceError as error:
                raise SourceError(f"{path}: {error}") from error
            except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
                raise SourceError(f"{path} is damaged after row {row:,} ({error}).") from error
            if batch is None:
                return 0
            yield _block(batch, partition, schema, row, path, wanted)
            row += batch.num_rows


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
