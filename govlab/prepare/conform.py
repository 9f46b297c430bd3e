"""Types and ranges: rows that do not conform are put aside with the reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from govlab.errors import ArgumentError
from govlab.frames import TIME, Schema, require
from govlab.step import Step

_EXACT = 2.0**53


class Conform(Step):
    """Give on the rows that conform to a schema and to ranges; the others go to the side ``rejected``, with the reason.

    About 100 ns a row; no state.

    Parameters
    ----------
    schema : Schema, optional
        The columns that must be there, and their types. Values are converted where nothing is lost ("3" -> 3).
        Columns that it does not name are given on as they are.
    ranges : mapping of str to (low, high), optional
        Bounds, both included, for numbers; None for no bound.
    allowed : mapping of str to list, optional
        The values that a column may have.

    Raises
    ------
    SchemaError
        A frame lacks a column of the schema.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 3, "value": ["1", "x", "-5"]})
    >>> tidy = gl.prepare.Conform(gl.Schema({"time": "timestamp", "value": "float64"}), ranges={"value": (0, None)})
    >>> tidy.process(events)["value"].to_list()
    [1.0]
    >>> tidy.take_sides()[0][1]["reason"].to_list()
    ["'value' is no float64", "'value' is below 0"]
    """

    schema: Schema | None = None
    ranges: Mapping[str, tuple[float | None, float | None]] = dataclasses.field(default_factory=dict)
    allowed: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        fields = {"time": "timestamp", "value": "float64", "count": "int64"}
        return cls(Schema(fields), ranges={"value": (5, None)}, allowed={"kind": ["post", "like"]})

    def check(self) -> None:
        """Check the recipe."""
        if self.schema is not None and not isinstance(self.schema, Schema):
            raise ArgumentError(f"Conform: schema={self.schema!r}; expected gl.Schema({{'time': 'timestamp', ...}}).")
        for column, bounds in self.ranges.items():
            if not isinstance(bounds, list | tuple) or len(bounds) != 2:
                raise ArgumentError(f"Conform: ranges[{column!r}]={bounds!r}; expected (low, high), with None for no bound.")
            low, high = bounds
            if any(b is not None and (isinstance(b, str | bool) or b != b) for b in bounds) or (
                low is not None and high is not None and low > high
            ):
                raise ArgumentError(f"Conform: ranges[{column!r}]={bounds!r}; expected two numbers, the lower first.")
        for column, known in self.allowed.items():
            if isinstance(known, str) or not hasattr(known, "__iter__"):
                raise ArgumentError(f"Conform: allowed[{column!r}]={known!r}; expected a list of values.")

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give on the rows that conform."""
        names = self.schema.names if self.schema else ()
        require(frame, [*names, *self.ranges, *self.allowed], "Conform")
        reason = np.full(len(frame), "", "object")
        columns: dict[str, pd.Series] = {}
        for name in self.schema.fields if self.schema else ():
            column = self.schema.frame_name(name)  # type: ignore[union-attr]
            values, wrong = self._typed(frame[column], name)
            columns[column] = values
            missing = frame[column].isna().to_numpy()
            kind = self.schema.fields[name].removesuffix("?")  # type: ignore[union-attr]
            _note(reason, missing if not self.schema.nullable(name) else np.zeros(len(frame), bool), f"{column!r} is missing")  # type: ignore[union-attr]
            _note(reason, wrong & ~missing, f"{column!r} is no {kind}")
        given = frame.assign(**columns) if columns else frame
        for column, (low, high) in self.ranges.items():
            numbers = pd.to_numeric(given[column], errors="coerce").to_numpy("float64", na_value=np.nan)
            _note(reason, numbers < (-np.inf if low is None else low), f"{column!r} is below {low}")
            _note(reason, numbers > (np.inf if high is None else high), f"{column!r} is above {high}")
        for column, values in self.allowed.items():
            _note(reason, ~given[column].isin(list(values)).to_numpy(), f"{column!r} is not one of the allowed values")
        bad = reason != ""
        if bad.any():
            self.divert("rejected", frame[bad], reason[bad])
            given = given[~bad]
        for column in columns:
            given = _final(given, column, self.schema)  # type: ignore[arg-type]
        return given

    def _typed(self, values: pd.Series, name: str) -> tuple[pd.Series, np.ndarray]:
        kind = self.schema.arrow_type(name)  # type: ignore[union-attr]
        if pa.types.is_timestamp(kind):
            if isinstance(values.dtype, pd.DatetimeTZDtype):
                return values.dt.tz_convert("UTC").dt.as_unit("us"), values.isna().to_numpy()
            unit: Any = {"epoch_s": "s", "epoch_ms": "ms", "epoch_us": "us"}.get(self.schema.fields[name].removesuffix("?"))  # type: ignore[union-attr]
            if unit:
                times = pd.to_datetime(pd.to_numeric(values, errors="coerce"), unit=unit, utc=True, errors="coerce")
            else:
                times = pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601")
            return times.dt.as_unit("us"), times.isna().to_numpy()
        if pa.types.is_boolean(kind):
            words = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}
            flags = values.map(lambda v: words.get(v) if isinstance(v, Hashable) else None)
            return flags, flags.isna().to_numpy()
        if pa.types.is_string(kind):
            texts = (
                values if isinstance(values.dtype, pd.StringDtype) else pd.Series([_text(v) for v in values], values.index, "str")
            )
            return texts, np.zeros(len(values), bool)
        numbers = pd.to_numeric(values, errors="coerce")
        flat = numbers.to_numpy("float64", na_value=np.nan)
        with np.errstate(invalid="ignore"):
            wrong = np.isnan(flat) | (pa.types.is_integer(kind) & ((flat != np.floor(flat)) | (np.abs(flat) > 2.0**63)))
        if pa.types.is_integer(kind) and (np.abs(flat) >= _EXACT).any():
            # beyond 2^53 a float is not exact, and whether there are floats depends on the other rows of the frame
            exact = [None if bad else _whole(v) for v, bad in zip(values.tolist(), wrong.tolist(), strict=True)]
            numbers = pd.Series(exact, values.index, "Int64")
            wrong = numbers.isna().to_numpy()
        return numbers, wrong


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return (
        None if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value) else str(value)
    )


def _whole(value: Any) -> int | None:
    """Give a whole number exactly; None if it has more than 64 bits."""
    try:
        number = int(value)
    except ValueError:
        number = int(float(value))
    return number if -(2**63) <= number < 2**63 else None


def _note(reason: np.ndarray, where: np.ndarray, text: str) -> None:
    """Write a reason where there is none yet."""
    reason[where & (reason == "")] = text


def _final(frame: pd.DataFrame, column: str, schema: Schema) -> pd.DataFrame:
    """Give a column the dtype of its type, the same for every frame."""
    name = schema.time if column == TIME else column
    kind, nullable = schema.arrow_type(name), schema.nullable(name)
    if pa.types.is_timestamp(kind) or pa.types.is_string(kind):
        return frame
    dtype: Any = (
        ("boolean" if nullable else "bool")
        if pa.types.is_boolean(kind)
        else ("Int64" if nullable else "int64")
        if pa.types.is_integer(kind)
        else "float64"
    )
    return frame if frame[column].dtype == dtype else frame.assign(**{column: frame[column].astype(dtype)})
