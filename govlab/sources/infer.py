"""Guess the schema of a file from its first megabyte; bad records do not count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import fsspec
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from govlab.errors import SourceError
from govlab.frames import Schema
from govlab.schema import IN_FILES
from govlab.sources import files, parquet
from govlab.sources.csv_lines import CsvLines
from govlab.sources.times import times_of

__all__ = ["infer", "infer_messages"]


def infer(path: str, arrival: str | None = None) -> Schema:
    """Guess the schema of a file (Parquet says it itself). Numbers are floats, since the next file may have a fraction.

    Raises
    ------
    SourceError
        There is no record to guess from.
    SchemaError
        No column looks like the event time.
    """
    kind, _ = files.format_of(path)
    if kind == "parquet":
        with fsspec.open(path, "rb") as raw:
            file = parquet.parquet(raw, path)
            recipe = (file.schema_arrow.metadata or {}).get(IN_FILES)
            if recipe is not None:
                return Schema(**json.loads(recipe) | ({"arrival": arrival} if arrival else {}))
            names = _large(file.metadata)
            found = pa.schema([(f.name, pa.string() if f.name in names else f.type) for f in file.schema_arrow])
    else:
        data = files.head(path).removeprefix(files.BOM)
        data = data[: data.rfind(b"\n") + 1] or data
        if not data.strip():
            raise SourceError(f"{path} has no record to guess a schema from; give schema=gl.Schema({{...}}).")
        found = _csv(path, data) if kind == "csv" else _ndjson(data)
    return _schema(found, arrival)


def infer_messages(bodies: Sequence[bytes], name: str) -> Schema:
    """Guess the schema of messages: JSON, one or several lines each, or Arrow streams."""
    for body in bodies:
        try:
            with pa.ipc.open_stream(body) as stream:
                return _schema(stream.schema, None)
        except (pa.ArrowException, OSError):
            break
    found = _ndjson(b"\n".join(body.replace(b"\n", b" ") for body in bodies)) or _ndjson(b"\n".join(bodies))
    if not len(found):
        raise SourceError(f"{name} has no message to guess a schema from; give schema=gl.Schema({{...}}).")
    return _schema(found, None)


def _schema(found: pa.Schema, arrival: str | None) -> Schema:
    fields = [f if not f.nullable else pa.field(f.name, _wide(f.type)) for f in found if _wide(f.type) is not None]
    return Schema.infer(pa.schema(fields), arrival=arrival)


def _large(metadata: pq.FileMetaData) -> set[str]:
    """Name the columns of a Parquet file with whole numbers that a float cannot hold: such a number is a name."""
    large: set[str] = set()
    for group in range(metadata.num_row_groups):
        for i in range(metadata.num_columns):
            column = metadata.row_group(group).column(i)
            known = column.statistics
            if known is not None and known.has_min_max and isinstance(known.max, int) and max(-known.min, known.max) > 2**53:
                large.add(column.path_in_schema)
    return large


def _wide(kind: pa.DataType) -> pa.DataType | None:
    """Give the type in which a column is read, None for one that is not (lists, structs, bytes)."""
    if pa.types.is_dictionary(kind):
        return _wide(kind.value_type)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_date(kind):
        return pa.timestamp("us")
    plain = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_boolean,
        pa.types.is_timestamp,
        pa.types.is_null,
    )
    return kind if any(is_kind(kind) for is_kind in plain) else None


def _csv(path: str, data: bytes) -> pa.Schema:
    first, _, rows = data.lstrip().partition(b"\n")
    delimiter, header = files.delimiter_of(path), files.header_of(path, first)
    lines = CsvLines(delimiter, len(header))
    good = [first]
    for _, raw in lines.split(rows, 0, last=True)[0]:
        try:
            lines.row(raw)
            raw.decode()
        except ValueError:
            continue
        good.append(raw)
    text = pa.BufferReader(b"\n".join(good) + b"\n")
    parse = pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    table = pacsv.read_csv(text, pacsv.ReadOptions(use_threads=False, block_size=4 << 20), parse)
    # a number that a float cannot hold is a name
    names = [name for name, column in zip(table.column_names, table.columns, strict=True) if _is_name(column)]
    return pa.schema([(f.name, pa.string() if f.name in names else f.type) for f in table.schema])


def _is_name(column: pa.ChunkedArray) -> bool:
    if not pa.types.is_integer(column.type):
        return False
    ends = pc.min_max(column)
    return ends["max"].is_valid and max(-ends["min"].as_py(), ends["max"].as_py()) > 2**53


def _ndjson(data: bytes) -> pa.Schema:
    """Give each field the type that most of its values have."""
    kinds: dict[str, Counter[str]] = {}
    texts: dict[str, list[str]] = {}
    large: set[str] = set()
    records = 0
    decoder = msgspec.json.Decoder(dict[str, object])
    for line in data.split(b"\n"):
        try:
            record = decoder.decode(line)
        except (ValueError, RecursionError):
            continue
        records += 1
        for name, value in record.items():
            if type(value) is int and abs(value) > 2**53:
                large.add(name)
            kinds.setdefault(name, Counter())[type(value).__name__] += 1
            if isinstance(value, str):
                texts.setdefault(name, []).append(value)
    fields = []
    for name, count in kinds.items():
        count.pop("NoneType", 0)
        most = max(count, key=lambda kind: count[kind], default="str")
        kind = {"str": pa.string(), "bool": pa.bool_(), "int": pa.float64(), "float": pa.float64()}.get(most)
        if most == "str" and texts.get(name) and _are_times(texts[name]):
            kind = pa.timestamp("us")
        if most == "int" and name in large and count["int"] == records:
            # a float would not hold it, so it may neither be missing nor have a fraction
            fields.append(pa.field(name, pa.int64(), nullable=False))
        elif kind is not None:
            fields.append(pa.field(name, kind))
    return pa.schema(fields)


def _are_times(texts: list[str]) -> bool:
    return all("-" in text[4:8] for text in texts) and not times_of(texts, None)[1].any()
