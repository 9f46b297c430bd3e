"""Slow, obvious twins of the detectors of coordination: plain Python, written from their docstrings.

Rows are dicts; ``time`` is whole microseconds since 1970. A missing value is None or NaN.
"""

import math

from naive import Entities, missing
from scipy import special


class Clock:
    """Tells of each row whether its clock is right; calls ``forget`` at the last of 30 rows in a row that are too far off."""

    def __init__(self, far, forget):
        self.far, self.forget, self.newest, self.strays = far, forget, None, 0
        forget()

    def right(self, time):
        if self.newest is not None and abs(time - self.newest) > self.far:
            self.strays += 1
            if self.strays < 30:
                return False
            self.forget()
            self.newest = time
        self.newest, self.strays = time if self.newest is None else max(time, self.newest), 0
        return True


def midas(rows, lengths, alpha=0.5, threshold=1000.0):
    """Rows have ``time``, ``source`` and ``target``. Counts are exact: as a sketch in which no keys meet."""
    sides, scores = [], []

    def forget():
        sides[:] = [{"length": n, "first": None, "tick": None, "current": {}, "total": {}, "score": {}} for n in lengths]

    clock = Clock(1_000 * max(lengths), forget)
    for row in rows:
        if missing(row["source"]) or missing(row["target"]) or not clock.right(row["time"]):
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
                        s["total"][key] *= t / (t - 1)  # one tick more, of the mean of those before
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


def co_action(rows, window, halflife, least, join, warm, most=math.inf, cap=32, crowd=256):
    """Rows have ``time``, ``actor`` and ``object``; gives of each (score, campaign, its members, its objects, its start)."""
    pairs, campaigns, out = {}, [], []
    accounts = objects = None
    clock = acts = meetings = since = learned = 0

    def forget():
        nonlocal accounts, objects, acts, meetings, since, learned
        accounts = Entities(most, lambda: {"acts": 0.0, "time": 0, "campaign": None})
        objects = Entities(most, lambda: {"last": [], "next": 0})
        acts = meetings = since = learned = 0
        pairs.clear()
        campaigns.clear()

    times = Clock(30 * max(window, halflife), forget)

    def fade(then):
        return 0.5 ** (max(clock - then, 0) / halflife)

    def evidence_of(campaign):
        return campaign["evidence"] * fade(campaign["time"])

    def alive(account):
        campaign = account["campaign"]
        if campaign is not None and evidence_of(campaign) < join:
            dissolve(campaign)
            return None
        return campaign

    def dissolve(campaign):
        for member in campaign["members"]:
            member["campaign"] = None
        campaigns[:] = [c for c in campaigns if c is not campaign]

    def joined(u, w):
        a, b = alive(u), alive(w)
        if a is None and b is None:
            a = {"evidence": 0.0, "time": clock, "start": clock, "members": [w, u], "objects": [], "name": w["name"]}
            campaigns.append(a)
        elif a is None or b is None:
            a, new = (b, u) if a is None else (a, w)
            if len(a["members"]) >= crowd:
                return None
            a["members"].append(new)
        elif a is not b:
            a, gone = (a, b) if len(a["members"]) > len(b["members"]) else (b, a)
            if len(a["members"]) + len(gone["members"]) > crowd:
                return None
            of_gone = [member["born"] for member in gone["members"]]
            for both, pair in pairs.items():
                if pair["to"] is gone and all(one in of_gone for one in both):
                    pair["to"] = a
            campaigns[:] = [c for c in campaigns if c is not gone]
            a["members"] += gone["members"]
            a["objects"] += [x for x in gone["objects"] if x not in a["objects"]]
            a["evidence"], a["time"] = evidence_of(a) + evidence_of(gone), clock
            a["start"] = min(a["start"], gone["start"])
        for member in a["members"]:
            member["campaign"] = a
        return a

    for row in rows:
        name, item, t = row["actor"], row["object"], row["time"]
        if missing(name) or missing(item) or not times.right(t):
            out.append((math.nan, None, 0, 0, None))
            continue
        u = accounts.of(name, t)
        u["name"], u["born"] = name, u.get("born", learned)
        known = [state for _, state in accounts.states.values()]
        for campaign in list(campaigns):
            campaign["members"] = [m for m in campaign["members"] if any(m is k for k in known)]
            if len(campaign["members"]) < 2:
                dissolve(campaign)
        place = objects.of(item, t)
        clock = times.newest
        own = next((e for e in place["last"] if e["account"]["name"] == name), None)
        others = [
            e for e in place["last"] if e is not own and abs(t - e["time"]) <= window and any(e["account"] is k for k in known)
        ]
        campaign = alive(u)
        if learned < warm:
            out.append((math.nan, None, 0, 0, None))
        elif campaign is None or all(e["account"]["campaign"] is not campaign for e in others):
            out.append((0.0, None, 0, 0, None))
        else:
            told = len(campaign["members"]), len(campaign["objects"]), campaign["start"]
            out.append((evidence_of(campaign), campaign["name"], *told))

        learned += 1
        if own is not None and abs(t - own["time"]) <= window and own["account"] is u:
            own["time"] = max(t, own["time"])
            continue
        acts, meetings, since = acts * fade(since) + 1, meetings * fade(since) + len(others), clock
        u["acts"], u["time"] = u["acts"] * fade(u["time"]) + 1, clock
        for e in others:
            w = e["account"]
            p = pairs.setdefault(frozenset((u["born"], w["born"])), {"met": 0.0, "time": clock, "booked": 0.0, "to": None})
            p["since"] = t if p["met"] * fade(p["time"]) < 0.5 else min(t, p["since"])
            p["met"], p["booked"], p["time"] = p["met"] * fade(p["time"]) + 1, p["booked"] * fade(p["time"]), clock
            expected = max(u["acts"] * w["acts"] * fade(w["time"]) * 2 * meetings / acts**2, 1e-12)
            evidence = p["met"] * math.log(p["met"] / expected) - p["met"] + expected if p["met"] > expected else 0.0
            if p["met"] < least - 0.5 or evidence < join:
                continue
            campaign = joined(u, w)
            if campaign is None:
                continue
            if item not in campaign["objects"]:
                campaign["objects"].append(item)
            booked = p["booked"] if p["to"] is campaign else 0.0
            campaign["evidence"], campaign["time"] = max(evidence_of(campaign) + evidence - booked, 0.0), clock
            campaign["start"] = min(campaign["start"], p["since"])
            p["booked"], p["to"] = evidence, campaign
        if own is not None:
            own["account"], own["time"] = u, t
        elif len(place["last"]) < cap:
            place["last"].append({"account": u, "time": t})
            place["next"] += 1
        else:
            place["last"][place["next"] % cap] = {"account": u, "time": t}
            place["next"] += 1
    return out


