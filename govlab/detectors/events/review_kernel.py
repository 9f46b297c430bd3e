"""The kernel of the review learner: what it asks for, and how it learns a label."""

from __future__ import annotations

import numpy as np
from numba import njit

from govlab.hashing import mix

BASE = np.log(0.01 / 0.99)  # log odds of an ordinary row: abuse is rare, and the first labels correct it
_BOOST = 4.0  # so much more is asked for in the early phase
_PAYBACK = 0.8  # and so much less until that is made up for
_TERM = 20.0  # times the early phase, by which it must be: at a fifth less it takes sixteen
_EARLY_RANDOM = 0.5  # of what is asked for early: where the unsupervised score is inverted, its top teaches only half of it
_CONSTANT = 1e-6  # of a logarithm: a column that varies by a millionth says nothing
_MEMORY = 10_000.0  # rows of the running scale
EVENTS, ASKED, LEARNED, IGNORED, PRIORS, SCORES = range(6)  # the counts


@njit(cache=True, nogil=True)
def _tail(x, ring, ranked, count):
    """Give the mid-p of a score among those of the ring, and put it in."""
    n = min(count, ring.size)
    low = np.searchsorted(ranked[:n], x)
    high = low
    while high < n and ranked[high] == x:
        high += 1
    p = (n - high + 0.5 * (high - low) + 0.5) / (n + 1.0)
    if n == ring.size:
        gone = np.searchsorted(ranked[:n], ring[count % n])
        ranked[gone : n - 1] = ranked[gone + 1 : n]
        n -= 1
        if gone < low:
            low -= 1
    ranked[low + 1 : n + 1] = ranked[low:n].copy()
    ranked[low] = x
    ring[count % ring.size] = x
    return p


@njit(cache=True, nogil=True)
def _describe(rows, i, evidence, known, mean, variance, base):
    """Put the features of a row in ``base`` (1, -log p, z of each column, gap in each column) and learn the scale."""
    dims = rows.shape[1]
    base[0], base[1] = 1.0, evidence
    for d in range(dims):
        x = rows[i, d]
        base[2 + d], base[2 + dims + d] = 0.0, 1.0
        if not np.isfinite(x):
            continue
        x = np.log1p(x) if x >= 0.0 else -np.log1p(-x)
        deviation = np.sqrt(variance[d])
        z = (x - mean[d]) / deviation if deviation > _CONSTANT else 0.0
        base[2 + d], base[2 + dims + d] = max(-8.0, min(8.0, z)), 0.0
        rate = 1.0 / min(known[d] + 1.0, _MEMORY)
        off = x - mean[d]
        mean[d] += rate * off
        variance[d] = (1.0 - rate) * (variance[d] + rate * off * off)
        known[d] += 1.0


@njit(cache=True, nogil=True)
def _expand(base, dims, full):
    """Put in ``full`` the features and, where there is room, the products of the z, which together weigh as one feature."""
    for k in range(base.size):
        full[k] = base[k]
    k = base.size
    if full.size > k:
        scale = 1.0 / np.sqrt(full.size - k)
        for a in range(2, 2 + dims):
            for b in range(a, 2 + dims):
                # the mean of a square is 1
                product = base[a] * base[b] - (1.0 if a == b else 0.0)
                full[k] = scale * max(-8.0, min(8.0, product))
                k += 1


@njit(cache=True, nogil=True)
def _sigmoid(x):
    return 1.0 / (1.0 + np.exp(-max(-700.0, min(700.0, x))))


@njit(cache=True, nogil=True)
def _learn(full, y, importance, keep, start, spread, weights, covariance):
    """Learn one label: the exact mode given the Gaussian of before, then its curvature there."""
    size = full.size
    if keep < 1.0:
        for a in range(size):
            weights[a] = start[a] + keep * (weights[a] - start[a])
            for b in range(size):
                covariance[a, b] *= keep * keep
            covariance[a, a] += (1.0 - keep * keep) * spread[a]
    gain, logit, width = np.zeros(size), 0.0, 0.0
    for a in range(size):
        for b in range(size):
            gain[a] += covariance[a, b] * full[b]
        logit += weights[a] * full[a]
        width += gain[a] * full[a]
    # the step t along the gain solves t = importance (y - sigmoid(logit + width t)), which is monotone
    low, high = (0.0, importance) if y == 1.0 else (-importance, 0.0)
    for _ in range(50):
        t = 0.5 * (low + high)
        if importance * (y - _sigmoid(logit + width * t)) > t:
            low = t
        else:
            high = t
    t = 0.5 * (low + high)
    p = _sigmoid(logit + width * t)
    curve = importance * p * (1.0 - p)
    curve /= 1.0 + curve * width
    for a in range(size):
        weights[a] += t * gain[a]
        for b in range(size):
            covariance[a, b] -= curve * gain[a] * gain[b]


