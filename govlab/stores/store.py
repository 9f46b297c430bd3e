"""The store: what is kept of a run.

The rules, which :func:`govlab.testing.check_store` checks:

- *all or nothing*: a save that is cut off anywhere, by an error or a kill, leaves nothing of itself; so positions never
  stand before the alerts and dead letters that lead up to them;
- *idempotent*: what is written again changes nothing;
- *fenced*: who claims a run shuts out all who claimed it before;
- *by page*: alerts and dead letters are given by range and page, in a fixed order, in constant memory;
- *private*: a file that it makes can be read by its owner only;
- every error is a :class:`govlab.errors.StoreError` that says what to do.
"""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from govlab.frames import ALERT_COLUMNS

__all__ = ["ALERT_COLUMNS", "FORMAT", "LETTER_COLUMNS", "PARTS", "Snapshot", "Store"]

LETTER_COLUMNS = ("source", "partition", "offset", "reason", "raw")
FORMAT = 3  # of what is in a snapshot's state: 1 did not say who wrote it, 3 counts in tallies
PARTS = ("alerts", "letters", "snapshot")  # of a save


@dataclass(frozen=True)
class Snapshot:
    """Where a run stands: enough to go on exactly.

    Attributes
    ----------
    positions : dict
        For each source, its reader's position (partition -> how far).
    state : bytes
        The pickled states of the steps.
    finished : bool
        Whether the run came to the end of its sources.
    writer : dict of str to str
        The versions of the packages and steps that wrote the state; no other may open it.
    format : int
        The version of the layout of ``state``.
    """

    positions: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    state: bytes = b""
    finished: bool = False
    writer: Mapping[str, str] = field(default_factory=dict)
    format: int = FORMAT


class Store(abc.ABC):
    """Keeps what runs give. Writing again what is there changes nothing: alerts by run and id, dead letters by run and position."""

    @abc.abstractmethod
    def claim(self, run: str) -> int:
        """Become the one that writes a run: gives an epoch, and refuses from now on what is saved with an older one."""

    @abc.abstractmethod
    def save(
        self,
        run: str,
        alerts: pd.DataFrame | None,
        letters: pd.DataFrame | None,
        snapshot: Snapshot | None,
        epoch: int | None = None,
    ) -> None:
        """Write all of it, or, if anything fails, nothing of it.

        Parameters
        ----------
        run : str
            Name of the run.
        alerts, letters : DataFrame or None
            With the columns ``ALERT_COLUMNS`` and ``LETTER_COLUMNS``.
        snapshot : Snapshot or None
            Takes the place of the run's last one.
        epoch : int, optional
            What ``claim`` gave.

        Raises
        ------
        TakenOverError
            The run was claimed again since.
        """

    def writing(self, part: str) -> None:  # noqa: B027 - only the check gives it something to do
        """Do nothing; ``save`` calls it right before it writes each of ``PARTS`` that it was given.

        It is there for the check of the contract, which lets it raise at each part in turn, as a kill would there, and looks
        what is left.
        """

    @abc.abstractmethod
    def alerts(
        self,
        run: str | None = None,
        *,
        since: Any = None,
        until: Any = None,
        after: tuple[Any, str] | None = None,
        limit: int | None = None,
    ) -> pd.DataFrame:
        """Give the alerts of a run, or all (each id once, as the latest run that gave it has it), in the order (time, id).

        Parameters
        ----------
        run : str, optional
            Name of the run.
        since, until : str or Timestamp, optional
            Only those of this range of time, ``since`` included.
        after : (time, id), optional
            Only those behind this one, the last of the page before.
        limit : int, optional
            At most this many.
        """

    @abc.abstractmethod
    def dead_letters(
        self, run: str | None = None, *, after: tuple[str, int, int] | None = None, limit: int | None = None
    ) -> pd.DataFrame:
        """Give the dead letters of a run, or all, in the order of their positions.

        Parameters
        ----------
        run : str, optional
            Name of the run; needed with ``after`` and ``limit``, as two runs may have a dead letter at one position.
        after : (source, partition, offset), optional
            Only those behind this one, the last of the page before.
        limit : int, optional
            At most this many.
        """

    @abc.abstractmethod
    def count_alerts(self, run: str | None = None, *, since: Any = None, until: Any = None) -> int:
        """Count what ``alerts`` would give, without reading it."""

    @abc.abstractmethod
    def count_dead_letters(self, run: str | None = None) -> int:
        """Count what ``dead_letters`` would give, without reading it."""

    def letter_reasons(self, run: str) -> dict[str, int]:
        """Count the dead letters of a run by their reason, the most frequent first."""
        found = Counter[str]()
        for page in self.dead_letters_pages(run):
            found.update(page["reason"].tolist())
        return dict(found.most_common())

    @abc.abstractmethod
    def runs(self) -> list[str]:
        """Give the names of the runs that were claimed or written, sorted."""

    def alerts_pages(
        self, run: str | None = None, *, since: Any = None, until: Any = None, limit: int = 10_000
    ) -> Iterator[pd.DataFrame]:
        """Give the alerts page by page, each of at most ``limit`` rows; only one page is in memory.

        Examples
        --------
        >>> from govlab.stores import Sqlite
        >>> from govlab.testing.stores import sample_alerts
        >>> store = Sqlite(":memory:")
        >>> store.save("run", sample_alerts(5), None, None)
        >>> [len(page) for page in store.alerts_pages("run", limit=2)]
        [2, 2, 1]
        """
        page = self.alerts(run, since=since, until=until, limit=limit)
        while len(page):
            yield page
            last = page.iloc[-1]
            page = self.alerts(run, since=since, until=until, after=(last["time"], last["id"]), limit=limit)

    def dead_letters_pages(self, run: str | None = None, *, limit: int = 1_000) -> Iterator[pd.DataFrame]:
        """Give the dead letters page by page, run after run; a page has at most ``limit`` rows of up to 64 KiB each."""
        for one in self.runs() if run is None else [run]:
            page = self.dead_letters(one, limit=limit)
            while len(page):
                yield page
                last = page.iloc[-1]
                page = self.dead_letters(one, after=(last["source"], last["partition"], last["offset"]), limit=limit)

    @abc.abstractmethod
    def snapshot(self, run: str) -> Snapshot | None:
        """Give the last snapshot of a run.

        Raises
        ------
        StoreError
            It was not written by this user, so it is not unpickled; or by a govlab before snapshots said what wrote them.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""
