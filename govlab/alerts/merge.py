"""Alerts that belong together become one."""

from __future__ import annotations

import pandas as pd

from govlab.alerts.alert import no_alerts
from govlab.frames import TIME_DTYPE, concat, duration_us, require, time_us
from govlab.step import Step


class Merge(Step):
    """Put alerts that follow each other closely into one: a wave of spam by forty accounts is one thing to look at.

    An alert joins the group before it if it comes within ``within`` of the group's last. The group comes out, as its
    highest alert with the times from the first to the last and a reason that counts the others, when the next alert is
    further away, or at the end of the stream; so put this last, and keep what must be told at once before it.

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

    within: str = "10min"
    by_entity: bool = False

    absorbs = True
    gives_alerts = True

    def check(self) -> None:
        """Check the recipe."""
        self._within_us = duration_us(self.within, "Merge: within")

    def start(self) -> None:
        """Forget all groups."""
        self._groups: dict[str, list[pd.DataFrame]] = {}
        self._last: dict[str, int] = {}

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give on the groups that are complete."""
        require(frame, ["id", "entity", "score"], "Merge (it takes alerts: put it after a Threshold or Budget)")
        out = []
        for i, time in enumerate(time_us(frame).tolist()):
            row = frame.iloc[i : i + 1]
            for key in [k for k, last in self._last.items() if time > last + self._within_us]:
                out.append(self._whole(key, row.index[0]))
            key = str(row["entity"].iloc[0]) if self.by_entity else ""
            self._groups.setdefault(key, []).append(row)
            self._last[key] = max(time, self._last.get(key, time))
            self.absorbed += 1
        return pd.concat(out) if out else no_alerts()

    def _whole(self, key: str, label: int) -> pd.DataFrame:
        del self._last[key]
        group = concat(self._groups.pop(key))
        best = group.iloc[[int(group["score"].fillna(float("-inf")).argmax())]].copy()
        others = group["entity"].nunique() - 1
        if len(group) > 1:
            more = f"{len(group) - 1} more alert{'s' * (len(group) > 2)}"
            best["reason"] += f" (with {more} of {others} other entit{'y' if others == 1 else 'ies'})" if others else f" (with {more})"
        best["start"], best["time"] = group["start"].min(), group["time"].max()
        best.index = [label]
        return best.astype({"start": TIME_DTYPE, "time": TIME_DTYPE})

    def finish(self) -> pd.DataFrame:
        """Give on the groups still open."""
        out = [self._whole(key, 0) for key in list(self._last)]
        return concat(out) if out else no_alerts()
