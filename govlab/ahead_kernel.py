"""The kernels of the guard on event time: row by row, in order, so that nothing depends on how the rows were cut into frames."""

from __future__ import annotations

import numpy as np
from numba import njit

NONE = np.iinfo("int64").min
MOST_HELD, WEIGHT, FEW, MANY, LEAST = 256, 3, 4, 30, 2
FARTHEST, LONGEST = 2**61, 2**58  # so that no sum leaves 64 bits
DAY = 86_400_000_000
LONGEST_GAP = 1_200 * DAY  # that is remembered; a clock that began years ago says nothing of a time that is years ahead
FORGET = 1_000  # rows after which the longest gap counts half
# the columns of the tables that the kernels share
NEWEST, GAP, ROWS, FIRST = range(4)  # of a clock; FIRST: the first row waits for the second
RUN, BEGAN, BEFORE, ORDERED, LATEST = range(5)  # of a partition: rows ahead in a row
ID, AT, PART, BY_ARRIVAL, FAR = range(5)  # of a row held
PARTS, HELD, NEXT_ID = range(3)  # of the counters
# what is decided of a row that was held: its id, the row at which, whether it passes, how far ahead, by its arrival
DECIDED = 5


@njit(cache=True, nogil=True)
def accept(t, clock):
    """Count a row, and move the clock to its time if that is later."""
    if clock[ROWS] == 0:
        clock[NEWEST] = t
    elif t > clock[NEWEST]:
        clock[GAP] = max(clock[GAP], min(t - clock[NEWEST], LONGEST_GAP))
        clock[NEWEST] = t
    clock[ROWS] += 1
    if clock[ROWS] % FORGET == 0:
        clock[GAP] >>= 1


