"""How new a value is, by itself and after what came just before."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.detectors.metrics.limits import ASKED, HIGH, LOW, lay, outgrown
from govlab.detectors.ranks import beside
from govlab.entities import entities_of, place_values
from govlab.errors import ArgumentError
from govlab.fields import AtLeast, ColumnName, Duration, at_least
from govlab.hashing import mix
from govlab.step import Detector, Step

SEEN = 2  # a context seen less often says nothing
NOVEL = np.uint64(0x9E3779B97F4A7C15)  # makes of the key of a context that of its count of new facts
FACT = np.uint64(0xD1B54A32D192ED03)  # keeps the key of a fact apart from that of the context that it makes


@njit(cache=True, nogil=True)
def _counted(table, key, learn):
    """Give how often a key was counted, and count it. It has two places; a new key takes the one that is counted less."""
    place = np.int64(key % np.uint64(table.shape[0] // 2)) * 2
    tag = np.uint32(key >> np.uint64(32))
    for k in range(place, place + 2):
        if table[k, 1] > 0 and table[k, 0] == tag:
            known = np.int64(table[k, 1])
            if learn and known < 4_000_000_000:
                table[k, 1] = known + 1
            return known
    if learn:
        k = place if table[place, 1] <= table[place + 1, 1] else place + 1
        table[k, 0], table[k, 1] = tag, 1
    return 0


@njit(cache=True, nogil=True)
def _level(x, grid, bits):
    """Give the cell of a value; there are as many below and above the limits, and what is further away is in the outermost."""
    cells = float(1 << bits)
    step = (grid[HIGH] - grid[LOW]) / (cells - 1.0)
    return np.int64(math.floor(min(max((x - grid[LOW]) / step, -cells), 2.0 * cells - 1.0)))


@njit(cache=True, nogil=True)
def _novelty(past, t, known, grid, bits, depth, table):
    """Give the evidence of row t, of which ``known`` rows before it are held in the ring, and learn it."""
    total, level = 0.0, _level(past[t % past.size], grid, bits)
    for coarse in range(bits):
        key, best = mix(np.uint64(coarse + 1)), 0.0
        for back in range(min(depth, known) + 1):
            if back > 0:
                key = mix(key ^ np.uint64(_level(past[(t - back) % past.size], grid, bits) >> coarse))
            context = mix(key + np.uint64(back))
            times = _counted(table, context, True)
            new = _counted(table, mix(context ^ mix(np.uint64(level >> coarse) ^ FACT)), True) == 0
            ever = _counted(table, context ^ NOVEL, new)
            if new and times >= SEEN:
                best = max(best, math.log((times + ever + 1.0) / (ever + 0.5)))
        total += best
    return total


@njit(cache=True, nogil=True)
def _learn_again(past, first, last, reach, bits, depth, grid, table):
    """Lay the grid over the rows from ``first`` to before ``reach`` and learn again those before ``last``."""
    lay(past, first, reach, grid)
    table[:] = 0
    if grid[HIGH] > grid[LOW]:
        for t in range(first, last):
            _novelty(past, t, t - first, grid, bits, depth, table)


@njit(cache=True, nogil=True)
def _score(slots, fresh, values, warm, bits, depth, record, count, grid, ring, table, recent, scores):
    history = ring.shape[1]
    for i in range(slots.size):
        s, scores[i] = slots[i], np.nan
        if fresh[i]:
            count[s], grid[s, ASKED] = 0, 0.0
        if not np.isfinite(values[i]):
            continue
        t, x = count[s], values[i]
        ring[s, t % history] = x
        count[s] += 1
        if t < warm:
            continue
        known = min(t, history - 1)
        if t == warm or t % history == 0:
            # again at fixed rows: so what has left the ring is forgotten
            _learn_again(ring[s], t - known, t, t, bits, depth, grid[s], table[s])
        if outgrown(x, grid[s]):
            _learn_again(ring[s], t - known, t, t + 1, bits, depth, grid[s], table[s])
        raw = _novelty(ring[s], t, known, grid[s], bits, depth, table[s]) if grid[s, HIGH] > grid[s, LOW] else 0.0
        scores[i] = beside(raw, recent[s], t - warm, record)
        if record > 0:
            recent[s, (t - warm) % record] = raw


class CadOse(Detector):
    """Score a value by how new it is, at several resolutions, by itself and after the values just before it.

    The idea of the contextual anomaly detector: a *context* is what the last values were, a *fact* what the next one is, and
    a fact that never came in its context is evidence. Here facts are the cell of a value in a grid of 2^``bits`` cells, and
    in ever coarser ones down to 2; contexts are none, the value before, the two before, up to ``depth``. A new fact in a
    context that was seen c times, q of them with something new after it, has the probability (q + 1/2) / (c + q + 1), much
    as method C of prediction by partial matching has it: it says little where all is new all the time. The score is the sum,
    over the resolutions, of the highest -log of it: what is new at coarse resolutions too is further away. A state that stays
    strange would alarm at every row, so only a *local record* counts.

    Range: at least 0, in nats, and with ``record`` any number: what is no record gives by how much it is not (0 or less).
    Cold start: NaN for the first ``warm`` values of an entity; NaN for a value that is missing or beyond 1e150, which is not
    learned. About 1 us a row, and ``history`` times that whenever the grid is laid anew; 8 * (``history`` + ``places``) bytes an
    entity, 330 kB.

    Parameters
    ----------
    column : str
        The column that is scored.
    by : str, optional
        The column with the entity; None: all rows are one entity.
    bits : int, at least 1 and at most 16
        Resolutions: the finest grid has 2^bits cells over the range of the past.
    depth : int, at least 0
        Values in the longest context; 0: only whether the value itself is new.
    record : int, at least 0
        Rows that a sum must be above in order to count; it takes the place of the rest period, which needs a threshold. 0: every
        sum counts.
    history : int, at least 3
        Values that are remembered, more than ``warm``. The grid lies over their range, never over what is to come: it is laid
        anew, and they are learned again, when a value is more than that range outside of it, and every ``history`` values.
        What is more than 20 times the range of the middle 98 % beyond that (of the different values, where 98 % are equal) is
        left out of the range and counts as being in the outermost cell, a range away: else one spike would put all else into
        one cell, and hide what comes later. Less than 20 would leave out what is merely rare (20 was found on NAB).
    places : int, at least 2
        Places in the table of contexts and facts, even; where it is full, what was seen least gives way.
    warm : int, at least 2
        Values learned before the first is scored; they give the first grid.
    max_entities : int, at least 1
        Entities in memory; one more evicts the least recently seen.
    expire : str
        An entity unseen for longer (event time) starts afresh.

    References
    ----------
    Smirnov, M. (2016). Contextual Anomaly Detector. https://github.com/smirmik/CAD . There facts are the bits of a cell in
    the range of the whole file, contexts take in earlier contexts, and the score is a share of contexts. Method C:
    Moffat, A. (1990). Implementing the PPM data compression scheme. doi:10.1109/26.61469.

    Examples
    --------
    >>> import govlab as gl
    >>> value = [1.0, 2.0, 3.0, 2.0] * 50
    >>> value[121], value[160] = 3.0, 9.0  # in the wrong place, and never seen
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 200, "value": value})
    >>> score = gl.detectors.CadOse(warm=50).process(events)["score"]
    >>> score[score > 0].index.to_list()
    [121, 122, 160]
    """

    column: ColumnName = "value"
    by: ColumnName | None = None
    bits: Annotated[int, AtLeast(1, most=16)] = 6
    depth: Annotated[int, AtLeast(0)] = 1
    record: Annotated[int, AtLeast(0)] = 50
    history: Annotated[int, AtLeast(3)] = 8_192
    places: Annotated[int, AtLeast(2)] = 32_768
    warm: Annotated[int, AtLeast(2)] = 150
    max_entities: Annotated[int, AtLeast(1)] = 64
    expire: Duration = "30d"

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("value", "actor", bits=3, record=5, history=20, places=128, warm=8, max_entities=8)

    def check(self) -> None:
        """Check the recipe."""
        at_least(self, "history", self.warm + 1)
        if self.places % 2:
            raise ArgumentError(f"CadOse: places={self.places}; expected an even number.")

    def start(self) -> None:
        """Forget all entities."""
        self._entities = entities_of(self)
        self._count, self._grid, self._ring = np.zeros(0, "int64"), np.zeros((0, ASKED + 1)), np.zeros((0, self.history))
        self._table, self._recent = np.zeros((0, self.places, 2), "uint32"), np.zeros((0, max(self.record, 1)))

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, shape (n,)."""
        slots, fresh, values = place_values(self, frame, "_count", "_grid", "_ring", "_table", "_recent")
        scores = np.empty(len(frame))
        _score(
            slots, fresh, values, self.warm, self.bits, self.depth, self.record, self._count, self._grid, self._ring, self._table,
            self._recent, scores,
        )  # fmt: skip
        return scores
