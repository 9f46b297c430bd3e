"""The kernel of CoAction: who met whom, and which campaigns they make."""

from __future__ import annotations

import numpy as np
from numba import njit

from govlab.hashing import mix

WAYS = 8  # places of a bucket of pairs
OBJECTS = 64  # of a campaign: so many of its last objects are told apart
ACCOUNT = np.dtype([("born", "i8"), ("acts", "f8"), ("time", "i8"), ("campaign", "i8")])  # born: at which row
MEETING = np.dtype([("id", "u8"), ("slot", "i8"), ("born", "i8"), ("time", "i8")])
# booked: how much of its evidence is that of the campaign with the number ``to``
PAIR = np.dtype([("key", "u8"), ("met", "f8"), ("time", "i8"), ("booked", "f8"), ("to", "i8"), ("since", "i8")])
CAMPAIGN = np.dtype(
    [("number", "i8"), ("evidence", "f8"), ("time", "i8"), ("start", "i8"), ("members", "i8"), ("objects", "i8"), ("lives", "?")]
)
# of the stream: newest time, time of the faded sums, rows learned, campaigns that live, and that ever lived
CLOCK, SINCE, LEARNED, LIVING, FOUNDED = range(5)


@njit(cache=True, nogil=True, inline="always")
def _fade(now, since, halflife):
    return 0.5 ** (max(now - since, 0) / halflife)


@njit(cache=True, nogil=True)
def _dissolve(c, accounts, campaigns, members, state):
    for j in range(campaigns[c].members):
        accounts[members[c, j]].campaign = -1
    campaigns[c].members = 0
    campaigns[c].evidence = 0.0
    campaigns[c].lives = False
    state[LIVING] -= 1


@njit(cache=True, nogil=True)
def _leave(slot, accounts, campaigns, members, state):
    """Take an account out of its campaign; the others keep their order, and one alone is no campaign."""
    c = accounts[slot].campaign
    if c >= 0:
        n, kept = campaigns[c].members, 0
        for j in range(n):
            if members[c, j] != slot:
                members[c, kept] = members[c, j]
                kept += 1
        campaigns[c].members = kept
        accounts[slot].campaign = -1
        if kept < 2:
            _dissolve(c, accounts, campaigns, members, state)


@njit(cache=True, nogil=True)
def _alive(slot, now, halflife, join, accounts, campaigns, members, state):
    """Give the campaign of an account, -1 for none; one whose evidence has faded is dissolved."""
    c = accounts[slot].campaign
    if c >= 0:
        if campaigns[c].evidence * _fade(now, campaigns[c].time, halflife) >= join:
            return c
        _dissolve(c, accounts, campaigns, members, state)
    return -1


@njit(cache=True, nogil=True)
def _found(now, halflife, join, accounts, campaigns, members, state):
    """Give a free place for a campaign, -1 if there is none."""
    for c in range(campaigns.size):
        lives = campaigns[c].lives
        if lives and state[LIVING] >= campaigns.size and campaigns[c].evidence * _fade(now, campaigns[c].time, halflife) < join:
            _dissolve(c, accounts, campaigns, members, state)
            lives = False
        if not lives:
            return c
    return -1


@njit(cache=True, nogil=True)
def _note(c, item, token, campaigns, seen, said):
    """Count an object to a campaign unless it is among its last ones."""
    n = campaigns[c].objects
    for j in range(min(n, OBJECTS)):
        if seen[c, j] == item:
            return
    seen[c, n % OBJECTS], said[c, n % OBJECTS] = item, token
    campaigns[c].objects = n + 1


@njit(cache=True, nogil=True, inline="always")
def _key(one, other):
    """Give the key of a pair of accounts by when they were born: one that was forgotten and comes back is another."""
    low, high = mix(np.uint64(min(one, other))), mix(np.uint64(max(one, other)))
    return mix(low ^ ((high << np.uint64(31)) | (high >> np.uint64(33)))) | np.uint64(1)


@njit(cache=True, nogil=True)
def _rebook(gone, c, accounts, pairs, campaigns, members):
    """Let what is booked to one campaign by pairs of its members be booked to another."""
    for j in range(campaigns[gone].members):
        for k in range(j):
            key = _key(accounts[members[gone, j]].born, accounts[members[gone, k]].born)
            for way in range(WAYS):
                p = pairs[key % np.uint64(pairs.shape[0]), way]
                if p.key == key and p.to == campaigns[gone].number:
                    p.to = campaigns[c].number


