"""Files to frames: CSV, ndjson and Parquet, plain, gzip or zstd, from any fsspec URL, in constant memory."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Generator, Iterator
from itertools import chain
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import zstandard

from govlab.errors import SchemaError, SourceError
from govlab.frames import Schema
from govlab.sources import parquet
from govlab.sources.decode import Bad, CsvDecoder, JsonDecoder, frame_of
from govlab.sources.reader import RAW_LIMIT

__all__ = ["blocks", "csv_decoder", "find", "format_of", "head"]

Block = tuple[pd.DataFrame, list[Bad]]
BLOCK_BYTES = 4 << 20
LINE_LIMIT = 8 << 20
BOM = b"\xef\xbb\xbf"
_FORMATS = {
    "csv": "csv",
    "tsv": "csv",
    "json": "ndjson",
    "jsonl": "ndjson",
    "ndjson": "ndjson",
    "parquet": "parquet",
    "pq": "parquet",
}
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
        system, _, expanded = fsspec.get_fs_token_paths(text)
        if any(sign in text for sign in "*?["):
            names = expanded or [name for name in [system._strip_protocol(text)] if system.exists(name)]
        elif system.isdir(expanded[0]):
            # what begins with _ or . is not data: manifests, and what is being written
            names = [name for name in system.find(expanded[0]) if _split_name(name)[0] and name.rsplit("/", 1)[-1][0] not in "_."]
        else:
            names = [name for name in expanded if system.exists(name)]
        if not names:
            raise SourceError(f"there is no file at {text!r}; give a path, a folder, a pattern such as 'logs/*.csv.gz', or a URL.")
        local = "file" in ([system.protocol] if isinstance(system.protocol, str) else system.protocol)
        found.update(names if local else (system.unstrip_protocol(name) for name in names))
    if not found:
        raise SourceError("there is no file to read: the list of paths is empty.")
    return sorted(found)


def _split_name(path: str) -> tuple[str | None, str | None]:
    parts = path.rsplit("/", 1)[-1].lower().split(".")
    packed = _PACKED.get(parts[-1])
    return _FORMATS.get(parts[-2] if packed and len(parts) > 1 else parts[-1]), packed


def format_of(path: str) -> tuple[str, str | None]:
    """Give the format and the packing of a file, by its name."""
    kind, packed = _split_name(path)
    if kind is None:
        raise SourceError(
            f"cannot tell the format of {path!r} by its name; known are .csv, .ndjson, .jsonl, .parquet, with .gz or .zst."
        )
    return kind, packed


class _Bytes:
    """The bytes of a file, unpacked, in blocks; ``broken`` then says why they ended too soon, if they did."""

    def __init__(self, raw: Any, packed: str | None) -> None:
        self.broken: str | None = None
        self._pieces = {"gz": self._gz, "zst": self._zst, None: self._plain}[packed](raw)

    def __iter__(self) -> Iterator[bytes]:
        held: list[bytes] = []
        piece: bytes | None = b""
        while piece is not None:
            try:
                piece = next(self._pieces, None)
            except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
                self.broken, piece = str(error), None
            held.append(piece or b"")
            if piece is None or sum(map(len, held)) >= BLOCK_BYTES:
                whole, held = b"".join(held), []
                size = min(BLOCK_BYTES, LINE_LIMIT)
                yield from (whole[i : i + size] for i in range(0, len(whole), size))

    @staticmethod
    def _plain(raw: Any) -> Iterator[bytes]:
        yield from iter(lambda: raw.read(1 << 20), b"")

    @staticmethod
    def _gz(raw: Any) -> Iterator[bytes]:
        # read1 hands over what was unpacked before a break; read would lose it
        with gzip.GzipFile(fileobj=raw) as file:
            yield from iter(lambda: file.read1(1 << 20), b"")

    @staticmethod
    def _zst(raw: Any) -> Iterator[bytes]:
        unpacker = None
        for piece in iter(lambda: raw.read(4_096), b""):
            while piece:
                unpacker = unpacker or zstandard.ZstdDecompressor().decompressobj()
                yield unpacker.decompress(piece)
                piece, unpacker = (unpacker.unused_data, None) if unpacker.eof else (b"", unpacker)
        if unpacker is not None:
            raise EOFError("the last zstd frame has no end")


def _lines(data: _Bytes) -> Iterator[tuple[bytes, str | None]]:
    """Cut bytes into blocks of whole lines; gives (lines, None), or (a line that cannot be used, reason)."""
    rest, long, skipped = b"", b"", 0
    for more in data:
        if skipped:
            _, newline, rest = more.partition(b"\n")
            skipped += len(more) - len(rest)
            if not newline:
                continue
            yield long, _too_long(skipped)
            skipped, more = 0, b""
        rest += more
        # only the first line can be longer than a block
        end = rest.find(b"\n")
        if end > LINE_LIMIT:
            yield rest[:RAW_LIMIT], _too_long(end)
            rest = rest[end + 1 :]
        elif end < 0 and len(rest) > LINE_LIMIT:
            long, skipped, rest = rest[:RAW_LIMIT], len(rest), b""
        cut = rest.rfind(b"\n") + 1
        if cut:
            yield rest[:cut], None
            rest = rest[cut:]
    if skipped:
        yield long, _too_long(skipped)
    if data.broken:
        yield rest, f"the file is cut short here ({data.broken})"
    elif len(rest) > LINE_LIMIT:
        yield rest[:RAW_LIMIT], _too_long(len(rest))
    elif rest:
        yield rest, None


def _too_long(size: int) -> str:
    return f"a line of about {size:,} bytes is longer than the limit of {LINE_LIMIT:,}"


def stamp(path: str) -> list[str]:
    """Give what changes when a file does: its size, and the time or the tag of its last change."""
    files, name = fsspec.url_to_fs(path)
    about = files.info(name)
    return [str(about[key]) for key in ("size", "mtime", "LastModified", "ETag", "created") if about.get(key) is not None]


class _Span:
    """The whole lines of a file that begin in a span of its bytes."""

    def __init__(self, raw: Any, first: int, last: int) -> None:
        self._raw, self._end = raw, _next_line(raw, last)
        self._at = _next_line(raw, first)
        raw.seek(self._at)

    def read(self, size: int) -> bytes:
        """Give the next bytes."""
        found: bytes = self._raw.read(min(size, self._end - self._at))
        self._at += len(found)
        return found


def _next_line(raw: Any, at: int) -> int:
    """Give where the first line begins that begins at a byte or after it."""
    if at == 0:
        return 0
    raw.seek(at - 1)
    while more := raw.read(1 << 16):
        found = more.find(b"\n")
        if found >= 0:
            return int(raw.tell()) - len(more) + found + 1
    return int(raw.tell())


def blocks(path: str, partition: int, schema: Schema, span: tuple[int, int] | None = None) -> Generator[Block, None, int]:
    """Give the rows of a file, block by block, with the bad records of each block as (offset, reason, bytes).

    With a ``span`` of the bytes of an unpacked ndjson file, those of the lines that begin in it; offsets count from its first
    line. Returns the number of lines.
    """
    kind, packed = format_of(path)
    if kind == "parquet":
        return (yield from parquet.blocks(path, partition, schema))
    decoder: JsonDecoder | CsvDecoder | None = JsonDecoder(schema) if kind == "ndjson" else None
    line, rest = 0, b""
    with fsspec.open(path, "rb") as raw:
        for data, wrong in chain(_lines(_Bytes(raw if span is None else _Span(raw, *span), packed)), [(b"", "")]):
            data, bad_line = (rest + data, b"") if wrong is None else (rest, data)
            if line == 0 and (span is None or span[0] == 0):
                data = data.removeprefix(BOM)
            while decoder is None and data:
                first, _, data = data.partition(b"\n")
                line += 1
                decoder = csv_decoder(schema, path, first) if first.strip() else None
            if data and decoder is not None:
                frame, bad, used = decoder.block(data, partition, line, last=wrong is not None)
                yield frame, bad
                line, rest = line + int(np.count_nonzero(np.frombuffer(data, "uint8", used) == 10)), data[used:]
            else:
                rest = b""
            if wrong:
                yield _nothing(schema, partition), [(line, wrong, bad_line[:RAW_LIMIT])]
                line += 1
    return line


def csv_decoder(schema: Schema, path: str, first_line: bytes | None = None) -> CsvDecoder:
    """Make the decoder of a CSV file from its first line, the header."""
    if first_line is None:
        first_line = next((line for line in head(path).removeprefix(BOM).split(b"\n") if line.strip()), b"")
    header = header_of(path, first_line)
    parquet.need(schema, header, path)
    return CsvDecoder(schema, header, delimiter_of(path))


def header_of(path: str, first_line: bytes) -> list[str]:
    """Give the names of the columns of a CSV file, as its first line has them."""
    try:
        return next(csv.reader(io.StringIO(first_line.decode().strip()), delimiter=delimiter_of(path)))
    except (UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise SchemaError(f"{path}: the first line is not a header of column names ({error}).") from error


def delimiter_of(path: str) -> str:
    """Give the sign between two values of a CSV file, by its name."""
    return "\t" if ".tsv" in path.lower() else ","


def head(path: str, size: int = 1 << 20) -> bytes:
    """Give the first bytes of a text file, unpacked."""
    found = b""
    with fsspec.open(path, "rb") as raw:
        for more in _Bytes(raw, format_of(path)[1]):
            found += more
            if len(found) >= size:
                break
    return found[:size]


def _nothing(schema: Schema, partition: int) -> pd.DataFrame:
    return frame_of({n: pa.array([], schema.arrow_type(n)) for n in schema.fields}, schema, partition, np.empty(0, "int64"))[0]
