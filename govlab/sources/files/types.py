"""In what types columns of Arrow are read."""

from __future__ import annotations

import pyarrow as pa

__all__ = ["MOST_COLUMNS", "readable"]

MOST_COLUMNS = 10_000


def readable(found: pa.Schema, left_out: dict[str, str]) -> pa.Schema:
    """Give the columns that can be read, in the types in which they are."""
    twice = {name for name in found.names if found.names.count(name) > 1} if len(set(found.names)) < len(found) else set()
    left_out |= dict.fromkeys(twice, "there is more than one column of this name")
    fields = []
    for field in found:
        kind = field.type if not field.nullable else _wide(field.type)
        kind = kind if _wide(field.type) is not None else None
        if kind is None:
            left_out[field.name] = f"its type {str(field.type)[:80]} is not read"
        elif field.name not in twice:
            fields.append(field.with_type(kind))
    return pa.schema(fields)


def _wide(kind: pa.DataType) -> pa.DataType | None:
    """Give the type in which a column is read, None for one that is not (lists, structs, bytes)."""
    if pa.types.is_dictionary(kind):
        return _wide(kind.value_type)
    if pa.types.is_decimal(kind) and kind.scale <= 0 and kind.precision > 15:
        return pa.string()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_date(kind):
        return pa.timestamp("us")
    if pa.types.is_time(kind):
        return pa.string()
    plain = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_boolean,
        pa.types.is_timestamp,
        pa.types.is_null,
    )
    return kind if any(is_kind(kind) for is_kind in plain) else None
