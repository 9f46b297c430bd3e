"""The sink: where frames of alerts or events go."""

from __future__ import annotations

import abc

import pandas as pd

__all__ = ["Sink"]


class Sink(abc.ABC):
    """Takes frames and hands them on, from one thread at a time. A subclass says in its docstring what delivery it guarantees."""

    name: str = "sink"

    @abc.abstractmethod
    def send(self, frame: pd.DataFrame) -> None:
        """Take the rows of a frame; returns before they are delivered, but holds back when too many are on their way.

        Raises
        ------
        SinkError
            An earlier row could not be delivered.
        """

    @abc.abstractmethod
    def flush(self, timeout_s: float = 60.0) -> None:
        """Wait until all rows taken are delivered, confirmed by the other side. A run does so before its position moves.

        Raises
        ------
        SinkError
            Not all could be delivered; says how many, and why.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the connection; what is not yet delivered is flushed first."""
