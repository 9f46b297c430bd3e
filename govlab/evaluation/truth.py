"""Labels beside the events that they are about."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from govlab.alerts.alert import name_of_entity
from govlab.errors import ArgumentError, did_you_mean
from govlab.evaluation.label_columns import how_they_differ
from govlab.evaluation.labels import KNOWN, Labels
from govlab.evaluation.playing import NEVER, label_rows
from govlab.event_clock import AHEAD_US, EventClock
from govlab.frames import POSITION, TIME, TIME_DTYPE, time_us

__all__ = ["Truth"]

SOME = 10_000
MANY = 100  # of so many events one may have a wrong clock


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
        First and last event time. A few events whose clock is wrong do not count: those that are ahead by the rules of
        :mod:`govlab.ahead`, and up to 1 in 100 that lie further before all others than those are long.
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
            What to do with labels of entities or events that do not occur. Incidents before the first or after the last event do
            not count; a warning says so, unless ``"ignore"``.

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
        if not seen.span.events:
            raise ArgumentError("there are no events, so there is nothing to judge.")
        truth = cls(labels.table, None, None, *seen.span.ends())
        return seen.events(truth, unknown) if labels.id else seen.incidents(truth, unknown)


class _Span:
    """The first and the last event time, whatever the clocks of a few events say."""

    def __init__(self) -> None:
        self.events, self._latest, self._clock = 0, NEVER, EventClock(AHEAD_US)
        self._earliest = np.empty(0, "int64")  # the earliest times, in order

    def take(self, times: np.ndarray) -> None:
        self._clock.take(times)
        self.events, self._latest = self.events + times.size, max(self._latest, int(times.max()))
        self._earliest = np.sort(np.concatenate([self._earliest, times]))[: MANY + 1]

    def ends(self) -> tuple[int, int]:
        self._clock.finish()
        last = self._clock.newest or self._latest
        wrong = np.arange(1, min(self.events // MANY + 1, self._earliest.size))  # how many of them could be
        gaps = np.diff(self._earliest)[: wrong.size]
        odd = wrong[gaps > last - self._earliest[wrong]]
        return int(self._earliest[odd[-1] if odd.size else 0]), last


class _Seen:
    def __init__(self, labels: Labels) -> None:
        self.labels, self.span = labels, _Span()
        self.parts: list[pd.DataFrame] = []
        self.positives: list[pd.DataFrame] = []
        self.again: list[tuple[int, int, Any]] = []
        self.names: set[str] = set()
        self.others: dict[Any, None] = {}  # some names of events that no label has, for messages
        if labels.id is None:
            self.wanted = {e for known in labels.table["entities"] if known for e in known}
        else:
            self.row = pd.Series(np.arange(len(labels.table)), labels.table[labels.id])
            self.label, self.found = labels.table["label"].to_numpy("int8"), np.zeros(len(labels.table), "bool")

    def take(self, frame: pd.DataFrame) -> None:
        self.span.take(time_us(frame))
        if self.labels.id is None:
            for column in frame.columns if self.wanted - self.names else ():
                if column not in (*POSITION, TIME):
                    names = frame[column].drop_duplicates().map(name_of_entity)
                    self.names |= self.wanted & set(names)
                    self._remember(names)
            return
        if self.labels.id not in frame:
            raise ArgumentError(
                f"labels: the events have no column {self.labels.id!r} to find them by. "
                f"{did_you_mean(self.labels.id, map(str, frame.columns))}"
            )
        row = frame[self.labels.id].map(self.row).to_numpy("float64", na_value=np.nan)
        known = ~np.isnan(row)
        self._remember(frame[self.labels.id][~known])
        at = row[known].astype("int64")
        label, again = np.zeros(len(frame), "int8"), np.zeros(len(frame), "bool")
        label[known] = self.label[at]
        again[known] = self.found[at] | pd.Series(at).duplicated().to_numpy()
        self.found[at] = True
        self.again += zip(*(frame.loc[again & (label == 1), c].tolist() for c in (*POSITION, self.labels.id)), strict=True)
        known = (known | self.labels.whole) & ~again
        self.parts.append(frame.loc[known, list(POSITION)].assign(label=label[known]))
        self.positives.append(frame[known & (label == 1)])

    def _remember(self, names: pd.Series) -> None:
        if len(self.others) < SOME:
            self.others |= dict.fromkeys(names.iloc[: SOME - len(self.others)].tolist())

    def incidents(self, truth: Truth, unknown: str) -> Truth:
        table = truth.incidents.copy()
        absent = [sorted(set(known or ()) - self.names) for known in table["entities"]]
        if any(absent) and unknown == "error":
            i = next(i for i, names in enumerate(absent) if names)
            raise ArgumentError(
                f"labels: incident {table['incident'].tolist()[i]!r} is of {', '.join(absent[i][:3])}, which no event names; "
                f"unknown='ignore' leaves such entities out.{how_they_differ(absent[i], self.others)}"
            )
        table["entities"] = [known and tuple(name for name in known if name in self.names) for known in table["entities"]]
        first, last = (pd.Timestamp(t, unit="us", tz="UTC") for t in (truth.first_us, truth.last_us))
        inside = (table["end"] >= first) & (table["start"] <= last)
        known = inside & np.array([known != () for known in table["entities"]])
        if not np.array([known != () for known in table["entities"]]).any():
            names = sorted({name for names in absent for name in names})
            raise ArgumentError(
                f"labels: no incident is of an entity that an event names, but of {', '.join(names[:3])}."
                f"{how_they_differ(names, self.others)}"
            )
        if not known.any():
            raise ArgumentError(f"labels: no incident lies between the first event ({first}) and the last ({last}).")
        if not inside.all() and unknown == "error":
            odd = table["incident"][~inside].tolist()
            warnings.warn(
                f"labels: {len(odd):,} of {len(table):,} incidents, such as {odd[0]!r}, lie wholly outside of the events ({first} "
                f"to {last}) and do not count; unknown='ignore' says nothing of them.",
                stacklevel=5,
            )
        return replace(truth, incidents=table[known].reset_index(drop=True))

    def events(self, truth: Truth, unknown: str) -> Truth:
        table, key = truth.incidents, self.labels.id
        absent = ~self.found
        if absent.any() and (unknown == "error" or absent.all()):
            raise ArgumentError(
                f"labels: {int(absent.sum()):,} of {len(table):,} events with a label do not occur, such as {key} "
                f"{table[key][absent].tolist()[0]!r}; unknown='ignore' leaves them out."
                f"{how_they_differ(table[key][absent].tolist(), self.others)}"
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
