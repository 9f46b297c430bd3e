"""Slow, obvious twins of the detectors of rows: plain Python, written from the docstrings.

A point is a list of numbers (None or NaN where missing); the categories of a row are a list of values.
"""

import itertools
import math
import statistics

import numpy as np
from naive import MASK, grown, hash_value, mix, number

GOLDEN = 0x9E3779B97F4A7C15


def gap(point):
    return not all(abs(number(x)) <= 1e150 for x in point)


class Guard:
    """Refuses rows whose score is above the highest share of a reference that extreme scores enter only for tokens."""

    def __init__(self, share, patience):
        self.share, self.patience = share, patience
        self.reference, self.tokens, self.limit, self.seen, self.entered = [], 0.0, math.inf, 0, 0

    def admits(self, score):
        if self.share == 0 or math.isnan(score):
            return True
        extreme = self.limit < math.inf and score > self.limit + 1e-9 * abs(self.limit)
        self.tokens = min(max(1.0, 0.5 * self.share * self.patience), self.tokens + 2 * self.share)
        if not extreme or self.tokens >= 1:
            self.reference = [*self.reference, score][-(5 * self.patience // 2) :]
            self.entered += 1
            self.tokens -= 1 if extreme else 0
        self.seen += 1
        if self.seen % max(1, self.patience // 8) == 0 and self.entered >= self.patience / 2:
            self.limit = sorted(self.reference, reverse=True)[int(self.share * len(self.reference))]
        return not extreme


class Column:
    """The mean and variance of a column: made anew of 30 values, and moved by each that is within 8 deviations, or cut at them."""

    def __init__(self, memory):
        self.memory, self.n, self.mean, self.variance, self.first, self.held, self.since = memory, 0, 0.0, 0.0, [], [], 0

    def z(self, x):
        if self.variance > 0:
            return max(-1e6, min(1e6, (x - self.mean) / math.sqrt(self.variance)))
        return 0.0 if x == self.mean or self.n == 0 else math.copysign(8.0, x - self.mean)

    def renew(self, values, since):
        if since < 60:
            self.mean = statistics.median(values)
        off = [abs(v - self.mean) for v in values if v != self.mean]
        self.variance = len(off) / since * (1.4826 * statistics.median(off)) ** 2 if len(off) > 2 else 0.0
        self.n, self.held, self.since = since, [], 0

    def learn(self, x):
        most = 8 * math.sqrt(self.variance) if self.n >= 30 else math.inf
        if abs(x - self.mean) > most:
            self.held.append(x)
        elif self.variance > 0:
            self.held, self.since = [], 0
        self.since += 1 if self.held else 0
        if len(self.held) == 30:
            self.renew(self.held, self.since)
            return
        rate, off = 1.0 / min(self.n + 1.0, self.memory), max(-most, min(most, x - self.mean))
        self.mean += rate * off
        self.variance = (1 - rate) * (self.variance + rate * off * off)
        self.n += 1
        if self.n <= 30:
            self.first.append(x)
        if self.n == 30:
            self.renew(self.first, 30)


class Scale:
    """A column for each number of a point."""

    def __init__(self, memory=10_000):
        self.memory, self.columns, self.n = memory, [], 0

    def z(self, point):
        return [column.z(x) for column, x in zip(self.columns, point, strict=True)] if self.columns else [0.0] * len(point)

    def stretched(self, point):
        return [math.copysign(math.log1p(abs(z)), z) for z in self.z(point)]

    def squashed(self, point):
        return [1 / (1 + math.exp(-max(-30.0, min(30.0, z)))) for z in self.z(point)]

    def spread(self, point):
        return [max(-1e3, min(1e3, 0.5 + z / 6)) for z in self.z(point)]

    def learn(self, point):
        self.columns = self.columns or [Column(self.memory) for _ in point]
        for column, x in zip(self.columns, point, strict=True):
            column.learn(x)
        self.n += 1


class Histogram:
    """129 bins, a quarter wide; a mass lies between the two nearest."""

    def __init__(self):
        self.bins = [0.0] * 129

    def parts(self, x):
        at = max(0.0, min(128 - 1e-9, 4 * x + 64))
        low = int(at)
        return (low, 1 - (at - low)), (low + 1, at - low)

    def read(self, x):
        return sum(part * self.bins[b] for b, part in self.parts(x))

    def add(self, x, weight=1.0):
        for b, part in self.parts(x):
            self.bins[b] += part * weight

    def decay(self, factor):
        self.bins = [b * factor for b in self.bins]


class Sketch:
    """Counts of hashes; the least of the places of a hash is its count."""

    def __init__(self, slots):
        self.rows, self.slots = [{}, {}], slots

    def places(self, code):
        return [(row, mix((code + (r + 1) * GOLDEN) & MASK) % self.slots) for r, row in enumerate(self.rows)]

    def count(self, code):
        return min(row.get(at, 0.0) for row, at in self.places(code))

    def add(self, code, weight=1.0):
        least = self.count(code) + weight
        for row, at in self.places(code):
            row[at] = max(row.get(at, 0.0), least)

    def decay(self, factor):
        self.rows = [{at: count * factor for at, count in row.items()} for row in self.rows]


def loda(points, projections=100, halflife=10_000, warm=250, guard=0.05, patience=5_000, seed=0):
    rng = np.random.default_rng(seed)
    dims = len(points[0]) if points else 1
    drawn = []
    for _ in range(projections):
        some = math.ceil(math.sqrt(dims))
        features, weights = rng.choice(dims, some, replace=False), rng.normal(size=some)
        length = math.sqrt(sum(w * w for w in weights))
        drawn.append([(int(f), w / length) for f, w in zip(features, weights, strict=True)])
    keep, histograms, total = 0.5 ** (1 / halflife), [Histogram() for _ in drawn], 0.0
    scale, watch, scores = Scale(halflife / math.log(2)), Guard(guard, patience), []
    for point in points:
        if gap(point):
            scores.append(math.nan)
            continue
        z = scale.stretched(point)
        at = [sum(w * z[f] for f, w in one) for one in drawn]
        logs = [math.log((h.read(x) + 0.5) / (total + 129 * 0.5)) for h, x in zip(histograms, at, strict=True)]
        scores.append(-sum(logs) / projections if scale.n >= warm else math.nan)
        if watch.admits(scores[-1]):
            for h, x in zip(histograms, at, strict=True):
                h.add(x)
                h.decay(keep)
            total = (total + 1) * keep
            scale.learn(point)
    return scores


def decayed_histogram(points, kinds, halflife=10_000, warm=250, guard=0.05, patience=5_000):
    keep, total = 0.5 ** (1 / halflife), 0.0
    histograms = [Histogram() for _ in points[0]] if points else []
    sketches = [Sketch(4096) for _ in kinds[0]] if kinds else []
    scale, watch, scores = Scale(halflife / math.log(2)), Guard(guard, patience), []
    for point, kind in zip(points, kinds, strict=True):
        if gap(point):
            scores.append(math.nan)
            continue
        z, hashes = scale.stretched(point), [hash_value(k) for k in kind]
        score = -sum(math.log((h.read(x) + 0.5) / (total + 129 * 0.5)) for h, x in zip(histograms, z, strict=True))
        score -= sum(math.log((s.count(k) + 0.5) / (total + 1)) for s, k in zip(sketches, hashes, strict=True))
        scores.append(score if scale.n >= warm else math.nan)
        if watch.admits(scores[-1]):
            for one, x in [*zip(histograms, z, strict=True), *zip(sketches, hashes, strict=True)]:
                one.add(x)
                one.decay(keep)
            total = (total + 1) * keep
            scale.learn(point)
    return scores


def rs_hash(points, kinds, components=50, sample=1_000, halflife=10_000, warm=250, guard=0.05, patience=5_000, seed=0):
    rng = np.random.default_rng(seed)
    numbers = len(points[0]) if points else 1
    dims, grids = numbers + (len(kinds[0]) if kinds else 0), []
    for _ in range(components):
        edge = 1 / math.sqrt(sample)
        width = edge + (1 - 2 * edge) * rng.random()
        most = math.log(sample) / math.log(max(2.0, 1 / width))
        low, high = math.ceil(1 + most / 2), math.floor(most)
        size = min(dims, int(rng.integers(low, max(low, high) + 1)))
        features = rng.choice(dims, size, replace=False)
        grids.append((width, [int(f) for f in features], [u * width for u in rng.random(size)]))
    keep, sketches, total = 0.5 ** (1 / halflife), [Sketch(2048) for _ in grids], 0.0
    scale, watch, scores = Scale(halflife / math.log(2)), Guard(guard, patience), []
    for point, kind in zip(points, kinds, strict=True):
        if gap(point):
            scores.append(math.nan)
            continue
        placed = scale.spread(point)
        cells = []
        for width, features, shifts in grids:
            code = 0
            for f, shift in zip(features, shifts, strict=True):
                side = math.floor((placed[f] + shift) / width) if f < numbers else hash_value(kind[f - numbers])
                code = mix((code + GOLDEN) & MASK ^ side & MASK)
            cells.append(code)
        shares = [(s.count(c) + 1) / (total + 1) for s, c in zip(sketches, cells, strict=True)]
        scores.append(-sum(map(math.log2, shares)) / components if scale.n >= warm else math.nan)
        if watch.admits(scores[-1]):
            for s, c in zip(sketches, cells, strict=True):
                s.add(c)
                s.decay(keep)
            total = (total + 1) * keep
            scale.learn(point)
    return scores


def mstream(
    times, points, kinds, every=3_600_000_000, alpha=0.8, halflife=10_000, warm=10, guard=0.01, patience=5_000, seed=0
):  # fmt: skip
    dims = len(points[0]) if points else 1
    signs = np.random.default_rng(seed).normal(size=(8, dims)) if dims else []
    features = [Histogram for _ in range(dims)] + [lambda: Sketch(4096) for _ in kinds[0]] if kinds else []
    features.append(lambda: Sketch(4096))
    now, ever = [make() for make in features], [make() for make in features]
    first, newest, clock, strays = None, 0, 0, 0
    scale, watch, scores = Scale(halflife / math.log(2)), Guard(guard, patience), []
    for time, point, kind in zip(times, points, kinds, strict=True):
        if gap(point):
            scores.append(math.nan)
            continue
        if first is not None and abs(time - clock) > 10_000 * every:
            strays += 1
            if strays < 30:
                scores.append(math.nan)
                continue
            now, ever, first = [make() for make in features], [make() for make in features], None
        strays, clock = 0, time if first is None else max(clock, time)
        if first is None:
            first = newest = time // every
        for _ in range(newest, time // every):
            for one in now:
                one.decay(alpha)
        newest = max(newest, time // every)
        z = scale.stretched(point)
        bits = 0
        for row in signs:
            bits = 2 * bits + int(sum(s * x for s, x in zip(row, z, strict=True)) > 0)
        joint = mix(bits)
        for k in kind:
            joint = mix((joint + GOLDEN) & MASK ^ hash_value(k))
        values = [*z, *(hash_value(k) for k in kind), joint]
        t, total = newest - first + 1, 0.0
        left = sum(alpha**k for k in range(t))  # what a row a tick would have left of itself
        for one, all_, x in zip(now, ever, values, strict=True):
            a, s = (h.read(x) + 1 if isinstance(h, Histogram) else h.count(x) + 1 for h in (one, all_))
            expected = left * s / t
            if a > expected:
                total += (a - expected) ** 2 / expected * t / (t - 1)
        scores.append(math.log1p(total) if t > warm else math.nan)
        learned = watch.admits(scores[-1])
        for one, x in zip(now, values, strict=True):
            one.add(x)
        if learned:
            for one, x in zip(ever, values, strict=True):
                one.add(x)
            scale.learn(point)
    return scores


def half_space_trees(points, trees=25, depth=8, window=250, seed=0, guard=0.05, patience=5_000):
    """Points are lists of numbers. What is refused is as if it had never come."""
    dims = len(points[0]) if points else 1
    rng = np.random.default_rng(seed)
    chosen, forest = rng.integers(0, dims, (trees, 2 ** (depth + 1))), []
    for t in range(trees):
        centre = rng.random(dims)
        reach = [2.0 * max(c, 1.0 - c) for c in centre]
        forest.append(grown(chosen[t], [(c - r, c + r) for c, r in zip(centre, reach, strict=True)], depth))
    scale, window_of, past, watch, scores = Scale(), [], None, Guard(guard, patience), []
    for raw in points:
        if gap(raw):
            scores.append(math.nan)
            continue
        point = scale.spread(raw)
        paths = []
        for tree in forest:
            path = ""
            while len(path) < depth:
                feature, split = tree[path]
                path += "R" if point[feature] > split else "L"
            paths.append(path)
        scores.append(math.nan)
        if past is not None:
            total = 0.0
            for t, path in enumerate(paths):
                masses = [sum(row[t].startswith(path[:level]) for row in past) for level in range(depth + 1)]
                level = next((k for k, mass in enumerate(masses) if mass < 0.1 * window), depth)
                total += masses[level] * 2.0**level
            scores[-1] = 1.0 - total / (trees * window * 2.0**depth)
        if watch.admits(scores[-1]):
            scale.learn(raw)
            window_of.append(paths)
            if len(window_of) == window:
                past, window_of = window_of, []
    return scores


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


class Autoencoder:
    """One hidden layer, tied weights."""

    def __init__(self, size, hidden, rng):
        self.size, self.units = size, math.ceil(hidden * size)
        self.w = rng.uniform(-1 / size, 1 / size, (size, self.units)).tolist()
        self.b, self.c = [0.0] * self.units, [0.0] * size

    def rebuild(self, x):
        h = [sigmoid(self.b[j] + sum(x[k] * self.w[k][j] for k in range(self.size))) for j in range(self.units)]
        return h, [x[k] - sigmoid(self.c[k] + sum(h[j] * self.w[k][j] for j in range(self.units))) for k in range(self.size)]

    def error(self, x):
        return math.sqrt(sum(e * e for e in self.rebuild(x)[1]) / self.size)

    def train(self, x, rate):
        x = [max(0.0, min(1.0, v)) for v in x]
        h, errors = self.rebuild(x)
        back = [sum(errors[k] * self.w[k][j] for k in range(self.size)) * h[j] * (1 - h[j]) for j in range(self.units)]
        for k, j in itertools.product(range(self.size), range(self.units)):
            self.w[k][j] += rate * (x[k] * back[j] + errors[k] * h[j])
        self.b = [b + rate * v for b, v in zip(self.b, back, strict=True)]
        self.c = [c + rate * v for c, v in zip(self.c, errors, strict=True)]


def clusters(distance, most):
    """Grow the tree of single linkage from the leaves; a branch too large, and all above it, falls apart into its children."""
    dims = len(distance)
    branches, kept = [frozenset([d]) for d in range(dims)], []
    fixed = set()
    while len(branches) > 1:
        _, _, a, b = min(
            (distance[i][j], (i, j), a, b)
            for a, b in itertools.combinations(range(len(branches)), 2)
            for i, j in [
                min(((min(i, j), max(i, j)) for i in branches[a] for j in branches[b]), key=lambda p: (distance[p[0]][p[1]], p))
            ]
        )
        one, two = branches[a], branches[b]
        both = one | two
        if len(both) > most:
            kept += [part for part in (one, two) if len(part) <= most and part not in fixed]
            fixed |= {one, two, both}
        branches = [branch for n, branch in enumerate(branches) if n not in (a, b)] + [both]
    kept += [branch for branch in branches if len(branch) <= most]
    return sorted(sorted(group) for group in kept)


def kitnet(points, group=10, hidden=0.75, rate=0.1, mapping=500, warm=2_000, guard=0.05, patience=5_000, seed=0):
    scale, told, watch, grace, net, scores = Scale(), Scale(), Guard(guard, patience), [], None, []
    for point in points:
        scores.append(math.nan)
        if gap(point):
            continue
        z = scale.spread(point)
        if net is None:
            grace.append([max(0.0, min(1.0, x)) for x in z])
            scale.learn(point)
            if len(grace) == mapping:
                groups = clusters(distances(grace), group)
                rng = np.random.default_rng(seed)
                net = [Autoencoder(len(g), hidden, rng) for g in [*groups, groups]]
            continue
        inputs = [[z[d] for d in g] for g in groups]
        found = [ae.error(x) for ae, x in zip(net[:-1], inputs, strict=True)]
        inputs.append(told.spread(found))
        if scale.n >= warm:
            scores[-1] = net[-1].error(inputs[-1])
        if watch.admits(scores[-1]):
            for ae, x in zip(net, inputs, strict=True):
                ae.train(x, rate)
            told.learn(found)
            scale.learn(point)
    return scores


def distances(rows):
    n, dims = len(rows), len(rows[0])
    sums = [sum(row[d] for row in rows) for d in range(dims)]
    out = [[1.0] * dims for _ in range(dims)]

    def shared(d, e):
        return n * sum(row[d] * row[e] for row in rows) - sums[d] * sums[e]

    for d, e in itertools.product(range(dims), repeat=2):
        if shared(d, d) > 0 and shared(e, e) > 0:
            out[d][e] = 1 - shared(d, e) / math.sqrt(shared(d, d) * shared(e, e))
    return out
