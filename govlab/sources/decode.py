"""Records to columns: whole blocks at once, and one by one where a block holds a bad record."""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv

from govlab.frames import TIME, TIME_DTYPE, Schema
from govlab.sources.csv_lines import CsvLines
from govlab.sources.times import TIME_RANGE, times_of

__all__ = ["CsvDecoder", "JsonDecoder", "frame_of"]

Bad = tuple[int, str, bytes]
Record = tuple[int, bytes]
More = Callable[[Sequence[int]], dict[str, Any]]
NULL_WORDS = ["", "NA", "NaN", "nan", "null", "None", "N/A"]
TRUE_WORDS, FALSE_WORDS = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")
PART = 256
_INT = re.compile(r"-?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)


def frame_of(
    columns: dict[str, Any], schema: Schema, partition: int, offsets: np.ndarray
) -> tuple[pd.DataFrame, list[tuple[int, str]]]:
    """Make the event frame of columns as read; rows that lack a value they must have are left out and named with the reason."""
    bad: dict[int, str] = {}
    data: dict[str, Any] = {}
    for name, values in columns.items():
        kind, target = schema.arrow_type(name), schema.frame_name(name)
        array = values if isinstance(values, pa.Array) else None
        if pa.types.is_timestamp(kind):
            array, unreadable = times_of(values, schema.epoch(name))
            for row in np.flatnonzero(unreadable):
                bad.setdefault(int(row), f"{name!r} is no time {TIME_RANGE}")
        array = pa.array(values, kind) if array is None else array
        null = array.is_null(nan_is_null=True) if not schema.nullable(name) else None
        if null is not None and null.true_count:
            for row in np.flatnonzero(null.to_numpy(False)):
                bad.setdefault(int(row), f"{name!r} is missing")
        if pa.types.is_timestamp(kind):
            data[target] = pd.Series(
                array.cast(pa.int64()).fill_null(np.iinfo("int64").min).to_numpy().view("M8[us]")
            ).dt.tz_localize("UTC")
        elif pa.types.is_string(kind):
            data[target] = array.to_pandas()
        elif schema.nullable(name):
            # one dtype whatever the block holds: a missing number is NaN, so ints that may be missing are floats
            data[target] = array.to_pandas().astype("boolean" if pa.types.is_boolean(kind) else "float64")
        else:
            data[target] = array.fill_null(False if pa.types.is_boolean(kind) else 0).to_numpy(zero_copy_only=False)
    data["partition"] = np.full(len(offsets), partition, "int32")
    data["offset"] = np.asarray(offsets, "int64")
    frame = pd.DataFrame({TIME: data.pop(TIME)} | data, copy=False)
    assert frame[TIME].dtype == TIME_DTYPE
    if bad:
        frame = frame.drop(index=list(bad)).reset_index(drop=True)
    return frame, sorted(bad.items())


class _Decoder(abc.ABC):
    """Reads a block of lines: all at once; if that fails in parts, and one by one where a part holds a bad record.

    A record that is read one way must be read the same the other way, so that no row depends on its neighbours.
    """

    def __init__(self, schema: Schema, names: Iterable[str] | None = None) -> None:
        self.schema, self.names = schema, list(schema.fields if names is None else names)

    def block(self, data: bytes, partition: int, first_line: int, last: bool = True) -> tuple[pd.DataFrame, list[Bad], int]:
        """Give the rows of a block of whole lines, the bad records as (offset, reason, bytes), and how many bytes were used.

        Unless it is the ``last`` block, a record that may go on in the next one is left.
        """
        if columns := self._bulk(data):
            size = len(next(iter(columns.values())))
            frame, missing = frame_of(columns, self.schema, partition, np.arange(first_line, first_line + size))
            lines = data.split(b"\n") if missing else []
            return frame, [(first_line + i, why, lines[i].removesuffix(b"\r")) for i, why in missing if lines[i].strip()], len(data)
        records, used = self._split(data, first_line, last)
        return *self.messages(records, partition), used

    def messages(self, records: list[Record], partition: int, more: More | None = None) -> tuple[pd.DataFrame, list[Bad]]:
        """Give the rows of records given as (offset, bytes), and the bad ones with the reason.

        ``more`` gives, for the offsets of the good ones, columns of the schema that the bytes do not hold.
        """
        good, bad = records, list[Bad]()
        columns = self._whole(good)
        if columns is None:
            good, bad = self._sort_out(records)
            columns = self._whole(good)
        if columns is None:
            frame, worse = self.records(good, partition, more)
            return frame, sorted([*bad, *worse], key=lambda one: one[0])
        offsets = [offset for offset, _ in good]
        frame, missing = frame_of(columns | (more(offsets) if more else {}), self.schema, partition, np.array(offsets, "int64"))
        return frame, sorted([*bad, *((good[i][0], why, good[i][1]) for i, why in missing)], key=lambda one: one[0])

    def bodies(self, bodies: Sequence[bytes], partition: int, more: More | None = None) -> pd.DataFrame | None:
        """Give the rows of records, each with its number from 0, if all are good and none goes over several lines; else None."""
        data = b"\n".join(bodies)
        columns = self._bulk(data) if data.count(b"\n") == len(bodies) - 1 else None
        if not columns or len(next(iter(columns.values()))) != len(bodies):
            return None
        numbers = range(len(bodies))
        columns |= more(numbers) if more else {}
        frame, missing = frame_of(columns, self.schema, partition, np.arange(len(bodies)))
        return None if missing else frame

    def _whole(self, records: list[Record]) -> dict[str, Any] | None:
        columns = self._bulk(b"\n".join(raw for _, raw in records))
        return columns if columns and len(next(iter(columns.values()))) == len(records) else None

    def _sort_out(self, records: list[Record]) -> tuple[list[Record], list[Bad]]:
        """Part good records from bad ones, looking closely only where some are bad."""
        good: list[Record] = []
        bad: list[Bad] = []
        for i in range(0, len(records), PART):
            part = records[i : i + PART]
            if self._whole(part) is not None:
                good += part
                continue
            for offset, raw in part:
                values, why = self._judge(raw)
                if values is None:
                    bad.append((offset, why, raw))
                else:
                    good.append((offset, raw))
        return good, bad

    def records(self, records: list[Record], partition: int, more: More | None = None) -> tuple[pd.DataFrame, list[Bad]]:
        """Do the same, one by one."""
        judged = [(offset, raw, *self._judge(raw)) for offset, raw in records]
        bad = [(offset, why, raw) for offset, raw, values, why in judged if values is None]
        good = [(offset, raw, values) for offset, raw, values, _ in judged if values is not None]
        offsets = [offset for offset, _, _ in good]
        columns = {name: [values[i] for _, _, values in good] for i, name in enumerate(self.names)}
        columns |= more(offsets) if more else {}
        frame, missing = frame_of(columns, self.schema, partition, np.array(offsets, "int64"))
        return frame, sorted([*bad, *((good[i][0], why, good[i][1]) for i, why in missing)], key=lambda one: one[0])

    def _judge(self, raw: bytes) -> tuple[Sequence[Any] | None, str]:
        try:
            return self._one(raw), ""
        except (ValueError, msgspec.MsgspecError, RecursionError) as error:
            return None, str(error) or type(error).__name__

    @abc.abstractmethod
    def _bulk(self, data: bytes) -> dict[str, Any] | None:
        """Give the columns if every line is one good record, else None."""

    @abc.abstractmethod
    def _one(self, raw: bytes) -> Sequence[Any]:
        """Give the values of a record, or raise a ValueError."""

    def _split(self, data: bytes, first_line: int, last: bool) -> tuple[list[Record], int]:
        """Cut lines into records, each with its line's number from 0."""
        return [(first_line + i, line.removesuffix(b"\r")) for i, line in enumerate(data.split(b"\n")) if line.strip()], len(data)


class JsonDecoder(_Decoder):
    """JSON objects, one a line; only the fields of the schema (of them only ``names``, if given) are looked at."""

    def __init__(self, schema: Schema, names: Iterable[str] | None = None) -> None:
        super().__init__(schema, names)
        kinds: dict[str, Any] = {"string": str, "int64": int, "double": float, "bool": bool}
        fields: list[Any] = []
        for i, name in enumerate(self.names):
            arrow = schema.arrow_type(name)
            kind: Any = (str if schema.epoch(name) is None else int | float) if pa.types.is_timestamp(arrow) else kinds[str(arrow)]
            fields.append((f"f{i}", kind | None, None) if schema.nullable(name) else (f"f{i}", kind))
        # required fields must stand before those with a default
        fields.sort(key=len)
        self._where = {name: f"f{i}" for i, name in enumerate(self.names)}
        struct = msgspec.defstruct("Record", fields, rename={v: k for k, v in self._where.items()}, gc=False)
        self._decoder = msgspec.json.Decoder(struct)
        # attributes written out are read in a third of the time that getattr takes
        self._columns = eval("lambda records: [" + ", ".join(f"[r.{f} for r in records]" for f in self._where.values()) + "]")

    def _bulk(self, data: bytes) -> dict[str, Any] | None:
        text = data if data.endswith((b"}", b"}\n")) else data.rstrip()
        signs = np.frombuffer(text, "uint8")
        ends = np.flatnonzero(signs[:-1] == ord("\n"))
        before = np.where(signs[ends - 1] == ord("\r"), signs[ends - 2], signs[ends - 1])
        # decode_lines takes two objects on a line, and one on two lines: where each line begins with { and ends with }, it cannot
        if not text.startswith(b"{") or (before != ord("}")).any() or (signs[ends + 1] != ord("{")).any():
            return None
        lines = ends.size + 1
        try:
            records = self._decoder.decode_lines(text)
            if len(records) != lines:
                return None
            kinds = {name: self.schema.arrow_type(name) for name in self._where}
            columns = dict(zip(self._where, self._columns(records), strict=True))
            return {n: v if pa.types.is_timestamp(kinds[n]) else pa.array(v, kinds[n]) for n, v in columns.items()}
        except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
            return None

    def _one(self, raw: bytes) -> Sequence[Any]:
        record = self._decoder.decode(raw)
        values = [getattr(record, f) for f in self._where.values()]
        for name, value in zip(self._where, values, strict=True):
            if pa.types.is_integer(self.schema.arrow_type(name)) and value is not None:
                _in_range(name, value)
        return values


class CsvDecoder(_Decoder):
    """Comma-separated values; ``header`` names the columns of the file (of two with one name, the first counts)."""

    def __init__(self, schema: Schema, header: Sequence[str], delimiter: str = ",") -> None:
        super().__init__(schema)
        self.lines = CsvLines(delimiter, len(header))
        self._at = {name: list(header).index(name) for name in schema.fields}
        kinds = {n: schema.arrow_type(n) for n in schema.fields}
        kinds = {
            n: t if not pa.types.is_timestamp(t) else pa.float64() if schema.epoch(n) else pa.string() for n, t in kinds.items()
        }
        # Arrow is given numbers for names, since a file may have two columns of one name
        self._columns, self._parse = [str(i) for i in range(len(header))], pacsv.ParseOptions(delimiter=delimiter)
        self._convert = pacsv.ConvertOptions(
            column_types={str(self._at[n]): kind for n, kind in kinds.items()}, include_columns=[str(i) for i in self._at.values()],
            null_values=NULL_WORDS, strings_can_be_null=True, true_values=list(TRUE_WORDS), false_values=list(FALSE_WORDS),
        )  # fmt: skip

    def _bulk(self, data: bytes) -> dict[str, Any] | None:
        text = data.replace(b"\r\n", b"\n") if b"\r" in data else data
        if not self.lines.one_a_line(text):
            return None
        options = pacsv.ReadOptions(use_threads=False, column_names=self._columns, block_size=max(len(text) + 1, 1024))
        try:
            table = pacsv.read_csv(pa.BufferReader(text), options, self._parse, self._convert)
        except (pa.ArrowInvalid, ValueError):
            return None
        if table.num_rows != text.count(b"\n") + (not text.endswith(b"\n")):
            return None
        return {n: table.column(str(i)).combine_chunks() for n, i in self._at.items()}

    def _one(self, raw: bytes) -> Sequence[Any]:
        values = self.lines.row(raw)
        return [self._value(name, values[i]) for name, i in self._at.items()]

    def _split(self, data: bytes, first_line: int, last: bool) -> tuple[list[Record], int]:
        return self.lines.split(data, first_line, last)

    def _value(self, name: str, raw: bytes) -> Any:
        kind = self.schema.arrow_type(name)
        try:
            text = raw.decode()
            if text in NULL_WORDS:
                return None
            if pa.types.is_boolean(kind):
                if text not in TRUE_WORDS + FALSE_WORDS:
                    raise ValueError(text)
                return text in TRUE_WORDS
            if pa.types.is_integer(kind):
                return _in_range(name, _int(text.strip(" \t")))
            if pa.types.is_floating(kind) or self.schema.epoch(name):
                text = text.strip(" \t")
                if not _FLOAT.fullmatch(text):
                    raise ValueError(text)
                return float(text)
        except ValueError as error:
            raise ValueError(
                f"{name!r}: expected {self.schema.fields[name].removesuffix('?')}, got {raw[:80].decode(errors='replace')!r}"
            ) from error
        return text


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
