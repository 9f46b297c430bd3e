"""What could not be read, as a streamz node: kept, passed on, corrected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from govlab.engines.streams.graph import Node
from govlab.engines.streams.letters import Letters
from govlab.sources.reader import DeadLetter, Reader

__all__ = ["Dead", "Fix"]

MOST = 5_000  # passed on at once
Fix = Callable[[DeadLetter], bytes | None] | Mapping[tuple[int, int], bytes]


class Dead(Node):
    """Emits dead letters as frames, each once.

    Attributes
    ----------
    letters : Letters
        All of them.
    quiet : bool
        Whether nothing is emitted: a source is on its way back to a time, and has shown it all before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.letters, self.quiet = Letters(), False
        self._listeners: list[Callable[[list[DeadLetter]], None]] = []

    def bury(self, letters: list[DeadLetter]) -> None:
        """Keep dead letters, and pass on those that are new."""
        for i in range(0, len(letters), MOST):
            fresh = self.letters.add(letters[i : i + MOST])
            for listener in self._listeners if fresh else ():
                listener(fresh)
            if fresh and not self.quiet and self.downstreams:
                self.emit(pd.DataFrame([vars(letter) for letter in fresh]))

    def listen(self, listener: Callable[[list[DeadLetter]], None]) -> Callable[[], None]:
        """Call a function with the records that could not be read; gives how to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def corrected(self, fix: Fix, reader: Reader) -> Iterator[pd.DataFrame]:
        """Let a reader read corrected letters, page by page, and give their rows; those that still cannot be read stay."""
        for page in self.letters.pages():
            found = [(letter, fix(letter) if callable(fix) else fix.get((letter.partition, letter.offset))) for letter in page]
            mended = [(letter, raw) for letter, raw in found if raw is not None]
            if not mended:
                continue
            rows, still = reader.redrive(mended)
            for letter, _ in mended:
                del self.letters[letter.partition, letter.offset]
            self.bury(still)
            if len(rows):
                yield rows
