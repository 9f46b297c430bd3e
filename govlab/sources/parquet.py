"""Parquet files to frames."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from govlab.errors import SchemaError, SourceError, did_you_mean
from govlab.frames import Schema
from govlab.sources.decode import Bad, frame_of

__all__ = ["blocks", "need", "parquet", "row_groups"]

Block = tuple[pd.DataFrame, list[Bad]]


def need(schema: Schema, names: list[str], path: str) -> None:
    """See that a file has the columns that a schema names."""
    for name in schema.fields:
        if name not in names:
            raise SchemaError(f"{path} has no column {name!r}, which the schema names. {did_you_mean(name, names)}")


def parquet(raw: Any, path: str) -> pq.ParquetFile:
    """Open a Parquet file."""
    try:
        return pq.ParquetFile(raw)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is no Parquet file, or is cut short ({error}).") from error


def row_groups(path: str, column: str) -> list[tuple[int, Any]]:
    """Give, for each row group, its rows and the least value of a column (None where that is not known)."""
    with fsspec.open(path, "rb") as raw:
        about = parquet(raw, path).metadata
    at = next((i for i in range(about.num_columns) if about.schema.column(i).path == column), None)
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    told = [None if at is None else group.column(at).statistics for group in groups]
    return [
        (group.num_rows, one.min if one is not None and one.has_min_max else None) for group, one in zip(groups, told, strict=True)
    ]


def blocks(path: str, partition: int, schema: Schema, groups: tuple[int, int] | None = None) -> Generator[Block, None, int]:
    """Give the rows of a file, or of some of its row groups; returns 0, as offsets count from the first row of the file."""
    with fsspec.open(path, "rb") as raw:
        file = parquet(raw, path)
        need(schema, file.schema_arrow.names, path)
        of = range(*(groups or (0, file.num_row_groups)))
        row = sum(file.metadata.row_group(i).num_rows for i in range(of.start))
        batches = file.iter_batches(batch_size=65_536, row_groups=list(of), columns=list(schema.fields))
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowInvalid, OSError) as error:
                raise SourceError(f"{path} is damaged after row {row:,} ({error}).") from error
            if batch is None:
                return 0
            columns = {name: _conform(batch.column(name), schema, name, path) for name in schema.fields}
            offsets = np.arange(row, row + batch.num_rows)
            try:
                frame, missing = frame_of(columns, schema, partition, offsets)
            except (pa.ArrowInvalid, ValueError) as error:
                raise SchemaError(
                    f"{path}: column {schema.time!r} cannot be read as {schema.fields[schema.time]!r} ({error})."
                ) from error
            yield frame, [(row + i, reason, repr({n: _plain(columns[n][i]) for n in columns}).encode()) for i, reason in missing]
            row += batch.num_rows


def _conform(array: pa.Array, schema: Schema, name: str, path: str) -> pa.Array:
    kind = schema.arrow_type(name)
    try:
        array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        return array if pa.types.is_timestamp(kind) else array.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SchemaError(f"{path}: column {name!r} is {array.type}, the schema says {schema.fields[name]!r} ({error}).") from error


def _plain(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (OverflowError, ValueError):  # a time that Python has no word for
        return value.cast(pa.int64()).as_py()
