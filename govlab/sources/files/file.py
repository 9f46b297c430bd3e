"""A file of events: what is asked of each format."""

from __future__ import annotations

import abc
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from govlab.errors import SchemaError, did_you_mean
from govlab.frames import Schema
from govlab.sources.files.records import Bad, Decoder
from govlab.sources.files.unpack import ZSTD_WINDOW

__all__ = ["Block", "Blocks", "File", "Keys", "Names", "Part", "need"]

Block = tuple[pd.DataFrame, list[Bad]]
Keys = Mapping[str, str | None]
Blocks = Generator[Block, None, int]
Names = Callable[[Iterable[str]], None] | None
Part = tuple[int, int] | None


class File(abc.ABC):
    """A file. A format is a subclass, and a line in the table of :mod:`~govlab.sources.files.formats`.

    Parameters
    ----------
    path : str
        Where it is.
    packed : {"gz", "zst"} or None
        How it is packed.
    keys : mapping, optional
        Columns that the names of folders give; one of that name in the file itself goes before.
    window : int
        The largest zstd window, in bytes.
    """

    def __init__(self, path: str, packed: str | None = None, keys: Keys | None = None, window: int = ZSTD_WINDOW) -> None:
        self.path, self.packed, self.keys, self.window = path, packed, keys or {}, window

    @abc.abstractmethod
    def blocks(self, partition: int, schema: Schema, span: Part = None, names: Names = None, size: int | None = None) -> Blocks:
        """Give its rows, block by block, with the bad records of each block as (offset, reason, bytes).

        Parameters
        ----------
        partition : int
            Its number in the frames.
        schema : Schema
            The columns.
        span : tuple of int, optional
            One of ``spans``: only its rows.
        names : function, optional
            Called with the names of columns that occur in the file (of JSON: in a record of each block).
        size : int, optional
            Bytes of text a block, by default 4 MiB. No row depends on it.

        Returns
        -------
        int
            By how much the offsets of the next span are further on: the number of lines; 0 where offsets count from the
            first row of the file anyway.

        Raises
        ------
        SourceError, SchemaError
            The file cannot be read at all, or lacks a column. A bad record raises nothing.
        """

    @abc.abstractmethod
    def columns(self, left_out: dict[str, str]) -> pa.Schema | dict[str, Any] | None:
        """Give the columns that it has, as its first megabyte or the file itself says; None where there is no record.

        What cannot be read goes into ``left_out``, with the reason. A file that govlab wrote has the recipe of its schema.
        """

    @abc.abstractmethod
    def decoder(self, schema: Schema) -> Decoder:
        """Make the decoder of its records, for those that were corrected."""

    @abc.abstractmethod
    def most_rows(self) -> int:
        """Give about how many rows it has at most, by its size."""

    def spans(self, column: str, rows: int) -> list[tuple[int, int, Any]] | None:
        """Cut it into spans of about ``rows`` rows to be read alone, each with the least value of a column; None: it cannot be."""
        return None

    def head(self) -> bytes:
        """Give the first megabyte of a text file.

        Raises
        ------
        SourceError
            It is no text that can be read; says what it looks like, and how to convert it.
        """
        return b""

    def missing(self, schema: Schema, head: bytes) -> dict[str, str]:
        """Name the fields of a schema that occur in no record of the head, each with the reason."""
        return {}

    def wanted(self, schema: Schema, found: Iterable[str]) -> dict[str, str | None]:
        """Give the columns of a schema that the names of folders give, and the file does not."""
        return {key: value for key, value in self.keys.items() if key in schema.fields and key not in found}


def need(schema: Schema, names: list[str], path: str) -> None:
    """See that a file has the columns that a schema names."""
    known = set(names)
    for name in schema.fields:
        if name not in known:
            raise SchemaError(f"{path} has no column {name!r}, which the schema names. {did_you_mean(name, names[:1000])}")
