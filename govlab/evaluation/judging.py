"""Alerts beside what is known: which were right, what was caught, how it went day by day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from govlab.evaluation.incidents import caught
from govlab.evaluation.labels import Truth
from govlab.evaluation.playing import DAY_US, Played
from govlab.frames import POSITION, time_us

__all__ = ["Judged", "auc", "judge"]


@dataclass(frozen=True)
class Judged:
    """What alerts were worth.

    Attributes
    ----------
    alerts : DataFrame
        All alerts, with ``looked_at`` (among the first ``per_day`` of its UTC day) and ``right``.
    incidents : DataFrame
        What :func:`govlab.evaluation.caught` gives, by the alerts that were looked at, and ``missed_after_s``: for how long it
        was watched in vain, infinite for one that was over.
    days : DataFrame
        A row a UTC day, also those without alerts or incidents: ``day``, ``share`` (of the day that was played), ``alerts``,
        ``looked_at``, ``right``, ``incidents`` (that touch it), ``quiet_s`` (seconds without an incident), ``false_alarms``
        (looked at, in quiet time).
    """

    alerts: pd.DataFrame
    incidents: pd.DataFrame
    days: pd.DataFrame


def judge(played: Played, truth: Truth, per_day: int) -> Judged:
    """Judge alerts; a person looks at the first ``per_day`` of each UTC day, in the order in which they come."""
    alerts = played.alerts.sort_values("time", kind="stable").reset_index(drop=True)
    day = _day(alerts)
    number = alerts.groupby(day).cumcount().to_numpy() if len(alerts) else np.zeros(0, "int64")
    alerts["looked_at"] = number < per_day
    seen = alerts[alerts["looked_at"]]
    if truth.positives is None:
        incidents = caught(seen, truth.incidents.rename(columns={"incident": "incident_id"}))
        alerts["right"] = _overlaps(alerts, truth.incidents)
    else:
        alerts["right"], incidents = _of_events(alerts, played.entity, truth)
    # one that was over is missed for good; one that was still going on might have been found yet
    start, end = time_us(incidents, "start"), time_us(incidents, "end")
    incidents["missed_after_s"] = np.where(end <= truth.last_us, np.inf, np.maximum(0, truth.last_us - start) / 1e6)
    return Judged(alerts, incidents, _days(alerts, truth))


def _day(alerts: pd.DataFrame) -> np.ndarray:
    start, end = time_us(alerts, "start"), time_us(alerts)
    return (end - (start < end)) // DAY_US  # a window that ends at midnight is of the day before


def _overlaps(alerts: pd.DataFrame, incidents: pd.DataFrame) -> np.ndarray:
    right = np.zeros(len(alerts), "bool")
    for incident in incidents.to_dict("records"):
        inside = (alerts["start"] <= incident["end"]) & (alerts["time"] >= incident["start"])
        if incident["entities"] is not None:
            inside &= alerts["entity"].isin([*incident["entities"], "all"])
        right |= inside.to_numpy()
    return right


def _of_events(alerts: pd.DataFrame, entity: str | None, truth: Truth) -> tuple[np.ndarray, pd.DataFrame]:
    """Match alerts and positive events: one on an event with that event, one on a window with those of its entity in it."""
    assert truth.positives is not None
    positives = truth.positives
    n = len(positives)
    first, count = np.full(n, -1), np.zeros(n, "int64")  # the first alert looked at of each positive, and how many
    right = np.zeros(len(alerts), "bool")
    times = time_us(positives)
    order = np.argsort(times, kind="stable")
    names = positives[entity].map(str).to_numpy() if entity is not None and entity in positives else None
    start, end = time_us(alerts, "start"), time_us(alerts)
    rows = zip(*(alerts[c].tolist() for c in (*POSITION, "entity", "looked_at")), strict=True)
    for i, (partition, offset, who, seen) in enumerate(rows):
        if start[i] == end[i]:
            hits = [truth.places[partition, offset]] if (partition, offset) in truth.places else []
        else:
            low, high = np.searchsorted(times[order], [start[i], end[i]], "left")
            hits = [h for h in order[low:high] if names is None or who in ("all", names[h])]
        right[i] = bool(hits)
        for h in hits if seen else ():
            first[h] = i if first[h] < 0 else first[h]
            count[h] += 1
    table = truth.incidents[["incident", "start", "end"]].copy()
    found = first >= 0
    table["caught"] = found
    table["alert"] = alerts["time"].reindex(np.where(found, first, -1)).reset_index(drop=True)
    table["delay_s"] = np.where(found, np.maximum(0, end[np.where(found, first, 0)] - times) / 1e6, np.nan) if len(end) else np.nan
    table["alerts"] = count
    return right, table


def _days(alerts: pd.DataFrame, truth: Truth) -> pd.DataFrame:
    days = np.arange(truth.first_us // DAY_US, truth.last_us // DAY_US + 1)
    begin, end = np.maximum(days * DAY_US, truth.first_us), np.minimum((days + 1) * DAY_US, truth.last_us + 1)
    made = pd.DataFrame({"day": pd.to_datetime(days * DAY_US, unit="us", utc=True), "share": (end - begin) / DAY_US})
    number = _day(alerts) - days[0]
    seen, right = alerts["looked_at"].to_numpy(), alerts["right"].to_numpy()
    starts, ends = time_us(truth.incidents, "start"), time_us(truth.incidents, "end")
    if truth.positives is None:
        quiet = (end - begin) - _covered(begin, end, starts, ends)
        outside = _outside(time_us(alerts, "start"), time_us(alerts), starts, ends)
    else:
        # a day without any event that is looked for
        empty = np.bincount(starts // DAY_US - days[0], minlength=days.size)[: days.size] == 0
        quiet = np.where(empty, end - begin, 0)
        outside = empty[np.clip(number, 0, days.size - 1)] if len(alerts) else np.zeros(0, "bool")
    for name, which in (("alerts", seen | True), ("looked_at", seen), ("right", seen & right), ("false_alarms", seen & outside)):
        made[name] = np.bincount(np.clip(number[which], 0, days.size - 1), minlength=days.size)
    made["incidents"] = [int(((starts < e) & (ends >= b)).sum()) for b, e in zip(begin, end, strict=True)]
    made["quiet_s"] = quiet / 1e6
    return made


def _covered(begin: np.ndarray, end: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Give how much of each day lies in the union of the incidents."""
    covered, order = np.zeros(begin.size, "int64"), np.argsort(starts, kind="stable")
    until = np.iinfo("int64").min
    for a, b in zip(starts[order], ends[order], strict=True):
        a = max(a, until)
        if b > a:
            covered += np.maximum(0, np.minimum(b, end) - np.maximum(a, begin))
            until = b
    return covered


def _outside(begin: np.ndarray, end: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    return np.array([not ((starts <= e) & (ends >= b)).any() for b, e in zip(begin, end, strict=True)], "bool")


def auc(played: Played, truth: Truth) -> tuple[float | None, float | None, float | None]:
    """Give AUC-ROC, average precision, and the share of labelled rows with a score; None where labels are not of these rows.

    A row without a score ranks lowest: not to know is no reason to look.
    """
    if truth.labelled is None or "score" not in played.scored or "start" in played.scored:
        return None, None, None
    rows = truth.labelled.merge(played.scored[[*POSITION, "score"]].drop_duplicates(list(POSITION)), on=list(POSITION), how="left")
    label, score = rows["label"].to_numpy(), rows["score"].to_numpy("float64", na_value=np.nan)
    known = np.isfinite(score)
    if not known.any() or not 0 < label.sum() < label.size:
        return None, None, None
    from sklearn.metrics import average_precision_score, roc_auc_score

    rank = np.where(known, np.unique(score, return_inverse=True)[1] + 1, 0)
    return float(roc_auc_score(label, rank)), float(average_precision_score(label, rank)), float(known.mean())
