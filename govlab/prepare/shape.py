"""Which columns a frame has, and what they are called: steps that pass on every row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from govlab.errors import ArgumentError, SchemaError
from govlab.frames import POSITION, TIME, put, require
from govlab.prepare.expression import Expression
from govlab.step import Step

__all__ = ["Derive", "Rename", "Select"]

KEPT = (TIME, *POSITION)


class Select(Step):
    """Pass on all rows with some of their columns; the time and the position are always among them.

    No state, hardly any cost.

    Parameters
    ----------
    columns : list of str, optional
        The columns to pass on, in this order.
    drop : list of str, optional
        The columns to leave out, instead.

    Raises
    ------
    SchemaError
        A column is not there.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"], "actor": ["ann"], "note": ["long text"]})
    >>> list(gl.prepare.Select(drop=["note"]).process(events))
    ['time', 'actor', 'partition', 'offset']
    """

    columns: Sequence[str] | None = None
    drop: Sequence[str] | None = None

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(["actor", "value", "count"])

    def check(self) -> None:
        """Check the recipe."""
        if (self.columns is None) == (self.drop is None):
            raise ArgumentError("Select: give columns=[...] to keep, or drop=[...] to leave out.")
        for field in ("columns", "drop"):
            names = getattr(self, field)
            if names is not None and (isinstance(names, str) or not all(isinstance(name, str) and name for name in names)):
                raise ArgumentError(f"Select: {field}={names!r}; expected a list of names of columns.")
        if kept := [name for name in self.drop or () if name in KEPT]:
            raise ArgumentError(f"Select: drop={list(self.drop or ())!r}; {kept[0]!r} always stays.")

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Pass on the rows with the columns chosen."""
        require(frame, self.columns if self.columns is not None else self.drop or (), "Select")
        if self.columns is None:
            return frame.drop(columns=list(self.drop or ()))
        kept = [name for name in KEPT if name in frame.columns and name not in self.columns]
        chosen = list(dict.fromkeys(self.columns))
        return frame[[*kept[:1], *chosen, *kept[1:]] if kept[:1] == [TIME] else [*chosen, *kept]]


class Rename(Step):
    """Pass on all rows with other names for some of their columns.

    No state, hardly any cost.

    Parameters
    ----------
    names : mapping of str to str
        From the name that there is to the one that is wanted.

    Raises
    ------
    SchemaError
        A column is not there, or a wanted name is taken by another one.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"], "user": ["ann"]})
    >>> list(gl.prepare.Rename({"user": "actor"}).process(events))
    ['time', 'actor', 'partition', 'offset']
    """

    names: Mapping[str, str]

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls({"actor": "user", "value": "amount"})

    def check(self) -> None:
        """Check the recipe."""
        pairs = list(self.names.items()) if isinstance(self.names, Mapping) else [(None, None)]
        if not all(isinstance(name, str) and name for pair in pairs for name in pair):
            raise ArgumentError(f"Rename: names={self.names!r}; expected a mapping such as {{'user': 'actor'}}.")
        if fixed := [name for pair in pairs for name in pair if name in KEPT]:
            raise ArgumentError(f"Rename: {fixed[0]!r} is set by every reader and keeps its name; derive a column from it instead.")
        if len(set(self.names.values())) < len(self.names):
            raise ArgumentError(f"Rename: names={dict(self.names)!r}; two columns would have one name.")

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Pass on the rows with the names wanted."""
        require(frame, list(self.names), "Rename")
        if taken := [new for new in self.names.values() if new in frame.columns and new not in self.names]:
            raise SchemaError(f"Rename: there is a column {taken[0]!r} already; rename or drop it first.")
        return frame.rename(columns=dict(self.names))


class Derive(Step):
    """Pass on all rows with further columns, each computed from the others of its row.

    Whole numbers stay whole under ``+ - *`` (missing where 64 bits cannot hold them); ``/ // % **`` give float64, infinite or
    missing where a divisor is zero. A result with a missing value in it is missing. About 50 ns a row and operation; no state.

    Parameters
    ----------
    columns : mapping of str to (str or function)
        For each new column an expression as in pandas' ``eval`` (see :class:`Where` for what there is), or a function of the
        frame that gives a value for each row, from that row alone. A later one may use those before it; an existing column
        gets new values.

    Raises
    ------
    SchemaError
        A column of an expression is not there, or cannot be computed with so.

    Examples
    --------
    >>> import govlab as gl
    >>> sent = gl.event_frame({"time": ["2026-03-02T23:00:00Z"], "bytes": [300], "seconds": [2.0]})
    >>> rates = gl.prepare.Derive({"rate": "bytes / seconds", "night": "time.dt.hour >= 22"}).process(sent)
    >>> rates[["rate", "night"]].values.tolist()
    [[150.0, True]]
    """

    columns: Mapping[str, str | Callable[[pd.DataFrame], Any]]

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls({"load": "value / (count + 1)", "many": "count * 2", "night": "time.dt.hour >= 22", "loud": "kind.str.upper()"})

    def check(self) -> None:
        """Check the recipe."""
        if not isinstance(self.columns, Mapping) or not all(isinstance(name, str) and name for name in self.columns):
            raise ArgumentError(f"Derive: columns={self.columns!r}; expected a mapping such as {{'rate': 'bytes / seconds'}}.")
        if fixed := [name for name in self.columns if name in KEPT]:
            raise ArgumentError(f"Derive: {fixed[0]!r} is set by every reader; give the column another name.")
        self._made: dict[str, Any] = {}
        for name, source in self.columns.items():
            if not (isinstance(source, str) and source.strip()) and not callable(source):
                raise ArgumentError(f"Derive: columns[{name!r}]={source!r}; expected an expression, or a function of the frame.")
            self._made[name] = Expression(source, "Derive").evaluate if isinstance(source, str) else source

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Pass on the rows with the columns derived."""
        for name, make in self._made.items():
            found = make(frame)
            if np.ndim(found) != 1 or len(found) != len(frame):
                raise SchemaError(f"Derive: columns[{name!r}] gave no value for each of the {len(frame):,} rows.")
            frame = put(frame, **{name: found.array if isinstance(found, pd.Series) else np.asarray(found)})
        return frame

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_made"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.check()
