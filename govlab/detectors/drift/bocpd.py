"""BOCPD: how probable is it that a new regime has just begun."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.drift.burst_gate import ANEW, OUT, WIDTH, close_gate, insiders, lets_in
from govlab.entities import entities_of, place_values
from govlab.fields import Above, AtLeast, ColumnName, Duration, at_least
from govlab.frames import put
from govlab.step import Detector, Step

_TINY = -20.0  # a run length e^-20 as probable as the best one is forgotten
# of an entity; means are those of the differences from the FIRST value, so that far from 0 they do not drown in rounding
SEEN, FIRST, MEAN, VARIANCE, RUNS = range(5)
LENGTH, RUN_MEAN, RUN_SQUARE, LOG_P = range(4)  # of a run


@njit(cache=True, nogil=True)
def _log_t(x, n, mean, square, centre, variance):
    """Give the log density of a value after a run of n: Student's t of a normal-gamma (kappa = alpha = beta = 1, scaled)."""
    off = mean - centre
    kappa, alpha = 1.0 + n, 1.0 + 0.5 * n
    beta = variance + 0.5 * square + 0.5 * n * off * off / kappa
    middle = (centre + n * mean) / kappa
    spread = 2.0 * beta * (kappa + 1.0) / kappa  # degrees of freedom times the squared scale
    off = x - middle
    return (
        math.lgamma(alpha + 0.5)
        - math.lgamma(alpha)
        - 0.5 * math.log(math.pi * spread)
        - (alpha + 0.5) * math.log1p(min(off / spread * off, 1e300))
    )


@njit(cache=True, nogil=True)
def _forget(known, count, most):
    """Forget the run lengths that are as good as impossible, and the least probable beyond ``most``; gives how many are left."""
    best = -np.inf
    for j in range(count):
        best = max(best, known[j, LOG_P])
    kept = 0
    for j in range(count):
        if known[j, LOG_P] >= best + _TINY:
            known[kept] = known[j]
            kept += 1
    while kept > most:
        least = 0
        for j in range(1, kept):
            if known[j, LOG_P] < known[least, LOG_P]:
                least = j
        for j in range(least, kept - 1):
            known[j] = known[j + 1]
        kept -= 1
    return kept


@njit(cache=True, nogil=True)
def _learn(x, m, known, log_change, log_stay, lag, memory):
    """Learn a value; gives the probability of a run of at most ``lag`` values, and the length of the most probable one."""
    if m[SEEN] == 0.0:
        m[FIRST] = x
    x -= m[FIRST]
    count, variance = int(m[RUNS]), m[VARIANCE]
    # before the row there was a run of each known length; now it goes on, or this row is the first of a new one
    for j in range(count):
        if variance > 0.0:
            known[j, LOG_P] += _log_t(x, known[j, LENGTH], known[j, RUN_MEAN], known[j, RUN_SQUARE], m[MEAN], variance)
        known[j, LOG_P] += log_stay
        n = known[j, LENGTH] + 1.0
        off = x - known[j, RUN_MEAN]
        known[j, LENGTH] = n
        known[j, RUN_MEAN] += off / n
        known[j, RUN_SQUARE] += off * (x - known[j, RUN_MEAN])
    known[count, LENGTH], known[count, RUN_MEAN], known[count, RUN_SQUARE] = 1.0, x, 0.0
    known[count, LOG_P] = log_change if count > 0 else 0.0
    if variance > 0.0:
        known[count, LOG_P] += _log_t(x, 0.0, 0.0, 0.0, m[MEAN], variance)
    count = _forget(known, count + 1, known.shape[0] - 1)
    best = 0
    for j in range(1, count):
        if known[j, LOG_P] > known[best, LOG_P]:
            best = j
    top, total, recent = known[best, LOG_P], 0.0, 0.0
    for j in range(count):
        p = math.exp(known[j, LOG_P] - top)
        total += p
        if known[j, LENGTH] <= lag:
            recent += p
    shift = top + math.log(total)
    for j in range(count):
        known[j, LOG_P] -= shift
    m[RUNS] = count
    weight = max(1.0 / (m[SEEN] + 1.0), 1.0 / memory)
    off = x - m[MEAN]
    m[MEAN] += weight * off
    m[VARIANCE] = (1.0 - weight) * (variance + weight * off * off)
    m[SEEN] += 1.0
    return recent / total, known[best, LENGTH]


