"""An entity that alerts again and again is told of once in a while."""

from __future__ import annotations

import pandas as pd

from govlab.fields import Duration
from govlab.frames import duration_us, require, time_us
from govlab.step import Step


class Quiet:
    """Remembers when each entity last alerted, and under which id."""

    def __init__(self, cooldown_us: int) -> None:
        self.cooldown_us = cooldown_us
        self._last: dict[str, tuple[int, str]] = {}
        self._newest = -(2**62)
        self._limit = 1_024

    def merged_into(self, entity: str, time: int) -> str | None:
        """Give the id of the alert that still covers an entity, if one does."""
        last = self._last.get(entity)
        return last[1] if last is not None and abs(time - last[0]) < self.cooldown_us else None

    def told(self, entity: str, time: int, alert: str) -> None:
        """Remember an alert; a late one does not take the place of a later one."""
        self._last[entity] = max((time, alert), self._last.get(entity, (time, alert)))
        self._newest = max(self._newest, time)
        if len(self._last) > self._limit:
            self._last = {e: last for e, last in self._last.items() if last[0] > self._newest - self.cooldown_us}
            self._limit = max(1_024, 2 * len(self._last))


class Cooldown(Step):
    """Give on an alert of an entity only if it has not alerted for a while; the others go to the side ``suppressed``.

    A suppressed alert carries ``merged_into``, the id of the alert that covers it.

    Parameters
    ----------
    per : str, default "30min"
        For so long (event time) after an alert that was given on, an entity is quiet.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z", "2026-03-02T00:10:00Z", "2026-03-02T01:00:00Z"]})
    >>> watch = gl.Pipeline(gl.detectors.Always(), gl.alerts.Threshold(0.5), gl.alerts.Cooldown("30min"))
    >>> result = watch.run(events)
    >>> len(result.rows), len(result.sides["suppressed"])
    (2, 1)
    """

    per: Duration = "30min"

    gives_alerts = True

    def start(self) -> None:
        """Forget all alerts."""
        self._quiet = Quiet(duration_us(self.per))

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give on the alerts of entities that are not quiet."""
        require(frame, ["id", "entity"], "Cooldown (it takes alerts: put it after a Threshold or Budget)")
        merged: list[str] = []
        for alert, entity, time in zip(frame["id"].tolist(), frame["entity"].tolist(), time_us(frame).tolist(), strict=True):
            covered = self._quiet.merged_into(entity, time)
            merged.append(covered or "")
            if covered is None:
                self._quiet.told(entity, time, alert)
        quiet = pd.Series(merged, index=frame.index, dtype="object") != ""
        self.divert("suppressed", frame[quiet].assign(merged_into=[m for m in merged if m]), f"cooldown of {self.per}")
        return frame[~quiet] if quiet.any() else frame
