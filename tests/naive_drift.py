"""Slow, obvious twins of the drift detectors: plain Python, written from their docstrings."""

import math

import numpy as np
from naive import MASK, Entities, hash_value, measure, median, missing, mix, number
from scipy import stats


class Gate:
    """Values beyond 5 deviations are held out until ``hold`` of them have come in a row; 0 and 1 alone are never."""

    def __init__(self, hold):
        self.hold, self.first, self.binary, self.run = hold, [], True, 0
        self.centre = self.spread = self.rare = None
        self.odd, self.since = [], 0  # values that differ from a constant, and how many have come since the first of them

    def judge(self, x):
        """Give what the detector is to learn of the values so far: whether it begins again, and the values."""
        self.binary = self.binary and x in (0.0, 1.0)
        again, let_in = self.follow(x) if self.hold else (False, [x])
        return (False, [x]) if self.binary else (again, let_in)

    def follow(self, x):
        if len(self.first) < 30:
            self.first.append(x)
            if len(self.first) < 30:
                return False, [x]
            self.centre = median(self.first)
            self.make_band(self.first, sum(v == self.centre for v in self.first) > 15)
            inside = [v for v in self.first if abs(v - self.centre) <= 5 * self.spread]
            return (False, [x]) if len(inside) == 30 else (True, inside)
        if self.spread == 0.0:
            self.odd += [x] if x != self.centre else []
            self.since += bool(self.odd)
            if len(self.odd) == 30:
                if self.since == 30:  # in a row: another level
                    self.centre = median(self.odd)
                self.make_band(self.odd, self.since > 30 or sum(v == self.centre for v in self.odd) > 15)
                self.odd, self.since, self.run = [], 0, 0
                return False, [x]
        off, edge = x - self.centre, 5 * self.spread
        self.run = self.run + 1 if abs(off) > edge else 0
        if 0 < self.run < self.hold:
            return False, []
        if not self.rare:
            self.centre += 0.01 * math.copysign(min(abs(off), edge), off)
        if not self.rare or off != 0:
            self.spread += 0.01 * (math.sqrt(math.pi / 2) * min(abs(off), edge) - self.spread)
        return False, [x]

    def make_band(self, values, rare):
        """The band of the values, or, where most are equal to the centre, of the others."""
        far, self.rare = [abs(v - self.centre) for v in values], rare
        some = [f for f in far if f > 0 or not rare]
        self.spread = 1.4826 * median(some) if sum(f > 0 for f in far) > 2 else 0.0


def watched(rows, make, hold, most, expire):
    """Score rows (``time``, ``key``, ``value``) by one model an entity; ``make()`` gives a function value -> (score, drift)."""
    entities, scores = Entities(most, dict, expire), []
    for row in rows:
        s, x = entities.of(row["key"], row["time"]), measure(row["value"])
        if entities.fresh:
            s["model"], s["gate"] = make(), Gate(hold)
        again, learned = (False, []) if math.isnan(x) else s["gate"].judge(x)
        if again:
            s["model"] = make()
        given = [s["model"](v) for v in learned]
        score = given[0] if given and not again else math.nan
        scores.append(score)
        if isinstance(score, float) and score > 1.0:
            s["gate"] = Gate(hold)
    return scores


def page_hinkley(
    rows,
    delta=0.25,
    threshold=20.0,
    alpha=0.9999,
    warm=30,
    tail="both",
    units="deviations",
    hold=30,
    most=math.inf,
    expire=math.inf,
):
    def make():
        past, ups, downs = [], [], []

        def model(x):
            past.append(x)
            mean = math.fsum(past) / len(past)
            step = x - mean
            if units == "deviations":
                deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in past) / len(past))
                step = max(-4.0, min(step / deviation, 4.0)) if deviation > 0 and len(set(past)) > 1 else 0.0
            ups.append(alpha * (ups[-1] if ups else 0.0) + step - delta)
            downs.append(alpha * (downs[-1] if downs else 0.0) + step + delta)
            if len(past) < warm:
                return math.nan
            rise, fall = ups[-1] - min(ups), max(downs) - downs[-1]
            score = {"upper": rise, "lower": fall, "both": max(rise, fall)}[tail] / threshold
            if score > 1.0:
                for kept in (past, ups, downs):
                    kept.clear()
            return score

        return model

    return watched(rows, make, hold, most, expire)


