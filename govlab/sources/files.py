"""Files to frames: CSV, ndjson and Parquet, plain, gzip or zstd, from any fsspec URL, in constant memory."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import IO, Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq
import zstandard

from govlab.errors import SchemaError, SourceError, did_you_mean
from govlab.frames import Schema
from govlab.sources.decode import Bad, CsvDecoder, JsonDecoder, frame_of, typed
from govlab.sources.reader import RAW_LIMIT

__all__ = ["blocks", "find", "format_of", "infer"]

Block = tuple[pd.DataFrame, list[Bad]]
BLOCK_BYTES = 4 << 20
LINE_LIMIT = 8 << 20
_FORMATS = {"csv": "csv", "tsv": "csv", "json": "ndjson", "jsonl": "ndjson", "ndjson": "ndjson", "parquet": "parquet", "pq": "parquet"}
_PACKED = {"gz": "gz", "zst": "zst", "zstd": "zst"}


def find(paths: Any) -> list[str]:
    """Give the files that paths, folders and patterns name, each once, sorted; the place in the list is the partition.

    Raises
    ------
    SourceError
        Nothing is there under one of the names.
    """
    found: set[str] = set()
    for path in [paths] if isinstance(paths, str) or hasattr(paths, "__fspath__") else list(paths):
        text = str(path)
        files, _, expanded = fsspec.get_fs_token_paths(text)
        if any(sign in text for sign in "*?["):
            names = expanded
        elif files.isdir(expanded[0]):
            names = [name for name in files.find(expanded[0]) if _split_name(name)[0]]
        else:
            names = [name for name in expanded if files.exists(name)]
        if not names:
            raise SourceError(f"there is no file at {text!r}; give a path, a folder, a pattern such as 'logs/*.csv.gz', or a URL.")
        local = "file" in ([files.protocol] if isinstance(files.protocol, str) else files.protocol)
        found.update(names if local else (files.unstrip_protocol(name) for name in names))
    return sorted(found)


def _split_name(path: str) -> tuple[str | None, str | None]:
    parts = path.rsplit("/", 1)[-1].lower().split(".")
    packed = _PACKED.get(parts[-1])
    return _FORMATS.get(parts[-2] if packed and len(parts) > 1 else parts[-1]), packed


def format_of(path: str) -> tuple[str, str | None]:
    """Give the format and the packing of a file, by its name."""
    kind, packed = _split_name(path)
    if kind is None:
        raise SourceError(f"cannot tell the format of {path!r} by its name; known are .csv, .ndjson, .jsonl, .parquet, with .gz or .zst.")
    return kind, packed


def _open(path: str, packed: str | None) -> IO[bytes]:
    raw: Any = fsspec.open(path, "rb").open()
    if packed == "gz":
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    return zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) if packed == "zst" else raw


class _Lines:
    """Cuts a stream of bytes into blocks of whole lines; gives (lines, None), or (a line that cannot be used, reason)."""

    def __init__(self, stream: IO[bytes], quotes: bool) -> None:
        self.stream, self.quotes = stream, quotes
        self.broken: str | None = None

    def _more(self) -> bytes:
        # read1 hands over what was unpacked before a break; read would lose it
        read: Any = getattr(self.stream, "read1", self.stream.read)
        chunks: list[bytes] = []
        while sum(map(len, chunks)) < BLOCK_BYTES:
            try:
                chunk = read(BLOCK_BYTES)
            except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
                self.broken = str(error)
                break
            if not chunk:
                break
            chunks.append(chunk)
        return b"".join(chunks)

    def __iter__(self) -> Iterator[tuple[bytes, str | None]]:
        rest = b""
        while more := self._more():
            data = rest + more
            cut = self._cut(data)
            if cut:
                yield data[:cut], None
                rest = data[cut:]
            elif len(data) <= LINE_LIMIT:
                rest = data
            else:
                size = len(data)
                while more and b"\n" not in more:
                    more = self._more()
                    size += len(more)
                _, _, rest = more.partition(b"\n")
                yield data[:RAW_LIMIT], f"a line of about {size - len(rest):,} bytes is longer than the limit of {LINE_LIMIT:,}"
        if self.broken:
            whole = rest.rfind(b"\n") + 1
            if whole:
                yield rest[:whole], None
            yield rest[whole:], f"the file is cut short here ({self.broken})"
        elif rest:
            yield rest, None

    def _cut(self, data: bytes) -> int:
        """Give where the last whole record ends: at a newline that is not inside quotes, if one is near."""
        plain = cut = data.rfind(b"\n") + 1
        if self.quotes and data.count(b'"', 0, cut) % 2:
            while cut > max(0, plain - (1 << 20)) and data.count(b'"', cut, plain) % 2 == 0:
                cut = data.rfind(b"\n", 0, cut - 1) + 1
            return cut if cut > 0 else plain
        return cut


def blocks(path: str, partition: int, schema: Schema) -> Iterator[Block]:
    """Give the rows of a file, block by block, with the bad records of each block as (offset, reason, bytes)."""
    kind, packed = format_of(path)
    if kind == "parquet":
        yield from _parquet(path, partition, schema)
        return
    with _open(path, packed) as stream:
        lines, line = _Lines(stream, kind == "csv"), 0
        decoder: JsonDecoder | CsvDecoder | None = JsonDecoder(schema) if kind == "ndjson" else None
        for data, wrong in lines:
            if decoder is None and wrong is None:
                text, _, data = data.partition(b"\n")
                decoder, line = csv_decoder(schema, path, text), line + 1
            if wrong is not None or decoder is None:
                yield _nothing(schema, partition), [(line, wrong or "the file has no header", data[:RAW_LIMIT])]
                line += 1
            elif data:
                yield decoder.block(data, partition, line)
                line += data.count(b"\n") + (not data.endswith(b"\n"))


def csv_decoder(schema: Schema, path: str, first_line: bytes | None = None) -> CsvDecoder:
    """Make the decoder of a CSV file from its first line, the header."""
    if first_line is None:
        with _open(path, format_of(path)[1]) as stream:
            first_line = stream.readline()
    delimiter = "\t" if ".tsv" in path.lower() else ","
    try:
        header = next(csv.reader(io.StringIO(first_line.decode("utf-8-sig").strip()), delimiter=delimiter))
    except (UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise SchemaError(f"{path}: the first line is not a header of column names ({error}).") from error
    _need(schema, header, path)
    return CsvDecoder(schema, header, delimiter)


def _need(schema: Schema, names: list[str], path: str) -> None:
    for name in schema.fields:
        if name not in names:
            raise SchemaError(f"{path} has no column {name!r}, which the schema names. {did_you_mean(name, names)}")


def _nothing(schema: Schema, partition: int) -> pd.DataFrame:
    return frame_of({n: pa.array([], schema.arrow_type(n)) for n in schema.fields}, schema, partition, np.empty(0, "int64"))[0]


def _parquet(path: str, partition: int, schema: Schema) -> Iterator[Block]:
    with fsspec.open(path, "rb") as raw:
        try:
            file = pq.ParquetFile(raw)
        except pa.ArrowInvalid as error:
            raise SourceError(f"{path} is no Parquet file, or is cut short ({error}).") from error
        _need(schema, file.schema_arrow.names, path)
        row = 0
        for batch in file.iter_batches(batch_size=65_536, columns=list(schema.fields)):
            columns = {}
            for name in schema.fields:
                array = batch.column(name)
                try:
                    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
                    kind = schema.arrow_type(name)
                    time = pa.types.is_timestamp(kind)
                    columns[name] = typed(array, schema, name) if time else array.cast(kind)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
                    raise SchemaError(f"{path}: column {name!r} is {array.type}, the schema says {schema.fields[name]!r} ({error}).") from error
            offsets = np.arange(row, row + batch.num_rows)
            frame, missing = frame_of(columns, schema, partition, offsets)
            yield frame, [(row + i, reason, repr({n: columns[n][i].as_py() for n in columns}).encode()) for i, reason in missing]
            row += batch.num_rows


def infer(path: str, arrival: str | None = None) -> Schema:
    """Guess the schema of a file from its first records (Parquet says it itself)."""
    kind, packed = format_of(path)
    if kind == "parquet":
        with fsspec.open(path, "rb") as raw:
            return Schema.infer(pq.ParquetFile(raw).schema_arrow)
    with _open(path, packed) as stream:
        data, wrong = next(iter(_Lines(stream, kind == "csv")), (b"", None))
    head = data[: 1 << 20]
    head = head[: head.rfind(b"\n") + 1] or head
    if wrong or not head.strip():
        raise SourceError(f"{path} has no record to guess a schema from; give schema=gl.Schema({{...}}).")
    try:
        if kind == "csv":
            delimiter = "\t" if ".tsv" in path.lower() else ","
            table = pacsv.read_csv(
                pa.BufferReader(head),
                parse_options=pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=lambda row: "skip"),
            )
        else:
            good = b"\n".join(line for line in head.split(b"\n") if line.lstrip().startswith(b"{") and _is_json(line))
            table = pajson.read_json(pa.BufferReader(good))
    except pa.ArrowInvalid as error:
        raise SchemaError(f"{path}: cannot guess the types of its columns ({error}); give schema=gl.Schema({{...}}).") from error
    flat = [f for f in table.schema if not pa.types.is_nested(f.type)]
    return Schema.infer(pa.schema(flat), arrival=arrival)


def _is_json(line: bytes) -> bool:
    try:
        pajson.read_json(pa.BufferReader(line))
    except pa.ArrowInvalid:
        return False
    return True
