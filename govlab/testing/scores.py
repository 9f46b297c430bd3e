"""Checks of what a detector's score means: high for what is odd, and said before the row is learned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.errors import ArgumentError, CheckError, did_you_mean
from govlab.step import Detector
from govlab.testing.samples import calm_events

__all__ = ["RULES", "check_scores", "planted"]

RULES = ("first", "warm", "twice", "order", "sign", "learned")
Odd = tuple[pd.DataFrame, int]


def check_scores(
    detector: Detector, frame: pd.DataFrame | None = None, odd: Odd | None = None, exempt: Mapping[str, str] | None = None
) -> None:
    """Check what a score means.

    - ``first``: the first row of all has no score, as nothing was learned yet;
    - ``warm``: of a detector with a whole number ``warm``, the first so many rows of an entity have none;
    - ``twice``: ``score_one`` asked twice says the same, as it learns nothing;
    - ``order``: ``score_learn_many`` says what ``score_one`` and then ``learn_one`` say row by row, where a class has all three;
    - ``sign``: an outlier planted in the columns of numbers that it names (or ``odd`` rows) scores higher than 9 of 10 before it;
    - ``learned``: how far out an outlier is shows in its score, or does not: it does not come to a limit as it does where the
      row itself was learned before.

    Parameters
    ----------
    detector : Detector
        What to check.
    frame : DataFrame, optional
        Ordinary rows of one entity; by default events of one actor in which nothing happens.
    odd : tuple of DataFrame and int, optional
        A frame of which the last so many rows are odd, one of which must score high; by default ``frame`` with an outlier of 10
        deviations in the columns that the detector reads.
    exempt : mapping, optional
        The rules that do not hold for a detector, each with the reason.

    Raises
    ------
    CheckError
        Says which rule was broken.
    """
    exempt = exempt or {}
    for rule, reason in exempt.items():
        if rule not in RULES or not reason:
            raise ArgumentError(f"exempt={rule!r}: expected a rule with a reason. {did_you_mean(rule, RULES)}")
    frame = calm_events() if frame is None else frame
    for rule, check in (("first", _first), ("warm", _warm), ("twice", _twice), ("order", _order)):
        if rule not in exempt:
            check(detector, frame)
    # what scores no column of numbers says itself, in ``odd``, what is odd
    if "sign" not in exempt and (odd or _numbers_of(detector, frame)):
        _sign(detector, *(odd or (planted(detector, frame, 10.0), 1)))
    if "learned" not in exempt and _numbers_of(detector, frame):
        _learned(detector, frame)


def _scores(detector: Detector, frame: pd.DataFrame) -> np.ndarray:
    return detector.fresh().process(frame.reset_index(drop=True))["score"].to_numpy("float64")


def _numbers_of(detector: Detector, frame: pd.DataFrame) -> list[str]:
    """List the columns of numbers that a detector names in ``column`` or ``columns``."""
    named = [getattr(detector, "column", None), *(getattr(detector, "columns", None) or ())]
    return [c for c in frame.select_dtypes("number").columns if c not in frames.POSITION and c in named]


def planted(detector: Detector, frame: pd.DataFrame, size: float, rows: int = 1) -> pd.DataFrame:
    """Put an outlier into the last rows, ``size`` deviations out, in the columns that a detector names, or in all."""
    columns = _numbers_of(detector, frame) or [c for c in frame.select_dtypes("number").columns if c not in frames.POSITION]
    side = -1.0 if getattr(detector, "tail", None) in ("lower", "low") else 1.0
    last = np.arange(len(frame)) >= len(frame) - rows
    far = {c: frame[c].astype("float64").mask(last, frame[c].mean() + side * size * frame[c].std()) for c in columns}
    return frame.assign(**far)


def _first(detector: Detector, frame: pd.DataFrame) -> None:
    score = _scores(detector, frame)[0]
    if not np.isnan(score):
        raise CheckError(
            f"{detector.name}: the first row of all scores {score:g}, and nothing was learned before it; expected NaN: a row is "
            "scored before it is learned."
        )


def _warm(detector: Detector, frame: pd.DataFrame) -> None:
    warm = getattr(detector, "warm", None)
    if isinstance(warm, int) and not isinstance(warm, bool):
        early = np.flatnonzero(~np.isnan(_scores(detector, frame)[:warm]))
        if early.size:
            raise CheckError(
                f"{detector.name}: warm={warm}, and row {early[0]} has a score when {early[0]} rows were learned before it: a row "
                "is scored before it is learned."
            )


def _by_hand(detector: Detector) -> bool:
    return type(detector).score_one is not Detector.score_one


def _twice(detector: Detector, frame: pd.DataFrame) -> None:
    if not _by_hand(detector):
        return
    running: Any = detector.fresh()
    score_one, differ = running.score_one, []

    def twice(x: dict[str, Any]) -> float:
        one, other = score_one(x), score_one(x)
        if one != other and not (one != one and other != other):
            differ.append((one, other))
        return float(one)

    running.score_one = twice
    scores = Detector.score_learn_many(running, frame)
    if differ or not np.array_equal(scores, Detector.score_learn_many(detector.fresh(), frame), equal_nan=True):
        raise CheckError(f"{detector.name}: score_one must not learn, and asked twice it says something else: {differ[:1]}.")


def _order(detector: Detector, frame: pd.DataFrame) -> None:
    if not _by_hand(detector) or type(detector).score_learn_many is Detector.score_learn_many:
        return
    by_hand = Detector.score_learn_many(detector.fresh(), frame)
    if not np.array_equal(by_hand, _scores(detector, frame), equal_nan=True):
        raise CheckError(f"{detector.name}: score_learn_many must say what score_one and then learn_one say for each row.")


def _sign(detector: Detector, frame: pd.DataFrame, rows: int) -> None:
    scores = _scores(detector, frame)
    before, last = scores[:-rows], scores[-rows:]
    before, last = before[~np.isnan(before)], last[~np.isnan(last)]
    if not last.size or not before.size or (before < last.max()).mean() < 0.9:
        said = f"{last.max():g}" if last.size else "nothing"
        raise CheckError(
            f"{detector.name}: a planted outlier scores {said}, and is not above 9 of 10 rows before it: a higher score is more "
            "anomalous."
        )


def _learned(detector: Detector, frame: pd.DataFrame) -> None:
    near, far = (_scores(detector, planted(detector, frame, size, 2))[-2:] for size in (1e2, 1e4))
    # what has learned the value divides by a spread that grows with it
    if near[0] > 0 and near[0] * (1 + 1e-6) < far[0] < 1.5 * near[0] and far[1] < far[0]:
        raise CheckError(
            f"{detector.name}: an outlier of 100 deviations scores {near[0]:g} and one of 10,000 {far[0]:g}: the score comes to a "
            "limit, as the row itself was learned before; a row is scored before it is learned."
        )