@njit(cache=True, nogil=True)
def _find(code, heads, following, codes):
    """Give the place of an id that is waited for, or -1; a link is a place + 1, 0 = none."""
    at = heads[np.int64(code & np.uint64(heads.size - 1))]
    while at > 0 and codes[at - 1] != code:
        at = following[at - 1]
    return at - 1


@njit(cache=True, nogil=True)
def _unlink(place, heads, following, codes, importance):
    head = np.int64(codes[place] & np.uint64(heads.size - 1))
    if heads[head] == place + 1:
        heads[head] = following[place]
    else:
        at = heads[head] - 1
        while following[at] != place + 1:
            at = following[at] - 1
        following[at] = following[place]
    importance[place] = 0.0


@njit(cache=True, nogil=True)
def score_and_learn(
    rows, prior, labels, ids, nobody, share, audit, early, warm, clip, keep, salt, counts, total, scales, start, spread, weights,
    covariance, prior_ring, prior_ranked, ring, ranked, heads, following, codes, importance, pending, scores, asked,
):  # fmt: skip
    """Score the rows of events and learn those of labels.

    ``pending`` are the features of the rows whose label is waited for; an ``importance`` of 0 marks a free place.
    """
    dims = rows.shape[1]
    base, full = np.zeros(2 + 2 * dims), np.zeros(weights.size)
    for i in range(rows.shape[0]):
        scores[i], asked[i] = np.nan, 0.0
        place = _find(ids[i], heads, following, codes)
        if not np.isnan(labels[i]):
            if place < 0 or (labels[i] != 0.0 and labels[i] != 1.0):
                counts[IGNORED] += 1
                continue
            _expand(pending[place], dims, full)
            _learn(full, labels[i], importance[place], keep, start, spread, weights, covariance)
            _unlink(place, heads, following, codes, importance)
            counts[LEARNED] += 1
            continue
        evidence = np.nan
        if np.isfinite(prior[i]):
            p = _tail(prior[i], prior_ring, prior_ranked, counts[PRIORS])
            evidence = -np.log(p) if counts[PRIORS] >= warm else np.nan
            counts[PRIORS] += 1
        # the mean of -log p is 1, so a missing one says nothing
        _describe(rows, i, 1.0 if np.isnan(evidence) else evidence, scales[0], scales[1], scales[2], base)
        scores[i] = evidence
        if counts[LEARNED] > 0:
            _expand(base, dims, full)
            scores[i] = -BASE
            for k in range(full.size):
                scores[i] += weights[k] * full[k]
        over = counts[ASKED] > share * counts[EVENTS]
        first = counts[EVENTS] < early
        rate = min(1.0, _BOOST * share) if first else (_PAYBACK * share if over else share)
        random = rate * (max(audit / share, _EARLY_RANDOM) if first else audit / share)
        top = rate - random
        chosen = False
        if not np.isnan(scores[i]):
            p = _tail(scores[i], ring, ranked, counts[SCORES])
            counts[SCORES] += 1
            # where scores rise for long, the running quantile lags behind: never more than the share and what is left of the loan
            loan = (_BOOST - 1.0) * max(0.0, early - counts[EVENTS] / _TERM)
            chosen = p <= top and counts[ASKED] < share * (counts[EVENTS] + 1.0 + loan)
        chance = 1.0 if top >= 1.0 else min(1.0, random / (1.0 - top))
        draw = np.float64(mix(salt + np.uint64(counts[EVENTS])) >> np.uint64(11)) / 9007199254740992.0
        counts[EVENTS] += 1
        if ids[i] != nobody and place < 0 and (chosen or draw < chance):
            slot = counts[ASKED] % importance.size
            if importance[slot] > 0.0:
                _unlink(slot, heads, following, codes, importance)
            head = np.int64(ids[i] & np.uint64(heads.size - 1))
            following[slot], codes[slot], heads[head] = heads[head], ids[i], slot + 1
            weight = 1.0 if chosen else min(clip, 1.0 / chance)
            total[0] += weight
            # of mean one, so that as much is learned as there are labels
            importance[slot] = weight * (counts[ASKED] + 1) / total[0]
            pending[slot] = base
            counts[ASKED] += 1
            asked[i] = 1.0
