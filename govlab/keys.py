"""Keys: a stable hash of any column, dense numbers for keys, and slots for the state of entities.

The hash decides on which shard a key lives and takes part in fingerprints, so it must never change: 64-bit FNV-1a of
the UTF-8 bytes, finished by splitmix64; numbers by splitmix64 of the value.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from govlab.errors import ArgumentError

__all__ = ["Entities", "KeyIndex", "hash_column", "hash_text"]

NULL_HASH = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True, inline="always")
def _mix(h):
    h ^= h >> np.uint64(30)
    h *= np.uint64(0xBF58476D1CE4E5B9)
    h ^= h >> np.uint64(27)
    h *= np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@njit(cache=True, nogil=True)
def _hash_strings(offsets, data, out):
    for i in range(out.size):
        h = np.uint64(0xCBF29CE484222325)
        for j in range(offsets[i], offsets[i + 1]):
            h = (h ^ np.uint64(data[j])) * np.uint64(0x100000001B3)
        out[i] = _mix(h)


@njit(cache=True, nogil=True)
def _hash_floats(values, bits, out):
    for i in range(out.size):
        v = values[i]
        if v == np.floor(v) and abs(v) < 9007199254740992.0:
            # a whole number hashes the same as an int: a column of ints with a gap is a column of floats in pandas
            out[i] = _mix(np.uint64(np.int64(v)))
        else:
            out[i] = _mix(bits[i])


@njit(cache=True, nogil=True)
def _hash_ints(values, out):
    for i in range(out.size):
        out[i] = _mix(np.uint64(values[i]))


def as_arrow(column: pd.Series) -> pa.Array:
    """Give a column as one Arrow array, missing values as nulls; what Arrow has no type for becomes JSON text."""
    try:
        array = pa.array(column, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        array = pa.array([None if v is None else json.dumps(v, sort_keys=True, default=str) for v in column])
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks() if array.num_chunks != 1 else array.chunk(0)
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def hash_column(column: pd.Series | pa.Array) -> np.ndarray:
    """Hash each value of a column to 64 bits: the same on every machine, in every process, for ever.

    Returns
    -------
    ndarray of uint64, shape (n,)
        About 15 ns a row for short text. Missing values share one hash; 3 and 3.0 hash alike.

    Examples
    --------
    >>> bool(hash_column(pd.Series([3]))[0] == hash_column(pd.Series([3.0]))[0])
    True
    """
    array = column if isinstance(column, pa.Array) else as_arrow(column)
    kind = array.type
    out = np.empty(len(array), "uint64")
    if pa.types.is_nested(kind):
        array = pa.array([json.dumps(v, sort_keys=True, default=str) for v in array.to_pylist()])
        kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        wide = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind)
        _, offsets, data = array.buffers()
        if offsets is not None and len(array):
            starts = np.frombuffer(offsets, "int64" if wide else "int32")[array.offset : array.offset + len(array) + 1]
            _hash_strings(starts, np.frombuffer(data, "uint8") if data else np.empty(0, "uint8"), out)
    else:
        filled = array if array.null_count == 0 else array.fill_null(_zero(kind))
        if pa.types.is_timestamp(kind):
            _hash_ints(filled.cast(pa.timestamp("us", kind.tz), safe=False).to_numpy(False).view("int64"), out)
        elif pa.types.is_floating(kind):
            values = np.ascontiguousarray(filled.to_numpy(False), "float64") + 0.0
            _hash_floats(values, values.view("uint64"), out)
        elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
            _hash_ints(filled.cast(pa.int64(), safe=False).to_numpy(False), out)
        else:
            return hash_column(pc.cast(array, pa.string()))
    if array.null_count:
        out[array.is_null().to_numpy(False)] = NULL_HASH
    return out


def _zero(kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(0, pa.int64()).cast(kind)


def hash_text(text: str) -> int:
    """Hash one text as ``hash_column`` does."""
    return int(hash_column(pa.array([text]))[0])


class KeyIndex:
    """Dense numbers for keys, in the order in which the keys first came.

    Examples
    --------
    >>> index = KeyIndex()
    >>> index.encode(pd.Series(["b", "a", "b"])).tolist(), index.names
    ([0, 1, 0], ['b', 'a'])
    """

    def __init__(self) -> None:
        self.names: list[Any] = []
        self._ids: dict[Any, int] = {}

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, column: pd.Series) -> np.ndarray:
        """Number the keys of a column, int64, shape (n,); about 100 ns a row. A missing value is a key of its own."""
        coded = as_arrow(column).dictionary_encode(null_encoding="encode")
        ids, names = self._ids, self.names
        table = np.empty(len(coded.dictionary), "int64")
        for i, name in enumerate(coded.dictionary.to_pylist()):
            number = ids.get(name)
            if number is None:
                number = ids[name] = len(names)
                names.append(name)
            table[i] = number
        return table[coded.indices.to_numpy(False)] if len(coded) else np.empty(0, "int64")

    def __getstate__(self) -> list[Any]:
        return self.names

    def __setstate__(self, names: list[Any]) -> None:
        self.names = names
        self._ids = {name: i for i, name in enumerate(names)}

    def keep(self, numbers: np.ndarray) -> np.ndarray:
        """Forget all keys but these; gives the new number of each old one, -1 for the forgotten."""
        moved = np.full(len(self.names), -1, "int64")
        moved[numbers] = np.arange(len(numbers))
        self.names = [self.names[i] for i in numbers]
        self._ids = {name: i for i, name in enumerate(self.names)}
        return moved


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
        fresh[i] = new or times[i] - last[slot] > expire
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
        size = min(max_entities, 64)
        self._owner, self._last = np.zeros(size, "int64"), np.zeros(size, "int64")
        self._newer, self._older = np.full(size, -1, "int64"), np.full(size, -1, "int64")
        self._ends = np.array([-1, -1, 0])

    @property
    def size(self) -> int:
        """How many slots the state arrays must have now."""
        return self._owner.size

    def place(self, column: pd.Series | None, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give each row its slot (int64) and whether its state must be started afresh before it (bool).

        ``column=None``: all rows are one entity.
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
        _place(
            ids, times, self.expire_us, self._slot_of, self._owner, self._last, self._newer, self._older, self._ends, slots, fresh
        )
        if len(self._index) > 2 * self.max_entities + 10_000:
            self._forget_names()
        return slots, fresh

    def _forget_names(self) -> None:
        used = self._owner[: self._ends[2]]
        self._index.keep(used)
        self._slot_of = np.full(used.size, -1, "int64")
        self._slot_of[:] = np.arange(used.size)
        self._owner[: used.size] = np.arange(used.size)

    def find(self, key: Any) -> int:
        """Give the slot of a key that has state, else -1; changes nothing."""
        if not self._index.names:
            return int(self._ends[2]) - 1 if key is None else -1
        number = self._index._ids.get(key)
        return -1 if number is None else int(self._slot_of[number])


def grow(array: np.ndarray, size: int, fill: float = 0) -> np.ndarray:
    """Give an array with at least ``size`` rows: itself, or a longer copy filled up with ``fill``."""
    if array.shape[0] >= size:
        return array
    longer = np.full((size, *array.shape[1:]), fill, array.dtype)
    longer[: array.shape[0]] = array
    return longer
