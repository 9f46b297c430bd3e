"""Positions inside of a message that holds several rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from govlab.sources.lanes import Block

__all__ = ["Cuts", "partition_of"]

SPAN = 2**40
At = dict[int, tuple[int, int]]  # partition -> (offset of its last message, rows of it given)


def partition_of(key: int) -> int:
    """Give the partition to which an entry of a position belongs: entries beside that of the partition itself are negative.

    Examples
    --------
    >>> partition_of(3), partition_of(-1 - 3), partition_of(-1 - 2**41 - 3)
    (3, 3, 3)
    """
    return key if key >= 0 else (-1 - key) % SPAN


class Cuts:
    """Keeps count of the rows given of the last message of each partition, so that none comes twice and none is lost.

    A position is, for each partition, the offset of the next message to give, and under ``-1 - partition`` how many of
    that message's rows were given already, where it is more than none.

    Examples
    --------
    >>> rows = pd.DataFrame({"partition": [0, 0, 0], "offset": [7, 8, 8]})
    >>> cuts = Cuts({0: 7})
    >>> cuts.give(rows)
    >>> cuts.position({0: 9}, rows[:0], rows[2:])
    {0: 8, -1: 1}
    """

    def __init__(self, position: Mapping[int, int]) -> None:
        self._given: At = {-1 - key: (position[-1 - key], n) for key, n in position.items() if -SPAN < key < 0}
        self._skip: At = dict(self._given)
        self._before: At = dict(self._given)
        self._partition = self._offset = np.empty(0, "int64")

    def restart(self, partition: int, position: Mapping[int, int]) -> None:
        """Begin a partition anew at a position."""
        for known in (self._given, self._skip, self._before):
            known.pop(partition, None)
        if -1 - partition in position:
            self._given[partition] = self._skip[partition] = position[partition], position[-1 - partition]

    def skip(self, partition: int, block: Block) -> Block:
        """Drop, of the first rows after opening, those that were given before."""
        rows, bad = block
        if partition not in self._skip or not len(rows):
            return block
        offset, n = self._skip[partition]
        offsets = rows["offset"].to_numpy()
        if offsets[-1] >= offset:
            del self._skip[partition]
        first = int(np.searchsorted(offsets, offset))
        again = min(n, int(np.searchsorted(offsets, offset, side="right")) - first)
        return rows.drop(index=range(first, first + again)).reset_index(drop=True), bad

    def give(self, rows: pd.DataFrame) -> None:
        """Count rows that are given."""
        self._before = self._given
        self._partition, self._offset = rows["partition"].to_numpy(), rows["offset"].to_numpy()
        self._given = self._after(self._partition.size)

    def _after(self, n: int) -> At:
        """Give where it stands after the first ``n`` rows of the last frame."""
        at, partition, offset = dict(self._before), self._partition[:n], self._offset[:n]
        for p in np.unique(partition).tolist():
            mine = offset[partition == p]
            last = int(mine[-1])
            known, given = at.get(p, (-1, 0))
            at[p] = last, int(np.count_nonzero(mine == last)) + (given if known == last else 0)
        return at

    def position(self, following: Mapping[int, int], ready: pd.DataFrame, pending: pd.DataFrame) -> dict[int, int]:
        """Give the position of which ``pending`` (the last rows given), then ``ready``, then ``following`` come next."""
        at = self._given if not len(pending) else self._after(self._partition.size - len(pending))
        position = dict(following)
        for rows in (ready, pending):
            partition, offset = rows["partition"].to_numpy(), rows["offset"].to_numpy()
            numbers, first = np.unique(partition, return_index=True)
            position |= dict(zip(numbers.tolist(), offset[first].tolist(), strict=True))
        inside = {-1 - p: at[p][1] for p, offset in position.items() if p in at and at[p][0] == offset}
        return position | inside
