"""The ordinary traffic of the made-up community: who is there, and what they do in a day.

Only integers are drawn and added up, so that a seed gives the same day on every processor: ``exp`` and ``log`` differ
in their last bits between machines.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from govlab.datasets import texts

KINDS = ("post", "comment", "like", "follow", "report", "login")
MINUTE_US = 60_000_000

# Events of each kind in a thousand, in the order of KINDS, for the three habits a member can have.
_HABITS = ((15, 60, 700, 90, 5, 130), (80, 420, 330, 50, 10, 110), (330, 240, 270, 50, 5, 105))
_HABIT_SHARE = (70, 22, 8)
# Load by hour of the day, UTC: lowest before dawn, a first peak at lunch, the highest in the evening.
_LOAD = (38, 26, 18, 14, 12, 14, 22, 36, 52, 62, 68, 74, 82, 80, 74, 72, 76, 84, 94, 104, 110, 104, 84, 58)
_SHIFT_HOURS = (0, 6, 15)  # members elsewhere live later in the day
_SHIFT_SHARE = (84, 10, 6)
_OLD_POSTS = 500


class Accounts(NamedTuple):
    """The members: one entry a member in every array but ``fresh``, which holds the positions of unused accounts."""

    name: np.ndarray
    weight: np.ndarray
    habit: np.ndarray
    shift: np.ndarray
    topic: np.ndarray
    home_ip: np.ndarray
    away_ip: np.ndarray
    fresh: np.ndarray


def draw(rng, weights, size):
    """Positions drawn with integer weights."""
    edges = np.cumsum(np.asarray(weights, dtype=np.int64))
    return np.searchsorted(edges, rng.integers(0, edges[-1], size), side="right")


def rows(at_us, kind, actor, ip, target=None, text=None, ok=True, incident=None):
    """Make a frame of events; scalars are repeated. ``at_us`` is in microseconds from the start."""
    columns = {
        "at_us": at_us,
        "kind": kind,
        "actor": actor,
        "target": target,
        "text": text,
        "ip": ip,
        "ok": ok,
        "incident": incident,
    }
    text_like = ["kind", "actor", "target", "text", "ip", "incident"]
    return pd.DataFrame(columns, index=range(len(at_us))).astype(dict.fromkeys(text_like, object))


def accounts(rng, users):
    """Members with habits, addresses and Zipf-like activity: the most active 1 % make over a fifth of the events."""
    number = rng.permutation(users)  # so that an account's number does not give away how active it is
    shared = rng.integers(0, 4, users) == 0
    own = [f"2001:db8:{a:x}::{b:x}" for a, b in zip(rng.permutation(users), rng.integers(1, 0xFFFF, users), strict=True)]
    net, host, away = rng.integers(0, 2, users), rng.integers(1, 255, users), rng.integers(1, 255, users)
    office = [f"{('198.51.100', '203.0.113')[a]}.{b}" for a, b in zip(net, host, strict=True)]
    newest = np.flatnonzero(number >= users - users // 10)
    fresh = newest[rng.permutation(len(newest))[: max(4, users // 50)]]
    weight = 1_000_000_000 // (np.arange(users, dtype=np.int64) + 12)
    weight[fresh] = 0
    return Accounts(
        name=np.array([f"user_{k:05d}" for k in number], dtype=object),
        weight=weight,
        habit=draw(rng, _HABIT_SHARE, users),
        shift=draw(rng, _SHIFT_SHARE, users),
        topic=rng.integers(0, 8, users),
        home_ip=np.where(shared, np.array(office, dtype=object), np.array(own, dtype=object)),
        away_ip=np.array([f"192.0.2.{k}" for k in away], dtype=object),
        fresh=fresh,
    )


def addresses(rng, people, who):
    """Choose an address for each event: the account's home, or in a fifth of the events its mobile network."""
    return np.where(rng.integers(0, 5, len(who)) == 0, people.away_ip[who], people.home_ip[who])


def _times(rng, people, who, first_minute, minutes):
    """Event times in microseconds from the start, following the load of each member's own day."""
    at_us = np.empty(len(who), dtype=np.int64)
    minute_of_day = first_minute + np.arange(minutes)
    load = np.array(_LOAD, dtype=np.int64)
    for code, shift in enumerate(_SHIFT_HOURS):
        local = minute_of_day + shift * 60
        hour, part = local // 60 % 24, local % 60
        mine = np.flatnonzero(people.shift[who] == code)
        at_us[mine] = draw(rng, load[hour] * (60 - part) + load[(hour + 1) % 24] * part, len(mine)) * MINUTE_US
    return at_us + rng.integers(0, MINUTE_US, len(who))


def _kinds(rng, habit):
    kind = np.empty(len(habit), dtype=np.int64)
    for code, weights in enumerate(_HABITS):
        mine = np.flatnonzero(habit == code)
        kind[mine] = draw(rng, weights, len(mine))
    return kind


def ordinary(rng, people, object_ids, first_minute, minutes, events, gaps_us):
    """Ordinary events in time order; all but 3 % of those inside a gap are lost."""
    who = draw(rng, people.weight, events)
    at_us = _times(rng, people, who, first_minute, minutes)
    lost = np.zeros(events, dtype=bool)
    for begin_us, end_us in gaps_us:
        lost |= (at_us >= begin_us) & (at_us < end_us)
    lost &= rng.integers(0, 100, events) >= 3
    order = np.argsort(at_us, kind="stable")
    order = order[~lost[order]]
    who, at_us = who[order], at_us[order]
    kind = _kinds(rng, people.habit[who])

    posts = np.array([next(object_ids) for _ in range(_OLD_POSTS)], dtype=object)
    is_post = kind == 0
    posts = np.append(posts, np.array([next(object_ids) for _ in range(is_post.sum())], dtype=object))
    posted_before = _OLD_POSTS + np.cumsum(is_post) - is_post
    chosen = np.maximum(rng.integers(0, posted_before), rng.integers(0, posted_before))  # newer posts get more
    target = posts[chosen]
    target[is_post] = posts[_OLD_POSTS:]
    other = draw(rng, people.weight, len(who))
    other = np.where(other == who, (other + 1) % len(people.name), other)
    at_user = (kind == 3) | ((kind == 4) & (rng.integers(0, 2, len(who)) == 0))
    target[at_user] = people.name[other[at_user]]
    target[kind == 5] = None

    text = np.full(len(who), None, dtype=object)
    written = np.flatnonzero(kind <= 1)
    text[written] = texts.chatter(rng, people.topic[who[written]])
    ok = (kind != 5) | (rng.integers(0, 100, len(who)) >= 4)
    names = np.array(KINDS, dtype=object)[kind]
    return rows(at_us, names, people.name[who], addresses(rng, people, who), target, text, ok)
