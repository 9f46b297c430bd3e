"""Columns as read to an event frame: types, missing values, and what a type cannot hold exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from govlab.errors import SchemaError
from govlab.frames import TIME, TIME_DTYPE, Schema
from govlab.sources.files.times import TIME_RANGE, times_of

__all__ = ["EXACT", "MOST_COLUMNS", "constant", "exact_floats", "frame_of", "inexact", "readable"]

EXACT = 2**53  # up to here a float64 holds every whole number
MOST_COLUMNS = 10_000


def frame_of(
    columns: dict[str, Any], schema: Schema, partition: int, offsets: np.ndarray, unfit: Mapping[int, str] | None = None
) -> tuple[pd.DataFrame, list[tuple[int, str]]]:
    """Make the event frame of columns as read; rows that lack a value they must have are left out and named with the reason.

    The dtype of a column depends on its type in the schema alone: ``int64?`` is ``Int64`` (exact), ``bool?`` is ``boolean``.
    ``unfit`` names further rows to leave out, each with its reason.
    """
    bad: dict[int, str] = dict(unfit or {})
    data: dict[str, Any] = {}
    for name, values in columns.items():
        kind, target = schema.arrow_type(name), schema.frame_name(name)
        array = values if isinstance(values, pa.Array) else None
        if pa.types.is_timestamp(kind):
            array, unreadable = times_of(values, schema.epoch(name))
            for row in np.flatnonzero(unreadable).tolist():
                bad.setdefault(row, f"{name!r} is no time {TIME_RANGE}")
        elif array is not None and pa.types.is_floating(kind) and not pa.types.is_floating(array.type):
            array, rounded = exact_floats(array)
            for row in rounded:
                bad.setdefault(row, inexact(name, values[row]))
        array = pa.array(values, kind) if array is None else array
        null = array.is_null(nan_is_null=True) if not schema.nullable(name) else None
        if null is not None and null.true_count:
            for row in np.flatnonzero(null.to_numpy(False)).tolist():
                bad.setdefault(row, f"{name!r} is missing")
        data[target] = _values(array, kind, schema.nullable(name))
    data["partition"] = np.full(len(offsets), partition, "int32")
    data["offset"] = np.asarray(offsets, "int64")
    frame = pd.DataFrame({TIME: data.pop(TIME)} | data, copy=False)
    assert frame[TIME].dtype == TIME_DTYPE
    if bad:
        frame = frame.drop(index=list(bad)).reset_index(drop=True)
    return frame, sorted(bad.items())


def _values(array: pa.Array, kind: pa.DataType, nullable: bool) -> Any:
    """Give a column as a frame holds it."""
    if pa.types.is_timestamp(kind):
        micros = array.cast(pa.int64()).fill_null(np.iinfo("int64").min).to_numpy()
        return pd.Series(micros.view("M8[us]")).dt.tz_localize("UTC")
    if pa.types.is_string(kind):
        return array.to_pandas()
    if not nullable:
        return array.fill_null(False if pa.types.is_boolean(kind) else 0).to_numpy(zero_copy_only=False)
    if pa.types.is_integer(kind):
        # not floats with NaN: those would round ids beyond 2**53
        return pd.arrays.IntegerArray(array.fill_null(0).to_numpy().copy(), array.is_null().to_numpy(False).copy())
    return array.to_pandas().astype("boolean") if pa.types.is_boolean(kind) else array.to_numpy(zero_copy_only=False)


def exact_floats(array: pa.Array) -> tuple[pa.Array, list[int]]:
    """Give whole numbers or decimals as float64, and the rows whose whole number a float64 cannot hold."""
    floats = array.cast(pa.float64(), safe=False)
    far = np.flatnonzero(pc.fill_null(pc.greater(pc.abs(floats), EXACT - 1), False).to_numpy(False))
    return floats, [row for row in far.tolist() if int(floats[row].as_py()) != array[row].as_py()]


def inexact(name: str, value: Any) -> str:
    """Say that a float64 cannot hold a number."""
    return f"{name!r}: {str(value)[:40]} would be rounded as a float64; give the column the type 'int64?' or 'string' in the schema"


def constant(value: str | None, rows: int, schema: Schema, name: str) -> pa.Array:
    """Give a column that holds one value, which comes from the name of a folder.

    Raises
    ------
    SchemaError
        The value is not of the column's type.
    """
    kind = schema.arrow_type(name)
    one = pa.scalar(value, pa.string())
    try:
        if pa.types.is_timestamp(kind):
            wrong = bool(times_of(pa.array([value], pa.string()), schema.epoch(name))[1].any())
        else:
            one, wrong = one.cast(kind), False
    except (pa.ArrowException, ValueError):
        wrong = True
    if wrong:
        raise SchemaError(f"the folder {name}={value} holds no {schema.fields[name].removesuffix('?')}, as the schema says.")
    return pa.repeat(one, rows)


def readable(found: pa.Schema, left_out: dict[str, str]) -> pa.Schema:
    """Give the columns that can be read, in the types in which they are."""
    twice = {name for name in found.names if found.names.count(name) > 1} if len(set(found.names)) < len(found) else set()
    left_out |= dict.fromkeys(twice, "there is more than one column of this name")
    fields = []
    for field in found:
        kind = field.type if not field.nullable else _wide(field.type)
        kind = kind if _wide(field.type) is not None else None
        if kind is None:
            left_out[field.name] = f"its type {str(field.type)[:80]} is not read"
        elif field.name not in twice:
            fields.append(field.with_type(kind))
    return pa.schema(fields)


def _wide(kind: pa.DataType) -> pa.DataType | None:
    """Give the type in which a column is read, None for one that is not (lists, structs, bytes)."""
    if pa.types.is_dictionary(kind):
        return _wide(kind.value_type)
    if pa.types.is_decimal(kind) and kind.scale <= 0 and kind.precision > 15:
        return pa.string()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_date(kind):
        return pa.timestamp("us")
    if pa.types.is_time(kind):
        return pa.string()
    plain = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_boolean,
        pa.types.is_timestamp,
        pa.types.is_null,
    )
    return kind if any(is_kind(kind) for is_kind in plain) else None
