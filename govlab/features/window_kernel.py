"""The kernel of WindowCount: row by row, in order, so that no answer depends on how the rows were cut into frames."""

from __future__ import annotations

import numpy as np
from numba import njit

from govlab.zones import start_of

CELL = np.dtype(
    [
        ("count", "i8"),
        ("sum", "f8"),
        ("distinct", "i8"),
        ("first", "i8"),
        ("last", "i8"),
        ("offset", "i8"),
        ("partition", "i4"),
        ("mixed", "i4"),
    ]
)
OUT = np.dtype([("key", "i8"), ("window", "i8"), ("row", "i8"), ("cell", CELL)])
NONE = np.iinfo("int64").min
# the places in ``state``
NEWEST, NEXT, LIVE, HELD, LISTED, NEED = range(6)


@njit(cache=True, nogil=True)
def run_rows(
    first_row, ids, times, windows, marks, table, amounts, items, partitions, offsets, every, size, lateness, expire, most,
    cells, touched, touches, sets, set_sizes, open_of, seen, born, listed, state, fate, out, n_out,
):  # fmt: skip
    """Take rows from ``first_row``; gives (next row, rows given). Stops early where ``out`` lacks room (state[NEED] says how much).

    ``fate`` of a row: 0 absorbed, 1 late, 2 overflow. A window w is [w * every, w * every + size); its slot is w modulo the
    length of the ring. For windows of a zone, ``windows`` and ``marks`` are the windows of each row and of its watermark, and
    ``table`` says when windows begin; all are empty for UTC.
    """
    ring = cells.shape[0]
    fill = expire >= 0
    zone = windows.size > 0
    before, newest_window, newest_slot = size // every - 1, 0, 0
    due = state[NEWEST] if state[NEWEST] == NONE else (state[NEXT]) * every + size + lateness
    for i in range(first_row, ids.size):
        t, k = times[i], ids[i]
        if t > state[NEWEST]:
            if zone:
                after = marks[i] - before
                if state[NEXT] == NONE:
                    state[NEXT] = after
            elif t >= due:
                # the first window whose end the watermark has not reached
                after = (t - lateness - size) // every + 1
                if state[NEXT] == NONE:
                    state[NEXT] = after
                due = after * every + size + lateness
            else:
                after = state[NEXT]
            if after > state[NEXT]:
                shut = after - state[NEXT]
                if fill:
                    need = state[LISTED] * min(shut, expire // every + ring + 1)
                else:
                    need = 0
                    for s in range(ring):
                        need += touches[s]
                if n_out + need > out.size:
                    state[NEED] = need
                    return i, n_out
                n_out = close(i, after, every, size, table, expire, partitions, offsets, cells, touched, touches, sets, set_sizes,
                               open_of, seen, born, listed, state, out, n_out)  # fmt: skip
            state[NEWEST] = t
        if zone:
            if windows[i] != newest_window:
                newest_window = windows[i]
                newest_slot = newest_window % ring
        elif not 0 <= t - newest_window * every < every:  # divisions are slow, and most rows are of the window of the one before
            newest_window = t // every
            newest_slot = newest_window % ring
        if newest_window < state[NEXT]:
            fate[i] = 1
            continue
        # most rows find their window open; only then is the rest looked at, since each look is a cache miss
        if cells[newest_slot, k].count == 0 and open_of[k] == 0 and not (fill and seen[k] != NONE):
            if state[LIVE] >= most:
                fate[i] = 2
                continue
            state[LIVE] += 1
            if fill:
                born[k] = t
                listed[state[LISTED]] = k
                state[LISTED] += 1
        if fill:
            seen[k], born[k] = max(seen[k], t), min(born[k], t)
        for w in range(max(state[NEXT], newest_window - before), newest_window + 1):
            s = newest_slot if before == 0 else w % ring
            cell = cells[s, k]
            if cell.count == 0:
                touched[s, touches[s]] = k
                touches[s] += 1
                open_of[k] += 1
                cell.first, cell.last, cell.partition, cell.mixed = offsets[i], offsets[i], partitions[i], 0
                cell.sum, cell.distinct = 0.0, 0
            cell.count += 1
            state[HELD] += 1
            if amounts.size:
                cell.sum += amounts[i]
            if cell.partition != partitions[i]:
                cell.mixed = 1
            cell.first, cell.last = min(cell.first, offsets[i]), max(cell.last, offsets[i])
            cell.offset, cell.partition = offsets[i], partitions[i]
            if items.size and _new(sets[s], items[i]):
                set_sizes[s] += 1
                cell.distinct += 1
    return ids.size, n_out


@njit(cache=True, nogil=True)
def _new(table, item):
    """Put an item into a set (0 = free place); tells whether it was new."""
    item = item if item != 0 else np.uint64(1)
    mask = np.uint64(table.size - 1)
    j = item & mask
    while table[j] != 0:
        if table[j] == item:
            return False
        j = (j + np.uint64(1)) & mask
    table[j] = item
    return True


@njit(cache=True, nogil=True)
def close(
    i,
    after,
    every,
    size,
    table,
    expire,
    partitions,
    offsets,
    cells,
    touched,
    touches,
    sets,
    set_sizes,
    open_of,
    seen,
    born,
    listed,
    state,
    out,
    n_out,
):
    """Give on the windows before ``after``."""
    ring, fill = cells.shape[0], expire >= 0
    w = state[NEXT]
    while w < after:
        s = w % ring
        if not fill and w >= state[NEXT] + ring:
            break  # nothing can be open there
        if fill:
            if state[LISTED] == 0:
                break
            begin, end = start_of(w, every, table), start_of(w + size // every, every, table)
            n_out = _list(i, w, s, begin, end, expire, partitions, offsets, cells, open_of, seen, born, listed, state, out, n_out)
        else:
            for j in range(touches[s]):
                k = touched[s, j]
                _give(out[n_out], k, w, i, cells[s, k])
                n_out += 1
        for j in range(touches[s]):
            k = touched[s, j]
            state[HELD] -= cells[s, k].count
            cells[s, k].count = 0
            open_of[k] -= 1
            if open_of[k] == 0 and not fill:
                state[LIVE] -= 1
        touches[s] = 0
        if set_sizes[s]:
            sets[s, :] = 0
            set_sizes[s] = 0
        w += 1
    state[NEXT] = after
    return n_out


@njit(cache=True, nogil=True)
def _list(i, w, s, begin, end, expire, partitions, offsets, cells, open_of, seen, born, listed, state, out, n_out):
    """Give on a window of every key that is known, empty or not; forget the keys unseen for too long."""
    kept = 0
    for j in range(state[LISTED]):
        k = listed[j]
        cell = cells[s, k]
        if cell.count > 0:
            _give(out[n_out], k, w, i, cell)
            n_out += 1
        elif seen[k] + expire <= begin and open_of[k] == 0:
            seen[k] = NONE
            state[LIVE] -= 1
            continue
        elif end > born[k]:
            row = out[n_out]
            row.key, row.window, row.row = k, w, i
            row.cell.count, row.cell.sum, row.cell.distinct, row.cell.first, row.cell.last = 0, 0.0, 0, -1, -1
            row.cell.offset, row.cell.partition, row.cell.mixed = offsets[i], partitions[i], 0
            n_out += 1
        listed[kept] = k
        kept += 1
    state[LISTED] = kept
    return n_out


@njit(cache=True, nogil=True)
def _give(row, k, w, i, cell):
    row.key, row.window, row.row = k, w, i
    to = row.cell
    to.count, to.sum, to.distinct, to.first, to.last = cell.count, cell.sum, cell.distinct, cell.first, cell.last
    to.offset, to.partition, to.mixed = cell.offset, cell.partition, cell.mixed


@njit(cache=True, nogil=True)
def refill(old, new):
    """Move the items of a set to a larger one."""
    for j in range(old.size):
        if old[j] != 0:
            _new(new, old[j])
