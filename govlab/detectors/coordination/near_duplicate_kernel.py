"""The kernel of NearDuplicate: sets of shingles, the best earlier match, and clusters that grow."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from govlab.detectors.wrong_clock import AFRESH, STRAY, clock_of
from govlab.hashing import NULL_HASH, mix

BANDS = 32  # minima of a text; one in common makes two texts candidates, so 97 % of those with a Jaccard measure of 0.1 are
AUTHORS = 64  # of a cluster: so many are told apart
TEXT = np.dtype([("row", "i8"), ("cluster", "i8"), ("shingles", "i8")])
CLUSTER = np.dtype(
    [("name", "u8"), ("texts", "i8"), ("recent", "f8"), ("usual", "f8"), ("time", "i8"), ("distinct", "i8"), ("authors", "u8", 64)]
)
LEARNED, FREE, FIRST = range(3)  # of the stream: texts learned, free clusters, first time


@njit(cache=True, nogil=True)
def log10_tail(r, mu):
    """Give log10 of P(X >= r) for a Poisson X with mean mu; for an r that is not whole by the incomplete gamma function."""
    front = r * math.log(mu) - mu - math.lgamma(r + 1.0)
    if mu < r + 1.0:
        total = term = 1.0
        k = r
        while term > 1e-14 * total:
            k += 1.0
            term *= mu / k
            total += term
        return min((front + math.log(total)) / math.log(10.0), 0.0)
    b = mu + 1.0 - r  # the other tail, by a continued fraction (Lentz)
    c, d = 1e300, 1.0 / b
    h = d
    for i in range(1, 10_000):
        an = -i * (i - r)
        b += 2.0
        d = an * d + b
        d = 1.0 / (d if abs(d) > 1e-300 else 1e-300)
        c = b + an / c
        c = c if abs(c) > 1e-300 else 1e-300
        h *= d * c
        if abs(d * c - 1.0) < 1e-14:
            break
    below = math.exp(front + math.log(r)) * h
    return math.log10(max(1.0 - below, 1e-16))


@njit(cache=True, nogil=True)
def _shingles(characters, begin, size, shingle, out):
    """Put the distinct hashes of the runs of characters into ``out``, in order; gives how many there are."""
    n = size - shingle + 1
    for i in range(n):
        h = np.uint64(0xCBF29CE484222325)
        for j in range(begin + i, begin + i + shingle):
            h = (h ^ np.uint64(characters[j])) * np.uint64(0x100000001B3)
        out[i] = np.uint32(mix(h) >> np.uint64(32))
    out[:n].sort()
    kept = 1
    for i in range(1, n):
        if out[i] != out[kept - 1]:
            out[kept] = out[i]
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def _common(one, m, other, n):
    i = j = both = 0
    while i < m and j < n:
        if one[i] == other[j]:
            both += 1
            i += 1
            j += 1
        elif one[i] < other[j]:
            i += 1
        else:
            j += 1
    return both


@njit(cache=True, nogil=True)
def run_rows(
    characters, sizes, authors, times, window, background, far, join, shingle, least, warm, texts, sets, clusters, bands, free,
    state, clock, scores, contained, distinct, names,
):  # fmt: skip
    """Score each text and then learn it, in order."""
    begin = np.int64(0)
    now_set, minima, tried = np.zeros(sets.shape[1], "uint32"), np.zeros(BANDS, "uint64"), np.zeros(BANDS, "int64")
    odd = np.zeros(BANDS, "uint64")
    for band in range(BANDS):
        odd[band] = mix(np.uint64(band + 1) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
    for i in range(sizes.size):
        begin, size = begin + (sizes[i - 1] if i else 0), sizes[i]
        if size < least:
            continue
        m = _shingles(characters, begin, size, shingle, now_set)
        if m < least - shingle + 1:
            continue
        fits = clock_of(times[i], far, clock)
        if fits == STRAY:
            continue
        if fits == AFRESH:
            bands[:], state[LEARNED], state[FREE] = 0, 0, free.size
            for k in range(free.size):
                free[k] = k
        now = clock[0]
        state[FIRST] = state[FIRST] if state[LEARNED] else now
        minima[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
        name = np.uint64(0)
        for j in range(m):
            h = mix(np.uint64(now_set[j]) + np.uint64(0x9E3779B97F4A7C15))
            name = mix(name ^ h)
            for band in range(BANDS):
                minima[band] = min(minima[band], h * odd[band])  # another order for each band
        best, match, tries = 0.0, -1, 0
        for band in range(BANDS):
            row = bands[band, mix(minima[band]) % np.uint64(bands.shape[1])] - 1
            if row < 0 or row < state[LEARNED] - texts.size:
                continue
            known = False
            for k in range(tries):
                known |= tried[k] == row
            if known:
                continue
            tried[tries] = row
            tries += 1
            other = row % texts.size
            share = _common(now_set, m, sets[other], texts[other].shingles) / min(m, texts[other].shingles)
            if share > best or (share == best and match >= 0 and row > texts[match].row):
                best, match = share, other
        joins = best >= join
        if joins:
            c = texts[match].cluster
            gap = max(now - clusters[c].time, 0)
            fading = (math.exp(-gap / window), math.exp(-gap / (window * background)))
        else:
            state[FREE] -= 1
            c = free[state[FREE]]
            clusters[c].name, clusters[c].texts, clusters[c].distinct = name, 0, 0
            clusters[c].recent = clusters[c].usual = 0.0
            fading = (0.0, 0.0)
        clusters[c].recent, clusters[c].usual = clusters[c].recent * fading[0] + 1.0, clusters[c].usual * fading[1] + 1.0
        clusters[c].time = now
        if authors[i] != NULL_HASH:
            new = True
            for k in range(clusters[c].distinct):
                new &= clusters[c].authors[k] != authors[i]
            if new and clusters[c].distinct < AUTHORS:
                clusters[c].authors[clusters[c].distinct] = authors[i]
                clusters[c].distinct += 1
        if state[LEARNED] >= warm:
            scores[i], contained[i], distinct[i], names[i] = best, best, clusters[c].distinct, clusters[c].name
            if joins:
                # the mean of the recent number, were the cluster always as it was on average; young streams have less of it
                age = max(np.float64(now - state[FIRST]), 1.0)
                recent, usual = -math.expm1(-age / window), -background * math.expm1(-age / (window * background))
                scores[i] -= log10_tail(clusters[c].recent, clusters[c].usual * recent / usual)
        place = state[LEARNED] % texts.size
        if state[LEARNED] >= texts.size:  # the oldest gives way, and with its last text a cluster
            gone = texts[place].cluster
            clusters[gone].texts -= 1
            if clusters[gone].texts == 0 and gone != c:
                free[state[FREE]] = gone
                state[FREE] += 1
        texts[place].row, texts[place].cluster, texts[place].shingles = state[LEARNED], c, m
        clusters[c].texts += 1
        sets[place, :m] = now_set[:m]
        sets[place, m:] = 0
        state[LEARNED] += 1
        for band in range(BANDS):
            bands[band, mix(minima[band]) % np.uint64(bands.shape[1])] = state[LEARNED]
