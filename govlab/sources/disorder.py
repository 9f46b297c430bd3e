"""How far a partition may be out of order: a row that comes before rows already given is found, however the rows were cut."""

from __future__ import annotations

from collections import deque

import numpy as np
from numba import njit

NEVER = np.iinfo("int64").min


@njit(cache=True, nogil=True)
def _below(heap, size, floor, keys):
    """``heap`` = the largest keys so far, of which ``size`` are in use. Gives (the first row below what was given, size, floor)."""
    for i in range(keys.size):
        key = keys[i]
        if key < floor:
            return i, size, floor
        if size < heap.size:
            j = size
            size += 1
            while j > 0 and heap[(j - 1) // 2] > key:
                heap[j] = heap[(j - 1) // 2]
                j = (j - 1) // 2
            heap[j] = key
            continue
        if heap.size == 0 or key <= heap[0]:
            floor = max(floor, key)
            continue
        floor = max(floor, heap[0])
        j = 0
        while 2 * j + 1 < size:
            child = 2 * j + 1
            if child + 1 < size and heap[child + 1] < heap[child]:
                child += 1
            if heap[child] >= key:
                break
            heap[j] = heap[child]
            j = child
        heap[j] = key
    return keys.size, size, floor


class Disorder:
    """The largest keys of a partition that wait, and the largest that may have been given: what is below comes too late.

    A few rows far ahead take places among those that wait, and move nothing.

    Parameters
    ----------
    most : int
        So many rows wait at most.
    """

    def __init__(self, most: int) -> None:
        self._most, self.floor = most, int(NEVER)
        self._heap: np.ndarray | None = None  # none while all rows are in order
        self._size = 0
        self._chunks: deque[np.ndarray] = deque()

    def check(self, keys: np.ndarray) -> int:
        """Take the next keys; gives the number of the first that comes too late, or how many there are."""
        if not keys.size:
            return 0
        if self._heap is None:
            last = self._chunks[-1][-1] if self._chunks else self.floor
            if keys[0] >= last and (keys[1:] >= keys[:-1]).all():
                self._append(keys)
                return keys.size
            self._make_heap()
        assert self._heap is not None
        if self._heap.size < min(self._most, self._size + keys.size):
            grown = np.empty(min(self._most, 2 * (self._size + keys.size)), "int64")
            grown[: self._size] = self._heap[: self._size]
            self._heap = grown
        row, self._size, floor = _below(self._heap, self._size, self.floor, keys)
        self.floor = int(floor)
        return int(row)

    def _append(self, keys: np.ndarray) -> None:
        self._chunks.append(keys)
        self._size += keys.size
        while self._size - self._chunks[0].size >= max(self._most, 1):
            gone = self._chunks.popleft()
            self._size -= gone.size
            self.floor = int(gone[-1])

    def _make_heap(self) -> None:
        whole = np.concatenate([np.empty(0, "int64"), *self._chunks])
        if whole.size > self._most:
            self.floor = int(whole[whole.size - self._most - 1])
            whole = whole[whole.size - self._most :]
        self._heap, self._size = whole, whole.size  # what is sorted is a heap
        self._chunks.clear()
