"""Slow, obvious twins of the kernels: plain Python, written from the docstrings of the steps.

Rows are dicts; ``time`` is whole microseconds since 1970. A missing value is None or NaN.
"""

import bisect
import hashlib
import json
import math
import struct

from scipy import stats

DAY = 86_400_000_000
HOUR = 3_600_000_000
MASK = 2**64 - 1


def missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def number(value):
    """A number, NaN where it is missing."""
    return math.nan if missing(value) else float(value)


def measure(value):
    """A number to reckon with, NaN where it is missing, infinite or beyond 1e150."""
    x = number(value)
    return x if abs(x) <= 1e150 else math.nan


# keys


def mix(h):
    h ^= h >> 30
    h = h * 0xBF58476D1CE4E5B9 & MASK
    h ^= h >> 27
    h = h * 0x94D049BB133111EB & MASK
    return h ^ (h >> 31)


def hash_value(value):
    """FNV-1a of the text, or the value of the number, finished by splitmix64."""
    if missing(value):
        return 0x9E3779B97F4A7C15
    if isinstance(value, str):
        h = 0xCBF29CE484222325
        for byte in value.encode():
            h = (h ^ byte) * 0x100000001B3 & MASK
        return mix(h)
    if isinstance(value, float) and not (value.is_integer() and abs(value) < 2**53):
        return mix(struct.unpack("<Q", struct.pack("<d", value))[0])
    return mix(int(value) & MASK)


def fingerprint(recipe, taken, given):
    """The sha256 of the recipe and of 128-bit sums over the rows; ``taken`` and ``given`` are lists of dicts."""
    whole = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
    for rows in (taken, given):
        one = two = 0
        for row in rows:
            h = 0
            for name, value in row.items():
                if not missing(value):
                    h += mix(hash_value(value) ^ (hash_value(name) * 3 & MASK))
            h = mix(h & MASK)
            one, two = one + h, two + mix(h ^ 0xD6E8FEB86659FD93)
        whole.update(struct.pack("<QQQ", one & MASK, two & MASK, len(rows)))
    return whole.hexdigest()


class Entities:
    """State of at most ``most`` entities; the one unseen for the longest gives way, one unseen for ``expire`` starts afresh."""

    def __init__(self, most, make, expire=math.inf):
        self.most, self.make, self.expire = most, make, expire
        self.states = {}  # entity -> [last time, state], in the order of last use
        self.fresh = False

    def of(self, entity, time):
        known = self.states.pop(entity, None)
        self.fresh = known is None or time - known[0] > self.expire
        if known is None:
            if len(self.states) == self.most:
                del self.states[next(iter(self.states))]
            known = [time, None]
        if self.fresh:
            known[1] = self.make()
        known[0] = max(known[0], time)
        self.states[entity] = known
        return known[1]


# prepare


