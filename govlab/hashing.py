"""A stable hash of any column.

It decides on which shard a key lives and takes part in fingerprints, so it must never change: 64-bit FNV-1a of the UTF-8
bytes, finished by splitmix64; numbers by splitmix64 of the value.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

__all__ = ["as_arrow", "hash_column", "hash_text"]

NULL_HASH = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True, inline="always")
def mix(h):
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
        out[i] = mix(h)


@njit(cache=True, nogil=True)
def _hash_floats(values, bits, out):
    for i in range(out.size):
        v = values[i]
        if v == np.floor(v) and abs(v) < 9007199254740992.0:
            # a whole number hashes the same as an int: a column of ints with a gap is a column of floats in pandas
            out[i] = mix(np.uint64(np.int64(v)))
        else:
            out[i] = mix(bits[i])


@njit(cache=True, nogil=True)
def _hash_ints(values, out):
    for i in range(out.size):
        out[i] = mix(np.uint64(values[i]))


def as_arrow(column: Any, any_text: bool = False) -> pa.Array:
    """Give a column as one Arrow array, missing values as nulls; what Arrow has no type for becomes JSON text.

    A text with half of a surrogate pair, which is no text, raises a UnicodeError, or is escaped with ``any_text``.
    """
    values = column.array if isinstance(column, pd.Series) else column
    try:
        array = values.__arrow_array__() if hasattr(values, "__arrow_array__") else pa.array(np.asarray(values), from_pandas=True)
    except (pa.ArrowException, OverflowError, UnicodeError, TypeError, NotImplementedError):
        return _texts(values, any_text)
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
    if pa.types.is_nested(array.type) or isinstance(array.type, pa.BaseExtensionType):
        return _texts(values, any_text)  # not of the Arrow array, in which a dict has the keys of all the others too
    array = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    return array.cast(pa.large_string()) if pa.types.is_string_view(array.type) else array


def _texts(values: Any, any_text: bool) -> pa.Array:
    """Give values of any kind as text, or JSON; it depends on the value alone, never on the others."""
    texts = [None if v is None or v is pd.NA or v is pd.NaT or (isinstance(v, float) and v != v) else _text(v) for v in values]
    if any_text:
        texts = [text and text.encode("utf-8", "backslashreplace").decode() for text in texts]
    return pa.array(texts, pa.large_string())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        try:
            value = json.dumps(value, sort_keys=True, default=_plain)
        except TypeError:  # keys of several kinds, or of a kind that JSON has not
            value = repr(value)
    return value


def kind_of(value: Any) -> str:
    """Tell by what a value is hashed: a number that 64 bits cannot hold is no int."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return "int" if -(2**63) <= value < 2**63 else "uint" if 0 < value < 2**64 else "large"
    return type(value).__name__


def _plain(value: Any) -> Any:
    plain = value.tolist() if hasattr(value, "tolist") else str(value)
    return str(value) if isinstance(plain, np.generic) else plain  # numpy knows numbers that Python does not


