"""Frames to the bodies of messages: JSON, one for each row, or Arrow IPC streams."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from govlab.errors import ArgumentError, SinkError, did_you_mean
from govlab.frames import ALERT_COLUMNS, POSITION, positions, require, time_us, values
from govlab.hashing import as_arrow, is_text
from govlab.schema import ENVELOPE

__all__ = [
    "FORMATS", "arrow_bodies", "check_format", "id_column", "is_alerts", "json_bodies", "key_column", "plain", "texts", "times_ms",
]  # fmt: skip

FORMATS = ("arrow", "json")
ARROW_BYTES = 900_000  # of one message, as brokers take 1 MiB unless told otherwise
_TIMES = pa.timestamp("us", "UTC")
_encoder = msgspec.json.Encoder()


def check_format(form: str) -> str:
    """Give back a format that is known."""
    if form not in FORMATS:
        raise ArgumentError(f"format={form!r} is not known. {did_you_mean(form, FORMATS)}")
    return form


def is_alerts(frame: pd.DataFrame) -> bool:
    """Tell whether a frame is one of alerts."""
    return set(ALERT_COLUMNS) <= set(frame.columns)


def key_column(frame: pd.DataFrame, key: str | None) -> str | None:
    """Give the column with the keys of the messages: the one named, or of alerts their entity."""
    column = key or ("entity" if is_alerts(frame) else None)
    require(frame, [column], "key")
    return column


def id_column(frame: pd.DataFrame, id: str | None = None) -> str | None:
    """Give the column that names a row once: the one named, or of alerts their id."""
    column = id or ("id" if is_alerts(frame) else None)
    require(frame, [column], "id")
    return column


def _columns(frame: pd.DataFrame) -> dict[str, pa.Array]:
    """Give what a row says: where an event was read from is no part of it, but an alert names its cause."""
    left_out = ENVELOPE if is_alerts(frame) else ENVELOPE + POSITION
    found = {}
    for column in frame.columns:
        if column not in left_out:
            try:
                found[str(column)] = plain(values(frame, column))
            except (pa.ArrowException, UnicodeError) as error:
                where = _unwritable(frame, column)
                raise SinkError(f"column {column!r} holds what cannot be written, first at row {where} ({error}).") from error
    return found


def _unwritable(frame: pd.DataFrame, column: Any) -> str:
    """Give the position of the first row whose value cannot be written by itself."""
    for i in range(len(frame)):
        row = frame.iloc[i : i + 1]
        try:
            plain(values(row, column))
        except (pa.ArrowException, UnicodeError):
            return positions(row)
    return positions(frame)  # each can, but not together: of several types


def plain(column: Any) -> pa.Array:
    """Give times in microseconds, UTC; numbers, truth values and texts as they are; all else as text."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        micros = column.as_unit("us").asi8
        return pa.array(micros.view("M8[us]"), pa.timestamp("us")).cast(_TIMES)
    array = as_arrow(column)
    kind = array.type
    if pa.types.is_timestamp(kind):
        return array.cast(pa.timestamp("us", kind.tz), safe=False).cast(_TIMES)
    known = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)
    return array if known or pa.types.is_string(kind) or pa.types.is_large_string(kind) else array.cast(pa.string())


def _listed(array: pa.Array) -> list[Any]:
    """Give a column as a list of what JSON has words for."""
    kind = array.type
    if pa.types.is_timestamp(kind):
        array = _iso(array)
    elif pa.types.is_null(kind) or (pa.types.is_integer(kind) and array.null_count):
        return list(array.to_pylist())  # numpy would make floats of the numbers
    found: list[Any] = array.to_numpy(zero_copy_only=False).tolist()
    return found


def _iso(times: pa.Array) -> pa.Array:
    text = times.cast(pa.timestamp("us")).cast(pa.string())  # 2026-03-02 00:00:00.000000
    return pc.binary_join_element_wise(pc.utf8_replace_slice(text, -16, -15, "T"), "Z", "")


@lru_cache(maxsize=64)
def _struct(names: tuple[str, ...]) -> Any:
    """Make the type of a row: filled and written in a third of the time that a dict takes; None where a name forbids it."""
    inner = {f"f{i}": name for i, name in enumerate(names)}
    try:
        return msgspec.defstruct("Row", [(name, Any) for name in inner], rename=inner, gc=False)
    except ValueError:
        return None


def json_bodies(frame: pd.DataFrame) -> list[bytes]:
    """Write each row as a JSON object, so that it is read back bit for bit.

    Times are ISO 8601 text in UTC with microseconds, floats the shortest text that gives the same number. What is missing is
    null; so are infinite numbers, for which JSON has no word (Arrow has). About 1 microsecond a row of 9 columns.

    Examples
    --------
    >>> from govlab.frames import event_frame
    >>> json_bodies(event_frame({"time": ["2026-03-02T00:00:00Z"], "actor": ["ann"], "value": [float("nan")]}))
    [b'{"time":"2026-03-02T00:00:00.000000Z","actor":"ann","value":null}']
    """
    columns = {name: _listed(array) for name, array in _columns(frame).items()}
    struct = _struct(tuple(columns))
    if struct is None:
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    else:
        rows = list(map(struct, *columns.values()))
    # in JSON a line's end within a text is written \n, so that each line is one body
    return _encoder.encode_lines(rows).split(b"\n")[:-1]


def arrow_bodies(frame: pd.DataFrame, most: int = ARROW_BYTES) -> list[tuple[int, bytes]]:
    """Write a frame as Arrow IPC streams of at most so many bytes; gives each with the number of its rows."""
    table = pa.table(_columns(frame))
    todo, found = [table], []
    while todo:
        part = todo.pop()
        out = pa.BufferOutputStream()
        with pa.ipc.new_stream(out, part.schema) as stream:
            stream.write_table(part)
        body: bytes = out.getvalue().to_pybytes()
        if len(body) > most and part.num_rows > 1:
            half = part.num_rows // 2
            todo += [part.slice(half), part.slice(0, half)]
        else:
            found.append((part.num_rows, body))
    return found


def texts(frame: pd.DataFrame, column: str) -> list[str | None]:
    """Write each value of a column as text, for a key or an id; a whole number the same from ints and from floats."""
    array = as_arrow(values(frame, column))
    if is_text(array.type):
        return _listed(array)
    return [
        None if v is None or v != v else str(int(v)) if isinstance(v, float) and v.is_integer() else str(v)
        for v in array.to_pylist()
    ]


def times_ms(frame: pd.DataFrame) -> list[int]:
    """Give the event time of each row in milliseconds since 1970; an earlier one as 1970, as queues know none before."""
    found: list[int] = np.maximum(time_us(frame) // 1000, 0).tolist()
    return found