def hddm(rows, level=0.001, low=0.0, high=1.0, warm=30, tail="upper", hold=30, most=math.inf, expire=math.inf):
    def bound(n):
        return math.sqrt(math.log(1 / level) / (2 * n))

    def make():
        means = []

        def model(x):
            x = (max(low, min(x, high)) - low) / (high - low)
            n = len(means) + 1
            means.append(x if n == 1 else means[-1] + (x - means[-1]) / n)
            if n < warm:
                return math.nan
            # the last of those with the least upper bound, and with the greatest lower bound
            least = min(range(1, n + 1), key=lambda k: (means[k - 1] + bound(k), -k))
            greatest = max(range(1, n + 1), key=lambda k: (means[k - 1] - bound(k), k))
            rise, fall = (
                0.0 if k == n else off / math.sqrt((1 / k - 1 / n) / 2 * math.log(2 / level))
                for k, off in ((least, means[-1] - means[least - 1]), (greatest, means[greatest - 1] - means[-1]))
            )
            score = {"upper": rise, "lower": fall, "both": max(rise, fall)}[tail]
            if score > 1.0:
                means.clear()
            return score

        return model

    return watched(rows, make, hold, most, expire)


def adwin(rows, delta=0.002, every=32, buckets=5, warm=10, span=None, hold=30, most=math.inf, expire=math.inf):
    def make():
        window = []  # buckets, each a list of values, the oldest first
        seen = []
        last = [math.nan]

        def worst():
            values = [v for bucket in window for v in bucket]
            n, ratios = len(values), []
            width = max(seen) - min(seen) if span is None else span
            doubt = math.log(2 * math.log(n) / delta)
            variance = float(np.var(values))
            for k in range(1, len(window)):
                n0 = sum(map(len, window[:k]))
                if min(n0, n - n0) < 5:
                    continue
                part = 1 / (n0 - 4) + 1 / (n - n0 - 4)
                allowed = math.sqrt(2 * part * variance * doubt) + 2 / 3 * width * doubt * part
                off = abs(math.fsum(values[:n0]) / n0 - math.fsum(values[n0:]) / (n - n0))
                ratios.append(off / allowed if allowed > 0 else 0.0)
            return max(ratios, default=math.nan)

        def model(x):
            seen.append(x)
            window.append([x])
            size = 1
            while sum(len(bucket) == size for bucket in window) > buckets:
                k = next(j for j, bucket in enumerate(window) if len(bucket) == size)
                window[k : k + 2] = [window[k] + window[k + 1]]
                size *= 2
            if len(seen) % every or sum(map(len, window)) <= warm:
                return last[0]
            found = last[0] = worst()
            if found > 1.0:
                window.clear()
                seen.clear()
                last[0] = math.nan
            return found

        return model

    return watched(rows, make, hold, most, expire)


def bocpd(rows, every=250.0, lag=5, memory=5_000, warm=10, hold=5, most=math.inf, expire=math.inf):
    """Give (score, run length) of each row; all run lengths are kept."""

    def make():
        seen, p = [], {}  # p: length of the run that ends at the last row -> its probability (log)

        def prior(values):
            mean = variance = 0.0
            for n, v in enumerate(values):
                weight = max(1 / (n + 1), 1 / memory)
                off = v - mean
                mean += weight * off
                variance = (1 - weight) * (variance + weight * off * off)
            return mean, variance

        def density(x, run, centre, variance):
            if variance == 0:
                return 0.0
            n = len(run)
            mean = math.fsum(run) / n if n else 0.0
            beta = variance + math.fsum((v - mean) ** 2 for v in run) / 2 + n * (mean - centre) ** 2 / (2 * (n + 1))
            alpha, kappa = 1 + n / 2, 1 + n
            scale = math.sqrt(beta * (kappa + 1) / (alpha * kappa))
            return float(stats.t.logpdf(x, 2 * alpha, (centre + n * mean) / kappa, scale))

        def model(x):
            centre, variance = prior(seen)
            longer = {n + 1: q + math.log(1 - 1 / every) + density(x, seen[-n:], centre, variance) for n, q in p.items()}
            longer[1] = (math.log(1 / every) if p else 0.0) + density(x, [], centre, variance)
            top = max(longer.values())
            whole = top + math.log(math.fsum(math.exp(q - top) for q in longer.values()))
            p.clear()
            p.update({n: q - whole for n, q in longer.items()})
            seen.append(x)
            if len(seen) <= warm:
                return math.nan, math.nan
            return math.fsum(math.exp(q) for n, q in p.items() if n <= lag), max(p, key=lambda n: (p[n], n))

        return model

    return watched(rows, make, hold, most, expire)


