"""Records to columns: whole blocks at once, and one by one where a block holds a bad record."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from govlab.frames import TIME, TIME_DTYPE, Schema

__all__ = ["CsvDecoder", "JsonDecoder", "frame_of"]

Bad = tuple[int, str, bytes]
NULL_WORDS = ["", "NA", "NaN", "nan", "null", "None", "N/A"]
TRUE_WORDS, FALSE_WORDS = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")
_MAX_TIME_US = 253_402_300_799_000_000  # the year 9999


def _times(values: pa.Array) -> pa.Array:
    """Read ISO 8601 texts as UTC times; what cannot be read becomes null."""
    for kind in (pa.timestamp("us", "UTC"), pa.timestamp("us")):
        try:
            return pc.cast(values, kind).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
        except pa.ArrowInvalid:
            continue
    parsed = pd.to_datetime(pd.Series(values.to_pylist(), dtype="object"), utc=True, errors="coerce", format="ISO8601")
    return pa.array(parsed.dt.as_unit("us"), type=pa.timestamp("us", "UTC"), from_pandas=True)


def typed(values: Any, schema: Schema, name: str) -> pa.Array:
    """Give a column of a file in its type; what cannot be read as a time becomes null."""
    if not pa.types.is_timestamp(schema.arrow_type(name)):
        return values if isinstance(values, pa.Array) else pa.array(values, schema.arrow_type(name))
    unit = schema.epoch(name)
    if unit is None:
        array = values if isinstance(values, pa.Array) else pa.array(values, pa.string())
        if pa.types.is_timestamp(array.type):
            return array.cast(pa.timestamp("us", array.type.tz), safe=False).cast(pa.timestamp("us", "UTC"))
        return _times(array)
    array = values if isinstance(values, pa.Array) else pa.array(values, pa.float64() if _has_float(values) else pa.int64())
    numbers = array.to_numpy(zero_copy_only=False)
    gone = ~np.isfinite(numbers) if numbers.dtype.kind == "f" else np.zeros(numbers.size, bool)
    with np.errstate(invalid="ignore"):
        micros = np.round(numbers * unit) if numbers.dtype.kind == "f" else numbers * np.int64(unit)
        gone |= np.abs(micros) > _MAX_TIME_US
    return pa.array(np.where(gone, 0, micros).astype("int64"), mask=gone).cast(pa.timestamp("us", "UTC"))


def _has_float(values: Sequence[Any]) -> bool:
    return any(isinstance(value, float) for value in values)


def frame_of(columns: dict[str, pa.Array], schema: Schema, partition: int, offsets: np.ndarray) -> tuple[pd.DataFrame, list[tuple[int, str]]]:
    """Make the event frame of typed columns; rows that lack a value they must have are left out and named with the reason."""
    bad: dict[int, str] = {}
    for name, array in columns.items():
        if array.null_count and not schema.nullable(name):
            what = "is missing or is no time" if pa.types.is_timestamp(array.type) else "is missing"
            for row in np.flatnonzero(array.is_null().to_numpy(False)):
                bad.setdefault(int(row), f"{name!r} {what}")
    data: dict[str, Any] = {}
    for name, array in columns.items():
        target = schema.frame_name(name)
        if pa.types.is_timestamp(array.type):
            data[target] = pd.Series(pd.array(array.cast(pa.int64()).fill_null(np.iinfo("int64").min).to_numpy().view("M8[us]")))
            data[target] = data[target].dt.tz_localize("UTC")
        elif pa.types.is_string(array.type):
            data[target] = array.to_pandas()
        elif schema.nullable(name):
            # one dtype whatever the block holds: a missing number is NaN, so ints that may be missing are floats
            kind = "boolean" if pa.types.is_boolean(array.type) else "float64"
            data[target] = array.to_pandas().astype(kind)
        else:
            data[target] = array.fill_null(False if pa.types.is_boolean(array.type) else 0).to_numpy(zero_copy_only=False)
    data["partition"] = np.full(len(offsets), partition, "int32")
    data["offset"] = np.asarray(offsets, "int64")
    ordered = {TIME: data.pop(TIME)} | data
    frame = pd.DataFrame(ordered, copy=False)
    assert frame[TIME].dtype == TIME_DTYPE
    if bad:
        frame = frame.drop(index=list(bad)).reset_index(drop=True)
    return frame, sorted(bad.items())


class _Decoder:
    """Reads a block of lines: all at once, and line by line if that fails, so that one bad record costs only itself."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def block(self, data: bytes, partition: int, first_line: int) -> tuple[pd.DataFrame, list[Bad]]:
        """Give the rows of a block of whole lines, and the bad records as (offset, reason, bytes)."""
        columns = self._bulk(data)
        lines = data.count(b"\n") + (not data.endswith(b"\n") if data else 0)
        if columns is not None and all(len(array) == lines for array in columns.values()):
            offsets = np.arange(first_line, first_line + lines)
            if not any(a.null_count and not self.schema.nullable(n) for n, a in columns.items()):
                return frame_of(columns, self.schema, partition, offsets)[0], []
        return self.records(self._split(data, first_line), partition)

    def records(self, records: list[tuple[int, bytes]], partition: int) -> tuple[pd.DataFrame, list[Bad]]:
        """Give the rows of records given as (offset, bytes), one by one, and the bad ones with the reason."""
        rows: list[Sequence[Any]] = []
        kept: list[tuple[int, bytes]] = []
        bad: list[Bad] = []
        for offset, raw in records:
            try:
                rows.append(self._one(raw))
                kept.append((offset, raw))
            except (ValueError, msgspec.MsgspecError, csv.Error, RecursionError) as error:
                bad.append((offset, str(error) or type(error).__name__, raw))
        offsets = np.array([offset for offset, _ in kept], "int64")
        names = list(self.schema.fields)
        lists = {name: [row[i] for row in rows] for i, name in enumerate(names)}
        frame, missing = frame_of({n: typed(v, self.schema, n) for n, v in lists.items()}, self.schema, partition, offsets)
        bad += [(*kept[row][:1], reason, kept[row][1]) for row, reason in missing]
        return frame, sorted(bad, key=lambda item: item[0])

    def _bulk(self, data: bytes) -> dict[str, pa.Array] | None:
        raise NotImplementedError

    def _one(self, raw: bytes) -> Sequence[Any]:
        raise NotImplementedError

    def _split(self, data: bytes, first_line: int) -> list[tuple[int, bytes]]:
        return [(first_line + i, line) for i, line in enumerate(data.split(b"\n")) if line.strip()]


