"""Role shift: who is suddenly acted on, by whom, and without having acted themselves."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd
from numba import njit

from govlab.entities import Entities
from govlab.fields import AtLeast, ColumnName, Duration
from govlab.frames import duration_us, require, time_us
from govlab.hashing import NULL_HASH, hash_column, mix, readable
from govlab.keys import grow
from govlab.step import Detector, Step

IN, IN_RECENT, IN_TIME, OUT, OUT_RECENT, OUT_TIME = range(6)  # of an account: edges taken and made, faded, times of these
UNIT, TOTAL, LEARNED = range(3)  # weight of the next row, sum of the weights, rows learned
BINS, WAYS = 256, 8


@njit(cache=True, nogil=True)
def _bin_of_ratio(recent, count):
    """Give the bin of (recent + 1) / (count + 1), eight to an octave; the lowest is the greatest ratio."""
    return min(int(8.0 * np.log2((count + 1.0) / (recent + 1.0))), BINS - 1)


@njit(cache=True, nogil=True)
def _bin_of_recent(recent):
    """Give the bin of a faded number, eight to an octave of one more; the lowest is the greatest."""
    return BINS - 1 - min(int(8.0 * np.log2(recent + 1.0)), BINS - 1)


@njit(cache=True, nogil=True)
def _bin_of_count(count):
    """Give the bin of a count: its own up to 31, then eight to an octave."""
    return int(count) if count < 32.0 else min(32 + int(8.0 * np.log2(count / 32.0)), BINS - 1)


@njit(cache=True, nogil=True)
def _faded(number, since, now, halflife):
    return number * 0.5 ** (max(now - since, 0.0) / halflife)


@njit(cache=True, nogil=True)
def _score(slots, fresh, pairs, back, times, halflife, memory, warm, accounts, table, turns, tails, weights, scores):
    """Score each row and then learn it; rows 2 i and 2 i + 1 of ``slots`` are its source and its target."""
    bins = np.zeros(4, "int64")
    for i in range(times.size):
        u, v, now = slots[2 * i], slots[2 * i + 1], np.float64(times[i])
        if fresh[2 * i]:
            accounts[u, :] = 0.0
        if fresh[2 * i + 1]:
            accounts[v, :] = 0.0
        out_recent = _faded(accounts[u, OUT_RECENT], accounts[u, OUT_TIME], now, halflife)
        in_recent = _faded(accounts[v, IN_RECENT], accounts[v, IN_TIME], now, halflife)
        bins[0] = _bin_of_ratio(in_recent, accounts[v, IN])
        bins[1] = 0
        bucket = back[i] % np.uint64(turns.size)
        for way in range(WAYS):
            if table[bucket, way] == back[i]:
                bins[1] = 1
        bins[2] = _bin_of_recent(out_recent)
        bins[3] = _bin_of_count(accounts[v, OUT])
        total, unit = weights[TOTAL], weights[UNIT]
        score = 0.0
        for k in range(4):
            below = 0.0
            for b in range(bins[k]):
                below += tails[k, b]
            score -= np.log((below + 0.5 * tails[k, bins[k]] + 0.5 * unit) / (total + unit))
        scores[i] = score if weights[LEARNED] >= warm else np.nan

        for k in range(4):
            tails[k, bins[k]] += unit
        weights[TOTAL] += unit
        weights[LEARNED] += 1.0
        weights[UNIT] = unit / (1.0 - 1.0 / memory)  # instead of fading all bins
        if weights[UNIT] > 1e100:
            tails /= weights[UNIT]
            weights[TOTAL] /= weights[UNIT]
            weights[UNIT] = 1.0
        accounts[u, OUT] += 1.0
        accounts[u, OUT_RECENT], accounts[u, OUT_TIME] = out_recent + 1.0, max(now, accounts[u, OUT_TIME])
        accounts[v, IN] += 1.0
        accounts[v, IN_RECENT], accounts[v, IN_TIME] = in_recent + 1.0, max(now, accounts[v, IN_TIME])
        bucket = pairs[i] % np.uint64(turns.size)
        known = False
        for way in range(WAYS):
            known |= table[bucket, way] == pairs[i]
        if not known:
            table[bucket, turns[bucket] % WAYS] = pairs[i]
            turns[bucket] += 1


class RoleShift(Detector):
    """Score an edge by how much its target is suddenly acted on, unanswered, by sources that are suddenly active.

    The sum of -log p over four numbers, each with its running tail p (mid-p, the last rows weigh most):

    1. the burst of the target, (recent + 1) / (all + 1) of the edges that it took;
    2. whether the target has not acted on the source before;
    3. the burst of the source, the number of edges that it made recently;
    4. how few edges the target has made.

    Each row costs the same, whatever came before. It was made for trust and reputation networks, where an account that
    goes bad is rated by many within days. Range: at least 0 in nats; 2.8 is ordinary, the most is 4 log(2 ``memory``).
    Cold start: NaN for the first ``warm`` edges; NaN for a row without a source or a target, which is no edge and is not
    learned. About 0.4 us a row; about 150 bytes an account and 9 bytes a pair.

    Parameters
    ----------
    source, target : str
        The columns with who acted, and on whom. Both name accounts of one kind.
    halflife : str
        What is recent: an edge counts half after so long (event time).
    memory : int, at least 2
        So many rows make a running tail: a row so long ago weighs 1/e of the newest.
    warm : int, at least 1
        Edges learned before the first is scored.
    max_entities : int, at least 2
        Accounts in memory; one more evicts the least recently seen.
    max_pairs : int, at least 1
        So many pairs (source, target) are remembered, 8 to a bucket of a hash table; a further one takes the place of the
        oldest in its bucket.

    References
    ----------
    The task, and what other methods reach on it: Lee, J., Kim, S., Shin, K. (2024). SLADE: Detecting dynamic anomalies in
    edge streams without labels via self-supervised learning. KDD. arXiv:2402.11933.

    Examples
    --------
    >>> import govlab as gl
    >>> rng = np.random.default_rng(0)
    >>> source, target = rng.integers(0, 30, 600), rng.integers(0, 30, 600)
    >>> source[590:], target[590:] = np.arange(100, 110), 99      # ten new accounts act on one
    >>> time = pd.date_range("2026-03-02", periods=600, freq="6h", tz="UTC")
    >>> events = gl.event_frame({"time": time, "source": source, "target": target})
    >>> score = gl.detectors.RoleShift(warm=100).process(events)["score"]     # row i is scored before it is learned
    >>> bool(score[:100].isna().all()), bool(score[590:].min() > score[100:590].quantile(0.99))
    (True, True)
    """

    source: ColumnName = "source"
    target: ColumnName = "target"
    halflife: Duration = "7d"
    memory: Annotated[int, AtLeast(2)] = 10_000
    warm: Annotated[int, AtLeast(1)] = 500
    max_entities: Annotated[int, AtLeast(2)] = 1_000_000
    max_pairs: Annotated[int, AtLeast(1)] = 524_288

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("actor", "target", halflife="10min", memory=50, warm=20, max_entities=8, max_pairs=16)

    def check(self) -> None:
        """Check the recipe."""
        self._halflife = duration_us(self.halflife)

    def start(self) -> None:
        """Forget all accounts."""
        self._entities = Entities(self.max_entities)
        buckets = -(-self.max_pairs // WAYS)
        self._accounts = np.zeros((0, 6))
        self._table, self._turns = np.zeros((buckets, WAYS), "uint64"), np.zeros(buckets, "uint8")
        self._tails, self._weights = np.zeros((4, BINS)), np.array([1.0, 0.0, 0.0])

    def score_learn_many(self, frame: pd.DataFrame) -> np.ndarray:
        """Score each row and then learn it, in order; float64, shape (n,)."""
        require(frame, [self.source, self.target], "RoleShift")
        sources, targets = hash_column(frame[self.source]), hash_column(frame[self.target])
        scores, edges = np.full(len(frame), np.nan), np.flatnonzero((sources != NULL_HASH) & (targets != NULL_HASH))
        times = readable(time_us(frame)[edges], "int64")
        both = np.stack([sources[edges], targets[edges]], axis=1)
        # accounts by their hash, so that 3 as a source and 3.0 as a target (a column with a gap) are one
        slots, fresh = self._entities.place(pd.Series(both.view("int64").ravel()), np.repeat(times, 2))
        self._accounts = grow(self._accounts, self._entities.size)
        out = np.empty(edges.size)
        _score(
            slots, fresh, _pairs(both[:, 0], both[:, 1]), _pairs(both[:, 1], both[:, 0]), times, float(self._halflife),
            float(self.memory), self.warm, self._accounts, self._table, self._turns, self._tails, self._weights, out,
        )  # fmt: skip
        scores[edges] = out
        return scores


@njit(cache=True, nogil=True)
def _pairs(ones, others):
    """Hash ordered pairs; never 0, which is a free place."""
    out = np.empty(ones.size, "uint64")
    for i in range(ones.size):
        out[i] = mix(ones[i] ^ ((others[i] << np.uint64(31)) | (others[i] >> np.uint64(33)))) | np.uint64(1)
    return out
