"""Slow, obvious twins of the detectors of coordination: plain Python, written from their docstrings.

Rows are dicts; ``time`` is whole microseconds since 1970. A missing value is None or NaN.
"""

import math

from naive import Entities, missing


def midas(rows, lengths, alpha=0.5, threshold=1000.0):
    """Rows have ``time``, ``source`` and ``target``. Counts are exact: as a sketch in which no keys meet."""
    sides = []
    for length in lengths:
        sides.append({"length": length, "first": None, "tick": None, "current": {}, "total": {}, "score": {}})
    scores = []
    for row in rows:
        if missing(row["source"]) or missing(row["target"]):
            scores.append(math.nan)
            continue
        keys = [("edge", row["source"], row["target"]), ("source", row["source"]), ("target", row["target"])]
        found = []
        for s in sides:
            tick = row["time"] // s["length"]
            if s["first"] is None:
                s["first"] = s["tick"] = tick
            while s["tick"] < tick:  # one tick after another, also those without an edge
                t = s["tick"] - s["first"] + 1
                for key in s["current"]:
                    if s["score"][key] < threshold:
                        s["total"][key] = s["total"].get(key, 0.0) + s["current"][key]
                    else:
                        s["total"][key] = s["total"].get(key, 0.0) * (1 + 1 / t)
                    s["current"][key] *= alpha
                s["tick"] += 1
            t = s["tick"] - s["first"] + 1
            for key in keys:
                a = s["current"][key] = s["current"].get(key, 0.0) + 1
                total = s["total"].get(key, 0.0)
                s["score"][key] = 0.0 if total == 0 or a * t <= total else (a + total - a * t) ** 2 / (total * (t - 1))
                if t > 1:
                    found.append(s["score"][key])
        scores.append(max(found, default=math.nan))
    return scores


def role_shift(rows, halflife, memory, warm, most=math.inf):
    """Rows have ``time``, ``source`` and ``target``; all pairs are remembered."""
    accounts = Entities(most, lambda: {"in": [0, 0.0, 0], "out": [0, 0.0, 0]})
    pairs, past, scores = set(), [], []

    def recent(side, now):
        return side[1] * 0.5 ** (max(now - side[2], 0) / halflife)

    def ratio(side, now):
        return min(int(8 * math.log2((side[0] + 1) / (recent(side, now) + 1))), 255)

    for row in rows:
        u, v, now = row["source"], row["target"], row["time"]
        if missing(u) or missing(v):
            scores.append(math.nan)
            continue
        source, target = accounts.of(u, now), accounts.of(v, now)
        made = target["out"][0]
        few = made if made < 32 else min(32 + int(8 * math.log2(made / 32)), 255)
        numbers = [ratio(target["in"], now), int((v, u) in pairs), -int(8 * math.log2(recent(source["out"], now) + 1)), few]
        weights = [(1 - 1 / memory) ** (len(past) - i) for i in range(len(past))]
        score = 0.0
        for k, x in enumerate(numbers):
            lower = sum(w for w, old in zip(weights, past, strict=True) if old[k] < x)
            equal = sum(w for w, old in zip(weights, past, strict=True) if old[k] == x)
            score -= math.log((lower + 0.5 * equal + 0.5) / (sum(weights) + 1))
        scores.append(score if len(past) >= warm else math.nan)
        past.append(numbers)
        pairs.add((u, v))
        for side in (source["out"], target["in"]):
            side[0], side[1], side[2] = side[0] + 1, recent(side, now) + 1, max(now, side[2])
    return scores
