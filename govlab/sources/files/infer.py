"""Guess the schema of a file from its first megabyte, or of messages; bad records do not count."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from govlab.errors import SchemaError, SourceError
from govlab.frames import POSITION, Schema
from govlab.sources.files.columns import MOST_COLUMNS, readable
from govlab.sources.files.file import File
from govlab.sources.files.json_lines import of_json

__all__ = ["Guess", "guess", "infer_messages", "say_left_out"]

log = logging.getLogger("govlab")


class Guess(NamedTuple):
    """A schema, and the columns that it leaves out, each with the reason."""

    schema: Schema
    left_out: dict[str, str]


def guess(files: Sequence[File], arrival: str | None = None) -> Guess:
    """Guess the schema of files from the first of them with a record (Parquet says it itself).

    Whole numbers are floats, since the next file may have a fraction; a number that a float would round (beyond 2**53) is a
    name: ``int64?`` in JSON, where it fits, else text. In CSV so are numbers with zeros or a ``+`` before them, or with more
    than 15 digits. What folders called ``key=value`` say is text.

    Parameters
    ----------
    files : list of File
        The files.
    arrival : str, optional
        The column with the time of arrival.

    Raises
    ------
    SourceError
        There is no record to guess from.
    SchemaError
        No column looks like the event time, or there are more than 10,000 columns.
    """
    for file in files:
        left_out: dict[str, str] = {}
        found = file.columns(left_out)
        if isinstance(found, dict):
            return Guess(Schema(**found | ({"arrival": arrival} if arrival else {})), {})
        if found is None or (not len(found) and not left_out):
            continue
        more = [pa.field(key, pa.string()) for key in file.keys if key not in {*found.names, *left_out}]
        return _schema(pa.schema([*found, *more]), arrival, file.path, left_out)
    first, more_files = files[0].path, len(files) - 1
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
                found = readable(stream.schema, left_out)
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
