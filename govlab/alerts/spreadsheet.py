"""A table for a person: CSV that a spreadsheet opens without running what strangers wrote into it."""

from __future__ import annotations

import csv
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from govlab.errors import ArgumentError

__all__ = ["inert", "save"]

# a spreadsheet takes a cell that begins so for a formula; the wide forms are made narrow by some
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def inert(value: Any) -> Any:
    """Put an apostrophe before a text that a spreadsheet would run as a formula; all else stays as it is.

    Examples
    --------
    >>> inert("=1+1"), inert("ann"), inert(-1.5)
    ("'=1+1", 'ann', -1.5)
    """
    if isinstance(value, list | tuple | dict | set | frozenset):
        value = str(value)
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA) else value


def save(table: pd.DataFrame, path: str | PathLike[str]) -> Path:
    """Write alerts, or any table, to a CSV file that a person opens in a spreadsheet.

    Every text is quoted, and one that a spreadsheet would run as a formula has an apostrophe before it, names of columns too.
    So what is read back is not always what was written: programs should read a store or a recording.

    Parameters
    ----------
    table : DataFrame
        Such as ``result.rows``, or ``store.alerts()``.
    path : path
        The file to write, whose name ends with ``.csv``; replaced when it exists.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ArgumentError
        The name ends with something else.
    """
    target = Path(path)
    if target.suffix.lower() != ".csv":
        raise ArgumentError(f"save: {str(target)!r}; expected a name that ends with .csv.")
    safe = pd.DataFrame({i: _inert(table.iloc[:, i]) for i in range(table.shape[1])}, index=range(len(table)))
    safe.columns = pd.Index([inert(str(name)) for name in table.columns])
    safe.to_csv(target, index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    return target


def _inert(column: pd.Series) -> Any:
    text = column.dtype == object or isinstance(column.dtype, pd.StringDtype | pd.CategoricalDtype | pd.ArrowDtype)
    return pd.Series([inert(value) for value in column.tolist()], dtype="object") if text else column.array
