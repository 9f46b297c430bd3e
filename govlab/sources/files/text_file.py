"""Text files: unpacked, cut into blocks of lines, and read in constant memory."""

from __future__ import annotations

import abc
import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa

from govlab.errors import SourceError
from govlab.frames import Schema
from govlab.sources.files.columns import frame_of
from govlab.sources.files.file import Blocks, File, Names, Part
from govlab.sources.files.opening import opened, reading
from govlab.sources.files.records import Decoder
from govlab.sources.files.unpack import Bytes, Span, lines
from govlab.sources.reader import RAW_LIMIT

__all__ = ["TextFile"]

BLOCK_BYTES = 4 << 20
BOM = b"\xef\xbb\xbf"
HEAD_BYTES = 1 << 20
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_LETTER = re.compile(rb"[A-Za-z][\x8a-\xff]|[\xc0-\xff][a-z]")


class TextFile(File):
    """A file of lines: a subclass says how its records are decoded. A span is one of its unpacked bytes: lines that begin in it."""

    @abc.abstractmethod
    def _begin(self, data: bytes, schema: Schema, last: bool, names: Names) -> tuple[Decoder | None, int]:
        """Make the decoder of a file that begins like this, and say how many bytes were used; None where it takes more of them."""

    @abc.abstractmethod
    def _guess(self, data: bytes, left_out: dict[str, str]) -> pa.Schema:
        """Guess the columns from whole lines."""

    def _names(self, data: bytes) -> Iterable[str]:
        """Name columns that occur in a later block."""
        return ()

    def blocks(self, partition: int, schema: Schema, span: Part = None, names: Names = None, size: int | None = None) -> Blocks:
        """Give its rows, block by block; offsets are the numbers of lines, from 0."""
        decoder: Decoder | None = None
        line, rest = 0, b""
        with opened(self.path) as raw:
            with reading(self.path):
                whole = raw if span is None else Span(raw, *span)
            unpacked = Bytes(whole, self.path, self.packed, size or BLOCK_BYTES, self.window)
            for data, wrong in chain(lines(unpacked), [(b"", "")]):
                data, bad_line = (rest + data, b"") if wrong is None else (rest, data)
                if line == 0 and (span is None or span[0] == 0):
                    data = data.removeprefix(BOM)
                if data and decoder is None:
                    decoder, used = self._begin(data, schema, wrong is not None, names)
                    line, data = line + data.count(b"\n", 0, used), data[used:]
                elif data and names is not None:
                    names(self._names(data))
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

    def columns(self, left_out: dict[str, str]) -> pa.Schema | None:
        """Guess the columns from the first megabyte; bad records do not count."""
        data = self.head().removeprefix(BOM)
        data = data[: data.rfind(b"\n") + 1] or data
        return self._guess(data, left_out) if data.strip() else None

    def decoder(self, schema: Schema) -> Decoder:
        """Make the decoder of its records, for those that were corrected."""
        decoder, _ = self._begin(self._head().removeprefix(BOM), schema, True, None)
        if decoder is None:
            raise SourceError(f"{self.path} has no record any more.")
        return decoder

    def most_rows(self) -> int:
        """Give about how many rows it has at most: packed text has up to 15 times its size, and a line 20 bytes or more."""
        system, local = fsspec.core.url_to_fs(self.path)
        return int(system.size(local) * (15 if self.packed else 1) / 20)

    def head(self) -> bytes:
        """Give the first megabyte, unpacked, if it is UTF-8."""
        data = self._head()
        self._check(data)
        return data

    def _head(self) -> bytes:
        found = b""
        with opened(self.path) as raw:
            for more in Bytes(raw, self.path, self.packed, BLOCK_BYTES, self.window):
                found += more
                if len(found) >= HEAD_BYTES:
                    break
        return found[:HEAD_BYTES]

    def _check(self, data: bytes) -> None:
        if data.startswith(_UTF16) or data[:1000].count(b"\0") * 3 > len(data[:1000]) > 0:
            raise SourceError(f"{self.path} looks like UTF-16, not UTF-8; convert it: iconv -f utf-16 -t utf-8 IN > OUT.")
        whole = data if data.endswith(b"\n") else data[: data.rfind(b"\n") + 1] or data  # the last line may be cut
        lines = [line for line in whole.split(b"\n") if not line.isascii()]
        if lines:
            wrong = [line for line in lines if not _is_utf8(line)]
            letters = next((line for line in wrong if _LETTER.search(line)), None)
            if letters is not None and len(wrong) == len(lines) > 1 and len(wrong) * 100 >= data.count(b"\n"):
                raise SourceError(
                    f"{self.path} is not UTF-8, for instance {letters[:120]!r}; it looks like latin-1 or Windows-1252. "
                    "Convert it, or its rows with such letters would be lost: iconv -f windows-1252 -t utf-8 IN > OUT."
                )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _nothing(schema: Schema, partition: int) -> pd.DataFrame:
    none: dict[str, Any] = {name: pa.array([], schema.arrow_type(name)) for name in schema.fields}
    return frame_of(none, schema, partition, np.empty(0, "int64"))[0]
