"""Guess the schema of a file from its first megabyte, or of messages; bad records do not count."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from govlab.errors import SchemaError, SourceError
from govlab.frames import POSITION, Schema
from govlab.schema import IN_FILES
from govlab.sources.files import blocks as files
from govlab.sources.files import parquet
from govlab.sources.files.guess import MOST_COLUMNS, of_csv, of_json
from govlab.sources.files.paths import format_of, opened, reading
from govlab.sources.files.trial import check_text
from govlab.sources.files.unpack import ZSTD_WINDOW

__all__ = ["Guess", "guess", "infer", "infer_messages", "say_left_out"]

log = logging.getLogger("govlab")


class Guess(NamedTuple):
    """A schema, and the columns that it leaves out, each with the reason."""

    schema: Schema
    left_out: dict[str, str]


def infer(path: str, arrival: str | None = None) -> Schema:
    """Guess the schema of a file; see ``guess``."""
    return guess({path: {}}, arrival).schema


def guess(paths: Mapping[str, Mapping[str, str | None]], arrival: str | None = None, window: int = ZSTD_WINDOW) -> Guess:
    """Guess the schema of files from the first of them with a record (Parquet says it itself).

    Whole numbers are floats, since the next file may have a fraction; a number that a float would round (beyond 2**53) is a
    name: ``int64?`` in JSON, where it fits, else text. In CSV so are numbers with zeros or a ``+`` before them, or with more
    than 15 digits. What folders called ``key=value`` say is text.

    Parameters
    ----------
    paths : mapping
        The files, each with the columns that the names of its folders give.
    arrival : str, optional
        The column with the time of arrival.
    window : int
        The largest zstd window, in bytes.

    Raises
    ------
    SourceError
        There is no record to guess from.
    SchemaError
        No column looks like the event time, or there are more than 10,000 columns.
    """
    for path, keys in paths.items():
        kind, _ = format_of(path)
        left_out: dict[str, str] = {}
        if kind == "parquet":
            with opened(path) as raw, reading(path):
                file = parquet.parquet(raw, path)
                recipe = (file.schema_arrow.metadata or {}).get(IN_FILES)
                if recipe is not None:
                    return Guess(Schema(**json.loads(recipe) | ({"arrival": arrival} if arrival else {})), {})
                if not file.metadata.num_rows:
                    continue
                found = _of_parquet(file, left_out)
        else:
            data = files.head(path, window=window).removeprefix(files.BOM)
            data = data[: data.rfind(b"\n") + 1] or data
            check_text(path, data, kind)
            if not data.strip():
                continue
            found = of_csv(path, data, left_out) if kind == "csv" else of_json(data, left_out)
        if not len(found) and not left_out:
            continue
        more = [pa.field(key, pa.string()) for key in keys if key not in {*found.names, *left_out}]
        return _schema(pa.schema([*found, *more]), arrival, path, left_out)
    first, more_files = next(iter(paths)), len(paths) - 1
    raise SourceError(
        f"{first}{f' and {more_files:,} more files' if more_files else ''} has no record to guess a schema from; "
        "give schema=gl.Schema({...})."
    )


def infer_messages(bodies: Sequence[bytes], name: str) -> Schema:
    """Guess the schema of messages: JSON, one or several lines each, or Arrow streams. What is left out is logged."""
    left_out: dict[str, str] = {}
    found: pa.Schema | None = None
    for body in bodies:
        try:
            with pa.ipc.open_stream(body) as stream:
                found = _readable(stream.schema, left_out)
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            pass
        break
    if found is None:
        found = of_json(b"\n".join(body.replace(b"\n", b" ") for body in bodies), left_out)
        if not len(found) and not left_out:
            found = of_json(b"\n".join(bodies), left_out)
    if not len(found):
        raise SourceError(f"{name} has no message to guess a schema from; give schema=gl.Schema({{...}}).")
    schema, left_out = _schema(found, None, name, left_out)
    say_left_out(name, left_out)
    return schema


def say_left_out(name: str, left_out: Mapping[str, str]) -> None:
    """Log which columns a guess leaves out."""
    if left_out:
        some = "; ".join(f"{column!r}: {why}" for column, why in list(left_out.items())[:10])
        more = f"; and {len(left_out) - 10:,} more" if len(left_out) > 10 else ""
        log.warning("%s: left out: %s%s. What schema= names is read.", name, some, more)


def _schema(found: pa.Schema, arrival: str | None, name: str, left_out: dict[str, str]) -> Guess:
    if len(found) > MOST_COLUMNS:
        raise SchemaError(
            f"{name} has {len(found):,} columns; at most {MOST_COLUMNS:,} are guessed. Name those that are needed: "
            "schema=gl.Schema({...})."
        )
    left_out |= dict.fromkeys([n for n in found.names if n in POSITION], "is the name of a row's position")
    if "" in found.names:
        found, left_out[""] = _without(found, {""}), "has no name"
    if not len(found):
        raise SchemaError(f"{name} has no column that can be read: {left_out}.")
    return Guess(Schema.infer(found, arrival=arrival), left_out)


def _without(found: pa.Schema, names: Iterable[str]) -> pa.Schema:
    return pa.schema([field for field in found if field.name not in names])


def _of_parquet(file: pq.ParquetFile, left_out: dict[str, str]) -> pa.Schema:
    large = _large(file.metadata)
    found = file.schema_arrow
    return _readable(pa.schema([pa.field(f.name, pa.string() if f.name in large else f.type) for f in found]), left_out)


def _readable(found: pa.Schema, left_out: dict[str, str]) -> pa.Schema:
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


def _large(metadata: pq.FileMetaData) -> set[str]:
    """Name the columns of a Parquet file with whole numbers that a float cannot hold: such a number is a name."""
    large: set[str] = set()
    for group in range(metadata.num_row_groups):
        about = metadata.row_group(group)
        for i in range(metadata.num_columns):
            known = about.column(i).statistics
            if known is not None and known.has_min_max and isinstance(known.max, int) and max(-known.min, known.max) > 2**53:
                large.add(about.column(i).path_in_schema)
    return large


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
