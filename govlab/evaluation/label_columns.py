"""The columns of a table of labels: read as strictly as those of events, and none left out without a word."""

from __future__ import annotations

import difflib
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab.alerts.alert import name_of_entity
from govlab.errors import ArgumentError

__all__ = ["check_columns", "entities_of", "how_they_differ", "times"]

INCIDENTS = ("incident_id", "start", "end", "entities", "entity", "known_at")
DESCRIBING = frozenset({"comment", "description", "kind", "link", "n_events", "note", "notes", "series", "title", "type", "url"})
"""Columns that are words for a person, of which nothing is said."""

_WITH_ZONE = re.compile(r"\d:\d\d.*(?:[zZ]|[+-]\d\d(?::?\d\d)?)\s*$")


def check_columns(table: pd.DataFrame, used: Iterable[str], quiet: bool = False) -> None:
    """Say of the columns of labels that are not used which they are: an error if one is nearly a used one, else a warning.

    Parameters
    ----------
    table : DataFrame
    used : iterable of str
        The columns that mean something.
    quiet : bool
        Only the error: somebody has said which columns count.
    """
    by_name = {_plain(name): name for name in used}
    others = [str(name) for name in table.columns if name not in by_name.values()]
    for name in others:
        near = difflib.get_close_matches(_plain(name), by_name, n=1, cutoff=0.8)
        if near and by_name[near[0]] not in table.columns:
            raise ArgumentError(
                f"labels: there is a column {name!r}, which means nothing. Did you mean {by_name[near[0]]!r}? "
                f"There are: {', '.join(by_name.values())}. Rename it, or drop it."
            )
    unused = [name for name in others if name not in DESCRIBING]
    if unused and not quiet:
        one = len(unused) == 1
        warnings.warn(
            f"labels: the column{'s' * (not one)} {', '.join(map(repr, unused))} {'is' if one else 'are'} not used; used are "
            f"{', '.join(by_name.values())}. Drop {'it' if one else 'them'}, or rename what is meant for one of these.",
            stacklevel=4,
        )


def _plain(name: Any) -> str:
    return re.sub(r"[\s_.-]", "", str(name)).casefold()


def times(table: pd.DataFrame, name: str) -> pd.Series:
    """Read a column of times (datetimes, or ISO 8601 text), each with a time zone and none missing; in UTC."""
    column = table[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if column.isna().any():
        raise ArgumentError(f"labels: {name} is missing in row {int(np.flatnonzero(column.isna())[0])}.")
    if column.dtype.kind in "iufb":
        raise ArgumentError(
            f"labels: {name} holds numbers; convert them first, for instance with pd.to_datetime(..., unit='s', utc=True)."
        )
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        texts = [str(value) for value in column.tolist()]
        local = next((text for text in texts if not _WITH_ZONE.search(text)), None)
        read = pd.to_datetime(pd.Series(texts, dtype="object"), utc=True, format="ISO8601", errors="coerce")
        if read.isna().any():
            row = int(np.flatnonzero(read.isna())[0])
            raise ArgumentError(f"labels: {name} cannot be read as times: {texts[row]!r} in row {row}; expected ISO 8601.")
        if local is not None:
            raise ArgumentError(f"labels: {name} is text without a time zone, such as {local!r}; {_ZONE}")
        column = read
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        raise ArgumentError(f"labels: {name} is {column.dtype}, without a time zone; {_ZONE}")
    return column.dt.tz_convert("UTC").dt.as_unit("us").reset_index(drop=True)


_ZONE = "make it one with pd.to_datetime(..., utc=True), or .dt.tz_localize('Europe/Berlin') where it is local time."


def entities_of(table: pd.DataFrame) -> pd.Series:
    """Read of whom incidents are, from ``entities`` (a list, or one as JSON text) or ``entity`` (one name); None: of all."""
    if "entities" in table and "entity" in table:
        raise ArgumentError("labels: there are both entities and entity; give one of them, entities for a list.")
    if "entity" in table:
        found = [None if _missing(value) else _of_all((name_of_entity(value),)) for value in table["entity"].tolist()]
    else:
        found = [_entities(value) for value in (table["entities"].tolist() if "entities" in table else [None] * len(table))]
    return pd.Series(found, dtype="object")


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def _of_all(named: tuple[str, ...]) -> tuple[str, ...] | None:
    return None if "platform" in named else named


def _entities(value: Any) -> tuple[str, ...] | None:
    if _missing(value):
        return None
    try:
        if isinstance(value, str):
            value = json.loads(value) if value.startswith("[") else [value]
        named = tuple(sorted(name_of_entity(one) for one in (value if np.iterable(value) else [value])))
    except ValueError as error:
        raise ArgumentError(f"labels: entities={value!r} cannot be read; expected a list, or one as JSON text.") from error
    if not named:
        raise ArgumentError("labels: an incident names no entity; leave entities missing where it is of all of the platform.")
    return _of_all(named)


_DIFFERENCES: Mapping[str, Any] = {
    "type": lambda value: name_of_entity(value),
    "spaces around them": lambda value: name_of_entity(value).strip(),
    "capital letters": lambda value: name_of_entity(value).casefold(),
    "leading zeros": lambda value: name_of_entity(value).lstrip("0") or "0",
    "spaces, capital letters or leading zeros": lambda value: name_of_entity(value).strip().casefold().lstrip("0") or "0",
}


def how_they_differ(labels: Iterable[Any], events: Iterable[Any]) -> str:
    """Say how names that are only in labels differ from names in events, as the end of a message; empty if in no simple way.

    Examples
    --------
    >>> how_they_differ(["007"], [7, 8])
    " They seem to differ in leading zeros: '007' in the labels, 7 in the events; make them the same."
    """
    ones, others = list(labels), list(events)
    for what, plain in _DIFFERENCES.items():
        there = {plain(value): value for value in others}
        for value in ones:
            other = there.get(plain(value))
            if other is not None and (type(other), other) != (type(value), value):
                return f" They seem to differ in {what}: {value!r} in the labels, {other!r} in the events; make them the same."
    return ""
