"""The event frame: a pandas DataFrame, one row an event, in the order in which the events come.

``time`` (``datetime64[us, UTC]``, event time) is required; ``partition`` (int32) and ``offset`` (int64) are a row's
position and are set by every reader. All other columns are the user's.

The *index* of a frame that a step gives on says which row of the frame that it took made each row come out (its
cause). A step that keeps, drops or adds to rows gets this for nothing; one that gives rows of its own labels them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from govlab.arguments import fitting
from govlab.errors import ArgumentError, SchemaError, did_you_mean
from govlab.hashing import readable
from govlab.schema import TIME, Schema

__all__ = [
    "ALERT_COLUMNS", "POSITION", "TIME", "Schema", "arrays", "build", "concat", "cut", "duration_us", "empty", "event_frame",
    "from_us",
    "instant_us", "measures", "numbers", "positions", "put", "require", "time_us", "values",
]  # fmt: skip

POSITION = ("partition", "offset")
ALERT_COLUMNS = (
    "id", "time", "entity", "detector", "score", "p", "severity", "reason", "start", "partition", "offset", "evidence", "recipe",
)  # fmt: skip
TIME_DTYPE = pd.DatetimeTZDtype("us", "UTC")
LARGEST = 1e150  # a number beyond it cannot be squared


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
        if not isinstance(value, str | timedelta):
            raise TypeError("a bare number has no unit")
        if isinstance(value, str) and not re.search(r"[^\W\d_]|:", value):
            raise ValueError("a bare number has no unit, and pandas would read nanoseconds")
        # pandas has begun to want "D" for days; people write "7d"
        text = re.sub(r"(?<=\d)\s*d\b", "D", value) if isinstance(value, str) else value
        micros = int(pd.Timedelta(text) / pd.Timedelta(1, "us"))
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"{name}={value!r} is not a duration; expected text such as '5s', '1min', '2h' or '7d'.") from error
    if micros < 0 or (micros == 0 and not zero):
        raise ArgumentError(f"{name}={value!r} must be {'zero or more' if zero else 'more than zero'}.")
    return micros


def values(frame: pd.DataFrame, column: str) -> Any:
    """Give the array of a column as it is stored, to be read only."""
    found = frame.columns.get_loc(column)
    if not isinstance(found, int):
        raise SchemaError(f"there is more than one column {column!r}; rename or drop all but one.")
    return frame._get_column_array(found)  # type: ignore[operator]


def arrays(frame: pd.DataFrame) -> Any:
    """Give the arrays of all columns as they are stored, to be read only."""
    return frame._iter_column_arrays()  # type: ignore[operator]


def numbers(frame: pd.DataFrame, column: str, kind: str = "float64") -> np.ndarray:
    """Give a column as numbers, read-only; missing values as NaN.

    Raises
    ------
    SchemaError
        It does not hold numbers.
    """
    array = values(frame, column)
    try:
        if array.dtype.kind in "mMc":
            raise TypeError(f"{array.dtype} has no one number; take for instance .dt.total_seconds() of durations")
        if not isinstance(array, np.ndarray):
            array = array.to_numpy("float64", na_value=np.nan)
        elif array.dtype == object:
            array = np.where(pd.isna(array), np.nan, array)
        return readable(array, kind)
    except (ValueError, TypeError, OverflowError) as error:
        raise SchemaError(
            f"column {column!r} does not hold numbers ({error}); convert it first, for instance with Conform."
        ) from error


def measures(frame: pd.DataFrame, column: str) -> np.ndarray:
    """Give a column as numbers to reckon with, read-only: NaN where they are missing, infinite or beyond 1e150 in size."""
    array = numbers(frame, column)
    fit = np.abs(array) <= LARGEST
    return array if fit.all() else readable(np.where(fit, array, np.nan), "float64")


def time_us(frame: pd.DataFrame, column: str = TIME) -> np.ndarray:
    """Give a time column as int64 microseconds since 1970 (UTC), read-only."""
    if column not in frame.columns:
        raise SchemaError(f"an event frame needs a column {column!r}. {did_you_mean(column, map(str, frame.columns))}")
    array = values(frame, column)
    if array.dtype == TIME_DTYPE:
        return readable(array.asi8, "int64")
    if not isinstance(array.dtype, pd.DatetimeTZDtype):
        raise SchemaError(
            f"column {column!r} is {array.dtype}, not datetime64[us, UTC]; make frames with gl.event_frame(...) or a reader."
        )
    # pandas 2.2 gives nanoseconds when a Timedelta is added to microseconds
    return readable(array.as_unit("us").asi8, "int64")


def from_us(values: np.ndarray) -> pd.Series:
    """Give int64 microseconds since 1970 as a time column."""
    return pd.Series(np.asarray(values, "int64").view("datetime64[us]")).dt.tz_localize("UTC")


def instant_us(value: Any, name: str) -> int:
    """Give a moment (text or Timestamp; UTC unless it says otherwise) in microseconds since 1970."""
    try:
        if isinstance(value, int | float | np.number):
            raise TypeError("a bare number has no unit")
        moment = pd.Timestamp(value)
        if pd.isna(moment):
            raise ValueError("missing")
        moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
        # not .value, which counts nanoseconds whatever the unit
        return int(moment.tz_localize(None).to_datetime64().astype("M8[us]").astype("int64"))
    except (ValueError, TypeError, OverflowError) as error:
        raise ArgumentError(
            f"{name}={value!r} is no moment; expected text such as '2015-03-01' or '2015-03-01 12:00', or a Timestamp."
        ) from error


@fitting
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
    if frame[TIME].dtype.kind in "iuf" and len(frame):
        raise SchemaError(
            "column 'time' holds numbers; convert them first, for instance with pd.to_datetime(..., unit='s', utc=True)."
        )
    if frame[TIME].dtype != TIME_DTYPE:
        try:
            text = frame[TIME].dtype.kind == "O" or isinstance(frame[TIME].dtype, pd.StringDtype)
            form = "ISO8601" if text else None
            frame[TIME] = pd.to_datetime(frame[TIME], utc=True, format=form).dt.as_unit("us")
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


# the constructors behind the public ones, which pandas 2.2 and 3 share; they cost a tenth for the small frames of a live stream
_FAST: Any = pd.DataFrame
_FAST_TIMES: Any = pd.arrays.DatetimeArray


@lru_cache(maxsize=256)
def _names(names: tuple[str, ...]) -> pd.Index:
    return pd.Index(list(names))


def build(columns: Mapping[str, Any], labels: pd.Index | None = None) -> pd.DataFrame:
    """Make a frame of whole columns of one length, without the checks and copies of the DataFrame constructor.

    ``time`` and ``start`` may be given as int64 microseconds.
    """
    made = []
    for name, column in columns.items():
        array = column.array if isinstance(column, pd.Series) else column
        if name in (TIME, "start") and isinstance(array, np.ndarray):
            array = _FAST_TIMES._simple_new(np.ascontiguousarray(array, "int64").view("datetime64[us]"), dtype=TIME_DTYPE)
        made.append(array.to_numpy() if isinstance(array, pd.arrays.NumpyExtensionArray) else array)
    index = pd.RangeIndex(len(made[0])) if labels is None else labels
    frame: pd.DataFrame = _FAST._from_arrays(made, columns=_names(tuple(columns)), index=index, verify_integrity=False)
    return frame


def put(frame: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Give the frame with further columns, or with others in their place; as ``assign``, but fast."""
    whole = dict(zip(map(str, frame.columns), arrays(frame), strict=True))
    if len(whole) < frame.shape[1]:
        names = [str(name) for name in frame.columns]
        raise SchemaError(
            f"there is more than one column {next(n for n in names if names.count(n) > 1)!r}; rename or drop all but one."
        )
    return build(whole | columns, frame.index)


def cut(frame: pd.DataFrame, first: int, last: int) -> pd.DataFrame:
    """Give the rows from ``first`` to before ``last``, numbered from 0."""
    if first == 0 and last >= len(frame) and isinstance(frame.index, pd.RangeIndex) and frame.index.start == 0:
        return frame
    part = frame.iloc[first:last]
    part.index = pd.RangeIndex(len(part))
    return part


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
        if column is not None and not frame.columns.is_unique:
            values(frame, column)  # of two of that name, which?


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
