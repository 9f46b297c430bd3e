"""The slow, obvious twin of the conformal k-NN detector."""

import math


def conformal_knn(values, k=3, shape=20, history=8192, calibration=16384, record=50, warm=150):
    """Score a list of numbers as ConformalKnn does one entity; what is not finite scores NaN and is not learned."""
    seen, raws, scores = [], [], []
    distances = {1: [], shape: []}
    for value in values:
        if value is None or not math.isfinite(value):
            scores.append(math.nan)
            continue
        past_rows = len(seen)
        seen.append(value)
        raw = 0.0
        for m, past in distances.items():
            a = _kth_distance(seen, m, k, history)
            raw = raw - math.log(_p(past[-calibration:], a)) if a is not None and past else math.nan
            if a is not None:
                past.append(a)
        last = raws[-record:]
        if past_rows < warm:
            scores.append(math.nan)
        elif all(raw > r for r in last):
            scores.append(raw)
        else:
            scores.append(raw - max(last))
        if not math.isnan(raw):
            raws.append(raw)
    return scores


def _kth_distance(seen, m, k, history):
    t = len(seen) - 1
    found = []
    for end in range(max(m - 1, t - history), t - m + 1):
        squares = 0.0
        for i in range(m):
            squares += (seen[t - i] - seen[end - i]) ** 2
        found.append(squares)
    return sorted(found)[k - 1] if len(found) >= k else None


def _p(past, a):
    above = sum(b > a for b in past)
    equal = sum(b == a for b in past)
    return (above + 0.5 * equal + 0.5) / (len(past) + 1)
