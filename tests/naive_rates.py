"""Slow, obvious twins of the detectors of one metric over time, written from their docstrings.

Rows are dicts with ``time`` (whole microseconds), ``key`` and ``value`` (None where missing).
"""

import math
from fractions import Fraction

from naive import Entities, measure
from scipy import stats


def anomaly_likelihood(rows, long=8_000, short=10, warm=100, floor=0.001, most=math.inf, expire=math.inf):
    entities, scores = Entities(most, list, expire), []
    for row in rows:
        past, x = entities.of(row["key"], row["time"]), measure(row["value"])
        if math.isnan(x):
            scores.append(math.nan)
            continue
        if len(past) < warm:
            scores.append(math.nan)
        else:
            known = [Fraction(v) for v in past[-long:]]
            mean = sum(known) / len(known)
            variance = float(sum((v - mean) ** 2 for v in known) / len(known))
            lately = sum(Fraction(v) for v in [*past, x][-short:]) / short
            z = float(lately - mean) / math.sqrt(variance + floor**2)
            scores.append(-float(stats.norm.logsf(z)) / math.log(10))
        past.append(x)
    return scores


def gpd(excesses):
    """Shape and scale by probability-weighted moments a_s = E[X (1 - F)^s] (Hosking and Wallis, plotting positions (j - 0.35) / n)."""
    n, ranked = len(excesses), sorted(excesses)
    a0 = sum(ranked) / n
    a1 = sum((1 - (j - 0.35) / n) * x for j, x in enumerate(ranked, 1)) / n
    if a0 <= 0 or a0 <= 2 * a1:
        return 0.0, a0
    shape = min(max(2 - a0 / (a0 - 2 * a1), 0.0), 0.9)
    return shape, a0 * (1 - shape)


def fit_of(past, level):
    ranked = sorted(past)
    first = max(1, min(len(ranked) - 1, int(level * len(ranked))))
    return ranked[first - 1], (len(ranked) - first) / len(ranked), *gpd([x - ranked[first - 1] for x in ranked[first:]])


def upper(past, x, fit):
    at, share, shape, scale = fit
    rank = (sum(v > x for v in past) + 0.5 * past.count(x) + 0.5) / (len(past) + 1)
    if x <= at or scale == 0:
        return max(rank, share) if x <= at else rank
    return share * max(float(stats.genpareto.sf(x - at, shape, 0, scale)), 1e-300)


def spot(rows, tail, drift, level, guard, window, warm, refit, most=math.inf, expire=math.inf):
    """Give the p of each row."""
    entities, out = Entities(most, dict, expire), []
    for row in rows:
        state, x = entities.of(row["key"], row["time"]), measure(row["value"])
        if math.isnan(x):
            out.append(math.nan)
            continue
        seen = state.setdefault("seen", [])
        past = seen[-window:]
        mean = state.setdefault("mean", x) if drift else 0.0
        x -= mean
        p = math.nan
        if len(seen) >= warm:
            if (len(seen) - warm) % refit == 0:
                state["up"], state["down"] = fit_of(past, level), fit_of([-v for v in past], level)
            above, below = upper(past, x, state["up"]), upper([-v for v in past], -x, state["down"])
            p = {"upper": above, "lower": below, "both": min(1.0, 2 * min(above, below))}[tail]
            edge = guard / 2 if tail == "both" else guard
            for side, sign, rare in (("up", 1, above < edge and tail != "lower"), ("down", -1, below < edge and tail != "upper")):
                at, share, shape, scale = state[side]
                if rare and scale > 0:
                    x = sign * (at + float(stats.genpareto.isf(edge / share, shape, 0, scale)))
                    break
            x = max(-1e150, min(1e150, x))
        out.append(max(p, 1e-300) if p == p else p)
        state["mean"] = mean + x * max(1 / drift, 1 / (len(seen) + 1)) if drift else 0.0
        seen.append(x)
    return out