def near_duplicate(rows, window, background, join, shingle, least, most, memory, warm):
    """Rows have ``time``, ``text`` and ``author``; each is compared with all the last ones. Gives (score, containment, authors)."""
    past, out, first = [], [], None
    times = Clock(400 * window * background, lambda: past.clear())
    for row in rows:
        text = "" if missing(row["text"]) else " ".join(row["text"].casefold().split())[:most]
        own = {text[i : i + shingle] for i in range(len(text) - shingle + 1)}
        if len(text) < least or len(own) < least - shingle + 1 or not times.right(row["time"]):
            out.append((math.nan, math.nan, math.nan))
            continue
        clock = times.newest
        first = first if past else clock
        share, match = 0.0, None
        for other, cluster in past[-memory:]:
            if len(own & other) / min(len(own), len(other)) >= max(share, 1e-9):
                share, match = len(own & other) / min(len(own), len(other)), cluster
        joins = share >= join
        cluster = match if joins else {"recent": 0.0, "usual": 0.0, "time": clock, "authors": set()}
        gap = max(clock - cluster["time"], 0)
        cluster["recent"] = cluster["recent"] * math.exp(-gap / window) + 1
        cluster["usual"] = cluster["usual"] * math.exp(-gap / window / background) + 1
        cluster["time"] = clock
        if not missing(row["author"]):
            cluster["authors"].add(row["author"])
        score = share
        if joins:
            age = max(clock - first, 1)
            seen, span = -math.expm1(-age / window), -background * math.expm1(-age / window / background)
            score -= math.log10(special.gammainc(cluster["recent"], cluster["usual"] * seen / span))
        out.append((score, share, float(len(cluster["authors"]))) if len(past) >= warm else (math.nan, math.nan, math.nan))
        past.append((own, cluster))
    return out
