"""Times as they stand in files: ISO 8601 text, numbers since 1970, or Arrow's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["TIME_RANGE", "times_of"]

# within this range a time is exact as a float64 and as nanoseconds; outside of it, it is a slip of unit or a placeholder
_FIRST_US, _LAST_US = -8_520_336_000_000_000, 7_258_118_400_000_000
TIME_RANGE = "between 1700 and 2200"
_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_TIMES, _NAIVE = pa.timestamp("us", "UTC"), pa.timestamp("us")


def times_of(values: Any, unit: int | None) -> tuple[pa.Array, np.ndarray]:
    """Give a column of times as read from a file in microseconds, UTC, and which rows hold a value that is no time.

    Parameters
    ----------
    values : pyarrow.Array or list
        Texts, numbers or times; may hold nulls.
    unit : int or None
        Microseconds in one unit of a number; None for text. Arrow's own times are read as what they say they are.

    Returns
    -------
    times : pyarrow.Array
        Null where there is no value, or none that is a time between 1700 and 2200.
    unreadable : numpy.ndarray
        bool, shape (n,): there is a value, but it is no such time.

    Raises
    ------
    ValueError
        The column as a whole holds no times (numbers of which no unit is known, durations, times of day).
    """
    array = values if isinstance(values, pa.Array) else None
    if array is not None and (pa.types.is_timestamp(array.type) or pa.types.is_date(array.type)):
        unit = None  # it says itself what it counts
    if unit is None:
        array = pa.array(values, pa.string()) if array is None else array
        times = _read(array)
        given = array.is_valid().to_numpy(False)
    elif array is None:
        try:
            whole = pa.array(values)
        except (pa.ArrowInvalid, OverflowError):
            whole = None
        if whole is not None and pa.types.is_int64(whole.type):
            times, given = _scaled(whole, unit), whole.is_valid().to_numpy(False)
        else:
            times = pa.array([_micros(value, unit) for value in values], pa.int64())
            given = np.array([value is not None for value in values], bool)
    else:
        times, given = _scaled(_numbers(array), unit), array.is_valid().to_numpy(False)
    micros = times.cast(pa.int64())
    ends = pc.min_max(micros)
    if micros.null_count < len(micros) and not _FIRST_US <= ends["min"].as_py() <= ends["max"].as_py() < _LAST_US:
        inside = pc.and_(pc.greater_equal(micros, _FIRST_US), pc.less(micros, _LAST_US))
        micros = pc.if_else(inside, micros, pa.scalar(None, pa.int64()))
    return micros.cast(_TIMES), given & micros.is_null().to_numpy(False)


def _read(array: pa.Array) -> pa.Array:
    """Read texts, and times of any unit; what cannot be read becomes null."""
    if pa.types.is_timestamp(array.type) or pa.types.is_date(array.type):
        if str(array.type).startswith("timestamp[ns"):
            return pc.cast(array, options=pc.CastOptions(pa.timestamp("us", array.type.tz), allow_time_truncate=True))
        # a cast of all would fail for one that is out of range
        unit = {"date32[day]": 86_400_000_000, "date64[ms]": 1_000}.get(str(array.type)) or _UNITS[array.type.unit]
        return _scaled(array.view(pa.int32() if pa.types.is_date32(array.type) else pa.int64()), unit)
    if not pa.types.is_string(array.type) and not pa.types.is_large_string(array.type) and not pa.types.is_null(array.type):
        raise ValueError(f"{array.type} is no time; give 'epoch_s', 'epoch_ms' or 'epoch_us' for numbers")
    for kind in (_TIMES, _NAIVE):
        try:
            return pc.cast(array, kind).cast(pa.int64())
        except pa.ArrowInvalid:
            continue
    # words are no times: "now" would be read as the time of reading
    digit = pc.match_substring_regex(array, r"^\d{4}")
    parsed = pd.to_datetime(
        pd.Series(pc.if_else(digit, array, None).to_pylist(), dtype="object"), utc=True, errors="coerce", format="ISO8601"
    )
    return pa.array(parsed.dt.as_unit("us"), _TIMES, from_pandas=True)


def _numbers(array: pa.Array) -> pa.Array:
    """Give numbers, also those that are written as text; what is none becomes null."""
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        number = pc.match_substring_regex(array, r"^\s*[+-]?[0-9]{1,25}(\.[0-9]*)?\s*$")
        return pc.utf8_trim_whitespace(pc.if_else(number, array, pa.scalar(None, kind))).cast(pa.float64())
    if not any(is_kind(kind) for is_kind in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)):
        raise ValueError(f"{kind} is no number that counts from 1970")
    return array.cast(pa.float64(), safe=False) if pa.types.is_uint64(kind) or pa.types.is_decimal(kind) else array


def _micros(value: float | None, unit: int) -> int | None:
    return round(value * unit) if value is not None and abs(value) < 1e16 / unit else None


def _scaled(array: pa.Array, unit: int) -> pa.Array:
    """Give numbers in microseconds; those far outside of the range become null before they can overflow."""
    whole = pa.types.is_integer(array.type) or pa.types.is_null(array.type)
    numbers = array.cast(pa.int64() if whole else pa.float64())
    inside = pc.and_(pc.greater(numbers, _FIRST_US // unit - 1), pc.less(numbers, _LAST_US // unit + 1))
    near = pc.fill_null(pc.if_else(inside, numbers, pa.scalar(None, numbers.type)), 0).to_numpy()
    micros = near * unit if whole else np.round(near * unit).astype("int64")
    return pa.array(micros, pa.int64(), mask=~pc.fill_null(inside, False).to_numpy(False))
