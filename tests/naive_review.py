"""A slow, obvious twin of the review learner, and of putting labels into the stream: plain Python, written from the docstrings.

Rows are dicts. A label, prior or value that is missing is None or NaN.
"""

import math

import numpy as np
from naive import MASK, missing, mix, number

ODDS = math.log(0.01 / 0.99)


def with_labels(times, labels):
    """Give the order of the stream: ("event", i) and ("label", j); labels are pairs of the event's number and the time known."""
    pending = sorted(range(len(labels)), key=lambda j: labels[j][1])
    out = []
    for i in range(len(times) + 1):
        for j in list(pending):
            event, known = labels[j]
            over = i == len(times) or max(times[: i + 1]) > known
            if event < i and over:
                out.append(("label", j))
                pending.remove(j)
        if i < len(times):
            out.append(("event", i))
    return out


def tail(past, x, window):
    last = past[-window:]
    past.append(x)
    above, equal = sum(v > x for v in last), sum(v == x for v in last)
    return (above + 0.5 * equal + 0.5) / (len(last) + 1)


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


class Scale:
    """The z of sign(x) log(1 + |x|), 0 for a constant; from 10,000 values on exponential, which no test reaches."""

    def __init__(self):
        self.past = []

    def z(self, x):
        x = math.copysign(math.log1p(abs(x)), x)
        mean, spread = (np.mean(self.past), np.std(self.past)) if self.past else (0.0, 0.0)
        z = (x - mean) / spread if spread > 1e-6 else 0.0
        self.past.append(x)
        return max(-8.0, min(8.0, z))


class Learner:
    """Score rows with ``values`` (list), ``id``, ``label`` and ``prior``, one by one."""

    def __init__(self, dims, prior, share, audit, early, clip, products, halflife, window, warm, most, seed):
        self.share, self.audit, self.early, self.clip, self.products = share, audit, early, clip, products
        self.window, self.warm, self.most = window, warm, most
        self.keep = 0.5 ** (1 / halflife) if halflife else 1.0
        size = 2 + 2 * dims + (dims * (dims + 1) // 2 if products else 0)
        self.start, self.spread = np.zeros(size), np.eye(size)
        self.start[0], self.start[1], self.spread[0, 0] = ODDS, float(prior), 4.0
        self.mean, self.cov = self.start.copy(), self.spread.copy()
        self.salt = int(np.random.default_rng(seed).integers(2**63, dtype="uint64"))
        self.scales = [Scale() for _ in range(dims)]
        self.priors, self.scores, self.weights, self.asked = [], [], [], []  # asked: [id, features, weight, open]
        self.events = self.learned = self.ignored = 0

    def waited(self, id):
        return next((a for a in self.asked[-self.most :] if a[0] == id and a[3]), None)

    def features(self, values, evidence):
        z = [0.0 if not math.isfinite(number(v)) else s.z(v) for v, s in zip(values, self.scales, strict=True)]
        gaps = [float(not math.isfinite(number(v))) for v in values]
        pairs = [(a, b) for a in range(len(z)) for b in range(a, len(z))] if self.products else []
        product = [max(-8.0, min(8.0, z[a] * z[b] - (a == b))) / math.sqrt(len(pairs)) for a, b in pairs]
        return np.array([1.0, 1.0 if math.isnan(evidence) else evidence, *z, *gaps, *product])

    def row(self, row):
        known = None if missing(row["id"]) else self.waited(row["id"])
        if not missing(row["label"]):
            if known is None or row["label"] not in (0, 1):
                self.ignored += 1
            else:
                self.learn(known[1], row["label"], known[2])
                known[3] = False
            return math.nan, 0.0
        evidence = math.nan
        if math.isfinite(number(row["prior"])):
            p = tail(self.priors, row["prior"], 5_000)
            evidence = -math.log(p) if len(self.priors) > self.warm else math.nan
        features = self.features(row["values"], evidence)
        score = evidence if self.learned == 0 else float(self.mean @ features) - ODDS
        return score, self.ask(row["id"], known, features, score)

    def ask(self, id, known, features, score):
        rate, random = self.share, self.audit / self.share
        if self.events < self.early:
            rate, random = min(1.0, 4 * self.share), max(0.5, random)
        elif len(self.asked) > self.share * self.events:
            rate = 0.8 * self.share
        loan = 3 * self.share * max(0.0, self.early - self.events / 20)
        top = rate - rate * random
        chosen = not math.isnan(score) and tail(self.scores, score, self.window) <= top
        chosen = chosen and len(self.asked) < self.share * (self.events + 1) + loan
        chance = min(1.0, rate * random / (1 - top)) if top < 1 else 1.0
        draw = (mix(self.salt + self.events & MASK) >> 11) / 2**53
        self.events += 1
        if missing(id) or known is not None or not (chosen or draw < chance):
            return 0.0
        self.weights.append(1.0 if chosen else min(self.clip, 1 / chance))
        self.asked.append([id, features, self.weights[-1] * len(self.weights) / sum(self.weights), True])
        return 1.0

    def learn(self, x, y, weight):
        self.learned += 1
        self.mean = self.start + self.keep * (self.mean - self.start)
        self.cov = self.keep**2 * self.cov + (1 - self.keep**2) * self.spread
        # the mode along the only direction in which one label moves it
        along = self.cov @ x
        width, logit = float(x @ along), float(self.mean @ x)

        def loss(t):
            m = logit + width * t
            return weight * (np.logaddexp(0.0, m) - y * m) + 0.5 * width * t * t

        def slope(t):
            return weight * (sigmoid(logit + width * t) - y) + t

        low, high = -weight, weight
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if slope(middle) < 0 else (low, middle)
        t = (low + high) / 2
        assert loss(t) <= min(loss(t - 1e-3), loss(t + 1e-3)) + 1e-9
        p = sigmoid(logit + width * t)
        self.mean = self.mean + t * along
        # precision adds up
        self.cov = np.linalg.inv(np.linalg.inv(self.cov) + weight * p * (1 - p) * np.outer(x, x))


def review_learner(rows, dims, **recipe):
    learner = Learner(dims, **recipe)
    out = [learner.row(row) for row in rows]
    return [s for s, _ in out], [a for _, a in out], learner