@njit(cache=True, nogil=True)
def calm(times, arrivals, ahead, clock, newest):
    """Take rows while none is ahead; gives the first that is. Only where nothing is held and nothing counted."""
    if clock[ROWS] == 0:
        return 0
    c, gap, n = clock[NEWEST], clock[GAP], clock[ROWS]
    limit = c + max(ahead, 3 * gap)
    forget = (n // FORGET + 1) * FORGET
    i = 0
    while i < times.size:
        t = max(-FARTHEST, min(times[i], FARTHEST))
        if arrivals.size and arrivals[i] != NONE:
            if t > arrivals[i] + ahead:
                break
        elif t > limit:
            break
        if t > c:
            if t - c > gap:
                gap = min(t - c, LONGEST_GAP)
            c = t
            limit = c + max(ahead, 3 * gap)
        n += 1
        if n == forget:
            forget += FORGET
            gap >>= 1
            limit = c + max(ahead, 3 * gap)
        if newest.size:
            newest[i] = c
        i += 1
    clock[NEWEST], clock[GAP], clock[ROWS] = c, gap, n
    return i


@njit(cache=True, nogil=True)
def decide(j, at, passes, held, counts, out, n):
    """Write down what is decided of the j-th held row, and drop it."""
    out[n, 0], out[n, 1], out[n, 2], out[n, 3], out[n, 4] = held[j, ID], at, passes, held[j, FAR], held[j, BY_ARRIVAL]
    for m in range(j, counts[HELD] - 1):
        held[m] = held[m + 1]
    counts[HELD] -= 1
    return n + 1


@njit(cache=True, nogil=True)
def _recount(held, counts, scores):
    scores[:] = 0
    for j in range(counts[HELD]):
        for place in (0, 1 + held[j, PART]):
            scores[place] = min(scores[place] + WEIGHT, WEIGHT * MANY)


@njit(cache=True, nogil=True)
def move(at, only, spread, ahead, clock, scores, held, counts, out, n):
    """Move the clock to the held rows (of the partition ``only``, if it is not -1): those around their median pass."""
    times = np.empty(counts[HELD], "int64")
    size = 0
    for j in range(counts[HELD]):
        if only < 0 or held[j, PART] == only:
            times[size] = held[j, AT]
            size += 1
    times = np.sort(times[:size])
    bound = max(ahead, 3 * clock[GAP])
    top = times[size - 1] if spread else times[(size - 1) // 2]
    for t in times:
        if t > top + bound:
            break
        top = max(top, t)
    j = 0
    while j < counts[HELD]:
        if held[j, AT] <= top + bound and (only < 0 or held[j, PART] == only or held[j, AT] <= top):
            accept(held[j, AT], clock)
            n = decide(j, at, 1, held, counts, out, n)
        else:
            j += 1
    _recount(held, counts, scores)
    return n


@njit(cache=True, nogil=True)
def _pass_near(at, part, apart, ahead, clock, scores, held, counts, out, n):
    """Pass the held rows that the clock has come near to; put aside those of a partition whose count is 0 again."""
    bound = max(ahead, 3 * clock[GAP])
    j = 0
    while j < counts[HELD]:
        mine = held[j, PART] == part
        if (mine or not apart) and held[j, BY_ARRIVAL] == 0 and held[j, AT] <= clock[NEWEST] + bound:
            accept(held[j, AT], clock)
            n = decide(j, at, 1, held, counts, out, n)
        elif mine and scores[1 + part] == 0:
            n = decide(j, at, 0, held, counts, out, n)
        else:
            j += 1
    return n


@njit(cache=True, nogil=True)
def _first(at, t, part, apart, ahead, clock, scores, held, counts, out, n):
    """Judge the first row by the second one."""
    clock[FIRST] = 0
    for j in range(counts[HELD]):
        if held[j, BY_ARRIVAL] == 0 and (held[j, PART] == part or not apart):
            if t >= held[j, AT] - ahead:
                accept(held[j, AT], clock)
                return decide(j, at, 1, held, counts, out, n)
            held[j, FAR] = held[j, AT] - t
            scores[0], scores[1 + held[j, PART]] = scores[0] + WEIGHT, scores[1 + held[j, PART]] + WEIGHT
            return n
    return n


@njit(cache=True, nogil=True)
def _hold(i, t, part, by_arrival, far, held, counts, out, n):
    if counts[HELD] == MOST_HELD:
        n = decide(0, i, 0, held, counts, out, n)
    row = held[counts[HELD]]
    row[ID], row[AT], row[PART], row[BY_ARRIVAL], row[FAR] = counts[NEXT_ID] + i, t, part, by_arrival, far
    counts[HELD] += 1
    return n


@njit(cache=True, nogil=True)
def judge(times, parts, arrivals, i, ahead, apart, clocks, ids, scores, runs, held, counts, out, n, kept, newest):
    """Judge the rows from ``i`` on; stops at one of a partition for which there is no place. Gives (next row, decisions)."""
    part = -1
    while i < times.size:
        t = max(-FARTHEST, min(times[i], FARTHEST))
        if part < 0 or ids[part] != parts[i]:
            part = 0
            while part < counts[PARTS] and ids[part] != parts[i]:
                part += 1
            if part == ids.size:
                return i, n
            if part == counts[PARTS]:
                ids[part] = parts[i]
                counts[PARTS] += 1
        clock, run = clocks[part if apart else 0], runs[part]
        by_arrival = arrivals.size > 0 and arrivals[i] != NONE
        if clock[ROWS] == 0 and not by_arrival and -DAY <= t < DAY:
            clock[NEWEST] = max(clock[NEWEST], t)
            if newest.size:
                newest[i] = clock[NEWEST]
            i += 1  # of the first of January 1970: a clock that was never set says nothing of the others
            continue
        if clock[ROWS] == 0 and not by_arrival:
            if clock[FIRST] == 0:
                clock[FIRST] = 1
                n = _hold(i, t, part, 0, 0, held, counts, out, n)
                kept[i] = 1
                if newest.size:
                    newest[i] = t
                i += 1
                continue
            n = _first(i, t, part, apart, ahead, clock, scores, held, counts, out, n)
        if by_arrival:
            far = t - arrivals[i]
            late = far > ahead
        else:
            far = 0 if clock[ROWS] == 0 else t - clock[NEWEST]
            late = far > max(ahead, 3 * clock[GAP])
        if late:
            n = _hold(i, t, part, by_arrival, far, held, counts, out, n)
            kept[i] = 1
            if scores[1 + part] == 0:
                run[RUN] = 0  # there were other rows since
            run[ORDERED] = run[RUN] == 0 or (run[ORDERED] == 1 and t >= run[LATEST])
            if run[RUN] == 0:
                run[BEGAN], run[BEFORE] = t, clock[NEWEST]
            run[RUN] += 1
            run[LATEST] = t
            scores[0], scores[1 + part] = min(scores[0] + WEIGHT, 90), min(scores[1 + part] + WEIGHT, 90)
            enough = WEIGHT * max(FEW, min(clock[ROWS], MANY))
            sparse = run[RUN] >= (LEAST if clock[ROWS] < MANY else FEW) and run[ORDERED] == 1 and not by_arrival
            sparse = sparse and clock[ROWS] > 0 and (t - run[BEGAN]) >= (run[BEGAN] - run[BEFORE]) // 3
            own = scores[1 + part] >= enough or sparse
            if own or (not apart and scores[0] >= enough):
                n = move(i, part if own else -1, sparse, ahead, clock, scores, held, counts, out, n)
                if own:
                    run[RUN] = 0
                else:
                    runs[:, RUN] = 0
                if by_arrival:  # the next one that is ahead of its arrival passes too
                    scores[0], scores[1 + part] = max(scores[0], enough - WEIGHT), max(scores[1 + part], enough - WEIGHT)
        else:
            accept(t, clock)
            run[RUN] = 0
            scores[0], scores[1 + part] = max(0, scores[0] - 1), max(0, scores[1 + part] - 1)
            if counts[HELD]:
                n = _pass_near(i, part, apart, ahead, clock, scores, held, counts, out, n)
        if newest.size:
            newest[i] = clock[NEWEST] if clock[ROWS] else t
        i += 1
    return i, n