def text_buffers(array: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Give where each text begins and ends (int64, n + 1) and all the bytes (uint8, read-only)."""
    _, offsets, data = array.buffers()
    if offsets is None or not len(array):
        return np.zeros(len(array) + 1, "int64"), np.frombuffer(b"", "uint8")
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    starts = np.frombuffer(offsets, "int64" if wide else "int32")[array.offset : array.offset + len(array) + 1]
    return starts.astype("int64"), np.frombuffer(data, "uint8") if data else np.frombuffer(b"", "uint8")


def is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def hash_column(column: Any) -> np.ndarray:
    """Hash each value of a column (Series, its array, or Arrow) to 64 bits: the same on every machine, in every process, for ever.

    Returns
    -------
    ndarray of uint64, shape (n,)
        About 15 ns a row for short text. Missing values share one hash; 3 and 3.0 hash alike.

    Examples
    --------
    >>> bool(hash_column(pd.Series([3]))[0] == hash_column(pd.Series([3.0]))[0])
    True
    """
    column = column.array if isinstance(column, pd.Series) else column
    if isinstance(column, pd.Categorical):
        # the categories, not the values: Arrow would read those of a frame by what else is in it
        hashes = np.append(hash_column(np.asarray(column.categories)), NULL_HASH)
        return hashes[column.codes]
    if not isinstance(column, pa.Array) and column.dtype.kind in "iufbM":
        return _hash_numbers(column)
    array = column if isinstance(column, pa.Array) else as_arrow(column, any_text=True)
    kind = array.type
    out = np.empty(len(array), "uint64")
    mixed = pa.types.is_large_string(kind) or pa.types.is_decimal(kind)
    if column is not array and column.dtype == "object" and mixed:
        objects = np.asarray(column)
        kinds = np.array([kind_of(v) for v in objects])
        if pa.types.is_decimal(kind) and (kinds == "Decimal").all():
            return hash_column(pa.array([f"{v.normalize():f}" for v in objects]))  # 1.5 is 1.50
        if (kinds == "uint").all():
            return hash_column(objects.astype("uint64"))
        if (kinds != kinds[0]).any():
            # of several kinds: each value as it would be hashed among its own, so that the others do not matter
            for name in np.unique(kinds):
                out[kinds == name] = hash_column(pd.Series(objects[kinds == name], dtype="object"))
            return out
    if pa.types.is_nested(kind):
        array = pa.array([json.dumps(v, sort_keys=True, default=str) for v in array.to_pylist()])
        kind = array.type
    if is_text(kind):
        _hash_strings(*text_buffers(array), out)
    elif not (pa.types.is_timestamp(kind) or pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        return hash_column(pc.cast(array, pa.string()))
    else:
        filled = array if array.null_count == 0 else array.fill_null(_zero(kind))
        if pa.types.is_timestamp(kind):
            _hash_ints(readable(filled.cast(pa.timestamp("us", kind.tz), safe=False).to_numpy(False).view("int64"), "int64"), out)
        elif pa.types.is_floating(kind):
            values = np.ascontiguousarray(filled.to_numpy(False), "float64") + 0.0
            _hash_floats(values, values.view("uint64"), out)
        else:
            _hash_ints(readable(filled.cast(pa.int64(), safe=False).to_numpy(False), "int64"), out)
    if array.null_count:
        out[array.is_null().to_numpy(False)] = NULL_HASH
    return out


def _hash_numbers(values: Any) -> np.ndarray:
    """Hash an array of times or numbers without Arrow, where it can be done."""
    out = np.empty(len(values), "uint64")
    kind = values.dtype
    if isinstance(kind, pd.DatetimeTZDtype) or (isinstance(kind, np.dtype) and kind.kind == "M"):
        micros = values.as_unit("us").asi8 if hasattr(values, "asi8") else values.astype("M8[us]").view("int64")
        _hash_ints(readable(micros, "int64"), out)
        out[micros == np.iinfo("int64").min] = NULL_HASH
    elif not isinstance(kind, np.dtype):
        return hash_column(as_arrow(values, any_text=True))
    elif kind.kind == "f":
        flat = np.asarray(values, "float64") + 0.0
        _hash_floats(flat, flat.view("uint64"), out)
        out[np.isnan(flat)] = NULL_HASH
    else:
        _hash_ints(readable(np.asarray(values), "int64"), out)
    return out


def readable(array: np.ndarray, kind: str) -> np.ndarray:
    """Give an array as kernels take it: contiguous and read-only, so that each is compiled once."""
    array = np.ascontiguousarray(array, kind).view()
    array.flags.writeable = False
    return array


def _zero(kind: pa.DataType) -> pa.Scalar:
    return pa.scalar(False if pa.types.is_boolean(kind) else 0, kind)


def hash_text(text: str) -> int:
    """Hash one text as ``hash_column`` does."""
    return int(hash_column(pa.array([text]))[0])
