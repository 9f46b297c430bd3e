"""Judge a pipeline over history, beside what chance and mere volume would have caught."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab.alerts.alert import name_of_entity
from govlab.alerts.budget import Budget
from govlab.alerts.threshold import Threshold
from govlab.errors import ArgumentError
from govlab.evaluation.intervals import detection_curve, median_of, ratio, ratio_difference, ratio_interval
from govlab.evaluation.judging import Judged, auc, judge
from govlab.evaluation.labels import Labels
from govlab.evaluation.playing import DAY_US, Played, baseline_scores, by_scores, events_of, play
from govlab.evaluation.report import Report
from govlab.evaluation.truth import Truth
from govlab.frames import POSITION, time_us
from govlab.pipeline import Pipeline
from govlab.step import Step

__all__ = ["backtest", "compare"]

BASELINES = ("never", "always", "random", "volume")
ORACLE_TRIES = 50
RANDOM_DRAWS = 10  # one draw of chance is chance itself


def backtest(
    pipeline: Step,
    source: Any,
    labels: Labels | pd.DataFrame,
    per_day: int = 20,
    *,
    oracle: bool = False,
    unknown: str = "error",
    seed: int = 0,
    resamples: int = 1_000,
    progress: bool = False,
) -> Report:
    """Judge a pipeline over history: what it would have caught, with so many alerts a day to look at.

    Parameters
    ----------
    pipeline : Pipeline or Step
        A fresh copy runs. One that ends with scores gets ``gl.alerts.Budget(per_day)``, whose threshold comes from the past.
    source : DataFrame, list of DataFrames, path, Reader, or what ``gl.from_replay`` gives
        The events; they are read more than once.
    labels : DataFrame or Labels
        Incidents (``start``, ``end``, optionally ``incident_id``, ``entities``, ``known_at``), or verdicts on events (the id
        first, and a column of 0 and 1; without one, the events listed are 1 and all others 0).
    per_day : int
        A person looks at the first so many alerts of a UTC day; the others count as not seen.
    oracle : bool
        Take the threshold that would have been best on these very labels, instead of the pipeline's. Marked in every output:
        no detector knows it.
    unknown : {"error", "ignore"}
        What to do with labels of entities or events that do not occur.
    seed, resamples : int
        For the intervals (block bootstrap by incident and by day) and for chance.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Report

    Raises
    ------
    ArgumentError
        The labels are bad (see :class:`Labels`), the source has no end, or ``per_day`` is no whole number of at least 1.

    Examples
    --------
    >>> import govlab as gl
    >>> times = pd.date_range("2026-03-02", periods=600, freq="5min", tz="UTC")
    >>> events = gl.event_frame({"time": times, "value": [float(i % 7) for i in range(600)]})
    >>> events.loc[400:405, "value"] = 50.0
    >>> incidents = pd.DataFrame({"start": times[[400]], "end": times[[410]]})
    >>> watch = gl.Pipeline(gl.detectors.EwmaZ("value"), gl.alerts.Threshold(6))
    >>> report = gl.evaluation.backtest(watch, events, incidents, per_day=5)
    >>> report.table.loc["pipeline", ["caught", "incidents", "false_alarms_a_day"]].to_list()
    [1, 1, 0.0]
    """
    options: dict[str, Any] = {"oracle": oracle, "unknown": unknown, "seed": seed, "resamples": resamples, "progress": progress}
    return compare({"pipeline": pipeline}, source, labels, per_day, **options)


def compare(
    pipelines: Mapping[str, Step],
    source: Any,
    labels: Labels | pd.DataFrame,
    per_day: int = 20,
    *,
    oracle: bool = False,
    unknown: str = "error",
    seed: int = 0,
    resamples: int = 1_000,
    progress: bool = False,
) -> Report:
    """Judge several pipelines over the same history: who caught what, and whether the new one is better than the first.

    Parameters
    ----------
    pipelines : dict of str to Pipeline or Step
        By name; differences are told against the first, the old one. The other parameters are those of :func:`backtest`.

    Returns
    -------
    Report
        With ``differences`` (paired intervals) and ``who`` (incidents by pipeline).
    """
    if not isinstance(pipelines, Mapping) or not pipelines:
        raise ArgumentError("compare: give pipelines by name, such as {'old': watch, 'new': other}.")
    if not all(isinstance(name, str) for name in pipelines):
        raise ArgumentError(
            f"compare: the names of pipelines are texts; got {next(n for n in pipelines if not isinstance(n, str))!r}."
        )
    if isinstance(resamples, bool) or not isinstance(resamples, int) or resamples < 1:
        raise ArgumentError(f"resamples={resamples!r}; expected a whole number of at least 1.")
    clash = sorted(set(pipelines) & set(BASELINES))
    if clash:
        raise ArgumentError(f"compare: {clash[0]!r} is the name of a baseline; give the pipeline another.")
    if isinstance(per_day, bool) or not isinstance(per_day, int | np.integer) or per_day < 1:
        raise ArgumentError(f"per_day={per_day!r}; expected a whole number of at least 1: alerts that a person looks at in a day.")
    truth = Truth.of(Labels.of(labels), events_of(source), unknown)
    judged: dict[str, list[Judged]] = {}
    marks: dict[str, tuple[float | None, float | None, float | None]] = {}
    first: Played | None = None
    for name, pipeline in pipelines.items():
        played = play(pipeline, source, per_day, progress, name)
        first = played if first is None else first
        if oracle:
            played = _by_oracle(played, truth, per_day, name)
        judged[name], marks[name] = [judge(played, truth, per_day)], auc(played, truth)
    assert first is not None
    for name in BASELINES:
        judged[name] = [judge(one, truth, per_day) for one in _baseline(first, name, per_day, seed)]
        marks[name] = (None, None, None) if name in ("never", "always") else auc(_scores(first, name, seed), truth)
    names = list(pipelines)
    return Report(
        table=_table({name: _figures(ones, marks[name], truth, seed, resamples) for name, ones in judged.items()}),
        differences=_differences(judged, names, truth, seed, resamples),
        incidents=_who(judged, names),
        curves={name: detection_curve(*_delays(judged[name][0])) for name in names},
        days={name: judged[name][0].days for name in names},
        alerts={name: judged[name][0].alerts for name in names},
        per_day=int(per_day),
        oracle=oracle,
        by_event=truth.positives is not None,
        span=(pd.Timestamp(truth.first_us, unit="us", tz="UTC"), pd.Timestamp(truth.last_us, unit="us", tz="UTC")),
    )


def _scores(played: Played, name: str, seed: int) -> Played:
    return Played(played.alerts, played.scored.assign(score=baseline_scores(played, name, seed)), played.entity, played.alerting)


def _baseline(played: Played, name: str, per_day: int, seed: int) -> list[Played]:
    """Give alerts without a detector, on the rows of the first pipeline; chance a number of times."""
    rows, rest = played.scored, played.alerting.steps[1:]
    if name == "never":
        return [by_scores(played, np.full(len(rows), np.nan), Threshold(0.5))]
    if name == "always":
        return [by_scores(played, np.ones(len(rows)), Pipeline(Threshold(0.5), *rest))]
    own = [step for step in played.alerting.steps if isinstance(step, Budget)]
    # the budget that the pipeline has, and what it does with alerts after that, so that only the scores differ
    budget = dataclasses.replace(own[0], score="score", least=None) if own else Budget(per_day)
    draws = range(RANDOM_DRAWS if name == "random" else 1)
    return [by_scores(played, baseline_scores(played, name, seed + i), Pipeline(budget, *rest)) for i in draws]


def _by_oracle(played: Played, truth: Truth, per_day: int, name: str) -> Played:
    """Alert from the threshold that gives the best F1 of recall and precision on these labels, with so many alerts a day."""
    if "score" not in played.scored:
        raise ArgumentError(f"oracle: no score comes out of {name!r} before its alerts, so there is no threshold to choose.")
    score, rest = played.scored["score"].to_numpy("float64", na_value=np.nan), played.alerting.steps[1:]
    worth = np.unique(score[_rows_right(played, truth) & ~np.isnan(score)])
    tried = worth[np.unique(np.linspace(0, worth.size - 1, min(worth.size, ORACLE_TRIES)).astype(int))] if worth.size else []
    best, found = by_scores(played, np.full(score.size, np.nan), Threshold(0.5)), 0.0
    for threshold in tried:
        one = by_scores(played, score, Pipeline(Threshold(float(threshold)), *rest))
        blocks = _blocks(judge(one, truth, per_day), truth)
        recall, precision = ratio(*blocks["recall"]) or 0.0, ratio(*blocks["precision"]) or 0.0
        f1 = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
        if f1 >= found:
            best, found = one, f1
    return best


def _rows_right(played: Played, truth: Truth) -> np.ndarray:
    rows = played.scored
    if truth.labelled is not None and "start" not in rows:
        positive = truth.labelled[truth.labelled["label"] == 1]
        known = set(zip(positive["partition"], positive["offset"], strict=True))
        return np.array([key in known for key in zip(*(rows[c].tolist() for c in POSITION), strict=True)], "bool")
    end, start = time_us(rows), time_us(rows, "start" if "start" in rows else "time")
    right = np.zeros(len(rows), "bool")
    names = pd.Series(list(map(name_of_entity, rows[played.entity].tolist()))) if played.entity in rows else None
    for incident in truth.incidents.to_dict("records"):
        low, high = (pd.Timestamp(incident[c]).as_unit("us").asm8.astype("int64") for c in ("start", "end"))
        inside = (start <= high) & (end >= low)
        if incident["entities"] is not None and names is not None:
            inside &= names.isin(incident["entities"]).to_numpy()
        right |= inside
    return right


def _delays(judged: Judged) -> tuple[np.ndarray, np.ndarray]:
    return judged.incidents["delay_s"].to_numpy("float64"), judged.incidents["missed_after_s"].to_numpy("float64")


def _blocks(judged: Judged, truth: Truth) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Give what a ratio is made of, block by block: incidents (of labelled events, days) for recall, days for the others."""
    days, caught = judged.days, judged.incidents["caught"].to_numpy("float64")
    if truth.positives is not None:
        day = time_us(judged.incidents, "start") // DAY_US - truth.first_us // DAY_US
        recall = (np.bincount(day, caught, len(days)), np.bincount(day, minlength=len(days)).astype("float64"))
    else:
        recall = caught, np.ones(caught.size)
    number = {name: days[name].to_numpy("float64") for name in ("looked_at", "right", "false_alarms", "quiet")}
    return {
        "recall": recall,
        "precision": (number["right"], number["looked_at"]),
        "alerts_a_day": (number["looked_at"], np.ones(len(days))),
        "false_alarms_a_day": (number["false_alarms"], number["quiet"]),
    }


