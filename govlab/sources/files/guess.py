"""What the columns of a sample of text are."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.csv as pacsv

from govlab.errors import SchemaError
from govlab.schema import time_name
from govlab.sources.files import blocks as files
from govlab.sources.files.columns import EXACT
from govlab.sources.files.csv_lines import CsvLines
from govlab.sources.files.csv_values import FALSE_WORDS, NULL_WORDS, TRUE_WORDS, is_float
from govlab.sources.files.json_lines import readable_name
from govlab.sources.files.times import times_of

__all__ = ["MOST_COLUMNS", "of_csv", "of_json"]

# zeros or a plus before a number, and more than 15 digits, are those of a name
_NAME = re.compile(r"[ \t]*(\+|-?0[0-9]|-?[0-9]{16,}[ \t]*\Z)")
MOST_COLUMNS = 10_000
_NESTED = (dict, list)


def of_csv(path: str, data: bytes, left_out: dict[str, str]) -> pa.Schema:
    """Guess the types of the columns of CSV text from its good records."""
    header, used = files.header_of(path, data)
    if header is None:
        return pa.schema([])
    if len(header) == 1 and (sign := next((sign for sign in ";\t|" if sign in header[0]), None)):
        raise SchemaError(
            f"{path}: the values seem to be separated by {sign!r}: {header[0][:80]!r}. A .csv file has commas, a .tsv file tabs; "
            f"convert it, for instance pandas.read_csv(IN, sep={sign!r}).to_csv(OUT, index=False)."
        )
    lines = CsvLines(files.delimiter_of(path), len(header))
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


def of_json(data: bytes, left_out: dict[str, str]) -> pa.Schema:
    """Guess the types of the fields of JSON lines."""
    records: list[dict[str, Any]] = []
    decoder = msgspec.json.Decoder(dict[str, Any])
    for line in data.split(b"\n"):
        try:
            records.append(decoder.decode(line))
        except (ValueError, RecursionError):
            continue
    columns: dict[str, list[Any]] = {}
    for record in records:
        for name in record:
            columns.setdefault(name, [])
    time = time_name(columns)
    if time is not None and sum(isinstance(r.get(time), str) for r in records) * 2 > len(records):
        records = [r for r in records if isinstance(r.get(time), str)]  # the others are bad records
    for record in records:
        for name, value in record.items():
            if value is not None:
                columns[name].append(value)
    fields = []
    for name, values in columns.items():
        nested = sum(isinstance(value, _NESTED) for value in values)
        if not readable_name(name):
            left_out[name] = "its name has a quote, a backslash or a control character"
        elif nested * 2 > len(values):
            left_out[name] = "it is nested (objects or lists)"
        else:
            fields.append((name, _json_kind([v for v in values if not isinstance(v, _NESTED)], name == time)))
    return pa.schema(fields)


def _json_kind(values: list[Any], is_time: bool) -> pa.DataType:
    """Give the type of a field. A mix of scalars is text, as it is written."""
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return pa.timestamp("us") if is_time or _are_times(values) else pa.string()
    if kinds == {bool}:
        return pa.bool_()
    if not kinds or not kinds <= {int, float}:
        return pa.string()
    if is_time or not any(type(value) is int and abs(value) > EXACT for value in values):
        return pa.float64()
    # a float would round it
    return pa.int64() if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values) else pa.string()


def _are_times(texts: list[str]) -> bool:
    return all("-" in text[4:8] for text in texts) and not times_of(texts, None)[1].any()
