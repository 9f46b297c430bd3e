"""The alerts of the threshold that the labels themselves would choose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from govlab.alerts.threshold import Threshold
from govlab.errors import ArgumentError
from govlab.evaluation.judging import Judged, judge
from govlab.evaluation.playing import Played, above, alerts_on, by_scores
from govlab.evaluation.truth import Truth
from govlab.pipeline import Pipeline

__all__ = ["by_oracle"]

STEPS = 5_000_000
"""How many rows and incidents may be gone through for each round of thresholds."""


def by_oracle(played: Played, truth: Truth, per_day: int, name: str) -> Played:
    """Alert from the threshold that gives the best F1 of recall and precision on these labels, with so many alerts a day.

    Between two scores of rows that are right there is nothing to win, so those are tried: all of them if they are few, else 20 to
    1,000 at equal distances, and again as many between the neighbours of the best. Ties go to the highest. Where nothing is
    caught, there is no alert; where the pipeline's own alerts are better (a budget moves its threshold), they are taken.
    """
    if "score" not in played.scored:
        raise ArgumentError(f"oracle: no score comes out of {name!r} before its alerts, so there is no threshold to choose.")
    score, n = played.scored["score"].to_numpy("float64"), len(played.scored)
    every = replace(played, alerts=alerts_on(played, np.arange(n)).assign(row=np.arange(n)), cut=0)
    alerts = judge(every, truth, n).alerts
    worth = score[alerts["row"][alerts["right"]]]
    worth = np.unique(worth[~np.isnan(worth)])
    tries = int(np.clip(STEPS // (n + len(truth.incidents)), 20, 1_000))
    tried: dict[int, float] = {}
    low, high, best = 0, worth.size - 1, -1
    while high >= low:
        for i in np.linspace(low, high, min(high - low + 1, tries)).astype(int).tolist():
            if i not in tried:
                tried[i] = _f1(judge(above(played, score, worth[i], per_day), truth, per_day))
        best = max(tried, key=lambda i: (tried[i], i))
        low, high = max((i for i in tried if i < best), default=best) + 1, min((i for i in tried if i > best), default=best) - 1
        if low == high == best:
            break
    if _f1(judge(played, truth, per_day)) > tried.get(best, 0.0):
        return played
    if not tried.get(best):
        return above(played, np.full(n, np.nan), 0.0, per_day)
    return by_scores(played, score, Pipeline(Threshold(float(worth[best])), *played.alerting.steps[1:]))


def _f1(judged: Judged) -> float:
    seen = judged.alerts["right"][judged.alerts["looked_at"]]
    recall, precision = judged.incidents["caught"].mean(), seen.mean() if len(seen) else 0.0
    return float(2 * recall * precision / (recall + precision)) if recall * precision else 0.0
