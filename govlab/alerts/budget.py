"""Alert on what is worth it, given how many alerts a person can look at in a day."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numba import njit

from govlab.alerts.alert import alerts_of, no_alerts
from govlab.alerts.cooldown import Quiet
from govlab.errors import ArgumentError
from govlab.frames import duration_us, numbers, require, time_us
from govlab.step import Step, at_least

DAY_US = 86_400_000_000
NEVER = -(2**62)  # no time yet; far enough from the edge for differences


@njit(cache=True, nogil=True)
def _candidates(times, values, per_day, memory, warm, top, stamps, state, threshold):
    """Write the threshold of each row that passes it (else NaN). state = [first time, newest time, scores kept]."""
    for i in range(times.size):
        x = values[i]
        threshold[i] = np.nan
        if state[0] == NEVER:
            state[0] = times[i]
        if times[i] > state[1]:
            if times[i] // DAY_US != state[1] // DAY_US:
                kept = 0
                for j in range(state[2]):
                    if stamps[j] > times[i] - memory:
                        top[kept], stamps[kept] = top[j], stamps[j]
                        kept += 1
                state[2] = kept
            state[1] = times[i]
        if np.isnan(x):
            continue
        n = state[2]
        elapsed = min(state[1] - state[0], memory)
        if n > 0 and elapsed >= warm:
            # so many of the scores of the past would have made alerts; the least of them is the threshold
            allowed = max(1, int(per_day * (elapsed / DAY_US)))
            limit = top[min(allowed, n) - 1]
            if x > limit:
                threshold[i] = limit
        if n < top.size or x > top[n - 1]:
            j = min(n, top.size - 1)
            while j > 0 and top[j - 1] < x:
                top[j], stamps[j] = top[j - 1], stamps[j - 1]
                j -= 1
            top[j], stamps[j] = x, times[i]
            state[2] = min(n + 1, top.size)


class Budget(Step):
    """Alert on the highest scores, so many a day, with a threshold from the past only.

    The threshold is the score that would have made ``per_day`` alerts a day over the last ``memory``; a row alerts if it is
    above. In no UTC day are there more than ``per_day`` alerts. What the cooldown or the full day keeps back goes to the side
    ``suppressed``. 15 ns a row; one that is among the highest costs up to 4 * ``per_day`` * days of ``memory`` moves.

    Parameters
    ----------
    per_day : int
        Alerts that a person can look at in a day.
    cooldown : str, optional
        For so long (event time) after an alert, its entity is quiet.
    memory : str, default "7d"
        So much of the past makes the threshold. What is older is forgotten at the first row of each UTC day, so up to a day
        later: with ``"1d"`` a score counts to the end of the next day. Only the highest scores are remembered, four times as many
        as ``memory`` has alerts (at least 64); when many of them are forgotten at once, those below them are not there again.
    warm : str, default "1h"
        No alert before so much of the past was seen.
    score : str
        The column with the score; NaN never alerts.
    entity : str, optional
        The column with the entity; by default the one by which the pipeline's steps work.

    least : float, optional
        No alert below this score, however empty the day: without it, a quiet stream alerts on its most ordinary rows.

    Examples
    --------
    >>> import govlab as gl
    >>> hours = [f"2026-03-02T{h:02}:00:00Z" for h in range(24)]
    >>> events = gl.event_frame({"time": hours, "score": [h % 3 for h in range(23)] + [9]})
    >>> gl.alerts.Budget(per_day=2, warm="6h").process(events)["score"].to_list()
    [9.0]
    """

    per_day: int = 20
    cooldown: str | None = None
    memory: str = "7d"
    warm: str = "1h"
    score: str = "score"
    entity: str | None = None
    least: float | None = None

    absorbs = True
    gives_alerts = True

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(30, cooldown="5min", warm="5min", entity="actor")

    def check(self) -> None:
        """Check the recipe."""
        at_least(self, "per_day", 1)
        self._memory_us, self._warm_us = (
            duration_us(self.memory, "Budget: memory"),
            duration_us(self.warm, "Budget: warm", zero=True),
        )
        if self._warm_us > self._memory_us:
            raise ArgumentError(f"Budget: warm={self.warm!r} is longer than memory={self.memory!r}, so no alert would ever come.")
        self._cooldown_us = 0 if self.cooldown is None else duration_us(self.cooldown, "Budget: cooldown", zero=True)

    def start(self) -> None:
        """Forget all scores and alerts."""
        # four times what the threshold needs, since the highest scores may be the ones to be forgotten next
        size = max(64, int(4 * self.per_day * max(1.0, self._memory_us / DAY_US)))
        self._top, self._stamps, self._state = np.zeros(size), np.zeros(size, "int64"), np.array([NEVER, NEVER, 0])
        self._quiet, self._told = Quiet(self._cooldown_us), {}  # alerts of each of the last days

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give alerts."""
        require(frame, [self.score, self.entity], "Budget")
        times, threshold = time_us(frame), np.empty(len(frame))
        values = numbers(frame, self.score)
        _candidates(times, values, self.per_day, self._memory_us, self._warm_us, self._top, self._stamps, self._state, threshold)
        if self.least is not None:
            with np.errstate(invalid="ignore"):
                threshold[values < self.least] = np.nan
            threshold = np.maximum(threshold, self.least)
        rows = np.flatnonzero(~np.isnan(threshold))
        self.absorbed += len(frame)
        if not rows.size:
            return no_alerts()
        alerts = alerts_of(self, frame.iloc[rows], self.score, threshold[rows])
        why = [
            self._kept_back(*row)
            for row in zip(alerts["id"].tolist(), alerts["entity"].tolist(), times[rows].tolist(), strict=True)
        ]
        back = np.array([reason != "" for reason, _ in why])
        if back.any():
            kept = frame.iloc[rows[back]].assign(merged_into=[m for (_, m), b in zip(why, back, strict=True) if b])
            self.absorbed -= len(kept)
            self.divert("suppressed", kept, np.array([reason for reason, _ in why], "object")[back])
            alerts = alerts[~back]
        return alerts

    def _kept_back(self, alert: str, entity: str, time: int) -> tuple[str, str]:
        covered = self._quiet.merged_into(entity, time) if self._cooldown_us else None
        if covered is not None:
            return f"cooldown of {self.cooldown}", covered
        day = time // DAY_US
        if self._told.get(day, 0) >= self.per_day:
            return f"the day's {self.per_day} alerts are spent", ""
        self._told[day] = self._told.get(day, 0) + 1
        if len(self._told) > 1_000:
            del self._told[min(self._told)]
        if self._cooldown_us:
            self._quiet.told(entity, time, alert)
        return "", ""
