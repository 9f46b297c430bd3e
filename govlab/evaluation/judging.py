"""Alerts beside what is known: which were right, what was caught, how it went day by day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from govlab.alerts.alert import name_of_entity
from govlab.evaluation.playing import DAY_US, NEVER, Played
from govlab.evaluation.truth import Truth
from govlab.frames import POSITION, from_us, time_us

__all__ = ["Judged", "auc", "judge"]


@dataclass(frozen=True)
class Judged:
    """What alerts were worth.

    Attributes
    ----------
    alerts : DataFrame
        All alerts in the order in which they came out, with ``told`` (the event time reached by then), ``looked_at`` (among the
        first ``per_day`` of its UTC day) and ``right``.
    incidents : DataFrame
        A row an incident: ``incident``, ``start``, ``end``, ``caught`` (by an alert that was looked at), ``alert`` (when the
        first was told), ``delay_s`` (from the start until then; NaN where it was missed), ``alerts`` (looked at), and
        ``missed_after_s``: for how long it was watched in vain, infinite for one that was over.
    days : DataFrame
        A row a UTC day, also those without alerts or incidents: ``day``, ``alerts``, ``looked_at``, ``right``, ``incidents``
        (that touch it), ``quiet`` (the share of its time, as far as it was played, without an incident), ``false_alarms``
        (looked at, in quiet time).
    """

    alerts: pd.DataFrame
    incidents: pd.DataFrame
    days: pd.DataFrame


def judge(played: Played, truth: Truth, per_day: int) -> Judged:
    """Judge alerts; a person looks at the first ``per_day`` of each UTC day, in the order in which they come out."""
    alerts = played.alerts.sort_values(["told", "time"], kind="stable").reset_index(drop=True)
    number = alerts.groupby(time_us(alerts) // DAY_US).cumcount().to_numpy() if len(alerts) else np.zeros(0, "int64")
    alerts["looked_at"] = number < per_day
    # an alert of no entity is on all of them; so is one that was merged of several
    anybody = played.entity is None or any(step.name == "merge" for step in played.alerting.steps)
    match = _of_incidents if truth.positives is None else _of_events
    right, first, count = match(alerts, truth, played.entity, anybody)
    alerts["right"] = right
    table = truth.incidents[["incident", "start", "end"]].copy()
    begin, end, found = time_us(table, "start"), time_us(table, "end"), first >= 0
    told = time_us(alerts, "told")[np.where(found, first, 0)] if len(alerts) else begin
    table["caught"] = found
    table["alert"] = pd.Series(pd.NaT, table.index, dtype=alerts["told"].dtype).where(~found, from_us(told).set_axis(table.index))
    table["delay_s"] = np.where(found, np.maximum(0, told - begin) / 1e6, np.nan)
    table["alerts"] = count
    # one that was over is missed for good; one that was still going on might have been found yet
    table["missed_after_s"] = np.where(end <= truth.last_us, np.inf, np.maximum(0, truth.last_us - begin) / 1e6)
    return Judged(alerts, table, _days(alerts, truth))


Match = tuple[np.ndarray, np.ndarray, np.ndarray]  # which alerts are right; of each incident its first alert, and how many


def _of_incidents(alerts: pd.DataFrame, truth: Truth, entity: str | None, anybody: bool) -> Match:
    """Match alerts and incidents of the same entity that overlap in time; an alert catches the first that is not yet caught."""
    start, end = time_us(alerts, "start"), time_us(alerts)
    codes, names = pd.factorize(alerts["entity"])
    place = {name: i for i, name in enumerate(names)}
    wide = np.array([name == "all" and anybody for name in names], "bool")[codes] if len(codes) else np.zeros(0, "bool")
    right, n = np.zeros(len(alerts), "bool"), len(truth.incidents)
    first, count, spent = np.full(n, -1), np.zeros(n, "int64"), np.zeros(len(alerts), "bool")
    seen, order = alerts["looked_at"].to_numpy(), np.argsort(time_us(truth.incidents, "start"), kind="stable")
    incidents = list(
        zip(time_us(truth.incidents, "start"), time_us(truth.incidents, "end"), truth.incidents["entities"], strict=True)
    )
    for i in order:
        begin, last, of = incidents[i]
        inside = (start <= last) & (end >= begin)
        if of is not None:
            inside &= wide | np.isin(codes, [place[name] for name in of if name in place])
        right |= inside
        hits = np.flatnonzero(inside & seen)
        free = hits[~spent[hits]]
        if free.size:
            first[i], count[i] = free[0], hits.size
            spent[free[0]] = end[free[0]] > start[free[0]]  # a moment lies in all incidents of that moment
    return right, first, count


def _of_events(alerts: pd.DataFrame, truth: Truth, entity: str | None, anybody: bool) -> Match:
    """Match alerts and positive events: one on an event with that event, one on a window with those of its entity in it."""
    assert truth.positives is not None
    positives, n = truth.positives, len(truth.positives)
    first, count, right = np.full(n, -1), np.zeros(n, "int64"), np.zeros(len(alerts), "bool")
    times = time_us(positives)
    order = np.argsort(times, kind="stable")
    inorder = times[order]
    names = np.array(list(map(name_of_entity, positives[entity].tolist()))) if entity is not None and entity in positives else None
    start, end = time_us(alerts, "start"), time_us(alerts)
    known: set[int] = set()
    rows = zip(*(alerts[c].tolist() for c in (*POSITION, "entity", "looked_at")), strict=True)
    for i, (partition, offset, who, seen) in enumerate(rows):
        if start[i] == end[i]:
            at = truth.places.get((partition, offset))
            hits = [] if at is None or at in known else [at]  # what was delivered twice is one thing to find
            known.update(hits)
        else:
            low, high = np.searchsorted(inorder, [start[i], end[i]], "left")
            hits = [h for h in order[low:high] if names is None or (who == "all" and anybody) or who == names[h]]
        right[i] = bool(hits)
        for h in hits if seen else ():
            first[h] = i if first[h] < 0 else first[h]
            count[h] += 1
    return right, first, count


def _days(alerts: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    days = np.arange(truth.first_us // DAY_US, truth.last_us // DAY_US + 1)
    begin, end = np.maximum(days * DAY_US, truth.first_us), np.minimum((days + 1) * DAY_US, truth.last_us + 1)
    made = pd.DataFrame({"day": pd.to_datetime(days * DAY_US, unit="us", utc=True)})
    starts, ends = time_us(truth.incidents, "start"), time_us(truth.incidents, "end")
    first, last = time_us(alerts, "start"), time_us(alerts)
    # here a window that ends at midnight is of the day before
    number = np.clip((last - (first < last)) // DAY_US - days[0], 0, days.size - 1)
    seen, right = alerts["looked_at"].to_numpy(), alerts["right"].to_numpy()
    if truth.positives is None:
        quiet = (end - begin) - _covered(begin, end, starts, ends)
        # the union of the incidents: the latest end of all that began by then
        order = np.argsort(starts, kind="stable")
        latest = np.append(NEVER, np.maximum.accumulate(ends[order]))
        outside = latest[np.searchsorted(starts[order], last, "right")] < first
    else:
        # a day without any event that is looked for
        empty = np.bincount(starts // DAY_US - days[0], minlength=days.size)[: days.size] == 0
        quiet = np.where(empty, end - begin, 0)
        outside = empty[number] if len(alerts) else np.zeros(0, "bool")
    for name, which in (("alerts", seen | True), ("looked_at", seen), ("right", seen & right), ("false_alarms", seen & outside)):
        made[name] = np.bincount(number[which], minlength=days.size)
    made["incidents"] = [int(((starts < e) & (ends >= b)).sum()) for b, e in zip(begin, end, strict=True)]
    made["quiet"] = quiet / (end - begin)
    return made


def _covered(begin: np.ndarray, end: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Give how much of each day lies in the union of the incidents."""
    covered, order = np.zeros(begin.size, "int64"), np.argsort(starts, kind="stable")
    until = NEVER
    for a, b in zip(starts[order], ends[order], strict=True):
        a = max(a, until)
        if b > a:
            covered += np.maximum(0, np.minimum(b, end) - np.maximum(a, begin))
            until = b
    return covered


def auc(played: Played, truth: Truth) -> tuple[float | None, float | None, float | None]:
    """Give AUC-ROC, average precision, and the share of labelled rows with a score; None where labels are not of these rows.

    A row without a score ranks lowest: not to know is no reason to look.
    """
    if truth.labelled is None or "score" not in played.scored or "start" in played.scored:
        return None, None, None
    rows = truth.labelled.merge(played.scored[[*POSITION, "score"]].drop_duplicates(list(POSITION)), on=list(POSITION), how="left")
    label, score = rows["label"].to_numpy(), rows["score"].to_numpy("float64", na_value=np.nan)
    known = ~np.isnan(score)
    if not known.any() or not 0 < label.sum() < label.size:
        return None, None, None
    from sklearn.metrics import average_precision_score, roc_auc_score

    rank = np.where(known, np.unique(score, return_inverse=True)[1] + 1, 0)
    return float(roc_auc_score(label, rank)), float(average_precision_score(label, rank)), float(known.mean())
