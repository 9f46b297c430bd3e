"""What is known to have happened: incidents with a time, or verdicts on single events."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from govlab.alerts.alert import name_of_entity
from govlab.errors import ArgumentError, did_you_mean

__all__ = ["KNOWN", "Labels"]

KNOWN = "known_at"


@dataclass(frozen=True)
class Labels:
    """What is known: incidents, or verdicts on events. Made by :meth:`incidents_of`, :meth:`events_of` or :meth:`of`.

    Attributes
    ----------
    table : DataFrame
        A row an incident (``incident``, ``start``, ``end``, ``entities``, ``known_at``), or a row an event (its id, ``label``,
        ``known_at``).
    id : str or None
        The column of the events that names them; None where the labels are incidents.
    whole : bool
        Whether an event that is not listed is known to be ordinary; else nothing is known of it.
    """

    table: pd.DataFrame
    id: str | None = None
    whole: bool = False

    @classmethod
    def of(cls, labels: Labels | pd.DataFrame) -> Labels:
        """Take labels as they come: a table with ``start`` and ``end`` has incidents, any other names events in its first column.

        Raises
        ------
        ArgumentError
            It is no table, or one of neither kind.
        """
        if isinstance(labels, Labels):
            return labels
        if not isinstance(labels, pd.DataFrame) or not len(labels.columns):
            raise ArgumentError(f"labels={type(labels).__name__}; expected a DataFrame of incidents (start, end) or of events.")
        if {"start", "end"} <= set(labels.columns):
            return cls.incidents_of(labels)
        if {"start", "end"} & set(labels.columns):
            raise ArgumentError("labels: incidents need both start and end.")
        first, *others = (str(c) for c in labels.columns if c != KNOWN)
        if "label" in others:
            return cls.events_of(labels, first, "label")
        verdicts = [c for c in others if labels[c].isin([0, 1]).all()]
        numeric = [c for c in others if labels[c].dtype.kind in "iufb"]
        if numeric and not verdicts:
            raise ArgumentError(
                f"labels: {numeric[0]!r} is not of 0 and 1; if the events listed are all of what is looked for, say so with "
                "Labels.events_of(table, id)."
            )
        if len(verdicts) > 1:
            raise ArgumentError(
                f"labels: {verdicts} are all of 0 and 1; say which one counts with Labels.events_of(table, id, label)."
            )
        return cls.events_of(labels, first, verdicts[0] if verdicts else None)

    @classmethod
    def incidents_of(cls, table: pd.DataFrame) -> Labels:
        """Make labels of incidents.

        Parameters
        ----------
        table : DataFrame
            ``start`` and ``end`` (with a time zone), and optionally ``incident_id``, ``entities`` (a list, or one as JSON text;
            missing or ``["platform"]``: all of the platform) and ``known_at``.

        Raises
        ------
        ArgumentError
            A time is missing or has no time zone, an incident ends before it begins or was known before, or two incidents of
            the same entities overlap.
        """
        if not len(table):
            raise ArgumentError("labels: there is no incident, so nothing could be caught; give labels of what is replayed.")
        made = pd.DataFrame({name: _times(table, name) for name in ("start", "end")}).reset_index(drop=True)
        made.insert(0, "incident", table["incident_id"].to_numpy() if "incident_id" in table else np.arange(len(table)))
        entities = table["entities"].tolist() if "entities" in table else [None] * len(table)
        made["entities"] = pd.Series([_entities(value) for value in entities], dtype="object")
        made[KNOWN] = _times(table, KNOWN) if KNOWN in table else made["end"]
        for bad, what in (
            (made["end"] < made["start"], "ends before it begins"),
            (made[KNOWN] < made["start"], "was known before it began"),
        ):
            if bad.any():
                raise ArgumentError(f"labels: incident {made['incident'][bad].tolist()[0]!r} {what}.")
        for _, same in made.sort_values(["start", "end"]).groupby(made["entities"].map(str), sort=False):
            over = (same["start"].iloc[1:].to_numpy() <= same["end"].iloc[:-1].to_numpy()).nonzero()[0]
            if over.size:
                one, two = same["incident"].iloc[[over[0], over[0] + 1]].tolist()
                raise ArgumentError(f"labels: incidents {one!r} and {two!r} of the same entities overlap; put them into one.")
        return cls(made)

    @classmethod
    def events_of(cls, table: pd.DataFrame, id: str, label: str | None = None) -> Labels:
        """Make labels of verdicts on events.

        Parameters
        ----------
        table : DataFrame
            A row an event, and optionally ``known_at``.
        id : str
            The column that names the event, here and in the events.
        label : str, optional
            The column with 1 (what is looked for) or 0; an event not listed is unknown. None: each event listed is a 1, and all
            others are 0.

        Raises
        ------
        ArgumentError
            A column is not there, a label is neither 0 nor 1, or an event has two different ones.
        """
        for column in [id, *([label] if label else [])]:
            if column not in table:
                raise ArgumentError(f"labels: there is no column {column!r}. {did_you_mean(column, map(str, table.columns))}")
        made = pd.DataFrame({id: table[id].to_numpy()})
        made["label"] = 1 if label is None else table[label].to_numpy()
        if not made["label"].isin([0, 1]).all():
            odd = made["label"][~made["label"].isin([0, 1])].tolist()[0]
            raise ArgumentError(f"labels: a label must be 0 or 1, and one is {odd!r}.")
        made["label"] = made["label"].astype("int8")
        if KNOWN in table:
            made[KNOWN] = _times(table, KNOWN)
        made = made.drop_duplicates()
        twice = made[id].duplicated()
        if twice.any():
            raise ArgumentError(f"labels: event {made[id][twice].tolist()[0]!r} has two different labels.")
        return cls(made, id, label is None)


def _times(table: pd.DataFrame, name: str) -> pd.Series:
    column = table[name]
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        raise ArgumentError(
            f"labels: {name} is {column.dtype}, without a time zone; make it one with pd.to_datetime(..., utc=True), or "
            ".dt.tz_localize('Europe/Berlin') where it is local time."
        )
    if column.isna().any():
        raise ArgumentError(f"labels: {name} is missing in row {int(np.flatnonzero(column.isna())[0])}.")
    return column.dt.tz_convert("UTC").dt.as_unit("us").reset_index(drop=True)


def _entities(value: Any) -> tuple[str, ...] | None:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return None
    try:
        if isinstance(value, str):
            value = json.loads(value) if value.startswith("[") else [value]
        named = tuple(sorted(name_of_entity(one) for one in (value if np.iterable(value) else [value])))
    except ValueError as error:
        raise ArgumentError(f"labels: entities={value!r} cannot be read; expected a list, or one as JSON text.") from error
    if not named:
        raise ArgumentError("labels: an incident names no entity; leave entities missing where it is of all of the platform.")
    return None if "platform" in named else named
