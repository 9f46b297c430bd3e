"""Dense numbers for keys."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numba import njit

from govlab.errors import SchemaError
from govlab.hashing import as_arrow, hash_column, is_text, kind_of, text_buffers

__all__ = ["KeyIndex", "grow"]


@njit(cache=True, nogil=True)
def _intern(first, starts, data, hashes, missing, table, key_starts, arena, key_hashes, state, out):
    """Give the keys of the rows from ``first`` their numbers; gives the row at which there is no room for a new key.

    A key is its bytes; a missing one has none, and a hash of its own. state = [keys, bytes used, number of the missing key].
    """
    mask = np.uint64(table.shape[0] - 1)
    for i in range(first, out.size):
        h = hashes[i]
        begin, size = starts[i], starts[i + 1] - starts[i]
        gone = missing.size > 0 and missing[i]
        if gone:
            size = 0
        j = h & mask
        while True:
            # a place holds the number of a key + 1 (0 = free) and its hash, side by side for the cache
            known = np.int64(table[j, 0]) - 1
            if known < 0:
                if 2 * state[0] >= table.shape[0] or state[0] + 1 >= key_starts.size or state[1] + size > arena.size:
                    return i
                known = state[0]
                table[j, 0], table[j, 1] = np.uint64(known + 1), h
                for b in range(size):
                    arena[state[1] + b] = data[begin + b]
                state[1] += size
                state[0] += 1
                key_starts[state[0]] = state[1]
                key_hashes[known] = h
                if gone:
                    state[2] = known
                break
            if table[j, 1] == h and key_starts[known + 1] - key_starts[known] == size:
                at, same = key_starts[known], True
                for b in range(size):
                    if arena[at + b] != data[begin + b]:
                        same = False
                        break
                if same:
                    break
            j = (j + np.uint64(1)) & mask
        out[i] = known
    return out.size


class KeyIndex:
    """Dense numbers for keys, in the order in which the keys first came; 30 ns a row, 60 bytes and its text a key.

    Examples
    --------
    >>> index = KeyIndex()
    >>> index.encode(pd.Series(["b", "a", "b"])).tolist(), index.names
    ([0, 1, 0], ['b', 'a'])
    """

    _whole = False  # whether the column has a dtype of whole numbers that may be missing, as ``take`` then gives

    def __init__(self) -> None:
        self._kind = ""
        self._state = np.array([0, 0, -1])
        self._table = np.zeros((128, 2), "uint64")
        self._starts, self._arena, self._hashes = np.zeros(64, "int64"), np.zeros(1024, "uint8"), np.zeros(64, "uint64")

    def __len__(self) -> int:
        return int(self._state[0])

    def encode(self, column: pd.Series) -> np.ndarray:
        """Give the numbers of the keys of a column, int64, shape (n,). A missing value is a key of its own."""
        array = as_arrow(column, any_text=True)
        kind = _kind_of(array)
        if pa.types.is_large_string(array.type) and column.dtype == object:
            # a part of the rows may hold one of the kinds only, and would then be read as that
            kinds = {kind_of(value) for value in np.asarray(column)[~array.is_null().to_numpy(False)]}
            if len(kinds) > 1:
                raise SchemaError(
                    f"the keys of column {column.name!r} are of {sorted(kinds)}; give the column one type (see Conform)."
                )
        if kind != self._kind and kind and self._kind:
            raise SchemaError(
                f"the keys of column {column.name!r} were {self._kind} and are {kind} now; give the column one type (see Conform)."
            )
        self._kind = kind or self._kind
        self._whole = pa.types.is_integer(array.type) and not isinstance(column.dtype, np.dtype)
        missing = array.is_null().to_numpy(False) if array.null_count else np.zeros(0, "bool")
        starts, data = _key_bytes(array, kind)
        hashes, out = hash_column(array), np.empty(len(array), "int64")
        i = 0
        while i < out.size:
            i = _intern(
                i, starts, data, hashes, missing, self._table, self._starts, self._arena, self._hashes, self._state, out
            )  # fmt: skip
            if i < out.size:
                self._make_room(int(starts[i + 1] - starts[i]))
        return out

    def _make_room(self, size: int) -> None:
        keys, used = len(self), int(self._state[1])
        self._starts, self._hashes = grow(self._starts, max(64, 4 * keys)), grow(self._hashes, max(64, 4 * keys))
        if used + 2 * size > self._arena.size:
            self._arena = grow(self._arena, 2 * (used + size) + 1024)
        if 2 * keys >= len(self._table):
            self._fill_table(4 * len(self._table))

    def _fill_table(self, size: int) -> None:
        self._table = np.zeros((size, 2), "uint64")
        _place_keys(self._hashes[: len(self)], self._table)

    @property
    def names(self) -> list[Any]:
        """The keys, in the order of their numbers."""
        return [None if v is None or v is pd.NA or v != v else v for v in self.take(np.arange(len(self))).tolist()]

    def take(self, numbers: np.ndarray) -> pd.Series:
        """Give the keys with these numbers as a column."""
        gone = numbers == self._state[2]
        if self._kind in ("text", ""):
            keys = len(self)
            whole = pa.LargeStringArray.from_buffers(keys, pa.py_buffer(self._starts[: keys + 1].copy()), pa.py_buffer(self._arena))
            texts = whole.take(pa.array(np.where(gone, 0, numbers), mask=gone if gone.any() else None))
            return texts.to_pandas()
        at, known = self._starts[numbers[~gone]], numbers[~gone]
        values = self._arena[at[:, None] + np.arange(8)].view("int64")[:, 0]
        broken = self._starts[known + 1] - at > 8
        if self._whole and self._kind == "numbers" and not broken.any():
            exact = np.zeros(len(numbers), "int64")
            exact[~gone] = values
            return pd.Series(pd.arrays.IntegerArray(exact, gone.copy()))  # as floats, large ids would be one
        if broken.any() or (gone.any() and self._kind == "numbers"):
            whole = np.full(len(numbers), np.nan)
            whole[~gone] = np.where(broken, values.view("float64"), values)
            return pd.Series(whole)
        whole = np.zeros(len(numbers), "int64")
        whole[~gone] = values
        made = pa.array(whole, mask=gone if gone.any() else None)
        if self._kind == "time":
            made = made.cast(pa.timestamp("us", "UTC"))
        return (made.cast(pa.bool_()) if self._kind == "bool" else made).to_pandas()

    def keep(self, numbers: np.ndarray) -> np.ndarray:
        """Forget all keys but these; gives the new number of each old one, -1 for the forgotten."""
        moved = np.full(len(self), -1, "int64")
        moved[numbers] = np.arange(len(numbers))
        sizes = self._starts[numbers + 1] - self._starts[numbers]
        ends = np.append(0, np.cumsum(sizes))
        from_byte = np.repeat(self._starts[numbers] - ends[:-1], sizes) + np.arange(ends[-1])
        arena, hashes = self._arena[from_byte], self._hashes[numbers]
        self._state = np.array([len(numbers), ends[-1], moved[self._state[2]] if self._state[2] >= 0 else -1])
        self._starts, self._hashes = grow(ends, max(64, 2 * ends.size)), grow(hashes, max(64, 2 * ends.size))
        self._arena = grow(arena, 2 * arena.size + 1024)
        self._fill_table(max(128, 1 << (4 * len(numbers)).bit_length()))
        return moved

    def __getstate__(self) -> dict[str, Any]:
        keys = len(self)
        return self.__dict__ | {
            "_starts": self._starts[: keys + 1], "_arena": self._arena[: self._state[1]], "_hashes": self._hashes[:keys],
            "_table": len(self._table),
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._starts, self._hashes = self._starts.copy(), self._hashes.copy()
        self._fill_table(int(state["_table"]))


def _kind_of(array: pa.Array) -> str:
    """Give what the keys of a column are, by its type alone; "" if all are missing."""
    kind = array.type
    if array.null_count == len(array):
        return ""
    if pa.types.is_uint64(kind):
        return "text"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "numbers"
    return "bool" if pa.types.is_boolean(kind) else "time" if pa.types.is_timestamp(kind) else "text"


def _key_bytes(array: pa.Array, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Give where each key begins and ends, and all the bytes.

    A whole number is its 8 bytes, whether it comes as an int or (in a column with a gap) as a float; a fraction is the 8
    bytes of the float and one more.
    """
    if not kind:
        return np.zeros(len(array) + 1, "int64"), np.frombuffer(b"", "uint8")
    if kind == "text":
        if pa.types.is_nested(array.type):
            array = pa.array([None if v is None else json.dumps(v, sort_keys=True, default=str) for v in array.to_pylist()])
        return text_buffers(array if is_text(array.type) else array.cast(pa.large_string()))
    if not pa.types.is_floating(array.type):
        time = pa.types.is_timestamp(array.type)
        whole = array.cast(pa.timestamp("us", array.type.tz), safe=False) if time else array
        values = whole.cast(pa.int64()).fill_null(0).to_numpy(False)
        return np.arange(len(array) + 1) * 8, np.frombuffer(values.tobytes(), "uint8")
    floats = np.nan_to_num(array.cast(pa.float64()).to_numpy(False), nan=0.0, posinf=np.inf, neginf=-np.inf)
    broken = (floats != np.floor(floats)) | (np.abs(floats) >= 2.0**63)
    with np.errstate(invalid="ignore"):
        values = np.where(broken, floats.view("int64"), floats.astype("int64"))
    starts = np.append(0, np.cumsum(np.where(broken, 9, 8)))
    data = np.zeros(starts[-1], "uint8")
    data[starts[:-1, None] + np.arange(8)] = values.view("uint8").reshape(-1, 8)
    return starts, np.frombuffer(data.tobytes(), "uint8")


@njit(cache=True, nogil=True)
def _place_keys(hashes, table):
    mask = np.uint64(table.shape[0] - 1)
    for i in range(hashes.size):
        j = hashes[i] & mask
        while table[j, 0] != 0:
            j = (j + np.uint64(1)) & mask
        table[j, 0], table[j, 1] = np.uint64(i + 1), hashes[i]


def grow(array: np.ndarray, size: int, fill: float = 0) -> np.ndarray:
    """Give an array with at least ``size`` rows: itself, or a longer copy filled up with ``fill``."""
    if array.shape[0] >= size:
        return array
    longer = np.full((size, *array.shape[1:]), fill, array.dtype)
    longer[: array.shape[0]] = array
    return longer
