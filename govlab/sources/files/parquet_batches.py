"""Batches of a Parquet file that are bounded by bytes, not by rows alone.

A column chunk may be small and yet hold much: a dictionary with one long text, to which each row points.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from govlab.errors import SourceError

__all__ = ["BATCH_BYTES", "VALUE_LIMIT", "batches", "row_bytes"]

BATCH_ROWS = 65_536
BATCH_BYTES = 64 << 20
PAGE_ROWS, PAGE_BYTES = 1_024, 512 << 20  # writers look at the size of a page after so many rows
VALUE_LIMIT = 8 << 20  # as long as a line of text may be
_DICTIONARY = 1 << 20  # writers stop a dictionary at about this size, and write what follows plainly


def batches(raw: Any, file: pq.ParquetFile, groups: list[int], columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Give the rows of some row groups in order, in batches of at most 65,536 rows and about 64 MiB (one row at least)."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in _small_batches(raw, file, groups, columns):
        if held and (rows + batch.num_rows > BATCH_ROWS or size + batch.nbytes > BATCH_BYTES):
            yield _joined(held)
            held, rows, size = [], 0, 0
        held.append(batch)
        rows, size = rows + batch.num_rows, size + batch.nbytes
    if held:
        yield _joined(held)


def _small_batches(raw: Any, file: pq.ParquetFile, groups: list[int], columns: list[str]) -> Iterator[pa.RecordBatch]:
    plans = [(_plan(raw, file, group, columns), group) for group in groups]
    for (rows, coded), some in groupby(plans, key=lambda one: one[0]):
        with_codes = pq.ParquetFile(raw, metadata=file.metadata, read_dictionary=list(coded), pre_buffer=False) if coded else file
        for batch in with_codes.iter_batches(batch_size=rows, row_groups=[group for _, group in some], columns=columns):
            for part in _cut(batch):
                arrays = [a.dictionary_decode() if pa.types.is_dictionary(a.type) else a for a in part.columns]
                yield pa.RecordBatch.from_arrays(arrays, names=part.schema.names)


def _joined(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    return parts[0] if len(parts) == 1 else pa.Table.from_batches(parts).combine_chunks().to_batches()[0]


def _plan(raw: Any, file: pq.ParquetFile, group: int, columns: list[str]) -> tuple[int, tuple[str, ...]]:
    """Give how many rows of a row group to read at once, and the columns to read as codes of a dictionary."""
    about = file.metadata.row_group(group)
    whole = width = 0
    coded: list[str] = []
    for i in range(about.num_columns):
        chunk = about.column(i)
        if chunk.path_in_schema not in columns or not about.num_rows:
            continue
        whole += chunk.total_uncompressed_size
        size = chunk.total_uncompressed_size // about.num_rows
        if min(chunk.total_uncompressed_size, PAGE_ROWS * size) > PAGE_BYTES:
            raise SourceError(
                f"column {chunk.path_in_schema!r} holds {size:,} bytes a row, so that one page of the file may hold more than "
                f"{PAGE_BYTES:,}, all read at once; leave the column out of the schema, or write the file with shorter texts."
            )
        if chunk.physical_type == "BYTE_ARRAY" and chunk.has_dictionary_page:
            if chunk.total_uncompressed_size <= 1.25 * _DICTIONARY + 4 * about.num_rows:
                coded.append(chunk.path_in_schema)
            else:
                # mostly written plainly, which is slow to read as codes; only its dictionary is looked at
                width = max(width, _longest(raw, file, group, chunk.path_in_schema))
    width = max(width, whole // max(1, about.num_rows), 1)
    return min(BATCH_ROWS, max(1, BATCH_BYTES // width)), tuple(coded)


def _longest(raw: Any, file: pq.ParquetFile, group: int, column: str) -> int:
    """Give the bytes of the longest value in the dictionary of a column chunk."""
    codes = pq.ParquetFile(raw, metadata=file.metadata, read_dictionary=[column], pre_buffer=False)
    first = next(codes.iter_batches(batch_size=1, row_groups=[group], columns=[column]), None)
    if first is None or not pa.types.is_dictionary(first.column(0).type):
        return 0
    return int(pc.max(pc.binary_length(first.column(0).dictionary)).as_py() or 0)


def row_bytes(array: pa.Array) -> np.ndarray | None:
    """Give the bytes of each value of a column of text, decoded; None for other columns."""
    if pa.types.is_dictionary(array.type):
        sizes = row_bytes(array.dictionary)
        if sizes is None or not len(sizes):
            return None
        return np.where(array.indices.is_null().to_numpy(False), 0, sizes[pc.fill_null(array.indices, 0).to_numpy(False)])
    kind = array.type
    if not any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary)):
        return None
    sizes_or_null: np.ndarray = pc.fill_null(pc.binary_length(array), 0).to_numpy(False)
    return sizes_or_null


def _cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch so that no part is much larger than the limit when its dictionaries are decoded."""
    sizes = [row_bytes(column) for column in batch.columns if pa.types.is_dictionary(column.type)]
    whole = sum((size.astype("int64") for size in sizes if size is not None), np.zeros(batch.num_rows, "int64"))
    ends = np.cumsum(whole)
    if not len(ends) or ends[-1] <= BATCH_BYTES:
        yield batch
        return
    first = 0
    while first < batch.num_rows:
        start = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, start + BATCH_BYTES, side="right")))
        yield batch.slice(first, last - first)
        first = last
