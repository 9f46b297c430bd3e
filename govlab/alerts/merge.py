"""Alerts that belong together become one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from govlab.alerts.alert import no_alerts
from govlab.fields import Duration
from govlab.frames import concat, duration_us, from_us, require, time_us
from govlab.step import Step


@dataclass
class _Group:
    """Alerts so far: ``first`` start and ``last`` time (us), the highest score and the row with it, and of whom they are."""

    first: int
    last: int
    row: int
    score: float
    entities: set[str]
    alerts: int = 1


class Merge(Step):
    """Put alerts that follow each other closely into one: a wave of spam by forty accounts is one thing to look at.

    An alert joins the group before it if it comes within ``within`` of the group's last. The group comes out, as its
    highest alert (of equal ones the first) with the times from the first to the last and a reason that counts the others,
    when the next alert is further away, or at the end of the stream; so put this last, and keep what must be told at once
    before it. Of a group one row and the names of its entities are kept, however many alerts it has.

    Parameters
    ----------
    within : str, default "10min"
        Alerts no further apart (event time) belong together.
    by_entity : bool, default False
        Only alerts of the same entity belong together.

    Examples
    --------
    >>> import govlab as gl
    >>> times = ["2026-03-02T00:00:00Z", "2026-03-02T00:05:00Z", "2026-03-02T02:00:00Z"]
    >>> events = gl.event_frame({"time": times, "actor": ["ann", "bob", "cy"], "score": [1.0, 2.0, 3.0]})
    >>> watch = gl.Pipeline(gl.alerts.Threshold(0.5, entity="actor"), gl.alerts.Merge("10min"))
    >>> watch.run(events).rows["reason"].to_list()
    ['score 2 is above 0.5 (with 1 more alert of 1 other entity)', 'score 3 is above 0.5']
    """

    within: Duration = "10min"
    by_entity: bool = False

    absorbs = True
    gives_alerts = True
    merges = True

    def check(self) -> None:
        """Check the recipe."""
        self._within_us = duration_us(self.within)

    def start(self) -> None:
        """Forget all groups."""
        self._groups: dict[str, _Group] = {}
        self._rows = no_alerts()  # the highest alert of each group
        self._oldest = np.iinfo("int64").max  # no group ends before this

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give on the groups that are complete."""
        require(frame, ["id", "entity", "score", "start", "reason"], "Merge (it takes alerts: put it after a Threshold or Budget)")
        if not len(frame):
            return no_alerts()
        columns = time_us(frame), time_us(frame, "start"), frame["score"].to_numpy("float64", na_value=np.nan), frame["entity"]
        before, done, labels = len(self._rows), [], []
        for i, (time, start, score, entity) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            if time > self._oldest + self._within_us:
                late = [key for key, group in self._groups.items() if time > group.last + self._within_us]
                done += [self._groups.pop(key) for key in late]
                labels += [frame.index[i]] * len(late)
                self._oldest = min((group.last for group in self._groups.values()), default=np.iinfo("int64").max)
            self._join(str(entity) if self.by_entity else "", before + i, time, start, score, str(entity))
        self.absorbed += len(frame)
        rows = concat([self._rows, frame])
        out = _merged(rows, done)
        out.index = labels
        self._rows = rows.iloc[[group.row for group in self._groups.values()]].reset_index(drop=True)
        for place, group in enumerate(self._groups.values()):
            group.row = place
        return out

    def _join(self, key: str, row: int, time: int, start: int, score: float, entity: str) -> None:
        group = self._groups.get(key)
        self._oldest = min(self._oldest, time)
        if group is None:
            self._groups[key] = _Group(start, time, row, score, {entity})
            return
        group.first, group.last, group.alerts = min(group.first, start), max(group.last, time), group.alerts + 1
        group.entities.add(entity)
        if score > group.score or (group.score != group.score and score == score):
            group.row, group.score = row, score

    def finish(self) -> pd.DataFrame:
        """Give on the groups still open."""
        rows, groups = self._rows, list(self._groups.values())
        self.start()
        return _merged(rows, groups)


def _merged(rows: pd.DataFrame, groups: list[_Group]) -> pd.DataFrame:
    if not groups:
        return no_alerts()
    out = rows.iloc[[group.row for group in groups]].reset_index(drop=True)
    out["reason"] = [reason + _others(group) for reason, group in zip(out["reason"].tolist(), groups, strict=True)]
    out["start"], out["time"] = from_us([group.first for group in groups]), from_us([group.last for group in groups])
    return out


def _others(group: _Group) -> str:
    if group.alerts == 1:
        return ""
    others = len(group.entities) - 1
    of = f" of {others} other entit{'y' if others == 1 else 'ies'}" if others else ""
    return f" (with {group.alerts - 1} more alert{'s' * (group.alerts > 2)}{of})"
