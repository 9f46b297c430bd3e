"""Labels beside the events that they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from govlab.alerts.alert import name_of_entity
from govlab.errors import ArgumentError, did_you_mean
from govlab.evaluation.labels import KNOWN, Labels
from govlab.evaluation.playing import label_rows
from govlab.frames import POSITION, TIME, TIME_DTYPE, time_us

__all__ = ["Truth"]


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
            frame = frame[~label_rows(frame)]  # a label that became known is nothing that happened
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
                if column not in (*POSITION, TIME):
                    self.found |= self.wanted & set(map(name_of_entity, frame[column].drop_duplicates().tolist()))
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
                f"{table[key][absent].tolist()[0]!r}; unknown='ignore' leaves them out."
            )
        positives = pd.concat(self.positives, ignore_index=True)
        known = pd.Series(pd.NaT, positives.index, dtype=TIME_DTYPE)
        if KNOWN in table:
            known = positives[key].map(table.set_index(key)[KNOWN])
        early = known.notna() & (known < positives["time"])
        if early.any():
            raise ArgumentError(f"labels: event {positives[key][early].tolist()[0]!r} was known before it happened.")
        made = pd.DataFrame(
            {"incident": positives[key], "start": positives["time"], "end": positives["time"], "entities": None, KNOWN: known}
        )
        labelled = pd.concat(self.parts, ignore_index=True)
        if labelled.duplicated(list(POSITION)).any():
            raise ArgumentError(
                "the events have a partition and offset twice; leave these columns out, or make the frames with "
                "gl.event_frame(frame, offset=...)."
            )
        places = {at: i for i, at in enumerate(zip(*(positives[c].tolist() for c in POSITION), strict=True))}
        number = {name: i for i, name in enumerate(positives[key].tolist())}
        places |= {(partition, offset): number[name] for partition, offset, name in self.again}
        return replace(truth, incidents=made, positives=positives, labelled=labelled, places=places)
