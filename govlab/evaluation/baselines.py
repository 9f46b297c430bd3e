"""What chance and mere volume would have caught, with as many alerts as a pipeline gave."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from govlab.evaluation.judging import Judged, auc, judge
from govlab.evaluation.playing import Played, above, by_scores
from govlab.evaluation.truth import Truth
from govlab.frames import time_us
from govlab.pipeline import Pipeline

__all__ = ["Marks", "baseline_key", "by_chance"]

Marks = tuple[float | None, float | None, float | None]  # what auc gives
RANDOM_DRAWS = 10  # one draw of chance is chance itself


def baseline_key(played: Played) -> tuple[Any, ...]:
    """Give what the baselines of a pipeline depend on: its rows, its budget or how many it alerted on, and what comes after."""
    rows = pd.util.hash_pandas_object(played.scored.drop(columns="score", errors="ignore"), index=False)
    own = [step.recipe() for step in played.alerting.steps if step.of_any_scores()]
    return int(rows.sum()), len(rows), repr(own or played.passed), repr([step.recipe() for step in played.alerting.steps[1:]])


def by_chance(played: Played, truth: Truth, what: str, per_day: int, seed: int) -> tuple[list[Judged], Marks]:
    """Judge alerts without a detector, as many as the pipeline gave; chance a number of times."""
    rest, n = played.alerting.steps[1:], len(played.scored)
    own = [same for step in played.alerting.steps if (same := step.of_any_scores())]
    ones = []
    for i in range(RANDOM_DRAWS if what == "random" else 1):
        scores = _scores(played, what, seed + i)
        if own:  # the same budget, so that only the scores differ
            one = by_scores(played, scores, Pipeline(own[0], *rest))
        else:
            rank = np.empty(n)
            rank[np.lexsort((np.arange(n), -scores))] = np.arange(n, 0, -1)  # of equal scores, those that came first
            one = above(played, rank, n - played.passed + 0.5, per_day)
        ones.append(judge(one, truth, per_day))
    scored = played.scored.assign(score=_scores(played, what, seed))
    return ones, auc(dataclasses.replace(played, scored=scored), truth)


def _scores(played: Played, name: str, seed: int) -> np.ndarray:
    """Score the rows by chance, or by the volume: the count of a window, or how many events of the entity the last hour had."""
    rows = played.scored
    if not len(rows):
        return np.empty(0)
    if name == "random":
        return np.random.default_rng(seed).random(len(rows))
    if "count" in rows and "start" in rows:
        return rows["count"].to_numpy("float64", na_value=np.nan)
    times = time_us(rows)
    keys = np.zeros(len(rows), "int64") if played.entity not in rows else pd.factorize(rows[played.entity])[0]
    if keys.max(initial=0) == len(rows) - 1:
        keys[:] = 0  # the entity is the event itself
    order = np.lexsort((np.arange(len(rows)), times, keys))
    number = keys[order].astype("float64") * 2.0**51  # apart by more than all of time
    at = number + (times[order] - times.min())
    volume = np.empty(len(rows))
    volume[order] = np.arange(len(rows)) - np.searchsorted(at, at - 3_600_000_000, "right") + 1
    return volume
