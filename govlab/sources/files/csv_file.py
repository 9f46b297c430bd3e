"""CSV and TSV files."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.csv as pacsv

from govlab.errors import SchemaError
from govlab.frames import Schema
from govlab.schema import time_name
from govlab.sources.files.columns import MOST_COLUMNS
from govlab.sources.files.csv_lines import RECORD_LIMIT, CsvLines, OpenQuoteError
from govlab.sources.files.csv_values import FALSE_WORDS, NULL_WORDS, TRUE_WORDS, CsvDecoder, is_float
from govlab.sources.files.file import Names, need
from govlab.sources.files.text_file import TextFile
from govlab.sources.files.times import times_of

__all__ = ["CsvFile", "TsvFile"]

# zeros or a plus before a number, and more than 15 digits, are those of a name
_NAME = re.compile(r"[ \t]*(\+|-?0[0-9]|-?[0-9]{16,}[ \t]*\Z)")


class CsvFile(TextFile):
    """Values with commas between them; the first line names the columns. It is not cut: a line's end may be inside of a value."""

    delimiter = ","

    def _begin(self, data: bytes, schema: Schema, last: bool, names: Names) -> tuple[CsvDecoder | None, int]:
        if not data.strip():
            return None, len(data)
        header, used = self._header(data, last)
        if header is None:
            return None, 0
        wanted = self.wanted(schema, header)
        need(schema, [*header, *wanted], self.path)
        if names is not None:
            names(header)
        return CsvDecoder(schema, header, self.delimiter, wanted), used

    def _header(self, data: bytes, last: bool = True) -> tuple[list[str] | None, int]:
        """Give the names of the columns, as the first record has them, and how many bytes were used.

        None if the record may go on in the next block, or there is none.
        """
        at = len(data) - len(data.lstrip(b" \r\n"))
        if at == len(data):
            return None, 0
        try:
            values, end = CsvLines(self.delimiter, 0).values(data, at)
            return [value.decode() for value in [*values[:-1], values[-1].rstrip(b" ")]], end
        except OpenQuoteError as error:
            if not last and len(data) <= RECORD_LIMIT:
                return None, 0
            why: ValueError = error
        except ValueError as error:
            why = error
        start = data[at : at + 80]
        raise SchemaError(
            f"{self.path}: the first line is not a header of column names ({why}): {start!r}. Lines end with LF or CR LF."
        )

    def _guess(self, data: bytes, left_out: dict[str, str]) -> pa.Schema:
        header, used = self._header(data)
        if header is None:
            return pa.schema([])
        if len(header) == 1 and (sign := next((sign for sign in ";\t|" if sign in header[0]), None)):
            raise SchemaError(
                f"{self.path}: the values seem to be separated by {sign!r}: {header[0][:80]!r}. A .csv file has commas, a "
                f".tsv file tabs; convert it, for instance pandas.read_csv(IN, sep={sign!r}).to_csv(OUT, index=False)."
            )
        lines = CsvLines(self.delimiter, len(header))
        good: list[list[str]] = []
        for _, raw in lines.split(data[used:], 0, last=True)[0]:
            try:
                good.append([value.decode() for value in lines.row(raw)])
            except ValueError:
                continue
        first = {name: i for i, name in reversed(list(enumerate(header)))}
        if len(first) < len(header):
            left_out |= dict.fromkeys(_twice(header), "there is more than one column of this name; the first is read")
        if not good or len(first) > MOST_COLUMNS:
            return pa.schema([(name, pa.string()) for name in first])
        time = time_name(header)
        kinds = _arrow_guess(good, len(header))
        fields = []
        for name, i in sorted(first.items(), key=lambda one: one[1]):
            kind = _csv_kind(kinds[i], [row[i] for row in good], name == time)
            fields.append((name, kind))
        return pa.schema(fields)


class TsvFile(CsvFile):
    """The same, with tabs."""

    delimiter = "\t"


def _twice(names: Sequence[str]) -> list[str]:
    return [name for name, n in Counter(names).items() if n > 1]


def _arrow_guess(rows: list[list[str]], columns: int) -> list[pa.DataType]:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    names = [str(i) for i in range(columns)]
    convert = pacsv.ConvertOptions(null_values=NULL_WORDS, true_values=list(TRUE_WORDS[:-1]), false_values=list(FALSE_WORDS[:-1]))
    encoded = text.getvalue().encode()
    read = pacsv.ReadOptions(use_threads=False, column_names=names, block_size=len(encoded) + 1024)
    try:
        table = pacsv.read_csv(pa.BufferReader(encoded), read, pacsv.ParseOptions(newlines_in_values=True), convert)
    except pa.ArrowException:
        return [pa.string()] * columns
    return list(table.schema.types)


def _csv_kind(kind: pa.DataType, values: list[str], is_time: bool) -> pa.DataType:
    """Give the type of a column: that which Arrow saw, if all values are read in it as they are written."""
    given = [value for value in values if value not in NULL_WORDS]
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        plain = is_time or all(is_float(value.strip(" \t")) and not _NAME.match(value) for value in given)
        return pa.float64() if plain else pa.string()
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.timestamp("us") if is_time or not times_of(given, None)[1].any() else pa.string()
    return pa.bool_() if pa.types.is_boolean(kind) else pa.string()
