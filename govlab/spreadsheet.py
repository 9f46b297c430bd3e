"""A table for a person: files that a spreadsheet opens without running what strangers wrote into them."""

from __future__ import annotations

import csv
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from govlab.errors import ArgumentError
from govlab.registry import extra

__all__ = ["inert", "people_first", "save"]

FIRST = ("time", "entity", "severity", "score", "p", "reason", "detector")
ROWS, LONGEST, EXACT = 1_048_576, 32_767, 10**15  # of Excel: rows of a sheet, signs in a cell, the first number of 16 digits
DATE = "yyyy-mm-dd hh:mm:ss.000"

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
    """Write alerts, or any table, to a file that a person opens: ``.csv``, ``.xlsx`` or ``.parquet``.

    What strangers wrote runs nothing: in a CSV file every text is quoted, and one that a spreadsheet would run as a formula has an
    apostrophe before it, names of columns too (so what is read back is not always what was written); in an Excel file a text is a
    text and no formula or link. Excel has no time zones and 15 digits: times are written in UTC, and a column with longer whole
    numbers, such as ids, as text. In columns of alerts what happened to whom comes first. A Parquet file has the table as it is.

    Parameters
    ----------
    table : DataFrame
        Such as ``result.rows``, or ``store.alerts()``.
    path : path
        The file to write; replaced when it exists.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ArgumentError
        The name ends with something else, or the table is larger than an Excel sheet.
    MissingExtraError
        An Excel file, without ``pip install 'govlab[excel]'``.
    """
    target = Path(path)
    if target.suffix.lower() not in WRITE:
        raise ArgumentError(f"save: {str(target)!r}; expected a name that ends with {', '.join(WRITE)}.")
    WRITE[target.suffix.lower()](table, target)
    return target


def people_first(table: pd.DataFrame) -> pd.DataFrame:
    """Give a table of alerts with what a person reads in front; any other table as it is."""
    if not {"entity", "severity", "reason"} <= set(table.columns):
        return table
    first = [name for name in FIRST if name in table.columns]
    return table[first + [name for name in table.columns if name not in FIRST]]


def _csv(table: pd.DataFrame, target: Path) -> None:
    table = people_first(table)
    safe = pd.DataFrame({i: _inert(table.iloc[:, i]) for i in range(table.shape[1])}, index=range(len(table)))
    safe.columns = pd.Index([inert(str(name)) for name in table.columns])
    safe.to_csv(target, index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")


def _inert(column: pd.Series) -> Any:
    text = column.dtype == object or isinstance(column.dtype, pd.StringDtype | pd.CategoricalDtype | pd.ArrowDtype)
    return pd.Series([inert(value) for value in column.tolist()], dtype="object") if text else column.array


def _excel(table: pd.DataFrame, target: Path) -> None:
    extra("xlsxwriter", "pip install 'govlab[excel]'")
    if len(table) >= ROWS:
        raise ArgumentError(
            f"save: an Excel sheet has {ROWS - 1:,} rows below its names, and the table {len(table):,}; write .parquet."
        )
    table = people_first(table)
    cells = pd.DataFrame({i: _cells(table.iloc[:, i]) for i in range(table.shape[1])}, index=range(len(table)))
    names = [str(name) for name in table.columns]
    longest = max((len(text) for i in cells for text in cells[i] if isinstance(text, str)), default=0)
    if longest > LONGEST:
        raise ArgumentError(f"save: a text of {longest:,} signs, and an Excel cell holds {LONGEST:,}; write .csv or .parquet.")
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False, "default_date_format": DATE}
    with pd.ExcelWriter(target, engine="xlsxwriter", datetime_format=DATE, engine_kwargs={"options": options}) as writer:
        cells.to_excel(writer, sheet_name="govlab", index=False, header=names, freeze_panes=(1, 0), inf_rep="infinite")
        sheet = writer.sheets["govlab"]
        for i, name in enumerate(names):
            shown = max([len(name), *(len(str(value)) for value in cells[i].head(100))], default=0)
            sheet.set_column(i, i, min(60, max(8, shown + 1)))
        if names:
            sheet.autofilter(0, 0, len(table), len(names) - 1)


def _cells(column: pd.Series) -> pd.Series:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert("UTC").dt.tz_localize(None).reset_index(drop=True)
    kinds = pd.api.types
    if kinds.is_bool_dtype(column.dtype) or kinds.is_float_dtype(column.dtype) or kinds.is_datetime64_dtype(column.dtype):
        return column.reset_index(drop=True)
    if kinds.is_integer_dtype(column.dtype) and not (column.dropna().abs() >= EXACT).any():
        return column.reset_index(drop=True)
    texts = [
        None if value is None or value is pd.NA or value is pd.NaT or value != value else str(value) for value in column.tolist()
    ]
    return pd.Series(texts, dtype="object")


def _parquet(table: pd.DataFrame, target: Path) -> None:
    table.to_parquet(target, index=False)


WRITE = {".csv": _csv, ".xlsx": _excel, ".parquet": _parquet}
