"""MIDAS-F: edges, sources and targets that come more often in this tick than before, kept from poisoning what is usual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.wrong_clock import AFRESH, STRAY, clock_of, far_us
from govlab.errors import ArgumentError
from govlab.fields import Above, AtLeast, ColumnName
from govlab.frames import duration_us, require, time_us
from govlab.hashing import NULL_HASH, hash_column, mix, readable
from govlab.step import Detector, Step

CURRENT, TOTAL, SCORE = range(3)  # what a cell of a sketch holds
_NONE = np.iinfo("int64").min  # before the first row
_FAR = 1_000  # times the longest tick: a row that is so far from the newest has a wrong clock


@njit(cache=True, nogil=True)
def _close(cells, old, new, alpha, threshold):
    """Pass on from tick ``old`` to ``new`` (numbered from 1), as if the ticks between were closed one by one."""
    fade = alpha ** (new - old)
    gain = (1.0 - fade) / (1.0 - alpha)
    for j in range(cells.shape[0]):
        if cells[j, SCORE] < threshold:
            cells[j, TOTAL] += cells[j, CURRENT] * gain
        else:  # not in the first tick, in which all scores are 0
            cells[j, TOTAL] *= (new - 1) / (old - 1)  # the anomaly is left out: the mean of the ticks before stays what it was
        cells[j, CURRENT] *= fade


@njit(cache=True, nogil=True)
def _score(sources, targets, times, lengths, alpha, threshold, rows, far, cells, ticks, clock, scores):
    """Score each row and then learn it; ``cells`` has shape (ticks, 3 * rows * width, 3), ``ticks`` (ticks, 2) = first, current."""
    width = cells.shape[1] // (3 * rows)
    at = np.empty(3 * rows, "int64")
    for i in range(times.size):
        out = np.nan
        fits = STRAY
        if sources[i] != NULL_HASH and targets[i] != NULL_HASH:
            fits = clock_of(times[i], far, clock)
        if fits == AFRESH:
            cells[:], ticks[:] = 0.0, _NONE
        if fits != STRAY:
            turned = (targets[i] << np.uint64(31)) | (targets[i] >> np.uint64(33))
            for part in range(3):
                key = mix(sources[i] ^ turned) if part == 0 else (sources[i] if part == 1 else targets[i])
                for r in range(rows):
                    h = mix(key + np.uint64(0x9E3779B97F4A7C15) * np.uint64(part * rows + r + 1))
                    place = ((h >> np.uint64(32)) * np.uint64(width)) >> np.uint64(32)
                    at[part * rows + r] = (part * rows + r) * width + np.int64(place)
            for k in range(lengths.size):
                tick = times[i] // lengths[k]
                if ticks[k, 0] == _NONE:
                    ticks[k, 0] = ticks[k, 1] = tick
                elif tick > ticks[k, 1]:
                    first = ticks[k, 0] - 1
                    _close(cells[k], ticks[k, 1] - first, tick - first, alpha, threshold)
                    ticks[k, 1] = tick
                t = ticks[k, 1] - ticks[k, 0] + 1.0
                for part in range(3):
                    a, s = np.inf, np.inf
                    for r in range(part * rows, part * rows + rows):
                        cells[k, at[r], CURRENT] += 1.0
                        a = min(a, cells[k, at[r], CURRENT])
                        s = min(s, cells[k, at[r], TOTAL])
                    score = 0.0
                    if s > 0.0 and a * t > s:
                        off = a + s - a * t
                        score = off * off / (s * (t - 1.0))
                    for r in range(part * rows, part * rows + rows):
                        cells[k, at[r], SCORE] = score
                    if t > 1.0 and not out >= score:
                        out = score
        scores[i] = out


class Midas(Detector):
    """Score an edge by how far it, its source or its target exceeds its usual number in a tick of time (MIDAS-F).

    For the edge, its source and its target, and for each length of tick: the chi-squared statistic
    (a + s - a t)^2 / (s (t - 1)) of the number ``a`` in the current tick, faded by ``alpha`` a tick, against the total
    ``s`` of the t - 1 ticks before; the score is the greatest of all these. Fewer than usual adds 0 (in the paper it
    counts as more does): every tick has few at first, so all that is busy would alarm whenever one begins. What scores
    ``threshold`` or more in a tick is not added to its total, so a long attack does not become what is usual. Counts are
    kept in count-min sketches.

    Range: at least 0, not bounded: a few for what is busy and steady, about (1 - ``alpha``) t for a key that comes again, once,
    t ticks after it first came, and 1,000 and more for an attack. What was in no tick before has no usual number and adds 0: a
    burst of it is seen by its other parts, and from the next tick on. What scores above ``threshold`` for good is never
    learned: someone seen once early, who comes steadily from 1,000 ticks later on, is not told from a long attack and scores
    thousands for months. Cold start: NaN in the first tick of every length; NaN for a row without a source or a target, which
    is no edge, and for one further than 1,000 of the longest tick from the newest, whose clock was wrong; neither is learned.
    When 30 in a row are so far, it starts afresh there. Any other late row counts into the current tick. About 0.1 us a row,
    and 1 ns for each of the 3 * ``rows`` * ``width`` cells whenever a tick passes; 24 bytes a cell and length of tick.

    Parameters
    ----------
    source, target : str
        The columns with who did it, and to whom or to what.
    ticks : list of str
        Lengths of ticks in event time. Several, since a burst shorter than a tick is diluted in it, and one longer is
        cut up by it. Which tick is the current one depends on the events alone.
    alpha : float, at least 0 and below 1
        What is left of the current number when a tick passes.
    threshold : float, above 0
        From this score on, the number of a tick is kept out of the total, and the mean of the ticks before stays as it was.
        1,000 as in the paper; with a higher one new habits are learned sooner, and long attacks too.
    rows, width : int, at least 1
        Size of a sketch. 2 x 1,024 as in the paper; wider with many more keys than that: keys that share all their
        cells are counted together.

    References
    ----------
    Bhatia, S., Liu, R., Hooi, B., Yoon, M., Shin, K., Faloutsos, C. (2022). Real-time anomaly detection in edge streams.
    ACM TKDD 16(4). doi:10.1145/3494564.

    Examples
    --------
    >>> import govlab as gl
    >>> minutes = [*range(60), *[60] * 30]     # one message a minute, then thirty at once
    >>> time = pd.Timestamp("2026-03-02", tz="UTC") + pd.to_timedelta(minutes, unit="min")
    >>> events = gl.event_frame({"time": time, "source": ["ann"] * 90, "target": ["bob"] * 90})
    >>> score = gl.detectors.Midas(ticks=["1min"]).process(events)["score"]   # row i is scored before it is learned
    >>> bool(np.isnan(score[0])), bool(score[2:60].max() < 10), bool(score[89] > 100)
    (True, True, True)
    """

    source: ColumnName = "source"
    target: ColumnName = "target"
    ticks: Sequence[str] = ("10min", "1h", "6h")
    alpha: Annotated[float, AtLeast(0, below=1)] = 0.5
    threshold: Annotated[float, Above(0)] = 1_000.0
    rows: Annotated[int, AtLeast(1)] = 2
    width: Annotated[int, AtLeast(1)] = 1_024

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("actor", "target", ticks=["1min", "5min"], threshold=5.0, width=16)

    def check(self) -> None:
        """Check the recipe."""
        if isinstance(self.ticks, str) or not self.ticks:
            raise ArgumentError(f"Midas: ticks={self.ticks!r}; expected a list of durations, such as ['10min', '1h'].")
        self.ticks = tuple(self.ticks)
        self._lengths = np.array([duration_us(tick, "Midas: ticks") for tick in self.ticks])

    def start(self) -> None:
        """Forget all counts."""
        self._cells = np.zeros((len(self.ticks), 3 * self.rows * self.width, 3))
        self._ticks, self._clock = np.full((len(self.ticks), 2), _NONE), np.zeros(3, "int64")

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, in order; float64, shape (n,)."""
        require(frame, [self.source, self.target], "Midas")
        sources, targets = (readable(hash_column(frame[name]), "uint64") for name in (self.source, self.target))
        scores, times = np.empty(len(frame)), time_us(frame)
        far = far_us(_FAR, self._lengths)
        _score(
            sources, targets, times, self._lengths, float(self.alpha), float(self.threshold), self.rows, far, self._cells,
            self._ticks, self._clock, scores,
        )  # fmt: skip
        return scores
