"""Lanes: partitions whose rows are put in order, and merged on one clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence

import numpy as np
import pandas as pd

from govlab import frames
from govlab.errors import SourceError
from govlab.frames import TIME, Schema, time_us
from govlab.sources.decode import Bad
from govlab.sources.reader import RAW_LIMIT, DeadLetter

__all__ = ["NEVER", "Block", "Lane", "Order", "merge"]

Block = tuple[pd.DataFrame, list[Bad]]
NEVER = np.iinfo("int64").min
HEAVY, LETTER = 8 << 20, 1_024  # bytes of dead letters that may wait, and of one beside its record


class Order:
    """How rows are put in order: by the time of the events (``"event"``), or as they arrived (``"arrival"``).

    Parameters
    ----------
    order : {"event", "arrival"}
        What to go by.
    look_ahead : int
        With ``"event"``, so many rows a partition may be out of order.
    schema : Schema
        Names the column of the arrival, if there is one.
    """

    def __init__(self, order: str, look_ahead: int, schema: Schema) -> None:
        self.by_event = order == "event"
        self.ahead = look_ahead if self.by_event else 0
        self.column = TIME if self.by_event else schema.frame_name(schema.arrival or schema.time)


class Lane:
    """One partition as sorted rows: those that were read but not yet given, and its dead letters.

    Parameters
    ----------
    partition : int
        Its number in the frames.
    name : str
        The file or topic, for messages and dead letters.
    order : Order
        How its rows are put in order.
    blocks : generator, optional
        Where its rows come from when there are too few; without it they are put in by ``add``.
    """

    def __init__(self, partition: int, name: str, order: Order, blocks: Generator[Block, None, None] | None = None) -> None:
        self.partition, self.name, self.order = partition, name, order
        self.blocks = blocks
        self.rows: pd.DataFrame | None = None
        self.keys = np.empty(0, "int64")
        self.ended = False
        self.read = self.given = 0
        self.letters: deque[tuple[int, DeadLetter]] = deque()
        self.weight = 0  # bytes of those, about
        self._peaks = np.empty(0, "int64")

    def load(self) -> None:
        """Read on until a row may go, or the partition ends, or so many records are bad that they should be taken first."""
        parts = []
        waiting, bad = self.keys.size, 0
        while not self.ended and waiting <= self.order.ahead and bad <= HEAVY:
            block = next(self.blocks, None) if self.blocks is not None else None
            if block is None:
                self.ended = True
                break
            parts.append(block)
            waiting += len(block[0])
            bad += sum(LETTER + len(raw) for _, _, raw in block[1])
        self.add(parts)
        for _, taken in parts:
            taken.clear()  # whoever made the blocks may still hold the last one

    def add(self, parts: Sequence[Block]) -> None:
        """Put in the next rows, sorted by the clock's time if they are not; a bad record goes to the dead letters."""
        rows, keys = ([] if self.rows is None else [self.rows]), [self.keys]
        for frame, bad in parts:
            self._bury(frame, bad)
            rows.append(frame)
            keys.append(self._key(frame))
            self.read += len(frame)
        if len(keys) == 1:
            return
        whole, key = frames.concat(rows), np.concatenate(keys)
        if key.size > 1 and (np.diff(key) < 0).any():
            order = np.argsort(key, kind="stable")
            whole, key = whole.iloc[order].reset_index(drop=True), key[order]
        self.rows, self.keys = whole, key

    def _bury(self, frame: pd.DataFrame, bad: list[Bad]) -> None:
        """Keep bad records, each with the number of rows that come before it."""
        before = self.read + np.searchsorted(frame["offset"].to_numpy(), [offset for offset, _, _ in bad])
        for n, (offset, reason, raw) in zip(before.tolist(), bad, strict=True):
            self.letters.append((n, DeadLetter(self.name, self.partition, offset, reason, raw[:RAW_LIMIT])))
            self.weight += LETTER + len(self.letters[-1][1].raw)

    def pop_letter(self) -> DeadLetter:
        """Hand over the first dead letter."""
        _, letter = self.letters.popleft()
        self.weight -= LETTER + len(letter.raw)
        return letter

    def _key(self, frame: pd.DataFrame) -> np.ndarray:
        """Give the time by which rows are merged."""
        key = time_us(frame, self.order.column)
        # the latest time of all rows up to each one, after those of the rows just before
        peaks = np.maximum.accumulate(np.concatenate([self._peaks, key]))
        here = peaks.size - key.size
        ahead = self.order.ahead + 1
        self._peaks = peaks[-ahead:]
        if not self.order.by_event:
            # it is in its order as it stands: an older row comes right after the one before it
            return peaks[here:]
        first = max(0, ahead - here)
        passed = peaks[here + first - ahead :][: max(0, key.size - first)]
        late = np.flatnonzero(key[first:] < passed)
        if late.size:
            row, late_s = int(late[0]) + first, (passed[late[0]] - key[late[0] + first]) / 1e6
            raise SourceError(
                f"{self.name} is out of order by more than {self.order.ahead:,} rows: line or row "
                f"{frame['offset'].iloc[row] + 1} is {late_s:,.0f} s older than one so far before it. "
                "Give look_ahead=more rows, sort it, or use order='arrival'."
            )
        return key

    def free(self) -> int:
        """Count the rows that no row still to be read can come before."""
        return self.keys.size if self.ended else max(0, self.keys.size - self.order.ahead)

    def bound(self) -> tuple[int, int] | None:
        """Give the (time, partition) that rows still to be read cannot come before; None where there are none to wait for."""
        if self.ended:
            return None
        free = self.free()
        if free:
            return int(self.keys[free - 1]), self.partition
        return (int(self._peaks[-1]) if self._peaks.size and not self.order.by_event else NEVER), self.partition

    def take(self, n: int) -> tuple[pd.DataFrame, np.ndarray]:
        """Hand over the first rows."""
        assert self.rows is not None
        rows, keys = self.rows.iloc[:n], self.keys[:n]
        self.rows, self.keys = self.rows.iloc[n:], self.keys[n:]
        self.given += n
        return rows, keys

    def close(self) -> None:
        """Let go of the file."""
        if self.blocks is not None:
            self.blocks.close()


def merge(lanes: Sequence[Lane]) -> tuple[pd.DataFrame, np.ndarray]:
    """Take, from all lanes, the rows that no row still unread can come before, in the order (time, partition, offset).

    Returns
    -------
    rows : DataFrame
    keys : numpy.ndarray
        The clock's time of each row, int64 microseconds.
    """
    bounds = [bound for lane in lanes if (bound := lane.bound()) is not None]
    parts = []
    for lane in lanes:
        n = lane.free()
        if bounds and n:
            time, partition = min(bounds)
            n = min(n, int(np.searchsorted(lane.keys, time, side="right" if lane.partition <= partition else "left")))
        if n:
            parts.append(lane.take(n))
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return frames.empty(), np.empty(0, "int64")
    keys = np.concatenate([key for _, key in parts])
    order = np.argsort(keys, kind="stable")  # the parts stand in the order of their partitions
    return frames.concat([rows for rows, _ in parts]).iloc[order], keys[order]
