"""Judge a pipeline over history, beside what chance and mere volume would have caught."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab.arguments import fitting
from govlab.errors import ArgumentError
from govlab.evaluation.baselines import Marks, baseline_key, by_chance
from govlab.evaluation.intervals import detection_curve, median_of, ratio, ratio_difference, ratio_interval
from govlab.evaluation.judging import Judged, auc, check_per_day, judge
from govlab.evaluation.labels import Labels
from govlab.evaluation.oracle import by_oracle
from govlab.evaluation.playing import above, events_of, history_of, play
from govlab.evaluation.report import Report
from govlab.evaluation.truth import Truth
from govlab.step import Step

__all__ = ["backtest", "compare"]

SHARES = ("recall", "precision")
BASELINES = ("never", "always", "random", "volume")


@fitting
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
    source : path, table, list of them, Reader or Source
        The events, as of :func:`govlab.sources.reader_of`. They are read more than once, so they must have an end, and
        a generator is refused; a source such as ``gl.from_replay(...)`` stays where it is.
    labels : DataFrame or Labels
        Incidents (``start``, ``end``, optionally ``incident_id``, ``entities`` or ``entity``, ``known_at``), or verdicts on
        events (the id first, and a column of verdicts; without one, the events listed are 1 and all others 0); see
        :class:`Labels`.
    per_day : int
        A person looks at the first so many alerts that are told in a UTC day; the others count as not seen.
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
        Beside the pipeline stand never and always alerting, and chance and volume (the count of a window, or the events of the
        entity in the last hour) with the pipeline's own budget, or with as many alerts as its threshold gave.

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


@fitting
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
        With ``differences`` (paired intervals, and what was gained and lost) and ``incidents`` by pipeline. Chance and volume
        stand once for those pipelines that have the same rows and budget, as ``random (old; new)`` where there are others.
    """
    if not isinstance(pipelines, Mapping) or not pipelines:
        raise ArgumentError("compare: give pipelines by name, such as {'old': watch, 'new': other}.")
    if not all(isinstance(name, str) for name in pipelines):
        raise ArgumentError(
            f"compare: the names of pipelines are texts; got {next(n for n in pipelines if not isinstance(n, str))!r}."
        )
    if isinstance(resamples, bool) or not isinstance(resamples, int) or resamples < 1:
        raise ArgumentError(f"resamples={resamples!r}; expected a whole number of at least 1.")
    clash = [name for name in pipelines if name.partition(" (")[0] in BASELINES]
    if clash:
        raise ArgumentError(f"compare: {clash[0]!r} is the name of a baseline; give the pipeline another.")
    check_per_day(per_day)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ArgumentError(f"seed={seed!r}; expected a whole number of at least 0, so that the same call gives the same figures.")
    source = history_of(source)
    truth = Truth.of(Labels.of(labels), events_of(source), unknown)
    judged: dict[str, list[Judged]] = {}
    marks: dict[str, Marks] = {}
    beside: dict[str, tuple[list[Judged], Marks]] = {}
    groups: dict[tuple[Any, ...], list[str]] = {}
    chance: dict[tuple[Any, ...], list[tuple[list[Judged], Marks]]] = {}
    for name, pipeline in pipelines.items():
        played = play(pipeline, source, per_day, progress, name)
        if not beside:
            for what, level in (("never", np.nan), ("always", 1.0)):
                flat = above(played, np.full(len(played.scored), level), 0.5, per_day)
                beside[what] = [judge(flat, truth, per_day)], (None, None, None)
        key = baseline_key(played)
        if key not in groups:
            chance[key] = [by_chance(played, truth, what, per_day, seed) for what in ("random", "volume")]
        groups.setdefault(key, []).append(name)
        if oracle:
            played = by_oracle(played, truth, per_day, name)
        judged[name], marks[name] = [judge(played, truth, per_day)], auc(played, truth)
    for key, those in groups.items():
        of = f" ({'; '.join(those)})" if len(groups) > 1 else ""
        beside |= {f"{what}{of}": one for what, one in zip(("random", "volume"), chance[key], strict=True)}
    for name, (ones, mark) in beside.items():
        judged[name], marks[name] = ones, mark
    names = list(pipelines)
    return Report(
        table=_table(
            {
                name: _figures(ones, marks[name], truth, seed, resamples) | {"oracle": oracle and name in pipelines}
                for name, ones in judged.items()
            }
        ),
        differences=_differences(judged, names, truth, seed, resamples, oracle),
        incidents=_who(judged, names),
        curves={name: detection_curve(*_delays(judged[name][0])) for name in names},
        days={name: judged[name][0].days for name in names},
        alerts={name: judged[name][0].alerts for name in names},
        per_day=int(per_day),
        oracle=oracle,
        by_event=truth.positives is not None,
        span=(pd.Timestamp(truth.first_us, unit="us", tz="UTC"), pd.Timestamp(truth.last_us, unit="us", tz="UTC")),
    )


