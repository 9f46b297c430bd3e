"""Scripted doubles: a reader that says what it is told to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from govlab import frames
from govlab.sources.reader import EndOfStream, Reader


class ScriptedReader(Reader):
    """Gives frames as scripted; None in the script is a read that finds nothing yet, an exception is raised.

    Delivery: each row once, in the order of the script; there are no bad records.

    Examples
    --------
    >>> reader = ScriptedReader([None, frames.event_frame({"time": ["2026-03-02T00:00:00Z"]})])
    >>> reader.open()
    >>> len(reader.read(10)), len(reader.read(10)), reader.position()
    (0, 1, {0: 1})
    """

    name = "script"

    def __init__(self, script: Sequence[pd.DataFrame | Exception | None]) -> None:
        self.script = list(script)
        self.open()

    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin, after so many rows."""
        self._next, self._rest, self._given = 0, frames.empty(), 0
        while self._given < (position or {}).get(0, 0):
            self.read((position or {})[0] - self._given)

    def read(self, max_rows: int) -> pd.DataFrame:
        """Give what the script says next."""
        if not len(self._rest):
            if self._next == len(self.script):
                raise EndOfStream("the script has ended.")
            line = self.script[self._next]
            self._next += 1
            if isinstance(line, Exception):
                raise line
            self._rest = frames.empty() if line is None else line
        rows, self._rest = self._rest.iloc[:max_rows], self._rest.iloc[max_rows:]
        self._given += len(rows)
        return rows.reset_index(drop=True)

    def position(self) -> dict[int, int]:
        """Give the number of rows given."""
        return {0: self._given}

    def position_before(self, rows: pd.DataFrame) -> dict[int, int]:
        """Give the position from which the last rows come again."""
        return {0: self._given - len(rows)}

    def close(self) -> None:
        """Do nothing."""
