"""The sink: where frames of alerts or events go."""

from __future__ import annotations

import abc

import pandas as pd

__all__ = ["Sink"]


class Sink(abc.ABC):
    """Takes frames and hands them on, from one thread at a time. A subclass says in its docstring what delivery it guarantees.

    The rules, which :func:`govlab.testing.check_sink` checks: after ``flush`` every row that was sent is there, once, with its
    values and its id, in the order of sending within a partition; a row that cannot be written is an error that says which,
    and rows sent later are written; ``close`` flushes first, may be asked twice, and after it nothing is taken in silence.
    """

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
