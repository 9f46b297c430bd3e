"""JSON objects, one a line, to columns; and what the fields of a sample of them are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from govlab.errors import SchemaError
from govlab.frames import Schema
from govlab.schema import time_name
from govlab.sources.files.columns import EXACT, inexact
from govlab.sources.files.records import Decoder
from govlab.sources.files.times import times_of

__all__ = ["JsonDecoder", "of_json"]

_WHOLE = re.compile(rb"-?[0-9]+")
_NESTED = (dict, list)


def _readable(name: str) -> bool:
    """Tell whether a field of this name can be read from JSON."""
    return not re.search(r'[\x00-\x1f"\\\ud800-\udfff]', name)


class JsonDecoder(Decoder):
    """JSON objects, one a line; only the fields of the schema (of them only ``names``, if given) are looked at.

    A number or a boolean in a field of text is read as it is written. A whole number that a float64 field would round makes
    the record a bad one.
    """

    def __init__(
        self, schema: Schema, names: Iterable[str] | None = None, constants: Mapping[str, str | None] | None = None
    ) -> None:
        super().__init__(schema, names, constants)
        for name in self.names:
            if not _readable(name):
                raise SchemaError(
                    f"a field of JSON with a quote, a backslash or a control character in its name cannot be read: {name!r}; "
                    "rename it where it is written, or leave it out of the schema."
                )
        self._where = {name: f"f{i}" for i, name in enumerate(self.names)}
        self._texts = [name for name in self.names if pa.types.is_string(schema.arrow_type(name))]
        self._decoder, self._scalars, self._raw = map(self._decoder_of, (str, str | int, msgspec.Raw))
        # attributes written out are read in a third of the time that getattr takes
        self._columns = eval("lambda records: [" + ", ".join(f"[r.{f} for r in records]" for f in self._where.values()) + "]")

    def _decoder_of(self, text: Any) -> msgspec.json.Decoder[Any]:
        kinds: dict[str, Any] = {"string": text, "int64": int, "double": int | float, "bool": bool}
        fields: list[Any] = []
        for name, f in self._where.items():
            arrow = self.schema.arrow_type(name)
            kind = (
                kinds[str(arrow)] if not pa.types.is_timestamp(arrow) else str if self.schema.epoch(name) is None else int | float
            )
            optional = kind if kind is msgspec.Raw else kind | None
            fields.append((f, optional, None) if self.schema.nullable(name) else (f, kind))
        # required fields must stand before those with a default
        fields.sort(key=len)
        return msgspec.json.Decoder(msgspec.defstruct("Record", fields, rename={f: n for n, f in self._where.items()}, gc=False))

    def _bulk(self, data: bytes) -> dict[str, Any] | None:
        text = data if data.endswith((b"}", b"}\n")) else data.rstrip()
        signs = np.frombuffer(text, "uint8")
        ends = np.flatnonzero(signs[:-1] == ord("\n"))
        before = np.where(signs[ends - 1] == ord("\r"), signs[ends - 2], signs[ends - 1])
        # decode_lines takes two objects on a line, and one on two lines: where each line begins with { and ends with }, it cannot
        if not text.startswith(b"{") or (before != ord("}")).any() or (signs[ends + 1] != ord("{")).any():
            return None
        return self._decoded(text, ends.size + 1, self._decoder) or (
            self._decoded(text, ends.size + 1, self._scalars) if self._texts else None
        )

    def _decoded(self, text: bytes, lines: int, decoder: msgspec.json.Decoder[Any]) -> dict[str, Any] | None:
        try:
            records = decoder.decode_lines(text)
            if len(records) != lines:
                return None
            columns = dict(zip(self._where, self._columns(records), strict=True))
            if decoder is self._scalars:
                columns |= {n: [str(v) if type(v) is int else v for v in columns[n]] for n in self._texts}
            kinds = {name: self.schema.arrow_type(name) for name in self._where}
            return {n: v if pa.types.is_timestamp(kinds[n]) else pa.array(v, kinds[n]) for n, v in columns.items()}
        except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError):
            return None

    def _one(self, raw: bytes) -> Sequence[Any]:
        record = self._raw.decode(raw)
        values = []
        for name, f in self._where.items():
            value, kind = getattr(record, f), self.schema.arrow_type(name)
            if pa.types.is_string(kind):
                value = _text(name, bytes(value)) if value is not None else None
            elif value is not None and pa.types.is_integer(kind) and not -(2**63) <= value < 2**63:
                raise ValueError(f"{name!r}: {str(value)[:40]} does not fit into 64 bits")
            elif type(value) is int and pa.types.is_floating(kind):
                if abs(value) > 2**1023 or int(float(value)) != value:
                    raise ValueError(inexact(name, value))
                value = float(value)
            values.append(value)
        return values


def _text(name: str, raw: bytes) -> str | None:
    """Give a JSON value as text, as it is written."""
    raw = raw.strip()
    if raw.startswith(b'"'):
        text: str = msgspec.json.decode(raw, type=str)
        return text
    if raw == b"null":
        return None
    if raw.startswith((b"{", b"[")):
        raise ValueError(f"{name!r}: expected text, got {'an object' if raw.startswith(b'{') else 'a list'}")
    return str(int(raw)) if _WHOLE.fullmatch(raw) and len(raw) < 4_000 else raw.decode()


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
        if not _readable(name):
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
