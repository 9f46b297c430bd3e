"""What is known to have happened: incidents with a time, or verdicts on single events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from govlab.errors import ArgumentError, did_you_mean
from govlab.frames import POSITION, TIME_DTYPE, time_us

__all__ = ["Labels", "Truth"]

_KNOWN = "known_at"


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
        first, *others = (str(c) for c in labels.columns if c != _KNOWN)
        verdicts = [c for c in others if labels[c].isin([0, 1]).all()]
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
        made[_KNOWN] = _times(table, _KNOWN) if _KNOWN in table else made["end"]
        for bad, what in (
            (made["end"] < made["start"], "ends before it begins"),
            (made[_KNOWN] < made["start"], "was known before it began"),
        ):
            if bad.any():
                raise ArgumentError(f"labels: incident {made['incident'][bad].iloc[0]!r} {what}.")
        for _, same in made.sort_values(["start", "end"]).groupby(made["entities"].map(str), sort=False):
            over = (same["start"].iloc[1:].to_numpy() <= same["end"].iloc[:-1].to_numpy()).nonzero()[0]
            if over.size:
                one, two = same["incident"].iloc[[over[0], over[0] + 1]]
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
        if _KNOWN in table:
            made[_KNOWN] = _times(table, _KNOWN)
        made = made.drop_duplicates()
        twice = made[id].duplicated()
        if twice.any():
            raise ArgumentError(f"labels: event {made[id][twice].iloc[0]!r} has two different labels.")
        return cls(made, id, label is None)


@dataclass(frozen=True)
class Truth:
    """Labels beside the events that they are about; made in one pass over the events.

    Attributes
    ----------
    incidents : DataFrame
        ``incident``, ``start``, ``end``, ``entities``, ``known_at``; of labelled events, a row each positive one.
    positives : DataFrame or None
        The events labelled 1, whole, in their order, each once however often it was delivered; None where the labels are
        incidents.
    labelled : DataFrame or None
        ``partition``, ``offset``, ``label`` of each event whose label is known.
    places : dict
        From (partition, offset) to the place in ``positives``, further deliveries too.
    first_us, last_us : int
        First and last event time.
    """

    incidents: pd.DataFrame
    positives: pd.DataFrame | None
    labelled: pd.DataFrame | None
    first_us: int
    last_us: int
    places: Mapping[tuple[int, int], int] = field(default_factory=dict)

    @classmethod
    def of(cls, labels: Labels, events: Iterable[pd.DataFrame], unknown: str = "error") -> Truth:
        """Look up the labels in the events.

        Parameters
        ----------
        labels : Labels
        events : iterable of DataFrame
        unknown : {"error", "ignore"}
            What to do with labels of entities or events that do not occur.

        Raises
        ------
        ArgumentError
            No or unknown events, or an event was known before it happened.
        """
        if unknown not in ("error", "ignore"):
            raise ArgumentError(f"unknown={unknown!r}; expected 'error' or 'ignore'.")
        seen = _Seen(labels)
        for frame in events:
            if len(frame):
                seen.take(frame)
        if seen.first_us is None:
            raise ArgumentError("there are no events, so there is nothing to judge.")
        truth = cls(labels.table, None, None, seen.first_us, seen.last_us)
        return seen.events(truth, unknown) if labels.id else seen.incidents(truth, unknown)


class _Seen:
    def __init__(self, labels: Labels) -> None:
        self.labels, self.first_us, self.last_us = labels, None, 0
        self.parts: list[pd.DataFrame] = []
        self.positives: list[pd.DataFrame] = []
        self.again: list[tuple[int, int, Any]] = []
        self.found: set[Any] = set()
        if labels.id is None:
            self.wanted = {e for known in labels.table["entities"] if known for e in known}
        else:
            self.label = labels.table.set_index(labels.id)["label"]

    def take(self, frame: pd.DataFrame) -> None:
        times = time_us(frame)
        self.first_us = int(times.min()) if self.first_us is None else min(self.first_us, int(times.min()))
        self.last_us = max(self.last_us, int(times.max()))
        if self.labels.id is None:
            for column in frame.columns if self.wanted - self.found else ():
                if frame[column].dtype.kind in "iOT" or isinstance(frame[column].dtype, pd.StringDtype):
                    texts = frame[column].drop_duplicates().map(str)
                    self.found |= self.wanted & set(texts)
            return
        if self.labels.id not in frame:
            raise ArgumentError(
                f"labels: the events have no column {self.labels.id!r} to find them by. "
                f"{did_you_mean(self.labels.id, map(str, frame.columns))}"
            )
        label = frame[self.labels.id].map(self.label)
        known = label.notna().to_numpy()
        ids = frame[self.labels.id]
        again = known & (ids.duplicated() | ids.isin(self.found)).to_numpy()
        for key in zip(*(frame.loc[again & (label == 1).to_numpy(), c].tolist() for c in (*POSITION, self.labels.id)), strict=True):
            self.again.append(key)
        self.found.update(ids[known])
        if self.labels.whole:
            label, known = label.fillna(0), np.ones(len(frame), "bool")
        known = known & ~again
        part = frame.loc[known, list(POSITION)].assign(label=label[known].astype("int8"))
        self.parts.append(part)
        self.positives.append(frame[known & (label == 1).to_numpy()])

    def incidents(self, truth: Truth, unknown: str) -> Truth:
        table = truth.incidents
        absent = [not (set(known) & self.found) if known else False for known in table["entities"]]
        if any(absent) and unknown == "error":
            odd = table[absent].iloc[0]
            raise ArgumentError(
                f"labels: incident {odd['incident']!r} is of {', '.join(odd['entities'][:3])}, which no event names; "
                "unknown='ignore' leaves such incidents out."
            )
        first, last = (pd.Timestamp(t, unit="us", tz="UTC") for t in (truth.first_us, truth.last_us))
        inside = (table["end"] >= first) & (table["start"] <= last) & ~np.array(absent, "bool")
        if not inside.any():
            raise ArgumentError(f"labels: no incident lies between the first event ({first}) and the last ({last}).")
        return replace(truth, incidents=table[inside].reset_index(drop=True))

    def events(self, truth: Truth, unknown: str) -> Truth:
        table, key = truth.incidents, self.labels.id
        absent = ~table[key].isin(self.found)
        if absent.any() and (unknown == "error" or absent.all()):
            raise ArgumentError(
                f"labels: {int(absent.sum()):,} of {len(table):,} events with a label do not occur, such as {key} "
                f"{table[key][absent].iloc[0]!r}; unknown='ignore' leaves them out."
            )
        positives = pd.concat(self.positives, ignore_index=True)
        known = pd.Series(pd.NaT, positives.index, dtype=TIME_DTYPE)
        if _KNOWN in table:
            known = positives[key].map(table.set_index(key)[_KNOWN])
        early = known.notna() & (known < positives["time"])
        if early.any():
            raise ArgumentError(f"labels: event {positives[key][early].iloc[0]!r} was known before it happened.")
        made = pd.DataFrame(
            {"incident": positives[key], "start": positives["time"], "end": positives["time"], "entities": None, _KNOWN: known}
        )
        labelled = pd.concat(self.parts, ignore_index=True)
        places = {at: i for i, at in enumerate(zip(*(positives[c].tolist() for c in POSITION), strict=True))}
        number = {name: i for i, name in enumerate(positives[key].tolist())}
        places |= {(partition, offset): number[name] for partition, offset, name in self.again}
        return replace(truth, incidents=made, positives=positives, labelled=labelled, places=places)


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
    if value is None or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, str):
        value = json.loads(value) if value.startswith("[") else [value]
    named = tuple(sorted(map(str, value)))
    return None if not named or "platform" in named else named