def _figures(
    ones: list[Judged], marks: tuple[float | None, float | None, float | None], truth: Truth, seed: int, resamples: int
) -> dict[str, Any]:
    """Give the row of a table; of several draws of chance the mean, whose intervals are those of all draws."""
    blocks = [_blocks(one, truth) for one in ones]
    together = {key: tuple(np.mean([b[key][i] for b in blocks], axis=0) for i in (0, 1)) for key in blocks[0]}
    # the median of the median for chance: it may never come
    medians = [median_of(detection_curve(*_delays(one))) for one in ones]
    known = sorted(np.inf if m is None else m for m in medians)[len(medians) // 2]
    row: dict[str, Any] = {
        "incidents": len(ones[0].incidents),
        "caught": float(np.mean([one.incidents["caught"].sum() for one in ones])),
        "alerts": float(np.mean([len(one.alerts) for one in ones])),
    }
    row = {key: int(value) if float(value).is_integer() else value for key, value in row.items()}
    for key, (part, whole) in together.items():
        row[key] = ratio(part, whole)
        row[f"{key}_interval"] = ratio_interval(part, whole, seed, resamples, share=key in ("recall", "precision"))
    row["median_delay_s"] = None if np.isinf(known) else float(known)
    row["auc_roc"], row["auc_pr"], row["scored"] = marks
    return row


def _differences(judged: Mapping[str, list[Judged]], names: list[str], truth: Truth, seed: int, resamples: int) -> pd.DataFrame:
    rows: dict[str, dict[str, Any]] = {}
    old = _blocks(judged[names[0]][0], truth)
    was = judged[names[0]][0].incidents["caught"].to_numpy("bool")
    for name in names[1:]:
        new, now = _blocks(judged[name][0], truth), judged[name][0].incidents["caught"].to_numpy("bool")
        row = rows[name] = {"gained": int((now & ~was).sum()), "lost": int((was & ~now).sum())}
        for key in old:
            row[key], row[f"{key}_interval"] = ratio_difference(old[key], new[key], seed, resamples)
    return _table(rows)


def _table(rows: Mapping[str, dict[str, Any]]) -> pd.DataFrame:
    # of objects, so that None stays None and a count a whole number
    keys = next(iter(rows.values()), {})
    return pd.DataFrame({key: pd.Series([row[key] for row in rows.values()], list(rows), "object") for key in keys})


def _who(judged: Mapping[str, list[Judged]], names: list[str]) -> pd.DataFrame:
    table = judged[names[0]][0].incidents[["incident", "start", "end"]].copy()
    for name in names:
        own = judged[name][0].incidents
        table[f"{name}: caught"] = own["caught"]
        table[f"{name}: delay_s"] = own["delay_s"]
        table[f"{name}: alerts"] = own["alerts"]
    return table
