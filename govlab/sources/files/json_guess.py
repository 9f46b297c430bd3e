"""What the fields of a sample of JSON are."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa

from govlab.schema import time_name
from govlab.sources.files.columns import EXACT
from govlab.sources.files.json_lines import readable_name
from govlab.sources.files.times import times_of

__all__ = ["of_json"]

_NESTED = (dict, list)


def of_json(data: bytes, left_out: dict[str, str]) -> pa.Schema:
    """Guess the types of the fields of JSON lines."""
    records: list[dict[str, Any]] = []
    decoder = msgspec.json.Decoder(dict[str, Any])
    for line in data.split(b"\n"):
        try:
            records.append(decoder.decode(line))
        except (ValueError, RecursionError):
            continue
    columns: dict[str, list[Any]] = {}
    for record in records:
        for name in record:
            columns.setdefault(name, [])
    time = time_name(columns)
    if time is not None and sum(isinstance(r.get(time), str) for r in records) * 2 > len(records):
        records = [r for r in records if isinstance(r.get(time), str)]  # the others are bad records
    for record in records:
        for name, value in record.items():
            if value is not None:
                columns[name].append(value)
    fields = []
    for name, values in columns.items():
        nested = sum(isinstance(value, _NESTED) for value in values)
        if not readable_name(name):
            left_out[name] = "its name has a quote, a backslash or a control character"
        elif nested * 2 > len(values):
            left_out[name] = "it is nested (objects or lists)"
        else:
            fields.append((name, _json_kind([v for v in values if not isinstance(v, _NESTED)], name == time)))
    return pa.schema(fields)


def _json_kind(values: list[Any], is_time: bool) -> pa.DataType:
    """Give the type of a field. A mix of scalars is text, as it is written."""
    kinds = {type(value) for value in values}
    if kinds == {str}:
        return pa.timestamp("us") if is_time or _are_times(values) else pa.string()
    if kinds == {bool}:
        return pa.bool_()
    if not kinds or not kinds <= {int, float}:
        return pa.string()
    if is_time or not any(type(value) is int and abs(value) > EXACT for value in values):
        return pa.float64()
    # a float would round it
    return pa.int64() if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values) else pa.string()


def _are_times(texts: list[str]) -> bool:
    return all("-" in text[4:8] for text in texts) and not times_of(texts, None)[1].any()