def fused(rows, columns, window=16_384, warm=100, record=0, most=math.inf):
    """``columns`` are lists of the scores of the detectors."""
    entities, out = Entities(most, lambda: {"past": [[] for _ in columns], "sums": []}), []
    for row, scores in zip(rows, zip(*columns, strict=True), strict=True):
        state = entities.of(row["key"], row["time"])
        nats = []
        for past, x in zip(state["past"], scores, strict=True):
            if math.isnan(x):
                continue
            last = past[-window:]
            if len(past) >= warm:
                nats.append(-math.log((sum(s > x for s in last) + 0.5 * last.count(x) + 0.5) / (len(last) + 1)))
            past.append(x)
        if not nats or any(len(past) <= warm for past in state["past"]):
            out.append(math.nan)
            continue
        total, last = sum(nats), state["sums"][-record:] if record else []
        out.append(total if all(total > s for s in last) else total - max(last))
        state["sums"].append(total)
    return out


class _Range:
    """The range of values, but for those more than 20 times the range of the middle 98 % beyond that."""

    def __init__(self, values, asked):
        known = sorted(values)
        cut, self.asked = max(1, len(known) // 100), asked
        middle = known[cut : len(known) - cut] or [0.0]
        if middle[0] == middle[-1]:
            known = sorted(set(known))
            cut = max(1, len(known) // 100)
            middle = known[cut : len(known) - cut] or [0.0]
        self.bottom, self.top = -math.inf, math.inf
        if middle[0] < middle[-1]:
            far = 20 * (middle[-1] - middle[0])
            self.bottom, self.top, self.asked = middle[0] - far, middle[-1] + far, 0
        inside = [v for v in values if self.bottom <= v <= self.top]
        self.low, self.high = min(inside), max(inside)

    def outgrown(self, x):
        """Whether a value is more than the range outside; what may move the fence is asked at the first, second, fourth... time."""
        outside = not self.low - (self.high - self.low) <= x <= self.high + (self.high - self.low)
        if outside and self.bottom <= x <= self.top:
            return True
        if outside or self.top == math.inf:
            self.asked += 1
            return math.log2(self.asked).is_integer()
        return False


def cad_ose(rows, bits, depth, record, history, warm, most=math.inf, expire=math.inf):
    """Contexts and facts are kept whole, as tuples."""
    entities, scores = Entities(most, dict, expire), []
    for row in rows:
        state, x = entities.of(row["key"], row["time"]), measure(row["value"])
        if math.isnan(x):
            scores.append(math.nan)
            continue
        seen = state.setdefault("seen", [])
        seen.append(x)
        t = len(seen) - 1
        if t < warm:
            scores.append(math.nan)
            continue
        past = seen[-history:-1]
        if t == warm or t % history == 0:
            state["memory"] = _Contexts(past, _Range(past, state["memory"].range.asked if t > warm else 0), bits, depth)
        if state["memory"].range.outgrown(x):
            state["memory"] = _Contexts(past, _Range([*past, x], state["memory"].range.asked), bits, depth)
        raw = state["memory"].learn(past, x)
        raws = state.setdefault("raws", [])
        last = raws[-record:] if record else []
        scores.append(raw if all(raw > r for r in last) else raw - max(last))
        raws.append(raw)
    return scores


class _Contexts:
    def __init__(self, past, reach, bits, depth):
        self.range, self.bits, self.depth = reach, bits, depth
        self.step = (reach.high - reach.low) / (2**bits - 1)
        self.followers = {}  # (resolution, context) -> [the facts that came, how often something new came]
        for i, x in enumerate(past):
            self.learn(past[:i], x)

    def cell(self, x, coarse):
        cells = 2**self.bits
        return math.floor(max(-cells, min((x - self.range.low) / self.step, 2 * cells - 1))) // 2**coarse

    def learn(self, past, x):
        if self.step == 0:
            return 0.0
        total = 0.0
        for coarse in range(self.bits):
            fact, best = self.cell(x, coarse), 0.0
            for back in range(min(self.depth, len(past)) + 1):
                context = tuple(self.cell(v, coarse) for v in past[len(past) - back :])
                facts = self.followers.setdefault((coarse, context), [])
                c, q = len(facts), len(set(facts))
                if fact not in facts and c >= 2:
                    best = max(best, -math.log((q + 0.5) / (c + q + 1)))
                facts.append(fact)
            total += best
        return total


def fuzzy_art(rows, scales, vigilance, categories, record, history, warm, most=math.inf, expire=math.inf):
    entities, scores = Entities(most, dict, expire), []
    for row in rows:
        state, x = entities.of(row["key"], row["time"]), measure(row["value"])
        if math.isnan(x):
            scores.append(math.nan)
            continue
        seen = state.setdefault("seen", [])
        seen.append(x)
        t = len(seen) - 1
        if t < warm:
            scores.append(math.nan)
            continue
        past = seen[-history:-1]
        if t == warm or t % history == 0:
            state["range"] = _Range(past, state["range"].asked if t > warm else 0)
            state["nets"] = _nets(past, state["range"], scales, vigilance, categories)
        if state["range"].outgrown(x):
            state["range"] = _Range([*past, x], state["range"].asked)
            state["nets"] = _nets(past, state["range"], scales, vigilance, categories)
        low, high = state["range"].low, state["range"].high
        raw = 0.0
        for k, net in enumerate(state["nets"]):
            n, q = net.shown, net.opened
            match, new = net.show(_code([*past, x], k, low, high))
            if new:
                raw += -math.log((q + 0.5) / (n + q + 1)) + math.log((1 - match) / (1 - net.vigilance))
        raws = state.setdefault("raws", [])
        last = raws[-record:] if record else []
        scores.append(raw if all(raw > r for r in last) else raw - max(last))
        raws.append(raw)
    return scores


def _code(values, k, low, high):
    d = 2**k
    block = []
    for b in range(d):
        part = values[len(values) - (b + 1) * d : len(values) - b * d]
        total = 0.0
        for v in reversed(part):
            total += v
        block.append(min(max((total / d - low + (high - low)) / (3 * (high - low)), 0.0), 1.0))
    return [*block, *[1 - v for v in block]]


def _nets(past, reach, scales, least, categories):
    low, high = reach.low, reach.high
    if low == high:
        return []
    nets = []
    for k in range(scales):
        codes = [_code(past[:end], k, low, high) for end in range(4**k, len(past) + 1)]
        trial = _Art(least, categories)
        unlike = [1 - trial.show(code)[0] for code in codes]
        rows = range(4**k - 1, len(past))
        later = [u for u, t in zip(unlike, rows, strict=True) if t >= (4**k - 1 + len(past)) // 2]
        nets.append(_Art(min(max(least, 1 - 2 * sum(later) / len(later)), 0.999), categories))
        for code in codes:
            nets[-1].show(code)
    return nets


class _Art:
    def __init__(self, vigilance, most):
        self.vigilance, self.most = vigilance, most
        self.categories, self.shown, self.opened = [], 0, 0  # a category: [weights, when it was last chosen]

    def show(self, code):
        d, fitting, match = len(code) // 2, [], 0.0
        for category in self.categories:
            common = sum(min(x, w) for x, w in zip(code, category[0], strict=True))
            match = max(match, common / d)
            if common / d >= self.vigilance:
                fitting.append((common / (0.01 + sum(category[0])), category))
        self.shown += 1
        if fitting:
            chosen = max(fitting, key=lambda pair: pair[0])[1]
            chosen[0] = [min(x, w) for x, w in zip(code, chosen[0], strict=True)]
        else:
            self.opened += 1
            if len(self.categories) == self.most:
                chosen = min(self.categories, key=lambda category: category[1])
            else:
                chosen = [None, None]
                self.categories.append(chosen)
            chosen[0] = code
        chosen[1] = self.shown
        return match, not fitting
