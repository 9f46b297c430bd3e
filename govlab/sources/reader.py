"""The reader: where event frames come from."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Self

import numpy as np
import pandas as pd

from govlab.arguments import refuse_unfit
from govlab.errors import ArgumentError, GovlabError, SourceError
from govlab.schema import Schema

__all__ = ["DeadLetter", "EndOfStream", "LiveReader", "Reader", "SharedReader"]

RAW_LIMIT = 65_536


class EndOfStream(GovlabError):  # noqa: N818 - like StopIteration, it is no error
    """Raised by ``read`` when no row will ever come again."""


@dataclass(frozen=True)
class DeadLetter:
    """A record that could not be read.

    Attributes
    ----------
    source : str
        File or topic.
    partition, offset : int
        Its position; in a text file ``offset`` + 1 is the number of its line.
    reason : str
        What was wrong.
    raw : bytes
        The record as it was, at most its first 64 KiB.
    """

    source: str
    partition: int
    offset: int
    reason: str
    raw: bytes

    @property
    def line(self) -> int:
        """The number of the line in a text file, from 1."""
        return self.offset + 1


class Reader(abc.ABC):
    """Gives event frames, from one thread at a time.

    A subclass says in its docstring what delivery it guarantees, in which order rows come, and what a bad record does.

    No answer rests on silence or speed: ends, lag and positions are asked of the origin, and a time-out is an error, never data.
    Whatever makes the next record another than the expected one is an error that names both, unless the origin itself explains
    the gap. A live reader that does not read all there is says so in ``trouble``.

    The arguments of a reader make another of the same (``another``), which reads beside it and changes nothing for it. Where it
    would, as another consumer of a queue takes messages away, ``consumes`` is true, and there is no other.

    The rules, which :func:`govlab.testing.check_reader` and :func:`govlab.testing.check_live_reader` check:

    - the rows do not depend on how many are asked for at a time, nor on when ``commit`` is called;
    - opening at ``position()`` goes on with the next row, at ``position_before(rows)`` with the first of ``rows``: nothing is
      lost, and nothing comes twice;
    - nothing is acknowledged that was not committed; what was committed does not come again where the origin remembers it;
    - the rows of a partition come in the order in which they were written, each once;
    - a bad record is a dead letter once, with its position and reason; one after a position comes again when a reader is
      opened there, so none is lost;
    - ``lag`` counts rows that were not read yet, though nobody reads, and is 0 once all are given on; ``trouble`` is None then;
    - a source that ends says so again and again; one that is live never does;
    - ``fetch`` gives the rows that were read; ``redrive`` gives a corrected record at its position and the bad one back;
    - ``close`` may be asked twice.
    """

    name: str = "reader"
    """What it is called in messages."""
    schema: Schema | None = None
    """The columns, where they are known before a row is read."""
    left_out: Mapping[str, str] = MappingProxyType({})
    """Columns that are there and not read, as the schema was guessed, each with the reason."""
    last_keys: np.ndarray | None = None
    """The clock's time of each row of the last ``read`` (int64, microseconds); None where it is the time of the event."""
    waits: bool = False
    """Whether it is live: it has no end, and ``read`` waits a little itself when there is nothing yet."""
    group: str | None = None
    """The group of consumers with which it shares what is read."""
    made: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
    """The arguments that it was made with: what makes another of the same."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep the arguments, which must be those that there are."""
        if args or kwargs:  # a copy is made without any
            refuse_unfit(cls.__name__, cls.__init__, (None, *args), kwargs)
        self = super().__new__(cls)
        self.made = (args, kwargs)
        return self

    def another(self) -> Reader:
        """Make another reader of the same, which begins at the start; this one stays where it is.

        Raises
        ------
        ArgumentError
            What it reads can be read but once.
        """
        args, named = self.made
        if self.consumes:
            raise ArgumentError(
                f"{self.name}: a second reader would take events away from the source that plays it; run a pipeline below that "
                "source (source.through(pipeline), then gl.run(source)), or give the reader itself."
            )
        if any(isinstance(given, Iterator) for given in (*args, *named.values())):
            raise ArgumentError(
                f"{self.name}: what the source plays can be read but once (it is a generator); give a list of frames, or files."
            )
        return type(self)(*args, **named)

    def arguments(self) -> dict[str, Any]:
        """Give the arguments that make the same reader elsewhere, by name: also what was guessed or found here."""
        args, named = self.made
        bound = inspect.signature(type(self).__init__).bind(self, *args, **named)
        given = dict(list(bound.arguments.items())[1:])
        return given | {"schema": self.schema} if "schema" in bound.signature.parameters else given

    @property
    def consumes(self) -> bool:
        """Whether what it reads, nobody else gets (a queue, a group of consumers)."""
        return self.group is not None

    @property
    def once(self) -> bool:
        """Whether it can be read but once, so that a read that is stopped in the middle cannot be taken again."""
        return False

    @property
    def wants_commit(self) -> bool:
        """Whether the origin gives no more before something is committed."""
        return False

    @property
    def origin(self) -> str:
        """What is read, in full: a run is taken up again only over the same origin. By default the name."""
        return self.name

    @abc.abstractmethod
    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin at a position that ``position()`` gave, or at the start; may be called again."""

    @abc.abstractmethod
    def read(self, max_rows: int) -> pd.DataFrame:
        """Give the next rows, at most ``max_rows``; an empty frame = nothing yet.

        Raises
        ------
        EndOfStream
            No row will ever come again.
        """

    @abc.abstractmethod
    def position(self) -> dict[int, int]:
        """Give how far each partition was read: opening there goes on with the next row."""

    def position_before(self, rows: pd.DataFrame) -> dict[int, int]:
        """Give the position from which ``rows``, the last that were read, come again. By default positions count rows."""
        position = self.position()
        for partition in rows["partition"].tolist():
            position[partition] -= 1
        return position

    def commit(self, position: Mapping[int, int]) -> None:  # noqa: B027 - a file has nobody to tell
        """Tell the origin that all before a position is stored. Called only after it is."""

    def lag(self) -> dict[int, int]:
        """Give, for each partition, how many records are there that were not yet given on; empty where that is not known."""
        return {}

    def trouble(self) -> tuple[str, str] | None:
        """Say what keeps a live reader from reading all there is: a state and why; None when all is well.

        The states: ``"reconnecting"``, ``"stalled"``, ``"waiting"`` (for others), ``"sharing"`` (with others of this process).
        """
        return None

    def take_dead_letters(self) -> list[DeadLetter]:
        """Hand over the records that could not be read since the last call."""
        return []

    def redrive(self, letters: list[tuple[DeadLetter, bytes]]) -> tuple[pd.DataFrame, list[DeadLetter]]:
        """Read corrected records; gives their rows and those that are still bad."""
        raise SourceError(f"{self.name}: {type(self).__name__} cannot read corrected records.")

    def fetch(self, evidence: str) -> pd.DataFrame:
        """Read again the rows of an alert's evidence, ``partition:first-last`` ranges."""
        raise SourceError(f"{self.name}: {type(self).__name__} cannot read rows again; what was read once is not there any more.")

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""


class LiveReader(Reader):
    """A reader of an origin that never ends: it must say how much waits there, and what keeps it from reading."""

    waits = True
    wait_s: float = 0.02
    """How long ``read`` waits for rows where none are there."""

    @abc.abstractmethod
    def lag(self) -> dict[int, int]:
        """Give, for each partition, how many records are there that were not yet given on; empty where that is not known."""

    @abc.abstractmethod
    def trouble(self) -> tuple[str, str] | None:
        """Say what keeps it from reading all there is: a state and why; None when all is well."""


class SharedReader(LiveReader):
    """A live reader that may be a member of a ``group``, which deals the partitions out to its members.

    Attributes
    ----------
    alone : bool
        Whether it is an error that another member of the group has partitions, as the run has steps that span them.
    on_assign : function or None
        Called with the partitions that the group has assigned, where the members share a run; gives which of them are new to
        this member, and the positions of those that have one.
    """

    alone = False
    on_assign: Callable[[list[int]], tuple[list[int], dict[int, int]]] | None = None

    @abc.abstractmethod
    def assigned(self) -> set[int]:
        """Give the numbers of the partitions that are read."""

    @abc.abstractmethod
    def rejoin(self) -> None:
        """Leave the group and join it again, so that partitions are assigned anew."""
