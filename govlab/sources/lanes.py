"""Lanes: partitions whose rows are put in order, and merged on one clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence

import numpy as np
import pandas as pd

from govlab import frames
from govlab.errors import SourceError
from govlab.event_clock import AHEAD_US, EventClock
from govlab.frames import TIME, Schema, time_us
from govlab.sources.disorder import Disorder
from govlab.sources.files.records import Bad
from govlab.sources.reader import RAW_LIMIT, DeadLetter

__all__ = ["NEVER", "Block", "Lane", "Order", "merge"]

Block = tuple[pd.DataFrame, list[Bad]]
NEVER = int(np.iinfo("int64").min)
HEAVY, LETTER = 8 << 20, 1_024  # bytes of dead letters that may wait, and of one beside its record


class Order:
    """How rows are put in order: by the time of the events (``"event"``), or as they arrived (``"arrival"``).

    Parameters
    ----------
    order : {"event", "arrival"}
        What to go by.
    look_ahead : int
        With ``"event"``, so many rows a partition may be out of order; of rows far ahead, too, at most so many wait.
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
        self.clock = EventClock(AHEAD_US)
        self._disorder = Disorder(order.ahead)
        # by arrival: the latest time of the rows whose key is final, and the times of those behind them, whose key is not
        self._peak, self._open = NEVER, np.empty(0, "int64")

    def load(self) -> None:
        """Read on until a row may go, or the partition ends, or so many records are bad that they should be taken first."""
        parts = []
        waiting, bad = self.keys.size - self._open.size, 0
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
        if not self.order.by_event:
            keys = [self.keys, self._settle(np.concatenate(keys[1:]))]
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
        if not self.order.by_event:
            return key
        self.clock.take(key)
        late = self._disorder.check(key)
        if late < key.size:
            raise SourceError(
                f"{self.name} is out of order by more than {self.order.ahead:,} rows: line or row "
                f"{frame['offset'].iloc[late] + 1} is {(self._disorder.floor - key[late]) / 1e6:,.0f} s older than one so far "
                "before it. Give look_ahead=more rows, sort it, or use order='arrival'."
            )
        return key

    def _settle(self, key: np.ndarray, end: bool = False) -> np.ndarray:
        """Give the keys of rows in the order of arrival: the latest time up to each, leaving out those that are ahead.

        It is in its order as it stands: an older row comes right after the one before it, and so does one that is ahead. Which
        are, the rows behind them say: until then those rows, and what comes behind, wait.
        """
        before = self.clock.taken - self._open.size  # the number of the first of the rows whose key is not final
        verdicts = self.clock.finish() if end else self.clock.take(key)
        times = np.concatenate([self._open, key])
        if verdicts is not None:
            odd = verdicts.ids[~verdicts.passes] - before
            times[odd[odd >= 0]] = NEVER
        oldest = self.clock.oldest_held
        final = times.size if oldest is None else max(0, oldest - before)
        keys = np.maximum.accumulate(np.concatenate([[self._peak], times[:final]]))[1:]
        said = keys[keys > NEVER][:1]
        if final and not said.size:  # only rows that are ahead: they go by the first that is not
            final, keys = 0, keys[:0]
        keys[keys == NEVER] = said
        self._peak = int(keys[-1]) if final else self._peak
        # a live reader may pass the others on before it is known
        rest = times[final:] if self._peak == NEVER else np.full(times.size - final, self._peak)
        keys = np.concatenate([keys, np.maximum(np.maximum.accumulate(rest), self.clock.newest if self._peak == NEVER else NEVER)])
        waiting = min(self._open.size, self.keys.size)  # of those before; the others were given
        self.keys[self.keys.size - waiting :] = keys[self._open.size - waiting : self._open.size]
        keys, self._open = keys[self._open.size :], times[final:]
        return keys

    def free(self) -> int:
        """Count the rows that no row still to be read can come before."""
        if not self.ended:
            return max(0, self.keys.size - (self.order.ahead if self.order.by_event else self._open.size))
        if self.clock.held:
            if self.order.by_event:
                self.clock.finish()
            else:
                self._settle(np.empty(0, "int64"), end=True)
        return self.keys.size

    def bound(self) -> tuple[int, int] | None:
        """Give the (time, partition) that rows still to be read cannot come before; None where there are none to wait for."""
        if self.ended:
            return None
        free = self.free()
        if free:
            return int(self.keys[free - 1]), self.partition
        return (NEVER if self.order.by_event else self._peak), self.partition

    def newest(self) -> int:
        """Give the latest time that a replay goes by: of the rows read, those aside that are ahead."""
        return max(self.clock.newest, self.clock.farthest_held or NEVER)

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
