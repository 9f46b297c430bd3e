"""Frames to the bodies of messages: JSON, one for each row, or one Arrow IPC stream for a frame."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from govlab.errors import ArgumentError, did_you_mean
from govlab.frames import ALERT_COLUMNS, POSITION, require, time_us, values

__all__ = ["FORMATS", "arrow_body", "is_alerts", "json_bodies", "keys_of", "times_ms"]

FORMATS = ("arrow", "json")


def check_format(form: str) -> str:
    """Give back a format that is known."""
    if form not in FORMATS:
        raise ArgumentError(f"format={form!r} is not known. {did_you_mean(form, FORMATS)}")
    return form


def is_alerts(frame: pd.DataFrame) -> bool:
    """Tell whether a frame is one of alerts."""
    return set(ALERT_COLUMNS) <= set(frame.columns)


def _columns(frame: pd.DataFrame) -> list[str]:
    """Name what a row says; where an event was read from is no part of it, but an alert names its cause."""
    return [str(name) for name in frame.columns if is_alerts(frame) or name not in POSITION]


def _times(frame: pd.DataFrame, name: str) -> list[str | None]:
    texts = np.datetime_as_string(time_us(frame, name).view("M8[us]"), unit="us").tolist()
    return [None if text == "NaT" else text + "Z" for text in texts]


def _plain(frame: pd.DataFrame, name: str) -> list[Any]:
    """Give a column as values that JSON knows; what is missing, and numbers that JSON has not (infinite ones), as None."""
    if isinstance(frame[name].dtype, pd.DatetimeTZDtype):
        return _times(frame, name)
    array = values(frame, name)
    if not isinstance(array, np.ndarray):
        return [None if missing else value for value, missing in zip(array.tolist(), array.isna().tolist(), strict=True)]
    if array.dtype.kind == "f":
        return [value if fine else None for value, fine in zip(array.tolist(), np.isfinite(array).tolist(), strict=True)]
    if array.dtype.kind == "O":
        return [None if value is None or value is pd.NA or value != value else value for value in array.tolist()]
    found: list[Any] = array.tolist()
    return found


def json_bodies(frame: pd.DataFrame) -> list[bytes]:
    """Write each row as a JSON object: times as ISO 8601 text in UTC, numbers so that they are read back bit for bit.

    Raises
    ------
    TypeError
        A column holds something that JSON does not know.

    Examples
    --------
    >>> from govlab.frames import event_frame
    >>> json_bodies(event_frame({"time": ["2026-03-02T00:00:00Z"], "actor": ["ann"], "value": [float("nan")]}))
    [b'{"time":"2026-03-02T00:00:00.000000Z","actor":"ann","value":null}']
    """
    names = _columns(frame)
    encode = msgspec.json.Encoder().encode
    rows = zip(*(_plain(frame, name) for name in names), strict=True)
    return [encode(dict(zip(names, row, strict=True))) for row in rows]


def arrow_body(frame: pd.DataFrame) -> bytes:
    """Write a frame as one Arrow IPC stream."""
    names = _columns(frame)
    arrays = []
    for name in names:
        if isinstance(frame[name].dtype, pd.DatetimeTZDtype):
            micros = time_us(frame, name)
            arrays.append(pa.array(micros, pa.timestamp("us", "UTC"), mask=micros == np.iinfo("int64").min))
        else:
            arrays.append(pa.Array.from_pandas(frame[name]))
    table = pa.table([a.combine_chunks() if isinstance(a, pa.ChunkedArray) else a for a in arrays], names=names)
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    body: bytes = out.getvalue().to_pybytes()
    return body


def keys_of(frame: pd.DataFrame, key: str | None) -> list[bytes | None] | None:
    """Give the key of each row's message: that of a column, of alerts their entity; None where there are none."""
    key = key or ("entity" if is_alerts(frame) else None)
    if key is None:
        return None
    require(frame, [key], "key")
    return [None if value is None else str(value).encode() for value in _plain(frame, key)]


def times_ms(frame: pd.DataFrame) -> list[int]:
    """Give the event time of each row in milliseconds since 1970."""
    found: list[int] = (time_us(frame) // 1000).tolist()
    return found