class JsonDecoder(_Decoder):
    """JSON objects, one a line; only the fields of the schema are looked at."""

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema)
        kinds: dict[str, Any] = {"string": str, "int64": int, "double": float, "bool": bool}
        fields: list[Any] = []
        for i, name in enumerate(schema.fields):
            arrow = schema.arrow_type(name)
            kind: Any = (str if schema.epoch(name) is None else int | float) if pa.types.is_timestamp(arrow) else kinds[str(arrow)]
            fields.append((f"f{i}", kind | None, None) if schema.nullable(name) else (f"f{i}", kind))
        # required fields must stand before those with a default
        fields.sort(key=len)
        self._where = {name: f"f{i}" for i, name in enumerate(schema.fields)}
        struct = msgspec.defstruct("Record", fields, rename={v: k for k, v in self._where.items()}, gc=False)
        self._decoder = msgspec.json.Decoder(struct)

    def _bulk(self, data: bytes) -> dict[str, pa.Array] | None:
        try:
            records = self._decoder.decode_lines(data)
            return {n: typed([getattr(r, f) for r in records], self.schema, n) for n, f in self._where.items()}
        except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
            return None

    def _one(self, raw: bytes) -> Sequence[Any]:
        record = self._decoder.decode(raw)
        values = [getattr(record, f) for f in self._where.values()]
        for value in values:
            if type(value) is int:
                _in_range(value)
        return values


