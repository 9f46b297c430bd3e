"""What a job gives: lines in the files of the job, read back in the lab; and what it writes into stores and queues."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pandas as pd
import pyarrow as pa

from govlab import frames
from govlab.access import Access
from govlab.addresses import Address, sink_at
from govlab.engines.engine import Output
from govlab.engines.journal import letters_table, open_store
from govlab.errors import GovlabError
from govlab.hashing import as_arrow
from govlab.sources.reader import DeadLetter
from govlab.summary import Summary

__all__ = ["Outputs", "read_lines"]


class Outputs:
    """Writes what comes out of the tail.

    Alerts go into stores and queues at once, where one with the same id is the same alert, so that what is written again
    after a crash changes nothing. The lines go into files that Flink gives out with a checkpoint, each exactly once.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self.told, self._store, self._sinks = told, None, []
        for into in told["into"]:
            if "://" in into["to"]:
                self._sinks.append(sink_at(Address.of(into["to"]), Access(**into["access"])))
            else:
                self._store, _ = open_store(into["to"])
                self._epoch = self._store.claim(told["run"])

    def lines(self, rows: pd.DataFrame, sides: Sequence[tuple[str, pd.DataFrame]], letters: Sequence[DeadLetter]) -> Iterator[str]:
        """Write rows, what was put aside, and dead letters; gives the lines that say the same."""
        alerts = rows if len(rows) else None
        if self._store is not None and (alerts is not None or letters):
            self._store.save(self.told["run"], alerts, letters_table(letters), None, self._epoch)
        if alerts is not None:
            for sink in self._sinks:
                sink.send(alerts)
                sink.flush()
            yield "rows " + _packed(alerts)
        for side, aside in sides:
            yield f"side {quote(side)} {_packed(aside)}"
        if letters:
            yield "letters " + _packed(letters_table(letters))

    def summary(self, summary: Summary) -> str:
        """Give the line that ends a job."""
        return "summary " + json.dumps(dataclasses.asdict(summary))

    def close(self) -> None:
        """Let go."""
        for sink in self._sinks:
            sink.close()
        if self._store is not None:
            self._store.close()


def _packed(frame: pd.DataFrame) -> str:
    frame = frame.reset_index(drop=True)
    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, OverflowError, TypeError):  # values of several kinds in a column: what is put aside may be anything
        texts = {str(name): as_arrow(column, any_text=True).to_pandas() for name, column in frame.items() if column.dtype == object}
        table = pa.Table.from_pandas(frame.assign(**texts), preserve_index=False)
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return base64.b64encode(out.getvalue()).decode()


def _unpacked(text: str) -> pd.DataFrame:
    table = pa.ipc.open_stream(base64.b64decode(text)).read_all()
    # without what another pandas noted, texts are as this one has them; but what may be missing must stay so
    frame: pd.DataFrame = table.replace_schema_metadata(None).to_pandas()
    for column in table.schema.pandas_metadata["columns"]:
        if (kind := column["numpy_type"]) == "boolean" or kind.startswith(("Int", "UInt", "Float")):
            dtype: Any = pd.api.types.pandas_dtype(kind)
            frame[column["name"]] = dtype.__from_arrow__(table[column["name"]])
    return frame


def read_lines(folder: Path) -> tuple[Output, pd.DataFrame, Summary | None]:
    """Read the files of a job: what came out, dead letters, and the summary once it has ended."""
    found: dict[int, tuple[str, str]] = {}
    for place in folder.rglob("out-*"):  # what begins with a point is not yet given out
        for line in place.read_text().splitlines():
            number, kind, text = line.split(" ", 2)
            if int(number) in found:
                raise GovlabError(f"{folder}: line {number} is there twice; the files of two jobs lie in it.")
            found[int(number)] = kind, text
    output, letters, summary = Output(), [letters_table([])], None
    for _, (kind, text) in sorted(found.items()):
        if kind == "rows":
            output.add(_unpacked(text), [])
        elif kind == "side":
            side, _, packed = text.partition(" ")
            output.add(frames.empty(), [(unquote(side), _unpacked(packed))])
        elif kind == "letters":
            letters.append(_unpacked(text))
        else:
            summary = Summary(**json.loads(text))
    return output, frames.concat(letters), summary
