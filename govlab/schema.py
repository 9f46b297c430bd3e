"""The schema: names and types of the columns, and the roles that some of them play."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from govlab.errors import ArgumentError, SchemaError, did_you_mean

__all__ = ["ENVELOPE", "IN_FILES", "Schema", "time_name"]

TIME = "time"
# what a queue writes around a message: a reader takes these from there, so a sink does not write them into the message
ENVELOPE = ("message_headers", "message_key", "message_time", "message_topic")
IN_FILES = b"govlab.schema"  # under this key a Parquet file that govlab wrote holds the recipe of its schema
EPOCH_UNITS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
ISO_TEXT = "timestamp"
_TIME_NAMES = ("time", "timestamp", "event_time", "ts", "datetime", "date", "created_at")


@dataclass(frozen=True)
class Schema:
    """Names and types of the columns, and the roles that some of them play.

    Parameters
    ----------
    fields : Mapping[str, str] or pyarrow.Schema
        Type of each column, as pyarrow names them (``"string"``, ``"int64"``, ``"float64"``, ``"bool"``); a ``?`` at the end
        lets the value be missing (``"int64?"`` is exact: pandas' ``Int64``). Times are ``"timestamp"`` (ISO 8601 text, UTC
        unless it says otherwise) or ``"epoch_s"``, ``"epoch_ms"``, ``"epoch_us"``; Arrow's own times are read as what they
        are. Columns of a file that are not named are not read.
    time : str, default "time"
        The column with the event time. It is called ``time`` in the frame, whatever its name in the file.
    id : str, optional
        The column that names an event once.
    arrival : str, optional
        The column with the time at which the event arrived, for ``order="arrival"``.

    Raises
    ------
    ArgumentError
        A type is not known, or a role names a column that is not there.

    Examples
    --------
    >>> schema = Schema({"ts": "epoch_ms", "actor": "string", "amount": "float64?"}, time="ts")
    >>> schema.names
    ('time', 'actor', 'amount')
    """

    fields: Mapping[str, str]
    time: str = TIME
    id: str | None = None
    arrival: str | None = None
    _types: dict[str, tuple[pa.DataType, str | None, bool]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.fields, pa.Schema):
            named = {f.name: _type_name(f.type) + ("?" if f.nullable and f.name != self.time else "") for f in self.fields}
            object.__setattr__(self, "fields", named)
        object.__setattr__(self, "fields", dict(self.fields))
        object.__setattr__(self, "_types", {name: _parse_type(name, text) for name, text in self.fields.items()})
        for name in ("partition", "offset"):
            if name in self.fields:
                raise ArgumentError(
                    f"Schema: {name!r} is the name of a row's position; leave the field out, or rename it in the file."
                )
        for role in ("time", "id", "arrival"):
            column = getattr(self, role)
            if column is not None and column not in self.fields:
                raise ArgumentError(f"Schema: {role}={column!r} is not a field. {did_you_mean(column, self.fields)}")
        for role in ("time", "arrival"):
            column = getattr(self, role)
            if column is not None and not pa.types.is_timestamp(self._types[column][0]):
                raise ArgumentError(
                    f"Schema: {role}={column!r} has type {self.fields[column]!r}; expected 'timestamp' (ISO 8601 text), "
                    "'epoch_s', 'epoch_ms' or 'epoch_us'."
                )
        if self.time != TIME and TIME in self.fields:
            raise ArgumentError(f"Schema: time={self.time!r}, but there is a field 'time' too; leave one of them out.")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns in the frame."""
        return tuple(self.frame_name(name) for name in self.fields)

    def frame_name(self, name: str) -> str:
        """Give the name in the frame of a column of the file."""
        return TIME if name == self.time else name

    def arrow_type(self, name: str) -> pa.DataType:
        """Give the Arrow type of a column of the file."""
        return self._types[name][0]

    def epoch(self, name: str) -> int | None:
        """Give the microseconds in one unit of a time that is written as a number, else None."""
        unit = self._types[name][1]
        return EPOCH_UNITS[unit] if unit else None

    def nullable(self, name: str) -> bool:
        """Tell whether the value of a column may be missing."""
        return self._types[name][2]

    def recipe(self) -> dict[str, Any]:
        """Give what makes this schema anew, as plain values."""
        return {"fields": dict(self.fields), "time": self.time, "id": self.id, "arrival": self.arrival}

    def written(self, envelope: bool = False) -> Schema:
        """Give the schema of what a sink writes from frames that were read with this one.

        Names are those of the frame, and times are ISO 8601 text. What a queue writes around a message is left out, unless
        ``envelope`` (a file holds it like all else).

        Examples
        --------
        >>> Schema({"ts": "epoch_ms", "actor": "string", "count": "int64?"}, time="ts").written()
        Schema(fields={'time': 'timestamp', 'actor': 'string', 'count': 'int64?'}, time='time', id=None, arrival=None)
        """
        fields = {}
        for name, (kind, _, optional) in self._types.items():
            base = ISO_TEXT if pa.types.is_timestamp(kind) else _type_name(kind)
            if envelope or self.frame_name(name) not in ENVELOPE:
                fields[self.frame_name(name)] = base + "?" * optional
        roles = {role: self.frame_name(name) for role in ("id", "arrival") if (name := getattr(self, role)) is not None}
        return type(self)(fields, **{role: name for role, name in roles.items() if name in fields})

    @classmethod
    def infer(cls, arrow: pa.Schema, time: str | None = None, arrival: str | None = None) -> Schema:
        """Make a schema from the types that pyarrow sees in a file; every column but the time may be missing."""
        names = arrow.names
        if time is None:
            time = time_name(names)
            if time is None:
                shown = [*(name if name.isprintable() else repr(name) for name in names[:30]), *["..."] * (len(names) > 30)]
                raise SchemaError(
                    f"no column looks like the event time (columns: {', '.join(shown)}; looked for "
                    f"{', '.join(_TIME_NAMES)}). Give schema=gl.Schema({{...}}, time='the column')."
                )
        fields = {}
        for item in arrow:
            if item.name in ("partition", "offset"):
                continue  # the names of a row's position
            text = _type_name(item.type)
            if item.name == time and (pa.types.is_integer(item.type) or pa.types.is_floating(item.type)):
                raise SchemaError(
                    f"the time column {time!r} holds numbers ({item.type}); say in which unit they count, for instance "
                    f"schema=gl.Schema({{{time!r}: 'epoch_s', ...}}, time={time!r})."
                )
            if item.name in (time, arrival) or pa.types.is_timestamp(item.type):
                text = ISO_TEXT
            fields[item.name] = text + ("" if item.name == time or not item.nullable else "?")
        if arrival is None and "arrival" in fields and fields["arrival"] == ISO_TEXT + "?":
            arrival = "arrival"
        return cls(fields, time=time, arrival=arrival)


