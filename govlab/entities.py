"""Slots for the state of entities, bounded in number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numba import njit

from govlab.errors import ArgumentError
from govlab.frames import duration_us, measures, require, time_us
from govlab.keys import KeyIndex, grow

__all__ = ["Entities", "entities_of", "place_rows", "place_values"]

NO_TIME = np.iinfo("int64").min  # NaT


@njit(cache=True, nogil=True)
def _place(ids, times, expire, slot_of, owner, last, newer, older, ends, slots, fresh):
    """Give each row the slot of its entity; when all slots are taken, the entity unseen for the longest gives up its own.

    ``ends`` = [newest slot, oldest slot, slots in use]; ``newer`` and ``older`` link the slots by last use.
    """
    for i in range(ids.size):
        slot = slot_of[ids[i]]
        new = slot < 0
        if new:
            if ends[2] < owner.size:
                slot = ends[2]
                ends[2] += 1
            else:
                slot = ends[1]
                slot_of[owner[slot]] = -1
                ends[1] = newer[slot]
                if ends[1] >= 0:
                    older[ends[1]] = -1
                else:
                    ends[0] = -1
            owner[slot] = ids[i]
            slot_of[ids[i]] = slot
        elif ends[0] != slot:
            n, o = newer[slot], older[slot]
            older[n] = o
            if o >= 0:
                newer[o] = n
            else:
                ends[1] = n
        # a row without a time tells nothing of how long its entity was unseen; nor can its time be reckoned with
        known = times[i] != NO_TIME and last[slot] != NO_TIME
        fresh[i] = new or (known and times[i] - last[slot] > expire)
        if new or times[i] > last[slot]:
            last[slot] = times[i]
        if ends[0] != slot:
            newer[slot] = -1
            older[slot] = ends[0]
            if ends[0] >= 0:
                newer[ends[0]] = slot
            else:
                ends[1] = slot
            ends[0] = slot
        slots[i] = slot


class Entities:
    """Places for the state of entities: bounded in number, forgotten after a time without events.

    Parameters
    ----------
    max_entities : int
        So many entities have state at once; one more takes the place of the one unseen for the longest.
    expire_us : int, optional
        An entity unseen for longer than this (event time, microseconds) starts afresh.
    """

    def __init__(self, max_entities: int, expire_us: int | None = None) -> None:
        if max_entities < 1:
            raise ArgumentError(f"max_entities={max_entities} must be at least 1.")
        self.max_entities = max_entities
        self.expire_us = np.iinfo("int64").max if expire_us is None else expire_us
        self._index = KeyIndex()
        self._slot_of = np.full(0, -1, "int64")
        size = 1
        self._owner, self._last = np.zeros(size, "int64"), np.zeros(size, "int64")
        self._newer, self._older = np.full(size, -1, "int64"), np.full(size, -1, "int64")
        self._ends = np.array([-1, -1, 0])

    @property
    def size(self) -> int:
        """How many slots the state arrays must have now."""
        return self._owner.size

    def place(self, column: pd.Series | None, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give each row its slot (int64) and whether its state must be started afresh before it (bool).

        ``column=None``: all rows are one entity, which is never forgotten.
        """
        ids = np.zeros(len(times), "int64") if column is None else self._index.encode(column)
        known = max(len(self._index), 1)
        if known > self._slot_of.size:
            self._slot_of = np.append(self._slot_of, np.full(known * 2 - self._slot_of.size, -1, "int64"))
        if self.size < min(known, self.max_entities):
            size = min(known * 2, self.max_entities)
            more = size - self.size
            self._owner = np.append(self._owner, np.zeros(more, "int64"))
            self._last = np.append(self._last, np.zeros(more, "int64"))
            self._newer = np.append(self._newer, np.full(more, -1, "int64"))
            self._older = np.append(self._older, np.full(more, -1, "int64"))
        slots, fresh = np.empty(ids.size, "int64"), np.empty(ids.size, "bool")
        # a stream of one is not unseen for long when it is slow: a year may lie between the rows of an economic series
        expire_us = np.iinfo("int64").max if column is None else self.expire_us
        _place(ids, times, expire_us, self._slot_of, self._owner, self._last, self._newer, self._older, self._ends, slots, fresh)
        if len(self._index) > 2 * self.max_entities + 1_000:
            self._forget_names()
        return slots, fresh

    def _forget_names(self) -> None:
        used = self._owner[: self._ends[2]]
        self._index.keep(used)
        self._slot_of = np.full(used.size, -1, "int64")
        self._slot_of[:] = np.arange(used.size)
        self._owner[: used.size] = np.arange(used.size)


def entities_of(step: Any) -> Entities:
    """Give places as ``max_entities`` and ``expire`` of a step say; without ``expire`` none is ever forgotten for its age."""
    return Entities(step.max_entities, duration_us(step.expire) if hasattr(step, "expire") else None)


def place_rows(step: Any, frame: pd.DataFrame, *arrays: str, times: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Place the rows of a frame by the column ``by`` of a step, with its ``_entities``; see `Entities.place`.

    Raises a SchemaError if the frame lacks ``by``. The arrays of the step that hold the state of entities, a row each, are
    made long enough; one row if ``by`` is None.
    """
    require(frame, [step.by], type(step).__name__)
    entities, column = step._entities, None if step.by is None else frame[step.by]
    slots, fresh = entities.place(column, time_us(frame) if times is None else times)
    for name in arrays:
        setattr(step, name, grow(getattr(step, name), 1 if column is None else entities.size))
    return slots, fresh


def place_values(
    step: Any, frame: pd.DataFrame, *arrays: str, times: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Place the rows of a frame as `place_rows` does, and give the numbers of ``column`` too; see `govlab.frames.measures`.

    The numbers are read first: if they cannot be, no entity has been given the slot of another.
    """
    require(frame, [step.column], type(step).__name__)
    values = measures(frame, step.column)
    return *place_rows(step, frame, *arrays, times=times), values
