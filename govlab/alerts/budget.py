"""Alert on what is worth it, given how many alerts a person can look at in a day."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.alerts.alert import alerts_of, no_alerts
from govlab.alerts.cooldown import Quiet
from govlab.alerts.severity import Past, place_of
from govlab.errors import ArgumentError
from govlab.fields import AtLeast, ColumnName, Duration, Wait
from govlab.frames import duration_us, numbers, require, time_us
from govlab.step import Step
from govlab.zones import DAY_US, Zone, local_us

NEVER = -(2**62)  # no time yet; far enough from the edge for differences
COMMON = 4  # a score that a row in so many reaches is common


@njit(cache=True, nogil=True)
def _forget(today, top, born, count, rows, state):
    """Begin a day: forget what is of days before the memory. state as in _candidates."""
    days = rows.size  # the days of the memory and today
    for day in range(max(state[2] + 1, today - days + 1), today + 1):
        rows[day % days] = 0
    kept = 0
    for j in range(max(0, state[3] - top.size // 2), state[3]):
        if born[j] > today - days:
            top[kept], born[kept], count[kept] = top[j], born[j], count[j]
            kept += 1
    state[2], state[3], state[4] = today, kept, rows.sum()


@njit(cache=True, nogil=True)
def _threshold(allowed, top, count, low, n):
    """Give the least score of as many rows as are allowed, how many rows are above it, and how many reach it."""
    j, above, reached, limit = n - 1, 0, 0, np.nan
    while j >= low and reached < allowed:
        limit, above = top[j], reached
        while j >= low and top[j] == limit:
            reached += count[j]
            j -= 1
    return limit, above, reached


@njit(cache=True, nogil=True)
def _learn(x, day, top, born, count, low, n):
    """Remember a row among the highest scores, each with its day and the number of its rows; give how many there are.

    Those that count are the last half of ``top``, in rising order; of equal ones the newest comes first, and goes first.
    """
    j = i = place_of(top, low, n, x)
    while i < n and top[i] == x:
        if born[i] == day:
            count[i] += 1
            return n
        i += 1
    kept = top.size // 2
    if n >= kept and j == low:
        return n
    for k in range(n, j, -1):
        top[k], born[k], count[k] = top[k - 1], born[k - 1], count[k - 1]
    top[j], born[j], count[j] = x, day, 1
    if n + 1 < top.size:
        return n + 1
    top[:kept], born[:kept], count[:kept] = top[-kept:], born[-kept:], count[-kept:]
    return kept


@njit(cache=True, nogil=True)
def _candidates(times, days, values, per_day, memory, warm, top, born, count, rows, state, threshold, spare):
    """Write the threshold of each row that reaches it (else NaN), and how many alerts of the day are not for this row.

    state = [first time, newest time, newest day, scores kept, rows remembered]; rows: by day.
    """
    stale, allowed, above, reached, limit = True, 0, 0, 0, np.nan
    for i in range(times.size):
        x = values[i]
        threshold[i], spare[i] = np.nan, 0
        if state[0] == NEVER:
            state[0], state[2] = times[i], days[i]
        elif times[i] - state[1] > memory:
            state[0] = times[i]  # nothing of the past is left
        state[1] = max(state[1], times[i])
        if days[i] > state[2]:
            _forget(days[i], top, born, count, rows, state)
            stale = True
        if np.isnan(x):
            continue
        n = state[3]
        low = max(0, n - top.size // 2)
        elapsed = min(state[1] - state[0], memory)
        if n > 0 and elapsed >= warm:
            # so many of the scores of the past would have made alerts; the least of them is the threshold
            now = max(1, int(per_day * (elapsed / DAY_US)))
            if stale or now != allowed:
                allowed, stale = now, False
                limit, above, reached = _threshold(allowed, top, count, low, n)
            if x > limit:
                threshold[i] = limit
            elif x == limit and COMMON * reached < state[4]:
                threshold[i] = limit
                if above:
                    spare[i] = min(per_day - 1, int(above / (elapsed / DAY_US) + 0.5))
        if days[i] > state[2] - rows.size:
            rows[days[i] % rows.size] += 1
            state[4] += 1
            if low == 0 or x >= top[low]:
                state[3] = _learn(x, days[i], top, born, count, low, n)
                if x == limit and state[3] == n and reached >= allowed:
                    reached += 1  # among its equals, which is all that changes
                else:
                    stale = stale or reached < allowed or not x < limit


class Budget(Step):
    """Alert on the highest scores, at most ``per_day`` a day, with a threshold from the past only.

    The threshold is the score that would have made ``per_day`` alerts a day over the last ``memory``. A row alerts if it is
    above, or equal to it: a score at its cap (300, or 1.0, or a count) can be no higher. Of a day's rows that reach the
    threshold the first ``per_day`` alert. Two rules keep ordinary scores from spending them:

    - a row equal to the threshold alerts only if that is rare: fewer than a quarter of the rows of the past reach it. So a
      constant stream, or the most common score of a background without noise, makes no alerts;
    - of the day's alerts, as many as the past had rows *above* the threshold in a day (rounded, at most all but one) are kept
      for such rows.

    What the cooldown or the full day keeps back goes to the side ``suppressed``. How severe an alert is says how rare its score
    is among all that this step has seen, see :mod:`govlab.alerts.severity`. 15 ns a row, 60 where the scores are but few
    different numbers; a row that is among the highest costs up to 4 * ``per_day`` * days of ``memory`` moves.

    Parameters
    ----------
    per_day : int, at least 1
        Alerts that a person can look at in a day.
    cooldown : str, optional
        For so long (event time) after an alert, its entity is quiet.
    memory : str, default "7d"
        So much of the past makes the threshold, in whole days before the present one (rounded up): with ``"1d"`` a score counts
        to the end of the next day. Only the highest scores are remembered, four times as many as ``memory`` has alerts (at
        least 64), equal ones of a day as one; when many of them are forgotten at once, those below them are not there again.
    warm : str, default "1h"
        No alert before so much of the past was seen; after a gap longer than ``memory``, it is to be seen again.
    score : str
        The column with the score; NaN never alerts.
    entity : str, optional
        The column with the entity; by default the one by which the pipeline's steps work.
    least : float, optional
        No alert below this score, however empty the day: without it, a quiet stream alerts on its most ordinary rows.
    zone : str, default "UTC"
        The time zone (IANA) in which a day begins and ends, such as ``"Europe/Berlin"``: the one of those who look.

    Examples
    --------
    >>> import govlab as gl
    >>> hours = [f"2026-03-02T{h:02}:00:00Z" for h in range(24)]
    >>> events = gl.event_frame({"time": hours, "score": [h % 3 for h in range(23)] + [9]})
    >>> gl.alerts.Budget(per_day=2, warm="6h").process(events)["score"].to_list()
    [9.0]
    """

    per_day: Annotated[int, AtLeast(1)] = 20
    cooldown: Wait | None = None
    memory: Duration = "7d"
    warm: Wait = "1h"
    score: ColumnName = "score"
    entity: ColumnName | None = None
    least: float | None = None
    zone: Zone = "UTC"

    added = frozenset({"zone"})
    absorbs = True
    gives_alerts = True
    version = 2  # severity by rank; ties reach the threshold

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls(30, cooldown="5min", warm="5min", entity="actor")

    def check(self) -> None:
        """Check the recipe."""
        self._memory_us, self._warm_us = duration_us(self.memory), duration_us(self.warm, zero=True)
        self._cooldown_us = 0 if self.cooldown is None else duration_us(self.cooldown, zero=True)
        if self._warm_us > self._memory_us:
            raise ArgumentError(f"Budget: warm={self.warm!r} is longer than memory={self.memory!r}, so no alert would ever come.")

    def start(self) -> None:
        """Forget all scores and alerts."""
        # four times what the threshold needs, since the highest scores may be the ones to be forgotten next
        size, days = max(64, int(4 * self.per_day * max(1.0, self._memory_us / DAY_US))), -(-self._memory_us // DAY_US)
        self._top, self._born, self._count = np.zeros(2 * size), np.zeros(2 * size, "int64"), np.zeros(2 * size, "int64")
        self._rows, self._state = np.zeros(days + 1, "int64"), np.array([NEVER, NEVER, NEVER, 0, 0])
        self._past, self._quiet = Past(), Quiet(self._cooldown_us)
        self._spent: dict[int, int] = {}  # alerts of each of the last days

    def of_any_scores(self) -> Step:
        """Make a budget of the same size without a least score."""
        return replace(self, score="score", least=None)

    def alerts_from(self) -> float | None:
        """Give the score from which on a row alerts now; None while too little of the past was seen."""
        first, newest, _, n, _ = self._state.tolist()
        elapsed = min(newest - first, self._memory_us)
        if not n or elapsed < self._warm_us:
            return None
        allowed = max(1, int(self.per_day * (elapsed / DAY_US)))
        limit = float(_threshold(allowed, self._top, self._count, max(0, n - self._top.size // 2), n)[0])
        return limit if self.least is None else max(limit, float(self.least))

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give alerts."""
        require(frame, [self.score, self.entity], "Budget")
        times, values = time_us(frame), numbers(frame, self.score)
        days, threshold, spare = local_us(times, self.zone) // DAY_US, np.empty(len(frame)), np.empty(len(frame), "int64")
        remembered = (self._top, self._born, self._count, self._rows, self._state)
        _candidates(times, days, values, self.per_day, self._memory_us, self._warm_us, *remembered, threshold, spare)
        if self.least is not None:
            with np.errstate(invalid="ignore"):
                threshold[values < self.least] = np.nan
            threshold = np.maximum(threshold, self.least)
        reached = ~np.isnan(threshold)
        rank, rows = self._past.rank(values, reached), np.flatnonzero(reached)
        self.absorbed += len(frame)
        if not rows.size:
            return no_alerts()
        alerts = alerts_of(self, frame.iloc[rows], self.score, threshold[rows], rank)
        why = [
            self._kept_back(*row)
            for row in zip(
                alerts["id"].tolist(),
                alerts["entity"].tolist(),
                *(each[rows].tolist() for each in (times, days, spare)),
                strict=True,
            )
        ]
        back = np.array([reason != "" for reason, _ in why])
        if back.any():
            kept = frame.iloc[rows[back]].assign(merged_into=[m for (_, m), b in zip(why, back, strict=True) if b])
            self.absorbed -= len(kept)
            self.divert("suppressed", kept, np.array([reason for reason, _ in why], "object")[back])
            alerts = alerts[~back]
        return alerts

    def _kept_back(self, alert: str, entity: str, time: int, day: int, spare: int) -> tuple[str, str]:
        covered = self._quiet.merged_into(entity, time) if self._cooldown_us else None
        if covered is not None:
            return f"cooldown of {self.cooldown}", covered
        spent = self._spent.get(day, 0)
        if spent >= self.per_day:
            return f"the day's {self.per_day} alerts are spent", ""
        if spent >= self.per_day - spare:
            return f"the day's last {spare} of {self.per_day} alerts are kept for higher scores", ""
        self._spent[day] = spent + 1
        if len(self._spent) > 1_000:
            del self._spent[min(self._spent)]
        if self._cooldown_us:
            self._quiet.told(entity, time, alert)
        return "", ""