def time_name(names: Iterable[str]) -> str | None:
    """Give the one of some names that looks like that of the event time."""
    lower = {name.lower(): name for name in names}
    return next((lower[name] for name in _TIME_NAMES if name in lower), None)


def _type_name(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return ISO_TEXT
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return "string"
    if pa.types.is_dictionary(kind):
        return _type_name(kind.value_type)
    return {"double": "float64", "float": "float64", "halffloat": "float64"}.get(str(kind), str(kind))


def _parse_type(name: str, text: str) -> tuple[pa.DataType, str | None, bool]:
    nullable = text.endswith("?")
    base = text.removesuffix("?")
    if base in EPOCH_UNITS:
        return pa.timestamp("us", "UTC"), base, nullable
    if base == ISO_TEXT:
        return pa.timestamp("us", "UTC"), None, nullable
    if base in ("string", "int64", "float64", "bool"):
        return {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}[base], None, nullable
    if base.startswith(("int", "uint")) and base.removeprefix("u").removeprefix("int") in ("8", "16", "32", "64"):
        return pa.int64(), None, nullable
    if base == "float32":
        return pa.float64(), None, nullable
    raise ArgumentError(
        f"Schema: field {name!r} has type {text!r}; expected one of string, int64, float64, bool, timestamp, epoch_s, "
        "epoch_ms, epoch_us (a '?' at the end lets it be missing)."
    )
