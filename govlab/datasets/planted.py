"""The incidents planted in the made-up community: when they happen, who takes part, and when each became known."""

import numpy as np
import pandas as pd

from govlab.datasets import texts
from govlab.datasets.traffic import MINUTE_US, addresses, rows

# kind: (longest duration in minutes, minutes from its start until it is known, what happens)
PLANS = {
    "account_takeover": (15, 150, "failed logins, then successes, from a few addresses on many accounts"),
    "brigade": (40, 35, "a crowd comments on and reports one member"),
    "coordinated_likes": (6, 360, "a ring of accounts likes the same posts within minutes"),
    "outage": (20, 12, "almost no events reach the platform"),
    "spam_wave": (25, 80, "fresh accounts post near-duplicates of one advertisement"),
}
_DAY_MINUTES = 24 * 60


def schedule(rng, minutes):
    """One incident of every kind for each day begun: ``[(incident_id, kind, begin_us, end_us)]`` in time order.

    The part of each day from 8 % to 95 % is cut into five slots, dealt to the kinds at random, so no two overlap.
    """
    found = []
    for day, first in enumerate(range(0, minutes, _DAY_MINUTES)):
        day_us = min(_DAY_MINUTES, minutes - first) * MINUTE_US
        slot_us = day_us * 87 // 100 // len(PLANS)
        for slot, which in enumerate(rng.permutation(len(PLANS))):
            kind = sorted(PLANS)[which]
            begin_us = first * MINUTE_US + day_us * 8 // 100 + slot * slot_us + int(rng.integers(0, slot_us // 4))
            end_us = begin_us + min(PLANS[kind][0] * MINUTE_US, slot_us // 2)
            found.append((f"{kind}_{day + 1}", kind, begin_us, end_us))
    return found


def known_at_us(rng, kind, begin_us):
    """When people knew of it: the usual delay of the kind, 20 % more or less."""
    return begin_us + PLANS[kind][1] * MINUTE_US * int(rng.integers(80, 121)) // 100


def _sample(rng, among, n):
    return among[rng.permutation(len(among))[:n]]


def spam_wave(rng, people, object_ids, day, size, begin_us, end_us, before):
    """Make posts by fresh accounts, and the reports they draw, which are ordinary events and carry no label."""
    unused = people.fresh[day % 4 :: 4]  # another quarter each day, so that the next wave's accounts are new again
    who = _sample(rng, unused if len(unused) >= 3 else people.fresh, max(3, size // 25))
    author = who[rng.integers(0, len(who), size)]
    at_us = rng.integers(begin_us, end_us, size)
    targets = np.array([next(object_ids) for _ in range(size)], dtype=object)
    wave = rows(at_us, "post", people.name[author], addresses(rng, people, author), targets, texts.spam(rng, size))
    seen = rng.integers(0, size, size // 8)
    reporter = _sample(rng, np.flatnonzero(people.weight), len(seen))
    seen = seen[: len(reporter)]
    reports = rows(
        at_us[seen] + rng.integers((end_us - begin_us) // 20, end_us - begin_us, len(seen)),
        "report", people.name[reporter], addresses(rng, people, reporter), people.name[author[seen]],
    )  # fmt: skip
    return wave, reports, sorted(people.name[who])


def coordinated_likes(rng, people, object_ids, day, size, begin_us, end_us, before):
    """Let every account of the ring like every post of a short list."""
    ring = _sample(rng, np.flatnonzero(people.weight), max(4, size // 30))
    posts = before.loc[(before["kind"] == "post") & (before["at_us"] < begin_us), "target"].to_numpy()[-200:]
    posts = _sample(rng, posts, max(3, size // 38))
    who, which = np.repeat(ring, len(posts)), np.tile(np.arange(len(posts)), len(ring))
    at_us = rng.integers(begin_us, end_us, len(who))
    likes = rows(at_us, "like", people.name[who], addresses(rng, people, who), posts[which])
    return likes, None, sorted(people.name[ring]) + sorted(posts)


def brigade(rng, people, object_ids, day, size, begin_us, end_us, before):
    """Make comments (two in three) on one member's last post, and reports of that member."""
    posts = before[(before["kind"] == "post") & (before["at_us"] < begin_us)]
    post = posts.iloc[-1 - int(rng.integers(0, min(50, len(posts))))]
    members = np.flatnonzero((people.weight > 0) & (people.name != post["actor"]))
    crowd = _sample(rng, members, max(5, size * 2 // 5))
    who = crowd[rng.integers(0, len(crowd), size)]
    comments = rng.integers(0, 3, size) > 0
    text = np.full(size, None, dtype=object)
    text[comments] = texts.scorn(rng, int(comments.sum()), post["actor"])
    attack = rows(
        np.sort(rng.integers(begin_us, end_us, size)), np.where(comments, "comment", "report"), people.name[who],
        addresses(rng, people, who), np.where(comments, post["target"], post["actor"]), text,
    )  # fmt: skip
    return attack, None, [post["actor"], *sorted(set(people.name[who])), post["target"]]


def account_takeover(rng, people, object_ids, day, size, begin_us, end_us, before):
    """Let a few addresses try passwords on many accounts: two to six failures each, then success on about half."""
    victims = _sample(rng, np.flatnonzero(people.weight), max(5, size // 4))
    ips = _sample(rng, np.array([f"192.0.2.{k}" for k in range(1, 255)], dtype=object), 5)
    parts = []
    for victim, ip in zip(victims, ips[rng.integers(0, len(ips), len(victims))], strict=True):
        tries = int(rng.integers(2, 7))
        ok = np.zeros(tries + int(rng.integers(0, 2)), dtype=bool)
        ok[tries:] = True
        parts.append(rows(np.sort(rng.integers(begin_us, end_us, len(ok))), "login", people.name[victim], ip, ok=ok))
    return pd.concat(parts, ignore_index=True), None, sorted(people.name[victims]) + sorted(ips)


# kind: (events at the full load of 60,000 a day, how they are made)
_MAKERS = {
    "account_takeover": (480, account_takeover),
    "brigade": (300, brigade),
    "coordinated_likes": (450, coordinated_likes),
    "spam_wave": (450, spam_wave),
}


def plant(rng, people, object_ids, plan, scale_percent, before):
    """Make the events of one planned incident (labelled), the reactions to it (not labelled) and its entities."""
    incident_id, kind, begin_us, end_us = plan
    full_size, make = _MAKERS[kind]
    size = max(24, full_size * scale_percent // 100)
    day = int(incident_id.rsplit("_", 1)[1]) - 1
    events, reactions, entities = make(rng, people, object_ids, day, size, begin_us, end_us, before)
    return events.assign(incident=incident_id), reactions, [str(entity) for entity in entities]
