"""Files to frames: CSV, ndjson and Parquet, plain, gzip or zstd, from any fsspec URL, in constant memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from govlab.errors import SchemaError
from govlab.frames import Schema
from govlab.sources.files import parquet
from govlab.sources.files.columns import frame_of
from govlab.sources.files.csv_lines import RECORD_LIMIT, CsvLines, OpenQuoteError
from govlab.sources.files.csv_values import CsvDecoder
from govlab.sources.files.json_lines import JsonDecoder
from govlab.sources.files.paths import find, format_of, locate, opened, reading, stamp
from govlab.sources.files.records import Bad
from govlab.sources.files.unpack import LINE_LIMIT, ZSTD_WINDOW, Bytes, Span, lines
from govlab.sources.reader import RAW_LIMIT

__all__ = ["BOM", "LINE_LIMIT", "blocks", "csv_decoder", "find", "format_of", "head", "header_of", "locate", "stamp"]

Block = tuple[pd.DataFrame, list[Bad]]
Keys = Mapping[str, str | None]
Unread = Callable[[Iterable[str]], None]
BLOCK_BYTES = 4 << 20
BOM = b"\xef\xbb\xbf"


def blocks(
    path: str,
    partition: int,
    schema: Schema,
    span: tuple[int, int] | None = None,
    keys: Keys | None = None,
    window: int = ZSTD_WINDOW,
    names: Unread | None = None,
    size: int | None = None,
) -> Generator[Block, None, int]:
    """Give the rows of a file, block by block, with the bad records of each block as (offset, reason, bytes).

    Parameters
    ----------
    path : str
        The file.
    partition : int
        Its number in the frames.
    schema : Schema
        The columns.
    span : tuple of int, optional
        A span of the bytes of an unpacked ndjson file: only the lines that begin in it; offsets count from its first line.
        Of a Parquet file, a span of its row groups.
    keys : mapping, optional
        Columns that the names of folders give; one of that name in the file itself goes before.
    window : int
        The largest zstd window, in bytes.
    names : function, optional
        Called with the names of columns that occur in the file (of JSON: in a record of each block).
    size : int, optional
        Bytes of text a block, by default 4 MiB. No row depends on it.

    Returns
    -------
    int
        The number of lines; 0 for Parquet, whose offsets count from the first row of the file.

    Raises
    ------
    SourceError, SchemaError
        The file cannot be read at all, or lacks a column. A bad record raises nothing.
    """
    kind, packed = format_of(path)
    if kind == "parquet":
        return (yield from parquet.blocks(path, partition, schema, span, keys, names))
    decoder: JsonDecoder | CsvDecoder | None = None
    line, rest = 0, b""
    with opened(path) as raw:
        with reading(path):
            whole = raw if span is None else Span(raw, *span)
        for data, wrong in chain(lines(Bytes(whole, path, packed, size or BLOCK_BYTES, window)), [(b"", "")]):
            data, bad_line = (rest + data, b"") if wrong is None else (rest, data)
            if line == 0 and (span is None or span[0] == 0):
                data = data.removeprefix(BOM)
            if kind == "ndjson" and data and (decoder is None or names is not None):
                decoder = decoder or json_decoder(schema, data, keys)
                if names is not None:
                    names(_fields(data))
            elif decoder is None and data.strip():
                header, used = header_of(path, data, last=wrong is not None)
                if header is not None:
                    decoder = csv_decoder(schema, path, header, keys)
                    line, data = line + data.count(b"\n", 0, used), data[used:]
                    if names is not None:
                        names(header)
            elif decoder is None:
                line, data = line + data.count(b"\n"), b""
            if data and decoder is not None:
                frame, bad, used = decoder.block(data, partition, line, last=wrong is not None)
                yield frame, bad
                line, rest = line + int(np.count_nonzero(np.frombuffer(data, "uint8", used) == 10)), data[used:]
            else:
                rest = data
            if wrong:
                yield _nothing(schema, partition), [(line, wrong, bad_line[:RAW_LIMIT])]
                line += 1
    return line


def _fields(data: bytes) -> set[str]:
    """Name the fields of the first record of a block."""
    for line in data[:65_536].split(b"\n")[:100]:
        try:
            return set(msgspec.json.decode(line, type=dict[str, msgspec.Raw]))
        except (ValueError, RecursionError):
            continue
    return set()


def _wanted(schema: Schema, keys: Keys | None, found: Iterable[str]) -> Keys:
    """Give the columns of a schema that the names of folders give, and the file does not."""
    return {key: value for key, value in (keys or {}).items() if key in schema.fields and key not in found}


def json_decoder(schema: Schema, data: bytes, keys: Keys | None = None) -> JsonDecoder:
    """Make the decoder of an ndjson file that begins like this."""
    return JsonDecoder(schema, None, _wanted(schema, keys, _fields(data) if keys else ()))


def csv_decoder(schema: Schema, path: str, header: list[str] | None = None, keys: Keys | None = None) -> CsvDecoder:
    """Make the decoder of a CSV file with these columns, by default those that its first line names."""
    if header is None:
        header = header_of(path, head(path).removeprefix(BOM))[0] or []
    wanted = _wanted(schema, keys, header)
    parquet.need(schema, [*header, *wanted], path)
    return CsvDecoder(schema, header, delimiter_of(path), wanted)


def header_of(path: str, data: bytes, last: bool = True) -> tuple[list[str] | None, int]:
    """Give the names of the columns of a CSV file, as its first record has them, and how many bytes were used.

    None if the record may go on in the next block, or there is none.
    """
    at = len(data) - len(data.lstrip(b" \r\n"))
    if at == len(data):
        return None, 0
    try:
        values, end = CsvLines(delimiter_of(path), 0).values(data, at)
        return [value.decode() for value in [*values[:-1], values[-1].rstrip(b" ")]], end
    except OpenQuoteError as error:
        if not last and len(data) <= RECORD_LIMIT:
            return None, 0
        why: ValueError = error
    except ValueError as error:
        why = error
    start = data[at : at + 80]
    raise SchemaError(f"{path}: the first line is not a header of column names ({why}): {start!r}. Lines end with LF or CR LF.")


def delimiter_of(path: str) -> str:
    """Give the sign between two values of a CSV file, by its name."""
    return "\t" if ".tsv" in path.lower() else ","


def head(path: str, size: int = 1 << 20, window: int = ZSTD_WINDOW) -> bytes:
    """Give the first bytes of a text file, unpacked."""
    found = b""
    with opened(path) as raw:
        for more in Bytes(raw, path, format_of(path)[1], BLOCK_BYTES, window):
            found += more
            if len(found) >= size:
                break
    return found[:size]


def _nothing(schema: Schema, partition: int) -> pd.DataFrame:
    none: dict[str, Any] = {name: pa.array([], schema.arrow_type(name)) for name in schema.fields}
    return frame_of(none, schema, partition, np.empty(0, "int64"))[0]
