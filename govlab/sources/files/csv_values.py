"""Comma-separated values to columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from govlab.frames import Schema
from govlab.sources.files.columns import EXACT, inexact
from govlab.sources.files.csv_lines import CsvLines
from govlab.sources.files.records import Decoder, Record

__all__ = ["FALSE_WORDS", "NULL_WORDS", "TRUE_WORDS", "CsvDecoder", "is_float"]

NULL_WORDS = ["", "NA", "NaN", "nan", "null", "None", "N/A"]
TRUE_WORDS, FALSE_WORDS = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")
_INT = re.compile(r"-?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)
_WHOLE = r"^[ \t]*[+-]?[0-9]+[ \t]*$"


class CsvDecoder(Decoder):
    """Comma-separated values; ``header`` names the columns of the file (of two with one name, the first counts).

    In a column of text only the empty field is missing, quoted or not: ``NA``, ``null`` and ``None`` are texts. In all other
    columns the words of ``NULL_WORDS`` are missing values. A whole number that a float64 column would round makes the record
    a bad one.
    """

    def __init__(
        self, schema: Schema, header: Sequence[str], delimiter: str = ",", constants: Mapping[str, str | None] | None = None
    ) -> None:
        super().__init__(schema, None, constants)
        self.lines = CsvLines(delimiter, len(header))
        first = {name: i for i, name in reversed(list(enumerate(header)))}
        self._at = {name: first[name] for name in self.names}
        kinds = {n: schema.arrow_type(n) for n in self.names}
        self._times = [n for n, kind in kinds.items() if pa.types.is_timestamp(kind) and not schema.epoch(n)]
        self._texts = [n for n, kind in kinds.items() if pa.types.is_string(kind)]
        self._floats = [n for n, kind in kinds.items() if pa.types.is_floating(kind)]
        kinds = {
            n: t if not pa.types.is_timestamp(t) else pa.float64() if schema.epoch(n) else pa.string() for n, t in kinds.items()
        }
        # Arrow is given numbers for names, since a file may have two columns of one name
        self._columns, self._parse = [str(i) for i in range(len(header))], pacsv.ParseOptions(delimiter=delimiter)
        self._kinds = kinds

    def _read(self, text: bytes, kinds: Mapping[str, pa.DataType]) -> pa.Table:
        columns = {str(self._at[n]): kind for n, kind in kinds.items()}
        convert = pacsv.ConvertOptions(
            column_types=columns, include_columns=list(columns), null_values=NULL_WORDS, true_values=list(TRUE_WORDS),
            false_values=list(FALSE_WORDS),
        )  # fmt: skip
        options = pacsv.ReadOptions(use_threads=False, column_names=self._columns, block_size=max(len(text) + 1, 1024))
        return pacsv.read_csv(pa.BufferReader(text), options, self._parse, convert)

    def _bulk(self, data: bytes) -> dict[str, Any] | None:
        text = data.replace(b"\r\n", b"\n") if b"\r" in data else data
        if not self.lines.one_a_line(text):
            return None
        try:
            table = self._read(text, self._kinds)
            if table.num_rows != text.count(b"\n") + (not text.endswith(b"\n")):
                return None
            columns = {n: table.column(str(self._at[n])).combine_chunks() for n in self.names}
            if self._rounds(text, columns):
                return None
        except (pa.ArrowException, ValueError):
            return None
        for names, words in ((self._texts, [""]), (self._times, NULL_WORDS)):
            for name in names:
                missing = pc.is_in(columns[name], pa.array(words))
                if missing.true_count:
                    columns[name] = pc.if_else(missing, pa.scalar(None, pa.string()), columns[name])
        return columns

    def _rounds(self, text: bytes, columns: dict[str, pa.Array]) -> bool:
        """Tell whether a whole number was rounded as it was read."""
        far = {n: pc.greater_equal(pc.abs(columns[n]), EXACT) for n in self._floats}
        far = {n: where for n, where in far.items() if where.true_count}
        if not far:
            return False
        again = self._read(text, dict.fromkeys(far, pa.string()))
        for name, where in far.items():
            written = again.column(str(self._at[name])).combine_chunks().filter(where)
            for number in written.filter(pc.match_substring_regex(written, _WHOLE)).to_pylist():
                if _rounded(number):
                    return True
        return False

    def _one(self, raw: bytes) -> Sequence[Any]:
        values = self.lines.row(raw)
        return [self._value(name, values[i]) for name, i in self._at.items()]

    def _split(self, data: bytes, first_line: int, last: bool) -> tuple[list[Record], int]:
        return self.lines.split(data, first_line, last)

    def _value(self, name: str, raw: bytes) -> Any:
        kind = self.schema.arrow_type(name)
        try:
            text = raw.decode()
            if text == "" or (text in NULL_WORDS and not pa.types.is_string(kind)):
                return None
            if pa.types.is_boolean(kind):
                if text not in TRUE_WORDS + FALSE_WORDS:
                    raise ValueError(text)
                return text in TRUE_WORDS
            number = text.strip(" \t")
            if pa.types.is_integer(kind):
                return _in_range(name, _int(number))
            if not (pa.types.is_floating(kind) or self.schema.epoch(name)):
                return text
            if not is_float(number):
                raise ValueError(text)
        except ValueError as error:
            raise ValueError(
                f"{name!r}: expected {self.schema.fields[name].removesuffix('?')}, got {raw[:80].decode(errors='replace')!r}"
            ) from error
        if pa.types.is_floating(kind) and re.match(_WHOLE, number) and _rounded(number):
            raise ValueError(inexact(name, number))
        return float(number)


def is_float(text: str) -> bool:
    """Tell whether a text is read as a number."""
    return _FLOAT.fullmatch(text) is not None


def _rounded(text: str) -> bool:
    """Tell whether a float64 cannot hold a whole number."""
    value = float(text)
    return abs(value) >= EXACT and (len(text) > 400 or int(value) != int(text))


def _int(text: str) -> int:
    if text[:2] in ("0x", "0X"):  # Arrow reads these, so they are read
        return int(text, 16)
    if not _INT.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _in_range(name: str, value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{name!r}: {str(value)[:40]} does not fit into 64 bits")
    return value