@njit(cache=True, nogil=True)
def _join(u, w, now, halflife, join, accounts, pairs, campaigns, members, seen, said, called, tokens, state):
    """Join two accounts into one campaign and give it, -1 if there is no room."""
    a = _alive(u, now, halflife, join, accounts, campaigns, members, state)
    b = _alive(w, now, halflife, join, accounts, campaigns, members, state)
    if a < 0 and b < 0:
        c = _found(now, halflife, join, accounts, campaigns, members, state)
        if c < 0:
            return -1
        campaigns[c].evidence, campaigns[c].time, campaigns[c].start = 0.0, now, now
        campaigns[c].members, campaigns[c].objects, campaigns[c].lives = 2, 0, True
        members[c, 0], members[c, 1] = w, u
        accounts[u].campaign = accounts[w].campaign = c
        called[c] = tokens[w]
        state[LIVING] += 1
        state[FOUNDED] += 1
        campaigns[c].number = state[FOUNDED]
        return c
    if a == b:
        return a
    if a < 0 or b < 0:
        c, new = (b, u) if a < 0 else (a, w)
        if campaigns[c].members >= members.shape[1]:
            return -1
        members[c, campaigns[c].members] = new
        campaigns[c].members += 1
        accounts[new].campaign = c
        return c
    # the smaller goes into the larger, of equals the one of the newer actor
    c, gone = (a, b) if campaigns[a].members > campaigns[b].members else (b, a)
    n = campaigns[gone].members
    if campaigns[c].members + n > members.shape[1]:
        return -1
    _rebook(gone, c, accounts, pairs, campaigns, members)
    for j in range(n):
        members[c, campaigns[c].members + j] = members[gone, j]
        accounts[members[gone, j]].campaign = c
    campaigns[c].members += n
    for j in range(max(0, campaigns[gone].objects - OBJECTS), campaigns[gone].objects):
        _note(c, seen[gone, j % OBJECTS], said[gone, j % OBJECTS], campaigns, seen, said)
    campaigns[c].evidence *= _fade(now, campaigns[c].time, halflife)
    campaigns[c].evidence += campaigns[gone].evidence * _fade(now, campaigns[gone].time, halflife)
    campaigns[c].time = now
    campaigns[c].start = min(campaigns[c].start, campaigns[gone].start)
    campaigns[gone].members = 0
    _dissolve(gone, accounts, campaigns, members, state)
    return c


@njit(cache=True, nogil=True)
def _pair(one, other, now, halflife, pairs):
    """Give the place of a pair, made if it is not known: in the stead of the one in its bucket that met least."""
    key = _key(one, other)
    bucket, worst, least = key % np.uint64(pairs.shape[0]), 0, np.inf
    for way in range(WAYS):
        p = pairs[bucket, way]
        if p.key == key:
            return bucket, way
        met = p.met * _fade(now, p.time, halflife)
        if met < least:
            worst, least = way, met
    p = pairs[bucket, worst]
    p.key, p.met, p.time, p.booked, p.to = key, 0.0, now, 0.0, 0
    return bucket, worst


