"""The store: what is kept of a run."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from govlab.frames import ALERT_COLUMNS

__all__ = ["ALERT_COLUMNS", "LETTER_COLUMNS", "Snapshot", "Store"]

LETTER_COLUMNS = ("source", "partition", "offset", "reason", "raw")


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
    """

    positions: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    state: bytes = b""
    finished: bool = False


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

    @abc.abstractmethod
    def alerts(self, run: str | None = None) -> pd.DataFrame:
        """Give the alerts of a run, or all (each id once, as the latest run that gave it has it), in the order (time, id)."""

    @abc.abstractmethod
    def dead_letters(self, run: str | None = None) -> pd.DataFrame:
        """Give the dead letters of a run, or all, in the order of their positions."""

    @abc.abstractmethod
    def snapshot(self, run: str) -> Snapshot | None:
        """Give the last snapshot of a run.

        Raises
        ------
        StoreError
            It was not written by this user, so it is not unpickled.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""
