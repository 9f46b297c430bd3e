"""The event frame: a pandas DataFrame, one row an event, in the order in which the events come.

``time`` (``datetime64[us, UTC]``, event time) is required; ``partition`` (int32) and ``offset`` (int64) are a row's
position and are set by every reader. All other columns are the user's.

The *index* of a frame that a step gives on says which row of the frame that it took made each row come out (its
cause). A step that keeps, drops or adds to rows gets this for nothing; one that gives rows of its own labels them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from govlab.errors import ArgumentError, SchemaError, did_you_mean

__all__ = ["ALERT_COLUMNS", "POSITION", "TIME", "Schema", "concat", "duration_us", "empty", "event_frame", "instant_us", "positions", "require", "time_us"]

TIME = "time"
POSITION = ("partition", "offset")
ALERT_COLUMNS = (
    "id", "time", "entity", "detector", "score", "p", "severity", "reason", "start", "partition", "offset", "evidence", "recipe",
)  # fmt: skip
TIME_DTYPE = pd.DatetimeTZDtype("us", "UTC")
EPOCH_UNITS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}
ISO_TEXT = "timestamp"
_TIME_NAMES = ("time", "timestamp", "event_time", "ts", "datetime", "date", "created_at")


@dataclass(frozen=True)
class Schema:
    """Names and types of the columns, and the roles that some of them play.

    Parameters
    ----------
    fields : Mapping[str, str] or pyarrow.Schema
        Type of each column, as pyarrow names them (``"string"``, ``"int64"``, ``"float64"``, ``"bool"``); a ``?`` at
        the end lets the value be missing. Times are ``"timestamp"`` (ISO 8601 text, UTC unless it says otherwise)
        or ``"epoch_s"``, ``"epoch_ms"``, ``"epoch_us"``. Columns of a file that are not named are not read.
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

    @classmethod
    def infer(cls, arrow: pa.Schema, time: str | None = None, arrival: str | None = None) -> Schema:
        """Make a schema from the types that pyarrow sees in a file; every column but the time may be missing."""
        names = arrow.names
        if time is None:
            lower = {name.lower(): name for name in names}
            time = next((lower[name] for name in _TIME_NAMES if name in lower), None)
            if time is None:
                raise SchemaError(
                    f"no column looks like the event time (columns: {', '.join(names)}; looked for "
                    f"{', '.join(_TIME_NAMES)}). Give schema=gl.Schema({{...}}, time='the column')."
                )
        fields = {}
        for item in arrow:
            text = _type_name(item.type)
            if item.name == time and not pa.types.is_timestamp(item.type) and not pa.types.is_string(item.type):
                raise SchemaError(
                    f"the time column {time!r} holds numbers ({item.type}); say in which unit they count, for instance "
                    f"schema=gl.Schema({{{time!r}: 'epoch_s', ...}}, time={time!r})."
                )
            if item.name in (time, arrival) or pa.types.is_timestamp(item.type):
                text = ISO_TEXT
            fields[item.name] = text + ("" if item.name == time else "?")
        if arrival is None and "arrival" in fields and fields["arrival"] == ISO_TEXT + "?":
            arrival = "arrival"
        return cls(fields, time=time, arrival=arrival)


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


def duration_us(value: str | pd.Timedelta, name: str = "duration", zero: bool = False) -> int:
    """Give a duration such as ``"5s"``, ``"1min"``, ``"2h"`` or ``"7d"`` in microseconds.

    Raises
    ------
    ArgumentError
        It is no duration, or it is negative (or zero, unless ``zero``).

    Examples
    --------
    >>> duration_us("5s")
    5000000
    """
    try:
        # pandas has begun to want "D" for days; people write "7d"
        text = re.sub(r"(?<=\d)\s*d\b", "D", value) if isinstance(value, str) else value
        micros = int(pd.Timedelta(text) / pd.Timedelta(1, "us"))
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"{name}={value!r} is not a duration; expected text such as '5s', '1min', '2h' or '7d'.") from error
    if micros < 0 or (micros == 0 and not zero):
        raise ArgumentError(f"{name}={value!r} must be {'zero or more' if zero else 'more than zero'}.")
    return micros


