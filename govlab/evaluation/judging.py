"""Alerts beside what is known: which were right, what was caught, how it went day by day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from govlab.errors import ArgumentError
from govlab.evaluation.matching import match_events, match_incidents
from govlab.evaluation.playing import DAY_US, NEVER, Played
from govlab.evaluation.truth import Truth
from govlab.frames import POSITION, from_us, time_us

__all__ = ["Judged", "auc", "check_per_day", "judge"]


@dataclass(frozen=True)
class Judged:
    """What alerts were worth.

    Attributes
    ----------
    alerts : DataFrame
        All alerts in the order in which they came out, with ``told`` (the event time reached by then), ``looked_at`` (among the
        first ``per_day`` of the UTC day in which it was told) and ``right``.
    incidents : DataFrame
        A row an incident: ``incident``, ``start``, ``end``, ``entities``, ``caught`` (by an alert that was looked at), ``alert``
        (when the first was told), ``delay_s`` (from the start, or the first event where it began before, until then; NaN where
        it was missed), ``alerts`` (looked at), and ``missed_after_s``: for how long it was watched in vain, infinite for one that
        was over.
    days : DataFrame
        A row a UTC day, also those without alerts or incidents. By when they were told: ``alerts``, ``looked_at``, ``right``
        (of those looked at), ``false_alarms`` (looked at, about time without an incident), ``precision``. ``incidents`` that touch
        the day; of those that ``began`` in it (on the first day, those before too) how many were ``caught``, and ``recall``.
        ``played`` and ``quiet``: the time of the day that was played, and that of it without an incident, in days. None where
        something is not defined.
    total : int
        All alerts, also those that are left out of the table because nobody looks at them.
    """

    alerts: pd.DataFrame
    incidents: pd.DataFrame
    days: pd.DataFrame
    total: int


def check_per_day(per_day: int) -> None:
    """Raise an ArgumentError unless it is a number of alerts that can be looked at in a day."""
    if isinstance(per_day, bool) or not isinstance(per_day, int | np.integer) or not 1 <= per_day <= 100_000:
        raise ArgumentError(f"per_day={per_day!r}; expected a whole number of 1 to 100,000: alerts that are looked at in a day.")


def judge(played: Played, truth: Truth, per_day: int) -> Judged:
    """Judge alerts; a person looks at the first ``per_day`` of each UTC day, in the order in which they come out."""
    alerts = played.alerts.sort_values(["told", "time"], kind="stable").reset_index(drop=True)
    alerts["looked_at"] = alerts.groupby(time_us(alerts, "told") // DAY_US).cumcount().to_numpy("int64") < per_day
    alerts["start"] = alerts["start"].fillna(alerts["time"])
    # a row of a label is nothing that happened, so no alert on one is right
    moment = (alerts["start"] == alerts["time"]).to_numpy()
    rows = np.flatnonzero(~moment | (alerts["partition"] >= 0).to_numpy())
    # an alert of no entity is on all of them; so is one that was merged of several
    merged = played.alerting.merges
    anybody, table, positives = played.entity is None or merged, truth.incidents, truth.positives
    if positives is None:
        hit, first, count = match_incidents(alerts.iloc[rows], table, anybody)
    else:
        names = positives.get(played.entity)
        # the time of a window is where the next one begins; a merged alert's is that of its last event
        closed = merged and not played.windows
        hit, first, count = match_events(alerts.iloc[rows], positives, truth.places, names, anybody, closed)
    alerts["right"] = False
    alerts.loc[rows[hit], "right"] = True
    made = table[["incident", "start", "end", "entities"]].copy()
    begin, end, found = np.maximum(time_us(table, "start"), truth.first_us), time_us(table, "end"), first >= 0
    told = np.full(len(table), NEVER)
    told[found] = time_us(alerts, "told")[rows[first[found]]]
    made["caught"] = found
    made["alert"] = from_us(told).set_axis(made.index)  # NEVER is what a missing time is
    made["delay_s"] = np.where(found, np.maximum(0, told - begin) / 1e6, np.nan)
    made["alerts"] = count
    # one that was over is missed for good; one that was still going on might have been found yet
    made["missed_after_s"] = np.where(end <= truth.last_us, np.inf, np.maximum(0, truth.last_us - begin) / 1e6)
    return Judged(alerts, made, _days(alerts, made, truth), len(alerts) + played.cut)


def _days(alerts: pd.DataFrame, incidents: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    days = np.arange(truth.first_us // DAY_US, truth.last_us // DAY_US + 1)
    begin, end = np.maximum(days * DAY_US, truth.first_us), np.minimum((days + 1) * DAY_US, truth.last_us + 1)
    made = pd.DataFrame({"day": pd.to_datetime(days * DAY_US, unit="us", utc=True)})
    starts, ends = time_us(incidents, "start"), time_us(incidents, "end")
    first, last = time_us(alerts, "start"), time_us(alerts)
    number = np.clip(time_us(alerts, "told") // DAY_US - days[0], 0, days.size - 1)
    seen, right = alerts["looked_at"].to_numpy("bool"), alerts["right"].to_numpy("bool")
    began = np.clip(starts // DAY_US - days[0], 0, days.size - 1)
    made["began"] = np.bincount(began, minlength=days.size)
    made["caught"] = np.bincount(began[incidents["caught"]], minlength=days.size)
    if truth.positives is None:
        quiet = (end - begin) - _covered(begin, end, starts, ends)
        # the union of the incidents: the latest end of all that began by then
        order = np.argsort(starts, kind="stable")
        latest = np.append(NEVER, np.maximum.accumulate(ends[order]))
        outside = latest[np.searchsorted(starts[order], last, "right")] < first
    else:
        # a day without any event that is looked for; a window that ends at midnight is of the day before
        empty = made["began"].to_numpy() == 0
        quiet = np.where(empty, end - begin, 0)
        outside = empty[np.clip((last - (first < last)) // DAY_US - days[0], 0, days.size - 1)]
    for name, which in (("alerts", seen | True), ("looked_at", seen), ("right", seen & right), ("false_alarms", seen & outside)):
        made[name] = np.bincount(number[which], minlength=days.size)
    made["incidents"] = np.searchsorted(np.sort(starts), end) - np.searchsorted(np.sort(ends), begin)
    # a history of less than a day is one day, as that is what a person's alerts are for
    day = min(DAY_US, truth.last_us + 1 - truth.first_us)
    made["played"], made["quiet"] = (end - begin) / day, quiet / day
    for name, part, whole in (("precision", "right", "looked_at"), ("recall", "caught", "began")):
        made[name] = pd.Series([a / b if b else None for a, b in zip(made[part], made[whole], strict=True)], dtype="object")
    return made


def _covered(begin: np.ndarray, end: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Give how much of each day lies in the union of the incidents."""
    order = np.argsort(starts, kind="stable")
    until = np.maximum.accumulate(np.append(NEVER, ends[order]))
    # what each incident adds to those that began before it
    first = np.maximum(starts[order], until[:-1])
    added = np.maximum(0, until[1:] - first)
    total = np.append(0, np.cumsum(added))

    def before(moment: np.ndarray) -> np.ndarray:
        i = np.searchsorted(first, moment, "right")
        beyond = np.where(i > 0, first[i - 1] + added[i - 1] - moment, 0)
        return total[i] - np.maximum(0, beyond)

    return before(end) - before(begin)


def auc(played: Played, truth: Truth) -> tuple[float | None, float | None, float | None]:
    """Give AUC-ROC, average precision, and the share of labelled rows with a score; None where labels are not of these rows.

    A row without a score ranks lowest: not to know is no reason to look.
    """
    if truth.labelled is None or "score" not in played.scored or played.windows:
        return None, None, None
    rows = truth.labelled.merge(played.scored[[*POSITION, "score"]].drop_duplicates(list(POSITION)), on=list(POSITION), how="left")
    label, score = rows["label"].to_numpy(), rows["score"].to_numpy("float64", na_value=np.nan)
    known = ~np.isnan(score)
    if not known.any() or not 0 < label.sum() < label.size:
        return None, None, None
    from sklearn.metrics import average_precision_score, roc_auc_score

    rank = np.where(known, np.unique(score, return_inverse=True)[1] + 1, 0)
    return float(roc_auc_score(label, rank)), float(average_precision_score(label, rank)), float(known.mean())
