"""Several detectors as one: the sum of their evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.ranks import beside, calibrate
from govlab.entities import entities_of, place_rows
from govlab.errors import ArgumentError
from govlab.fields import AtLeast, ColumnName
from govlab.frames import require
from govlab.keys import grow
from govlab.pipeline import Pipeline
from govlab.step import Detector, Step


@njit(cache=True, nogil=True)
def _sum(slots, fresh, evidence, ranked, record, given, count, recent, scores):
    """Sum the evidence of the detectors (rows of ``evidence``; p if ``ranked``); then the local record."""
    for i in range(slots.size):
        s = slots[i]
        if fresh[i]:
            given[s, :], count[s] = 0, 0
        ready, some, total = True, False, 0.0
        for d in range(evidence.shape[0]):
            x = evidence[d, i]
            if np.isfinite(x):
                some = True
                given[s, d] = 1
                total += -np.log(x) if ranked else x
            ready = ready and given[s, d] == 1
        scores[i] = np.nan
        if some and ready and np.isfinite(total):
            scores[i] = beside(total, recent[s], count[s], record)
            if record > 0:
                recent[s, count[s] % record] = total
                count[s] += 1


def _scores(step: Step) -> bool:
    """Tell whether a step gives its rows a score of its own; a pipeline does if one of its steps does."""
    if isinstance(step, Pipeline):
        return any(map(_scores, step.steps))
    return isinstance(step, Detector) and getattr(step, "give", "score") == "score"


class Fused(Detector):
    """Score by several detectors at once: the sum of -log p of their scores, each p beside the detector's own past.

    Scores of different detectors have no common unit; how rare each is beside its own past has one. Detectors that err
    in different places support each other: what is a little odd to all of them is odd. Range: at least 0, in nats, at most
    log(2 (``window`` + 1)) a detector; with ``record`` it may be negative, down to minus that. Cold start: NaN until each
    detector has given more than ``warm`` scores; after that a detector without a score adds nothing, and NaN only if none
    has one. Costs what the detectors cost, and for each of them, if ``ranked``, 4 us a row and 16 * ``window`` bytes an
    entity.

    Parameters
    ----------
    detectors : list of Step
        At least one detector (or pipeline that ends in one); fresh copies of them are run.
    by : str, optional
        The column with the entity beside whose past scores are ranked; None: all rows together.
    window : int, at least 2
        So many scores of a detector are remembered; the least p is 0.5 / (``window`` + 1).
    warm : int, at least 1
        So many scores of a detector are learned before it has a p.
    record : int, at least 0
        Rows of the entity that a sum must be above in order to count, so that one event does not alarm at each of its rows: a
        sum that is not above the last ``record`` ones gives by how much it is not (0 or less). 0: every sum counts.
    ranked : bool
        False: the scores are summed as they are, for detectors whose scores are evidence already (-log p in nats, as those of
        CadOse, FuzzyArt, ConformalKnn and Fused, with ``record=0``). A rank knows nothing of how far above all of the past a
        score is, so for one metric over time ``Fused([CadOse(record=0), ConformalKnn(record=0)], ranked=False, record=50)`` is
        better than the sum of ranks.
    max_entities : int, at least 1
        Entities in memory; one more evicts the least recently seen.

    Raises
    ------
    ArgumentError
        There is no detector, or one is no step, or gives no score, or gives on other rows than it takes.

    References
    ----------
    Fisher's method of combining p values, of which the sum is half the statistic: Fisher, R. A. (1932), Statistical Methods for
    Research Workers, 4th edition, section 21.1. The detectors are not independent, so the sum is not read as a chi-square.

    Examples
    --------
    >>> import govlab as gl
    >>> value = [10.0, 11.0, 12.0, 11.0] * 40
    >>> value[150] = 30.0
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 160, "value": value})
    >>> both = gl.detectors.Fused([gl.detectors.EwmaZ("value", tail="both"), gl.detectors.RobustZ("value")], warm=20)
    >>> score = both.process(events)["score"]
    >>> int(score.idxmax()), bool(score.iloc[:20].isna().all())
    (150, True)
    """

    detectors: Any
    by: ColumnName | None = None
    window: Annotated[int, AtLeast(2)] = 16_384
    warm: Annotated[int, AtLeast(1)] = 100
    record: Annotated[int, AtLeast(0)] = 0
    ranked: bool = True
    max_entities: Annotated[int, AtLeast(1)] = 256

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        from govlab.detectors.metrics.ewma_z import EwmaZ
        from govlab.detectors.metrics.robust_z import RobustZ

        inner = [EwmaZ("value", "actor", max_entities=8), RobustZ("count", max_entities=8)]
        return cls(inner, "actor", window=20, warm=3, record=4, max_entities=8)

    def check(self) -> None:
        """Check the recipe."""
        given = [self.detectors] if isinstance(self.detectors, Step) else self.detectors
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise ArgumentError(f"Fused: detectors={given!r}; expected a list of them, such as [gl.detectors.EwmaZ('value')].")
        if not given:
            raise ArgumentError("Fused: give at least one detector, such as gl.detectors.EwmaZ('value').")
        for step in given:
            if not isinstance(step, Step) or step.absorbs:
                raise ArgumentError(f"Fused: {step!r} cannot score the rows that it takes; expected instances of Detector.")
            if not _scores(step):  # the score of a step before would be ranked in its place
                raise ArgumentError(f"Fused: {step!r} gives no score; expected instances of Detector, or pipelines with one.")
        self.detectors = [step.fresh() for step in given]

    def start(self) -> None:
        """Forget all scores, those of the detectors too."""
        self._parts = [step.fresh() for step in self.detectors]
        self._entities = entities_of(self)
        empty = np.zeros((0, self.window if self.ranked else 0))
        self._past: list[tuple[np.ndarray, ...]] = [(np.zeros(0, "int64"), empty, empty) for _ in self._parts]
        self._given = np.zeros((0, len(self._parts)), "int64")
        self._count, self._recent = np.zeros(0, "int64"), np.zeros((0, max(self.record, 1)))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        require(frame, [self.by], "Fused")
        evidence = np.empty((len(self._parts), len(frame)))
        for d, part in enumerate(self._parts):
            out = part.process(frame)
            if len(out) != len(frame) or "score" not in out:
                raise ArgumentError(f"Fused: {part.name} must give on each row that it takes, with a score.")
            evidence[d] = out["score"].to_numpy("float64")
        slots, fresh = place_rows(self, frame, "_count", "_recent", "_given")  # after all that may refuse the frame
        for d in range(len(self._parts)):
            self._past[d] = past = tuple(grow(array, len(self._count)) for array in self._past[d])
            if self.ranked:
                calibrate(slots, fresh, evidence[d].copy(), self.warm, *past, evidence[d])
        scores = np.empty(len(frame))
        _sum(slots, fresh, evidence, self.ranked, self.record, self._given, self._count, self._recent, scores)
        return scores