def _delays(judged: Judged) -> tuple[np.ndarray, np.ndarray]:
    return judged.incidents["delay_s"].to_numpy("float64"), judged.incidents["missed_after_s"].to_numpy("float64")


def _blocks(judged: Judged, truth: Truth) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Give what a ratio is made of, block by block: incidents (of labelled events, days) for recall, days for the others."""
    days, caught = judged.days, judged.incidents["caught"].to_numpy("float64")
    names = ("looked_at", "right", "false_alarms", "played", "quiet", "caught", "began")
    number = {name: days[name].to_numpy("float64") for name in names}
    return {
        "recall": (caught, np.ones(caught.size)) if truth.positives is None else (number["caught"], number["began"]),
        "precision": (number["right"], number["looked_at"]),
        "alerts_a_day": (number["looked_at"], number["played"]),
        "false_alarms_a_day": (number["false_alarms"], number["quiet"]),
    }


def _figures(ones: list[Judged], marks: Marks, truth: Truth, seed: int, resamples: int) -> dict[str, Any]:
    """Give the row of a table; of several draws of chance the mean, whose intervals are those of all draws."""
    blocks = [_blocks(one, truth) for one in ones]
    together = {key: tuple(np.mean([b[key][i] for b in blocks], axis=0) for i in (0, 1)) for key in blocks[0]}
    # the median of the median for chance: it may never come
    medians = [median_of(detection_curve(*_delays(one))) for one in ones]
    known = sorted(np.inf if m is None else m for m in medians)[len(medians) // 2]
    row: dict[str, Any] = {
        "incidents": len(ones[0].incidents),
        "caught": float(np.mean([one.incidents["caught"].sum() for one in ones])),
        "alerts": float(np.mean([one.total for one in ones])),
    }
    row = {key: int(value) if float(value).is_integer() else value for key, value in row.items()}
    for key, (part, whole) in together.items():
        row[key] = ratio(part, whole)
        row[f"{key}_interval"] = ratio_interval(part, whole, seed, resamples, share=key in SHARES)
    row["median_delay_s"] = None if np.isinf(known) else float(known)
    row["auc_roc"], row["auc_pr"], row["scored"] = marks
    return row


def _differences(
    judged: Mapping[str, list[Judged]], names: list[str], truth: Truth, seed: int, resamples: int, oracle: bool
) -> pd.DataFrame:
    rows: dict[str, dict[str, Any]] = {}
    old = _blocks(judged[names[0]][0], truth)
    was = judged[names[0]][0].incidents["caught"].to_numpy("bool")
    for name in names[1:]:
        new, now = _blocks(judged[name][0], truth), judged[name][0].incidents["caught"].to_numpy("bool")
        row: dict[str, Any] = {}
        for key, which in (("gained", now & ~was), ("lost", was & ~now)):
            those = truth.incidents[which]
            row[key], row[f"{key}_incidents"] = len(those), tuple(those["incident"].tolist())
            row[f"{key}_entities"] = tuple(dict.fromkeys(name for of in those["entities"] for name in of or ()))
        for key in old:
            row[key], row[f"{key}_interval"] = ratio_difference(old[key], new[key], seed, resamples, share=key in SHARES)
        rows[name] = row | {"oracle": oracle}
    return _table(rows)


def _table(rows: Mapping[str, dict[str, Any]]) -> pd.DataFrame:
    # of objects, so that None stays None and a count a whole number
    keys = next(iter(rows.values()), {})
    return pd.DataFrame({key: pd.Series([row[key] for row in rows.values()], list(rows), "object") for key in keys})


def _who(judged: Mapping[str, list[Judged]], names: list[str]) -> pd.DataFrame:
    table = judged[names[0]][0].incidents[["incident", "start", "end", "entities"]].copy()
    for name in names:
        own = judged[name][0].incidents
        table[f"{name}: caught"] = own["caught"]
        table[f"{name}: delay_s"] = own["delay_s"]
        table[f"{name}: alerts"] = own["alerts"]
    return table
