"""What a job gives: lines in the files of the job, read back in the lab; and what it writes into stores and queues."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from govlab import frames
from govlab.access import Access
from govlab.engines.engine import letters_table, open_store
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
                from govlab.addresses import Address, sink_of

                self._sinks.append(sink_of(Address.of(into["to"]), Access(**into["access"])))
            else:
                self._store, _ = open_store(into["to"])
                self._epoch = self._store.claim(told["run"])

    def lines(self, rows: pd.DataFrame, letters: Sequence[DeadLetter]) -> Iterator[str]:
        """Write rows and dead letters; gives the lines that say the same."""
        alerts = rows if len(rows) else None
        if self._store is not None and (alerts is not None or letters):
            self._store.save(self.told["run"], alerts, letters_table(letters), None, self._epoch)
        if alerts is not None:
            for sink in self._sinks:
                sink.send(alerts)
                sink.flush()
            yield "rows " + _packed(alerts)
        if letters:
            yield "letters " + _packed(letters_table(letters))

    def summary(self, summary: Summary) -> str:
        """Give the line that ends a job."""
        return "summary " + json.dumps(dataclasses.asdict(summary))

    def close(self) -> None:
        """Let go."""
        for one in [*self._sinks, *([self._store] if self._store is not None else [])]:
            one.close()


def _packed(frame: pd.DataFrame) -> str:
    table = pa.Table.from_pandas(frame.reset_index(drop=True), preserve_index=False)
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return base64.b64encode(out.getvalue()).decode()


def _unpacked(text: str) -> pd.DataFrame:
    frame: pd.DataFrame = pa.ipc.open_stream(base64.b64decode(text)).read_all().to_pandas()
    return frame


def read_lines(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, Summary | None]:
    """Read the files of a job: rows, dead letters, and the summary once it has ended."""
    rows, letters, summary = [], [], None
    # files are numbered in the order in which they were begun; what begins with a point is not yet given out
    places = [place for place in folder.rglob("out-*") if place.is_file()]
    for place in sorted(places, key=lambda place: (place.parent.name, int(place.name.rpartition("-")[2]))):
        for line in place.read_text().splitlines():
            kind, _, text = line.partition(" ")
            if kind == "rows":
                rows.append(_unpacked(text))
            elif kind == "letters":
                letters.append(_unpacked(text))
            elif kind == "summary":
                summary = Summary(**json.loads(text))
    return frames.concat(rows), frames.concat(letters) if letters else letters_table([]), summary