@njit(cache=True, nogil=True)
def _score(slots, fresh, values, hazard, lag, warm, memory, hold, state, runs, gate, scores, lengths):
    recipe = (math.log(hazard), math.log1p(-hazard), lag, memory)
    for i in range(slots.size):
        x, m, known, own = values[i], state[slots[i]], runs[slots[i]], gate[slots[i]]
        if fresh[i]:
            m[:] = 0.0
            close_gate(own)
        scores[i] = lengths[i] = np.nan
        said = OUT if np.isnan(x) else lets_in(x, hold, own)
        if said == ANEW:
            m[:] = 0.0
            for y in insiders(own):
                _learn(y, m, known, *recipe)
        elif said != OUT:
            recent, length = _learn(x, m, known, *recipe)
            if m[SEEN] > warm:
                scores[i], lengths[i] = recent, length


class Bocpd(Detector):
    """Score the probability that a new regime, with another mean or spread, began within the last few values.

    Bayesian online change point detection: a new regime may begin at any row with the same probability, and is expected to
    be like all of the past: its prior is centred on the running mean and variance of all values, so units do not matter.
    Values should be nearly normal; for errors of 0 and 1 take Hddm. Range [0, 1]; about ``lag`` / ``every`` when nothing
    happens, above 0.5 is a change, and is told about once in 6,000 independent normal values. Cold start: NaN for the
    first ``warm`` values; NaN for a value that is missing or beyond 1e150, and for one that the gate holds out, which are not
    learned. About 9 us a row, 32 * ``runs`` bytes an entity.

    Parameters
    ----------
    column : str
        The number to watch.
    by : str, optional
        The column with the entity; None: all rows are one entity.
    every : float, above 1
        Expected number of values between changes.
    lag : int, at least 1
        A regime of at most so many values is a new one.
    runs : int, at least 2
        So many run lengths are kept, the most probable.
    memory : int, at least 2
        Values over which the mean and variance of the past forget.
    warm : int, at least 2
        Values learned before the first is scored; more than ``lag``.
    hold : int, at least 0
        A run of outliers (5 deviations) shorter than this is a burst, not a change, and is held out; 0 = no gate. A stream
        of nothing but 0 and 1 has no outliers. Outliers among the first 30 values make the detector begin
        again without them.
    run_length : bool
        Whether to add also a column ``run_length``: the most probable number of values learned since the last change, this
        one included. A change began so many values ago, and ``hold`` - 1 more if the gate held the first ones out.
    max_entities : int, at least 1
        Entities in memory; one more evicts the least recently seen.
    expire : str
        An entity unseen for longer (event time) starts afresh.

    References
    ----------
    Adams, R. P., MacKay, D. J. C. (2007). Bayesian online changepoint detection. doi:10.48550/arXiv.0710.3742. Murphy, K. P.
    (2007). Conjugate Bayesian analysis of the Gaussian distribution.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 90, "value": [i % 3 + 9 * (i >= 60) for i in range(90)]})
    >>> rows = gl.detectors.Bocpd("value", hold=0, run_length=True).process(events)
    >>> at = int((rows["score"] > 0.5).idxmax())
    >>> at, int(at + 1 - rows["run_length"][at])
    (60, 60)
    """

    column: ColumnName = "value"
    by: ColumnName | None = None
    every: Annotated[float, Above(1)] = 250.0
    lag: Annotated[int, AtLeast(1)] = 5
    runs: Annotated[int, AtLeast(2)] = 200
    memory: Annotated[int, AtLeast(2)] = 5_000
    warm: Annotated[int, AtLeast(2)] = 10
    hold: Annotated[int, AtLeast(0)] = 5
    run_length: bool = False
    max_entities: Annotated[int, AtLeast(1)] = 1_000
    expire: Duration = "30d"

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("value", "actor", every=20, lag=2, runs=12, memory=30, warm=5, hold=3, max_entities=8)

    def check(self) -> None:
        """Check the recipe."""
        at_least(self, "warm", self.lag + 1)  # else the beginning is a change

    def start(self) -> None:
        """Forget all entities."""
        self._entities = entities_of(self)
        self._state, self._gate, self._runs = np.zeros((0, RUNS + 1)), np.zeros((0, WIDTH)), np.zeros((0, self.runs + 1, 4))

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Give on the rows with their ``score``, and ``run_length`` if asked for."""
        scores, lengths = self._both(frame)
        return put(frame, score=scores, run_length=lengths) if self.run_length else put(frame, score=scores)

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        return self._both(frame)[0]

    def _both(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        slots, fresh, values = place_values(self, frame, "_state", "_gate", "_runs")
        scores, lengths = np.empty(len(frame)), np.empty(len(frame))
        _score(
            slots, fresh, values, 1.0 / self.every, self.lag, self.warm, self.memory, self.hold, self._state,
            self._runs, self._gate, scores, lengths,
        )  # fmt: skip
        return scores, lengths