@njit(cache=True, nogil=True)
def run_rows(
    ids, afresh, fresh, places, items, fresh_items, times, window, halflife, least, join, warm,
    accounts, recent, filled, pairs, campaigns, members, seen, said, called, tokens, sums, state, scores, told, names,
):  # fmt: skip
    """Score each act and then learn it, in order.

    ``ids`` are hashes of the actors, ``afresh`` says before which acts all is to be forgotten, ``places`` = slots of (actor,
    object); ``sums`` = faded (acts, meetings). Names are given as tokens: a row of this frame, or below 0 a name kept from
    frames before. ``told`` gets for each row its campaign's (number of members, number of objects, start), ``names`` the
    tokens of (campaign, members, objects).
    """
    for i in range(times.size):
        u, o, t = places[i, 0], places[i, 1], times[i]
        if afresh[i]:
            # all but the names; whoever comes next is not who was known before
            accounts.born[:], accounts.acts[:], accounts.campaign[:] = -1, 0.0, -1
            pairs.key[:], pairs.met[:], campaigns.lives[:], filled[:], sums[:], state[:] = 0, 0.0, False, 0, 0.0, 0
        if fresh[i] or accounts[u].born < 0:
            _leave(u, accounts, campaigns, members, state)
            accounts[u].born, accounts[u].acts, accounts[u].time, accounts[u].campaign = state[LEARNED], 0.0, t, -1
            tokens[u] = i
        if fresh_items[i]:
            filled[o] = 0
        state[CLOCK] = now = max(state[CLOCK], t) if state[LEARNED] else t
        ring, n = recent[o], min(filled[o], recent.shape[1])
        c = _alive(u, now, halflife, join, accounts, campaigns, members, state)
        own, together = -1, False
        for j in range(n):
            other = ring[j]
            if other.id == ids[i]:
                own = j
            elif c >= 0 and abs(t - other.time) <= window:
                together |= accounts[other.slot].born == other.born and accounts[other.slot].campaign == c
        scores[i] = np.nan if state[LEARNED] < warm else 0.0
        if together and state[LEARNED] >= warm:
            scores[i] = campaigns[c].evidence * _fade(now, campaigns[c].time, halflife)
            told[i, 0], told[i, 1], told[i, 2] = campaigns[c].members, campaigns[c].objects, campaigns[c].start
            k = (names.shape[1] - 1) // 2
            names[i, 0] = called[c]
            for j in range(min(k, campaigns[c].members)):
                names[i, 1 + j] = tokens[members[c, j]]
            for j in range(min(k, campaigns[c].objects, OBJECTS)):
                names[i, 1 + k + j] = said[c, (campaigns[c].objects - 1 - j) % OBJECTS]

        state[LEARNED] += 1
        if own >= 0 and abs(t - ring[own].time) <= window and ring[own].born == accounts[u].born:
            ring[own].time = max(t, ring[own].time)  # again on the same object: not another act
            continue
        fade = _fade(now, state[SINCE], halflife)
        sums[0], sums[1] = sums[0] * fade + 1.0, sums[1] * fade
        state[SINCE] = now
        accounts[u].acts = accounts[u].acts * _fade(now, accounts[u].time, halflife) + 1.0
        accounts[u].time = now
        for j in range(n):
            sums[1] += j != own and accounts[ring[j].slot].born == ring[j].born and abs(t - ring[j].time) <= window
        for j in range(n):
            w = ring[j].slot
            if j == own or accounts[w].born != ring[j].born or abs(t - ring[j].time) > window:
                continue
            bucket, way = _pair(accounts[u].born, ring[j].born, now, halflife, pairs)
            p = pairs[bucket, way]
            fade = _fade(now, p.time, halflife)
            # one that met long ago meets for the first time again
            p.since = min(p.since, t) if p.met * fade >= 0.5 else t
            p.met, p.booked, p.time = p.met * fade + 1.0, p.booked * fade, now
            if p.met < least - 0.5:
                continue
            acts = accounts[u].acts * accounts[w].acts * _fade(now, accounts[w].time, halflife)
            expected = max(acts * 2.0 * sums[1] / (sums[0] * sums[0]), 1e-12)
            evidence = p.met * np.log(p.met / expected) - p.met + expected if p.met > expected else 0.0
            if evidence < join:
                continue
            c = _join(u, w, now, halflife, join, accounts, pairs, campaigns, members, seen, said, called, tokens, state)
            if c >= 0:
                _note(c, mix(items[i]), i, campaigns, seen, said)
                faded = campaigns[c].evidence * _fade(now, campaigns[c].time, halflife)
                booked = p.booked if p.to == campaigns[c].number else 0.0
                campaigns[c].evidence, campaigns[c].time = max(faded + evidence - booked, 0.0), now
                campaigns[c].start = min(campaigns[c].start, p.since)
                p.booked, p.to = evidence, campaigns[c].number
        if own < 0:
            own = filled[o] % recent.shape[1]
            filled[o] += 1
        ring[own].id, ring[own].slot, ring[own].born, ring[own].time = ids[i], u, accounts[u].born, t