def psi(reference, recent):
    """The population stability index of two lists of bins, with half a row more in each bin that either has."""
    bins = {*reference, *recent}
    total = 0.0
    for b in bins:
        p = (recent.count(b) + 0.5) / (len(recent) + 0.5 * len(bins))
        q = (reference.count(b) + 0.5) / (len(reference) + 0.5 * len(bins))
        total += (p - q) * math.log(p / q)
    return total


def input_drift(
    rows, window, reference, memory, every, block=1, bins=10, level=0.001, seed=0, numeric=("value",), categories=("item",)
):
    """Rows are dicts with the columns."""
    chance = [int(np.random.default_rng(seed).integers(0, 2**63))]

    def draw():
        chance[0] = (chance[0] + 0x9E3779B97F4A7C15) & MASK
        return (mix(chance[0]) >> 11) * 2.0**-53

    def edges_of(name, first):
        known = sorted(number(row[name]) for row in first if not math.isnan(number(row[name])))
        return [known[len(known) * q // bins] if known else 0.0 for q in range(1, bins)]

    def coded(row, edges):
        numbers = [
            "missing" if math.isnan(number(row[n])) else sum((number(row[n]) > e) + (number(row[n]) >= e) for e in edges[n])
            for n in numeric
        ]
        return [*numbers, *(hash_value(None if missing(row[n]) else row[n]) % 64 for n in categories)]

    def checked(past, last):
        rows = [*last, *past]
        columns = list(zip(*rows, strict=True))
        actual = [psi(column[len(last) :], column[: len(last)]) for column in columns]
        null = []
        for _ in range(100):
            blocks, chosen = len(rows) // block, []
            for b in range(blocks):
                chosen += [draw() * (blocks - b) < (len(last) - sum(chosen)) // block] * block
            parts = [
                [[c for c, k in zip(column, chosen, strict=True) if k is side] for side in (False, True)] for column in columns
            ]
            null.append([psi(*part) for part in parts])
        scores = [0.0]
        for d in range(len(columns)):
            mean, variance = np.mean([row[d] for row in null]), np.var([row[d] for row in null], ddof=1)
            if mean > 0 and variance > 1e-12 * mean * mean:
                part = variance / (9 * mean * mean)
                z = 1.06 * math.sqrt(1 + 1 / 100) * stats.t.isf(level / len(columns), 99)
                scores.append(actual[d] / (mean * (1 - part + z * math.sqrt(part)) ** 3))
        return max(scores)

    scores, first, past, last, held = [], [], [], [], math.nan
    for row in rows:
        if len(first) < reference:
            first.append(row)
            scores.append(math.nan)
            if len(first) == reference:
                edges = {name: edges_of(name, first) for name in numeric}
                past, last, n = [coded(r, edges) for r in first], [], 0
            continue
        n += 1
        if len(last) == window:
            if (n - 1) % window % block == 0 and draw() < reference / memory:
                to = int(draw() * (reference // block)) * block
                past[to : to + block] = last[:block]
            last.pop(0)
        last.append(coded(row, edges))
        # the order of the recent rows is that of their places in a ring
        ring = [last[(p - n) % window] for p in range(window)] if len(last) == window else last
        if n >= window and (n - window) % every == 0:
            held = checked(past, ring)
        scores.append(held)
        if held > 1.0:
            first, held = [], math.nan
    return scores
