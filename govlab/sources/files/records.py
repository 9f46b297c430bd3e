"""Records to rows: whole blocks at once, and one by one where a block holds a bad record."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from govlab.frames import Schema
from govlab.sources.files.columns import constant, frame_of

__all__ = ["Bad", "Decoder", "More", "Record"]

Bad = tuple[int, str, bytes]
Record = tuple[int, bytes]
More = Callable[[Sequence[int]], dict[str, Any]]
PART = 256


class Decoder(abc.ABC):
    """Reads a block of lines: all at once; if that fails in parts, and one by one where a part holds a bad record.

    A record that is read one way must be read the same the other way, so that no row depends on its neighbours.
    """

    def __init__(
        self, schema: Schema, names: Iterable[str] | None = None, constants: Mapping[str, str | None] | None = None
    ) -> None:
        self.schema, self.constants = schema, dict(constants or {})
        self.names = [name for name in (schema.fields if names is None else names) if name not in self.constants]

    def _frame(self, columns: dict[str, Any], partition: int, offsets: np.ndarray) -> tuple[pd.DataFrame, list[tuple[int, str]]]:
        more = {name: constant(value, len(offsets), self.schema, name) for name, value in self.constants.items()}
        whole = columns | more
        whole = {name: whole[name] for name in self.schema.fields} if more else whole
        return frame_of(whole, self.schema, partition, offsets)

    def block(self, data: bytes, partition: int, first_line: int, last: bool = True) -> tuple[pd.DataFrame, list[Bad], int]:
        """Give the rows of a block of whole lines, the bad records as (offset, reason, bytes), and how many bytes were used.

        Unless it is the ``last`` block, a record that may go on in the next one is left.
        """
        if columns := self._bulk(data):
            size = len(next(iter(columns.values())))
            frame, missing = self._frame(columns, partition, np.arange(first_line, first_line + size))
            lines = data.split(b"\n") if missing else []
            return frame, [(first_line + i, why, lines[i].removesuffix(b"\r")) for i, why in missing if lines[i].strip()], len(data)
        records, used = self._split(data, first_line, last)
        return *self.messages(records, partition), used

    def messages(self, records: list[Record], partition: int, more: More | None = None) -> tuple[pd.DataFrame, list[Bad]]:
        """Give the rows of records given as (offset, bytes), and the bad ones with the reason.

        ``more`` gives, for the offsets of the good ones, columns of the schema that the bytes do not hold.
        """
        good, bad = records, list[Bad]()
        columns = self._whole(good)
        if columns is None:
            good, bad = self._sort_out(records)
            columns = self._whole(good)
        if columns is None:
            frame, worse = self.records(good, partition, more)
            return frame, sorted([*bad, *worse], key=lambda one: one[0])
        offsets = [offset for offset, _ in good]
        frame, missing = self._frame(columns | (more(offsets) if more else {}), partition, np.array(offsets, "int64"))
        return frame, sorted([*bad, *((good[i][0], why, good[i][1]) for i, why in missing)], key=lambda one: one[0])

    def bodies(self, bodies: Sequence[bytes], partition: int, more: More | None = None) -> pd.DataFrame | None:
        """Give the rows of records, each with its number from 0, if all are good and none goes over several lines; else None."""
        data = b"\n".join(bodies)
        columns = self._bulk(data) if data.count(b"\n") == len(bodies) - 1 else None
        if not columns or len(next(iter(columns.values()))) != len(bodies):
            return None
        numbers = range(len(bodies))
        columns |= more(numbers) if more else {}
        frame, missing = self._frame(columns, partition, np.arange(len(bodies)))
        return None if missing else frame

    def _whole(self, records: list[Record]) -> dict[str, Any] | None:
        columns = self._bulk(b"\n".join(raw for _, raw in records))
        return columns if columns and len(next(iter(columns.values()))) == len(records) else None

    def _sort_out(self, records: list[Record]) -> tuple[list[Record], list[Bad]]:
        """Part good records from bad ones, looking closely only where some are bad."""
        good: list[Record] = []
        bad: list[Bad] = []
        for i in range(0, len(records), PART):
            part = records[i : i + PART]
            if self._whole(part) is not None:
                good += part
                continue
            for offset, raw in part:
                values, why = self._judge(raw)
                if values is None:
                    bad.append((offset, why, raw))
                else:
                    good.append((offset, raw))
        return good, bad

    def records(self, records: list[Record], partition: int, more: More | None = None) -> tuple[pd.DataFrame, list[Bad]]:
        """Do the same, one by one."""
        judged = [(offset, raw, *self._judge(raw)) for offset, raw in records]
        bad = [(offset, why, raw) for offset, raw, values, why in judged if values is None]
        good = [(offset, raw, values) for offset, raw, values, _ in judged if values is not None]
        offsets = [offset for offset, _, _ in good]
        columns = {name: [values[i] for _, _, values in good] for i, name in enumerate(self.names)}
        columns |= more(offsets) if more else {}
        frame, missing = self._frame(columns, partition, np.array(offsets, "int64"))
        return frame, sorted([*bad, *((good[i][0], why, good[i][1]) for i, why in missing)], key=lambda one: one[0])

    def _judge(self, raw: bytes) -> tuple[Sequence[Any] | None, str]:
        try:
            return self._one(raw), ""
        except (ValueError, OverflowError, msgspec.MsgspecError, RecursionError) as error:
            return None, str(error) or type(error).__name__

    @abc.abstractmethod
    def _bulk(self, data: bytes) -> dict[str, Any] | None:
        """Give the columns if every line is one good record, else None."""

    @abc.abstractmethod
    def _one(self, raw: bytes) -> Sequence[Any]:
        """Give the values of a record, or raise a ValueError."""

    def _split(self, data: bytes, first_line: int, last: bool) -> tuple[list[Record], int]:
        """Cut lines into records, each with its line's number from 0."""
        return [(first_line + i, line.removesuffix(b"\r")) for i, line in enumerate(data.split(b"\n")) if line.strip()], len(data)
