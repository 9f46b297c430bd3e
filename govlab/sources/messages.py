"""Messages of a queue to event frames."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from govlab import frames
from govlab.errors import ArgumentError, did_you_mean
from govlab.frames import Schema
from govlab.sources.files.columns import frame_of
from govlab.sources.files.json_lines import JsonDecoder
from govlab.sources.files.records import Bad, Record
from govlab.sources.reader import DeadLetter

__all__ = ["FORMATS", "MESSAGE_COLUMNS", "MessageDecoder", "Messages"]

FORMATS = ("arrow", "json", "ndjson")
MESSAGE_COLUMNS = ("message_headers", "message_key", "message_time", "message_topic")


@dataclass
class Messages:
    """Messages as they were fetched, column by column; an empty column is one that nobody asked for.

    Attributes
    ----------
    offsets : list of int
        Where each stands in its partition; may have gaps.
    bodies : list of bytes
        The bodies.
    keys : list of bytes, str or None
        The keys (Kafka) or routing keys (RabbitMQ).
    times_ms : list of int or None
        When each was written, by the queue's record, in milliseconds since 1970.
    headers : list of mapping or None
        The headers.
    topic : str
        The topic or queue.
    """

    offsets: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    keys: Sequence[Any] = ()
    times_ms: Sequence[int | None] = ()
    headers: Sequence[Any] = ()
    topic: str = ""

    def some(self, places: Sequence[int]) -> Messages:
        """Give the messages at some places."""
        keys, times, headers = ([of[i] for i in places] if of else [] for of in (self.keys, self.times_ms, self.headers))
        return Messages([self.offsets[i] for i in places], [self.bodies[i] for i in places], keys, times, headers, self.topic)

    def before(self, offset: int) -> Messages:
        """Give the messages before an offset."""
        return self if not self.offsets or self.offsets[-1] < offset else self.some(range(bisect_left(self.offsets, offset)))

    def since(self, offset: int) -> Messages:
        """Give the messages at an offset and after it."""
        n = len(self.offsets)
        return self if not n or self.offsets[0] >= offset else self.some(range(bisect_left(self.offsets, offset), n))

    def without_tombstones(self) -> tuple[Messages, int]:
        """Leave out the messages without a body; gives how many there were."""
        kept = [i for i, body in enumerate(self.bodies) if body is not None]
        return (self if len(kept) == len(self.bodies) else self.some(kept)), len(self.bodies) - len(kept)

    @classmethod
    def joined(cls, parts: Sequence[Messages]) -> Messages:
        """Put messages of one partition one after the other."""
        if len(parts) == 1:
            return parts[0]
        names = ("offsets", "bodies", "keys", "times_ms", "headers")
        columns: dict[str, Any] = {name: [x for part in parts for x in getattr(part, name)] for name in names}
        return cls(**columns, topic=parts[0].topic if parts else "")


class MessageDecoder:
    """Reads messages: JSON (one object each), ndjson (one object a line), or Arrow IPC streams.

    A field of the schema that is called ``message_key``, ``message_time`` (type ``epoch_ms``), ``message_headers`` (JSON
    text; a header that stands there more than once has a list of its values) or ``message_topic`` is taken from the
    message's envelope, not from its body. A message that cannot be read, or
    the lines of it that cannot, are bad records with its offset. Nothing is ever unpickled.

    Parameters
    ----------
    schema : Schema
        The columns.
    form : {"json", "ndjson", "arrow"}
        How a body is written.

    Examples
    --------
    >>> decoder = MessageDecoder(Schema({"time": "timestamp", "actor": "string"}))
    >>> rows, bad = decoder.block(Messages([7, 9], [b'{"time": "2026-03-02T00:00:00Z", "actor": "ann"}', b"?"]), partition=3)
    >>> rows[["actor", "partition", "offset"]].values.tolist(), [(offset, raw) for offset, _, raw in bad]
    ([['ann', 3, 7]], [(9, b'?')])
    """

    def __init__(self, schema: Schema, form: str = "json") -> None:
        if form not in FORMATS:
            raise ArgumentError(f"format={form!r} is not known. {did_you_mean(form, FORMATS)}")
        self.schema, self.form = schema, form
        self.envelope = [name for name in schema.fields if name in MESSAGE_COLUMNS]
        for name in self.envelope:
            kind = schema.fields[name].removesuffix("?")
            expected = "epoch_ms" if name == "message_time" else "string"
            if kind != expected:
                raise ArgumentError(f"Schema: {name!r} has type {kind!r}; expected {expected!r}, as queues give it.")
        self.body = [name for name in schema.fields if name not in MESSAGE_COLUMNS]
        self._json = JsonDecoder(schema, self.body) if form != "arrow" else None

    def block(self, messages: Messages, partition: int) -> tuple[pd.DataFrame, list[Bad]]:
        """Give the rows of messages, and the bad ones as (offset, reason, bytes)."""
        if self._json is None:
            return self._arrow(messages, partition)
        more = partial(self._of_envelope, messages) if self.envelope else None
        # here an offset is the number of the message in the list; the queue's own is put in at the end
        if self.form == "json" and (whole := self._json.bodies(messages.bodies, partition, more)) is not None:
            return self._placed(whole, messages), []
        if self.form == "json":
            # a JSON text may be written over several lines; between its tokens a line's end is as good as a blank
            records: list[Record] = [
                (i, raw.replace(b"\n", b" ") if b"\n" in raw else raw) for i, raw in enumerate(messages.bodies)
            ]
        else:
            records = [(i, line) for i, raw in enumerate(messages.bodies) for line in raw.split(b"\n") if line.strip()]
        frame, bad = self._json.messages(records, partition, more)
        return self._placed(frame, messages), self._gathered(bad, messages)

    def redrive(self, letters: Sequence[tuple[DeadLetter, bytes]]) -> tuple[pd.DataFrame, list[DeadLetter]]:
        """Read corrected messages; what stood in the envelope is not known any more. Gives the rows, and what is still bad."""
        parts, still = [frames.empty()], []
        for letter, body in letters:
            unknown = [None]
            one = Messages([letter.offset], [body], unknown, unknown, unknown, letter.source)
            rows, bad = self.block(one, letter.partition)
            parts.append(rows)
            still += [DeadLetter(letter.source, letter.partition, letter.offset, why, raw) for _, why, raw in bad]
        return frames.concat(parts), still

    def _placed(self, frame: pd.DataFrame, messages: Messages) -> pd.DataFrame:
        frame["offset"] = np.asarray(messages.offsets, "int64")[frame["offset"].to_numpy()] if len(frame) else frame["offset"]
        return frame

    def _gathered(self, bad: list[Bad], messages: Messages) -> list[Bad]:
        """Make one bad record of the bad lines of a message, and put in the queue's offset."""
        found: dict[int, tuple[str, list[bytes]]] = {}
        for i, reason, raw in bad:
            found.setdefault(i, (reason, []))[1].append(raw)
        return [
            (
                messages.offsets[i],
                reason + (f" (and {len(lines) - 1} more lines of this message)" if len(lines) > 1 else ""),
                b"\n".join(lines) if self.form == "ndjson" else messages.bodies[i],
            )
            for i, (reason, lines) in sorted(found.items())
        ]

    def _of_envelope(self, messages: Messages, rows: Sequence[int]) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        for name in self.envelope:
            if name == "message_topic":
                columns[name] = [messages.topic] * len(rows)
            elif name == "message_time":
                columns[name] = [messages.times_ms[i] for i in rows]
            elif name == "message_key":
                columns[name] = [_text(messages.keys[i]) for i in rows]
            else:
                columns[name] = [_headers(messages.headers[i]) for i in rows]
        return columns

    def _arrow(self, messages: Messages, partition: int) -> tuple[pd.DataFrame, list[Bad]]:
        tables: list[pa.Table] = []
        rows: list[int] = []
        bad: list[Bad] = []
        for i, raw in enumerate(messages.bodies):
            try:
                table = self._table(raw)
            except (pa.ArrowException, ValueError, KeyError, OSError) as error:
                bad.append((i, f"no Arrow stream of these columns: {error}", raw))
                continue
            tables.append(table)
            rows += [i] * table.num_rows
        whole = pa.concat_tables(tables) if tables else pa.schema([(n, self._kind(n)) for n in self.body]).empty_table()
        columns = {name: whole.column(name).combine_chunks() for name in self.body} | self._of_envelope(messages, rows)
        frame, missing = frame_of(columns, self.schema, partition, np.array(rows, "int64"))
        worse = {rows[row]: f"row {row - rows.index(rows[row])} of the message: {why}" for row, why in reversed(missing)}
        bad += [(i, why, messages.bodies[i]) for i, why in worse.items()]
        return self._placed(frame, messages), self._gathered(bad, messages)

    def _table(self, raw: bytes) -> pa.Table:
        with pa.ipc.open_stream(raw) as stream:
            table = stream.read_all()
        table.validate(full=True)
        if not table.num_rows:  # also what is left of a stream that was cut off behind its schema, which reads without an error
            raise ValueError("it holds no row")
        arrays = [table.column(n) if n in table.column_names else pa.nulls(table.num_rows) for n in self.body]
        return pa.table([self._cast(n, array) for n, array in zip(self.body, arrays, strict=True)], names=self.body)

    def _cast(self, name: str, array: pa.ChunkedArray) -> pa.ChunkedArray:
        unit = self.schema.epoch(name)
        if unit is None or not pa.types.is_timestamp(array.type):
            return array.cast(self._kind(name))
        micros = array.cast(pa.timestamp("us", array.type.tz)).cast(pa.int64())  # Arrow knows its unit; a cast to a number drops it
        counts = pc.divide(micros, unit)
        if pc.any(pc.not_equal(pc.multiply(counts, unit), micros)).as_py():
            raise ValueError(f"{name!r} holds times that are finer than {self.schema.fields[name]!r} counts")
        return counts

    def _kind(self, name: str) -> pa.DataType:
        kind = self.schema.arrow_type(name)
        # a number that counts from 1970 is told apart from a time by its unit, which the schema names
        return pa.int64() if pa.types.is_timestamp(kind) and self.schema.epoch(name) else kind


def _headers(headers: Any) -> str:
    """Write headers as JSON: a name that stands there more than once has a list of its values, in their order."""
    values: dict[str, list[str | None]] = {}
    for name, value in headers.items() if isinstance(headers, Mapping) else headers or ():
        values.setdefault(name, []).append(_text(value))
    return json.dumps({name: of[0] if len(of) == 1 else of for name, of in values.items()})


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