class CsvDecoder(_Decoder):
    """Comma-separated values; ``header`` names the columns of the file."""

    def __init__(self, schema: Schema, header: Sequence[str], delimiter: str = ",") -> None:
        super().__init__(schema)
        self.header, self.delimiter = list(header), delimiter
        self._at = {name: self.header.index(name) for name in schema.fields}
        kinds = {n: pa.string() if pa.types.is_timestamp(t) and schema.epoch(n) is None else pa.float64() if pa.types.is_timestamp(t) else t
                 for n, t in ((n, schema.arrow_type(n)) for n in schema.fields)}  # fmt: skip
        self._convert = pacsv.ConvertOptions(
            column_types=kinds, include_columns=list(schema.fields), null_values=NULL_WORDS, strings_can_be_null=True,
            true_values=list(TRUE_WORDS), false_values=list(FALSE_WORDS),
        )  # fmt: skip

    def _bulk(self, data: bytes) -> dict[str, pa.Array] | None:
        if b'"' in data:
            return None if not self._even_quotes(data) else self._read(data)
        return self._read(data)

    def _even_quotes(self, data: bytes) -> bool:
        return all(line.count(b'"') % 2 == 0 for line in data.split(b"\n"))

    def _read(self, data: bytes) -> dict[str, pa.Array] | None:
        options = pacsv.ReadOptions(use_threads=False, column_names=self.header, block_size=max(len(data) + 1, 1024))
        try:
            table = pacsv.read_csv(pa.BufferReader(data), options, pacsv.ParseOptions(delimiter=self.delimiter), self._convert)
            return {n: typed(table.column(n).combine_chunks(), self.schema, n) for n in self.schema.fields}
        except (pa.ArrowInvalid, ValueError):
            return None

    def _one(self, raw: bytes) -> Sequence[Any]:
        values = next(csv.reader(io.StringIO(raw.decode("utf-8")), delimiter=self.delimiter, strict=True))
        if len(values) != len(self.header):
            raise ValueError(f"{len(values)} values for {len(self.header)} columns")
        return [self._value(name, values[i]) for name, i in self._at.items()]

    def _value(self, name: str, text: str) -> Any:
        if text in NULL_WORDS:
            return None
        kind = self.schema.arrow_type(name)
        try:
            if pa.types.is_boolean(kind):
                if text not in TRUE_WORDS + FALSE_WORDS:
                    raise ValueError(text)
                return text in TRUE_WORDS
            if pa.types.is_integer(kind):
                return _in_range(int(text))
            if pa.types.is_floating(kind) or self.schema.epoch(name):
                return float(text)
        except ValueError as error:
            raise ValueError(f"{name!r}: expected {self.schema.fields[name].removesuffix('?')}, got {text[:80]!r}") from error
        return text

    def _split(self, data: bytes, first_line: int) -> list[tuple[int, bytes]]:
        lines, records, i = data.split(b"\n"), [], 0
        while i < len(lines):
            end = self._record_end(lines, i)
            if lines[i].strip():
                records.append((first_line + i, b"\n".join(lines[i:end]).removesuffix(b"\r")))
            i = end
        return records

    def _record_end(self, lines: list[bytes], i: int) -> int:
        """Give the line after a record: a quoted value may hold newlines; a stray quote must not swallow what follows."""
        quotes = 0
        for end in range(i, min(i + 1_000, len(lines))):
            quotes += lines[end].count(b'"')
            if quotes % 2 == 0:
                whole = b"\n".join(lines[i : end + 1]).decode("utf-8", "replace")
                fits = end == i or len(next(csv.reader(io.StringIO(whole), delimiter=self.delimiter))) == len(self.header)
                return end + 1 if fits else i + 1
        return i + 1


def _in_range(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{value} does not fit into 64 bits")
    return value
