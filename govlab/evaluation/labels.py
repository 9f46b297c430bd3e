"""What is known to have happened: incidents with a time, or verdicts on single events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from govlab.errors import ArgumentError, did_you_mean
from govlab.evaluation.label_columns import INCIDENTS, check_columns, entities_of, times

__all__ = ["KNOWN", "Labels"]

KNOWN = "known_at"
LABEL = "label"
VERDICTS = {0: 0.0, 1: 1.0, "0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0, "no": 0.0, "yes": 1.0}


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

        A further column, other than ``known_at`` and ``incident_id``, has the verdicts (of several, the one called ``label``);
        without one, the events listed are all of what is looked for.

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
        if {"start", "end"} & {str(name).strip().lower() for name in labels.columns}:
            raise ArgumentError(
                f"labels: incidents need both start and end, written so; there are: {', '.join(map(str, labels.columns))}."
            )
        first, *others = [c for c in labels.columns if c not in (KNOWN, "incident_id")] or [KNOWN]
        if len(others) > 1 and LABEL not in others:
            raise ArgumentError(
                f"labels: any of {', '.join(map(repr, others))} may be the verdicts; say which one counts with "
                "Labels.events_of(table, id, label), or that the events listed are all of what is looked for with "
                "Labels.events_of(table, id)."
            )
        check_columns(labels, [first, others[0] if len(others) == 1 else LABEL, KNOWN, "incident_id"])
        return cls.events_of(labels, first, LABEL if LABEL in others else others[0] if others else None)

    @classmethod
    def incidents_of(cls, table: pd.DataFrame) -> Labels:
        """Make labels of incidents.

        Parameters
        ----------
        table : DataFrame
            ``start`` and ``end`` (datetimes or ISO 8601 text, with a time zone), and optionally ``incident_id``, ``entities`` (a
            list, or one as JSON text; missing or ``["platform"]``: all of the platform) or ``entity`` (one name), and
            ``known_at``. Other columns are named in a warning, except words for a person (``kind``, ``description``, ``note``,
            ``series`` and the like).

        Raises
        ------
        ArgumentError
            A time is missing, is none or has no time zone, a column is called nearly as one of these, an incident ends before it
            begins or was known before, two are called the same, or two incidents of one entity overlap.
        """
        if not len(table):
            raise ArgumentError("labels: there is no incident, so nothing could be caught; give labels of what is replayed.")
        check_columns(table, INCIDENTS)
        made = pd.DataFrame({name: times(table, name) for name in ("start", "end")}).reset_index(drop=True)
        made.insert(0, "incident", table["incident_id"].to_numpy() if "incident_id" in table else np.arange(len(table)))
        made["entities"] = entities_of(table)
        made[KNOWN] = times(table, KNOWN) if KNOWN in table else made["end"]
        for bad, what in (
            (made["end"] < made["start"], "ends before it begins"),
            (made[KNOWN] < made["start"], "was known before it began"),
        ):
            if bad.any():
                raise ArgumentError(f"labels: incident {made['incident'][bad].tolist()[0]!r} {what}.")
        if made["incident"].duplicated().any():
            odd = made["incident"][made["incident"].duplicated()].tolist()[0]
            raise ArgumentError(f"labels: incident_id {odd!r} is there twice; give each incident its own.")
        whose: Any = [known or ("platform",) for known in made["entities"]]
        by = made.assign(of=whose).explode("of").sort_values(["of", "start", "end"])
        before = by.shift()  # that they touch is no overlap
        over = (by["of"] == before["of"]) & ((by["start"] < before["end"]) | (by["start"] == before["start"]))
        if over.any():
            two = int(np.flatnonzero(over)[0])
            one, other = by["incident"].tolist()[two - 1 : two + 1]
            raise ArgumentError(f"labels: incidents {one!r} and {other!r} of {by['of'].tolist()[two]} overlap; put them into one.")
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
            The column with the verdicts: 1 (what is looked for) or 0, also as truth values or as one of the texts 1, 0, true,
            false, yes, no. A missing one is not known yet: its row is left out, and an event not listed is unknown. None: each
            event listed is a 1, and all others are 0.

        Raises
        ------
        ArgumentError
            A column is not there, a verdict is none, or an event has two different ones. Of the same verdict twice the earliest
            ``known_at`` counts.
        """
        for column in [id, *([label] if label else [])]:
            if column not in table:
                raise ArgumentError(f"labels: there is no column {column!r}. {did_you_mean(column, map(str, table.columns))}")
        if id in (LABEL, KNOWN):
            raise ArgumentError(
                f"labels: the first column names the events, but it is called {id!r}; give the ids, by another name."
            )
        check_columns(table, [id, *([label] if label else []), KNOWN, "incident_id"], quiet=True)
        verdicts = np.ones(len(table)) if label is None else _verdicts(table[label])
        table = table[~np.isnan(verdicts)]
        if table[id].isna().any() or not table[id].map(pd.api.types.is_hashable).all():
            raise ArgumentError(
                f"labels: each row needs one plain value in {id!r}, the name of an event; some are missing or lists."
            )
        made = pd.DataFrame({id: table[id].to_numpy(), LABEL: verdicts[~np.isnan(verdicts)].astype("int8")})
        if KNOWN in table:
            made[KNOWN] = times(table, KNOWN)
            made = made.sort_values(KNOWN, kind="stable")
        made = made.drop_duplicates([id, LABEL]).sort_index().reset_index(drop=True)
        twice = made[id].duplicated()
        if twice.any():
            raise ArgumentError(f"labels: event {made[id][twice].tolist()[0]!r} has two different labels.")
        return cls(made, id, label is None)


def _verdicts(column: pd.Series) -> np.ndarray:
    """Read verdicts as 1 and 0, NaN where one is missing."""
    known: list[float] = []
    texts = column.map(lambda v: v.strip().lower() if isinstance(v, str) else v if pd.api.types.is_hashable(v) else repr(v))
    codes, values = pd.factorize(texts)
    for value in values.tolist():
        if value not in VERDICTS:
            raise ArgumentError(
                f"labels: {column.name!r} is taken for the verdicts, which must be 0 or 1, and one is {value!r}; if the events "
                "listed are all of what is looked for, say so with Labels.events_of(table, id)."
            )
        known.append(VERDICTS[value])
    return np.append(known, np.nan)[codes]
