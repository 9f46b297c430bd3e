"""Files with a JSON object a line."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pyarrow as pa

from govlab.errors import SourceError, did_you_mean
from govlab.frames import Schema
from govlab.sources.files.file import Names
from govlab.sources.files.json_lines import JsonDecoder, of_json
from govlab.sources.files.opening import opened, reading
from govlab.sources.files.text_file import TextFile

__all__ = ["NdjsonFile"]

LINE = 256  # bytes of a line, about


class NdjsonFile(TextFile):
    """A JSON object a line."""

    def _begin(self, data: bytes, schema: Schema, last: bool, names: Names) -> tuple[JsonDecoder, int]:
        found = _fields(data) if self.keys or names is not None else set()
        if names is not None:
            names(found)
        return JsonDecoder(schema, None, self.wanted(schema, found)), 0

    def _names(self, data: bytes) -> set[str]:
        return _fields(data)

    def _guess(self, data: bytes, left_out: dict[str, str]) -> pa.Schema:
        return of_json(data, left_out)

    def spans(self, column: str, rows: int) -> list[tuple[int, int, Any]] | None:
        """Cut it between lines; what is packed is read from its beginning."""
        if self.packed:
            return None
        found = []
        with opened(self.path) as raw, reading(self.path):
            size, step = raw.seek(0, 2), max(1, rows) * LINE
            for first in range(0, size, step):
                raw.seek(first)
                found.append((first, min(size, first + step), _time_near(raw.read(8 * LINE), column, first > 0)))
        return found

    def missing(self, schema: Schema, head: bytes) -> dict[str, str]:
        """Name the fields of a schema that occur in none of the first records."""
        seen: set[str] = set(self.keys)
        records = 0
        decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
        wanted = set(schema.fields)
        for line in head.split(b"\n"):
            if wanted <= seen:
                return {}
            try:
                seen |= decoder.decode(line).keys()
                records += 1
            except (ValueError, RecursionError):
                continue
        return {name: f"it occurs in none of the first {records:,} records. {did_you_mean(name, seen)}" for name in wanted - seen}

    def _check(self, data: bytes) -> None:
        super()._check(data)
        if re.match(rb"(\xef\xbb\xbf)?\s*\[\s*(\{|$)", data) and not _complete(data):
            raise SourceError(
                f"{self.path} is one JSON array, not one JSON object a line; convert it: jq -c '.[]' IN.json > OUT.ndjson, or "
                "pandas.read_json(IN).to_json(OUT, orient='records', lines=True)."
            )


def _complete(data: bytes) -> bool:
    """Tell whether the first line is a whole JSON value, and others follow."""
    first, _, others = data.strip().partition(b"\n")
    try:
        msgspec.json.decode(first)
    except (ValueError, RecursionError):
        return False
    return bool(others)


def _fields(data: bytes) -> set[str]:
    """Name the fields of the first record of a block."""
    for line in data[:65_536].split(b"\n")[:100]:
        try:
            return set(msgspec.json.decode(line, type=dict[str, msgspec.Raw]))
        except (ValueError, RecursionError):
            continue
    return set()


def _time_near(data: bytes, column: str, inside: bool) -> Any:
    for line in data.split(b"\n")[inside:-1]:
        try:
            return msgspec.json.decode(line).get(column)
        except (ValueError, RecursionError, AttributeError):
            continue
    return None