def time_us(frame: pd.DataFrame, column: str = TIME) -> np.ndarray:
    """Give a time column as int64 microseconds since 1970 (UTC)."""
    return frame[column].to_numpy("datetime64[us]").view("int64")


def from_us(values: np.ndarray) -> pd.Series:
    """Give int64 microseconds since 1970 as a time column."""
    return pd.Series(np.asarray(values, "int64").view("datetime64[us]")).dt.tz_localize("UTC")


def instant_us(value: Any, name: str) -> int:
    """Give a moment (text or Timestamp; UTC unless it says otherwise) in microseconds since 1970."""
    try:
        moment = pd.Timestamp(value)
        moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
        return int(moment.as_unit("us").value)
    except (ValueError, TypeError, OverflowError) as error:
        raise ArgumentError(f"{name}={value!r} is no moment; expected text such as '2015-03-01' or '2015-03-01 12:00', or a Timestamp.") from error


def event_frame(data: pd.DataFrame | Mapping[str, Any], partition: int = 0, offset: int = 0) -> pd.DataFrame:
    """Make an event frame of any table that has a ``time`` column.

    Parameters
    ----------
    data : DataFrame or mapping of columns
        Must have ``time``: datetimes (naive = UTC) or ISO 8601 text, none missing.
    partition, offset : int
        The position of the first row, where the table has no ``partition`` and ``offset`` of its own.

    Raises
    ------
    SchemaError
        There is no ``time``, or it is no time.

    Examples
    --------
    >>> event_frame({"time": ["2026-03-02T00:00:00Z"], "actor": ["ann"]}).columns.to_list()
    ['time', 'actor', 'partition', 'offset']
    """
    frame = pd.DataFrame(data).reset_index(drop=True)
    if TIME not in frame:
        raise SchemaError(f"an event frame needs a column 'time'. {did_you_mean('time', map(str, frame.columns))}")
    if frame[TIME].dtype != TIME_DTYPE:
        try:
            frame[TIME] = pd.to_datetime(frame[TIME], utc=True).dt.as_unit("us")
        except (ValueError, TypeError, AttributeError) as error:
            raise SchemaError(f"column 'time' cannot be read as times: {error}") from error
    if frame[TIME].isna().any():
        row = int(np.flatnonzero(frame[TIME].isna())[0])
        raise SchemaError(f"column 'time' is missing in row {row}; drop such rows or fill them first.")
    if "partition" not in frame:
        frame["partition"] = np.full(len(frame), partition, "int32")
    if "offset" not in frame:
        frame["offset"] = np.arange(offset, offset + len(frame), dtype="int64")
    return frame


def empty(columns: Iterable[str] = ()) -> pd.DataFrame:
    """Make an event frame without rows; further columns are float64."""
    data: dict[str, Any] = {TIME: pd.Series([], dtype=TIME_DTYPE)}
    data["partition"] = np.empty(0, "int32")
    data["offset"] = np.empty(0, "int64")
    return pd.DataFrame(data | {name: np.empty(0) for name in columns})


def concat(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put frames one below the other; frames without rows count only when there is nothing else."""
    filled = [frame for frame in frames if len(frame)]
    if len(filled) == 1:
        return filled[0]
    if filled:
        return pd.concat(filled, ignore_index=True)
    return frames[-1] if frames else empty()


def require(frame: pd.DataFrame, columns: Iterable[str | None], who: str) -> None:
    """Raise a SchemaError, with the nearest name, for a column that a step needs and the frame lacks."""
    for column in columns:
        if column is not None and column not in frame.columns:
            raise SchemaError(f"{who} needs a column {column!r}. {did_you_mean(column, map(str, frame.columns))}")


def positions(frame: pd.DataFrame) -> str:
    """Give the positions of the rows as ranges, ``partition:first-last``, for messages.

    Examples
    --------
    >>> positions(event_frame({"time": ["2026-03-02T00:00:00Z"] * 3}))
    '0:0-2'
    """
    if not len(frame) or "offset" not in frame:
        return "none"
    spans = frame.groupby("partition", sort=True)["offset"].agg(["min", "max"])
    texts = [f"{p}:{a}-{b}" if a != b else f"{p}:{a}" for p, a, b in spans.itertuples()]
    return ", ".join(texts[:8]) + (f" and {len(texts) - 8} more partitions" if len(texts) > 8 else "")