def deduplicate(rows, within, most=math.inf):
    """Tell of each row (``time``, ``id``) whether it is a duplicate."""
    seen, newest, twice = {}, -math.inf, []
    for row in rows:
        newest = max(newest, row["time"])
        if missing(row["id"]):
            twice.append(False)
            continue
        at = seen.get(row["id"])
        twice.append(at is not None and at >= newest - within)
        if twice[-1]:
            continue
        if at is None and len(seen) >= most:
            seen = {key: t for key, t in seen.items() if t >= newest - within}
            if len(seen) * 4 > most * 3:
                kept = sorted(seen.items(), key=lambda item: (item[1], hash_value(item[0])))[len(seen) - most // 2 :]
                seen = dict(kept)
        seen[row["id"]] = row["time"]
    return twice


# features


def window_count(rows, every, size=None, lateness=0, most=math.inf, fill=False, expire=DAY):
    """Give (windows in the order in which they come out, fate of each row: "", "late" or "overflow").

    A row has ``time``, ``key``, ``value``, ``item``, ``partition`` and ``offset``. A window is a dict; ``row`` is the number of
    the row at which it comes out.
    """
    size = size or every
    windows = {}  # start -> key -> the rows in it
    known = {}  # with fill: key -> [first event, last event], in the order in which the keys came
    newest = shut = None  # all windows that start before ``shut`` have closed
    out, fates = [], []

    def open_keys():
        return set(known) if fill else {key for keys in windows.values() for key in keys}

    def close(before, at, i):
        nonlocal shut
        start = shut
        while start < before:
            if not windows and not known:
                break
            if not fill and start not in windows:
                start += every
                continue
            keys = windows.get(start, {})
            for key in list(known) if fill else keys:
                if key in keys:
                    out.append(window(start, key, keys[key], i))
                elif known[key][1] + expire <= start:
                    del known[key]
                elif start + size > known[key][0]:
                    empty = {"time": start + size, "start": start, "key": key, "count": 0, "sum": 0.0, "distinct": 0, "row": i}
                    out.append(empty | {"partition": at["partition"], "offset": at["offset"], "first": -1, "last": -1})
            windows.pop(start, None)
            start += every
        shut = before

    def window(start, key, members, i):
        total = 0.0
        for row in members:
            total += 0.0 if missing(row["value"]) else row["value"]
        offsets = [row["offset"] for row in members]
        mixed = len({row["partition"] for row in members}) > 1
        return {
            "time": start + size, "start": start, "key": key, "count": len(members), "sum": total,
            "distinct": len({None if missing(row["item"]) else row["item"] for row in members}), "row": i,
            "partition": members[-1]["partition"], "offset": members[-1]["offset"],
            "first": -1 if mixed else min(offsets), "last": -1 if mixed else max(offsets),
        }  # fmt: skip

    for i, row in enumerate(rows):
        time = row["time"]
        if newest is None or time > newest:
            newest = time
            first_open = ((newest - lateness - size) // every + 1) * every  # the first whose end the watermark has not reached
            if shut is None:
                shut = first_open
            if first_open > shut:
                close(first_open, row, i)
        last = time // every * every
        if last < shut:
            fates.append("late")
            continue
        if row["key"] not in open_keys() and len(open_keys()) >= most:
            fates.append("overflow")
            continue
        fates.append("")
        if fill:
            first, latest = known.get(row["key"], (time, time))
            known[row["key"]] = [min(first, time), max(latest, time)]
        for start in range(max(shut, last - size + every), last + every, every):
            windows.setdefault(start, {}).setdefault(row["key"], []).append(row)
    if newest is not None:
        close((newest // every + 1) * every, rows[-1], len(rows))
    return out, fates


def entity_rate(rows, halflife, per, most=math.inf, expire=math.inf):
    """Give the rate of each row (``time``, ``key``, ``value``)."""
    entities, rates = Entities(most, lambda: [None, 0.0], expire), []
    for row in rows:
        state = entities.of(row["key"], row["time"])
        amount = 0.0 if missing(row["value"]) else float(row["value"])
        gap = 0 if state[0] is None else row["time"] - state[0]
        if gap >= 0:
            state[0], state[1] = row["time"], state[1] * 0.5 ** (gap / halflife) + amount
        else:
            state[1] += amount * 0.5 ** (-gap / halflife)
        rates.append(state[1] * per * math.log(2) / halflife)
    return rates


# detectors


def turned(z, tail):
    return {"upper": z, "lower": -z, "both": abs(z)}[tail]


def ewma_z(rows, alpha=0.1, warm=5, floor=1.0, tail="upper", most=math.inf, expire=math.inf):
    entities, scores = Entities(most, lambda: {"n": 0, "mean": 0.0, "variance": 0.0}, expire), []
    for row in rows:
        s, x = entities.of(row["key"], row["time"]), measure(row["value"])
        if math.isnan(x):
            scores.append(math.nan)
            continue
        off = x - s["mean"]
        scores.append(turned(off / math.sqrt(s["variance"] + floor * floor), tail) if s["n"] >= warm else math.nan)
        if s["n"] == 0:
            s["mean"] = x
        else:
            s["mean"] += alpha * off
            s["variance"] = (1.0 - alpha) * (s["variance"] + alpha * off * off)
        s["n"] += 1
    return scores


def median(values):
    values = sorted(values)
    n = len(values)
    return values[n // 2] if n % 2 else 0.5 * (values[n // 2 - 1] + values[n // 2])


def robust_z(rows, window=101, warm=11, floor=1.0, tail="both", most=math.inf, expire=math.inf):
    entities, scores = Entities(most, list, expire), []
    for row in rows:
        past, x = entities.of(row["key"], row["time"]), measure(row["value"])
        if math.isnan(x):
            scores.append(math.nan)
            continue
        if len(past) >= warm:
            last = past[-window:]
            middle = median(last)
            deviation = 1.4826 * median([abs(v - middle) for v in last])
            scores.append(turned((x - middle) / math.sqrt(deviation * deviation + floor * floor), tail))
        else:
            scores.append(math.nan)
        past.append(x)
    return scores


def mid_tails(x, mu, size):
    """The mid-p tails of a negative binomial with mean ``mu`` and variance ``mu + mu^2 / size``."""
    known = stats.nbinom(size, size / (size + mu))
    half = 0.5 * known.pmf(x)
    return known.cdf(x - 1) + half, known.sf(x) + half


def seasonal_count(rows, alpha=0.02, warm=48, tail="both", most=math.inf, expire=math.inf):
    """Rows have ``time``, ``key`` and ``value``."""

    def make():
        return {"first": [], "n": 0, "level": 0.0, "spread": 0.1, "season": [1.0] * 168, "weight": [0] * 168}

    def usual(mu, spread):
        return mu + 6.0 * math.sqrt(mu + spread * mu * mu)

    def edge_of(counts):
        middle = median(counts)
        others = [abs(c - middle) for c in counts if c != middle]
        return max(middle + 8 * 1.4826 * (median(others) if len(others) > 2 else 0.0), usual(max(middle, 1.0), 0.1))

    def learn(s, h, seen):
        mu, rate = max(s["level"] * s["season"][h], 1e-3), max(alpha, 1.0 / (s["n"] + 1.0))
        s["n"] += 1
        if s["n"] == 1:
            s["level"] = seen
            return
        if mu >= 1.0:
            excess = max(-1.0, min(((seen - mu) ** 2 - mu) / mu**2, 10.0))
            s["spread"] = max(s["spread"] + rate * (excess - s["spread"]), 1e-4)
        s["level"] += rate * (seen / max(s["season"][h], 0.05) - s["level"])
        s["weight"][h] += 1
        if s["level"] > 0:
            step = max(alpha, 1.0 / (s["weight"][h] + 8.0))
            s["season"][h] += step * (min(seen / s["level"], 20.0) - s["season"][h])

    entities, scores = Entities(most, make, expire), []
    for row in rows:
        s, x = entities.of(row["key"], row["time"]), measure(row["value"])
        h = (row["time"] // HOUR + 72) % 168  # Monday, 0 h UTC is 0; 1970 began on a Thursday
        scores.append(math.nan)
        if not x >= 0:
            continue
        if len(s["first"]) < min(warm, 30):
            s["first"].append((x, h))
            if len(s["first"]) == min(warm, 30):
                s["edge"] = edge_of([count for count, _ in s["first"]])
                for count, hour in s["first"]:
                    learn(s, hour, min(count, s["edge"]))
            continue
        mu = max(s["level"] * s["season"][h], 1e-3)
        edge = usual(mu, s["spread"])
        if s["n"] >= warm:
            below, above = mid_tails(math.floor(x), mu, 1.0 / max(s["spread"], 1e-4))
            p = {"upper": above, "lower": below, "both": 2.0 * min(above, below)}[tail]
            scores[-1] = -math.log10(min(1.0, max(p, 1e-300)))
        else:
            edge = max(edge, s["edge"])
        learn(s, h, min(x, edge))
    return scores


def calibrated(rows, window=5_000, warm=100, most=math.inf):
    """Rows have ``time``, ``key`` and ``score``."""
    entities, out = Entities(most, list), []
    for row in rows:
        past, x = entities.of(row["key"], row["time"]), number(row["score"])
        if math.isnan(x):
            out.append(math.nan)
            continue
        last = past[-window:]
        above, equal = sum(s > x for s in last), sum(s == x for s in last)
        out.append((above + 0.5 * equal + 0.5) / (len(last) + 1) if len(past) >= warm else math.nan)
        past.append(x)
    return out


def grown(chosen, ranges, depth):
    """Cut the range of a feature in half at every node; the nodes are numbered as in a heap, from 1."""
    tree, work = {}, [("", 1, ranges)]
    while work:
        path, node, box = work.pop()
        feature = int(chosen[node])
        low, high = box[feature]
        middle = 0.5 * (low + high)
        tree[path] = feature, middle
        if len(path) < depth:
            for letter, child, half in (("L", 2 * node, (low, middle)), ("R", 2 * node + 1, (middle, high))):
                work.append((path + letter, child, [half if f == feature else b for f, b in enumerate(box)]))
    return tree


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


# alerts


def budget(rows, per_day=20, cooldown=0, memory=7 * DAY, warm=HOUR):
    """Tell of each row (``time``, ``entity``, ``score``) what becomes of it: "", "alert", "cooldown", "day" or "higher"."""
    places = max(64, int(4 * per_day * max(1.0, memory / DAY)))  # so many of the highest scores are remembered
    days = math.ceil(memory / DAY)  # whole days before the present one
    top = []  # [score, day, rows]: highest first, then oldest first
    past = []  # the day of each row
    first = newest = None
    told, quiet, fates = {}, {}, []
    for row in rows:
        time, x = row["time"], number(row["score"])
        day = time // DAY
        if first is None or time - newest > memory:
            first = time
        newest = time if newest is None else max(newest, time)
        today = newest // DAY
        top = [known for known in top if known[1] >= today - days]
        past = [known for known in past if known >= today - days]
        if math.isnan(x):
            fates.append("")
            continue
        elapsed = min(newest - first, memory)
        fate, spare = "", 0
        if top and elapsed >= warm:
            allowed = max(1, int(per_day * (elapsed / DAY)))
            every = [score for score, _, n in top for _ in range(n)]
            limit = every[min(allowed, len(every)) - 1]
            above, reached = sum(s > limit for s in every), sum(s >= limit for s in every)
            if x > limit:
                fate = "alert"
            elif x == limit and 4 * reached < len(past):
                fate, spare = "alert", min(per_day - 1, int(above / (elapsed / DAY) + 0.5)) if above else 0
        if fate:
            last = quiet.get(row["entity"])
            if last is not None and abs(time - last) < cooldown:
                fate = "cooldown"
            elif told.get(day, 0) == per_day:
                fate = "day"
            elif told.get(day, 0) >= per_day - spare:
                fate = "higher"
            else:
                told[day] = told.get(day, 0) + 1
                quiet[row["entity"]] = max(time, time if last is None else last)
        fates.append(fate)
        if day >= today - days:
            past.append(day)
            same = [known for known in top if known[:2] == [x, day]]
            if same:
                same[0][2] += 1
            else:
                bisect.insort(top, [x, day, 1], key=lambda known: -known[0])
                del top[places:]
    return fates


def severity(past, x, p=None):
    """Say how severe a score is after others (NaN left out)."""
    past = [y for y in past if not math.isnan(y)]
    rare = (sum(y > x for y in past) + 0.5 * sum(y == x for y in past) + 0.5) / (len(past) + 1) if p is None else p
    highest_of = len(past) if all(y < x for y in past) else 0
    if rare <= 1e-4 or (rare <= 1e-3 and highest_of >= 1_000):
        return "high"
    return "medium" if rare <= 1e-3 or (rare <= 1e-2 and highest_of >= 100) else "low"


def cooldown(rows, per):
    """Tell of each alert (``time``, ``entity``, ``id``) the id of the one that covers it, or None."""
    last, covered = {}, []
    for row in rows:
        known = last.get(row["entity"])
        covers = known is not None and abs(row["time"] - known[0]) < per
        covered.append(known[1] if covers else None)
        if not covers:
            last[row["entity"]] = max((row["time"], row["id"]), known or (row["time"], row["id"]))
    return covered


def merge(rows, within, by_entity=False):
    """Give the groups, lists of the numbers of their alerts, in the order in which they come out."""
    groups, out = {}, []
    for i, row in enumerate(rows):
        for key in list(groups):
            if row["time"] > max(rows[j]["time"] for j in groups[key]) + within:
                out.append(groups.pop(key))
        groups.setdefault(row["entity"] if by_entity else "", []).append(i)
    return out + list(groups.values())
