"""What a Kafka client does for the readers. Each belongs to one thread, which makes it, polls it and closes it.

No deserializer is given to a client (one that raises would block it), and one that raised is never polled again: the
reader closes it and makes another. All clients read committed records only: those of a transaction that is still open
wait, those of one that was aborted do not exist.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Iterable, Mapping

from govlab.access import Access
from govlab.errors import SourceError
from govlab.sources.messages import Messages

__all__ = ["MAX_BYTES", "METADATA_S", "Client", "OutOfRangeError", "Topic", "TruncatedError", "Where", "unsupported_codec"]

Topic = tuple[str, int]  # a topic and one of its partitions
Where = Callable[[Iterable[Topic]], dict[Topic, int]]
MAX_BYTES = 50 << 20
METADATA_S = 10  # how often a client looks whether there are more partitions
PACKAGES = {"snappy": "python-snappy", "lz4": "lz4", "zstd": "zstandard"}


class OutOfRangeError(Exception):
    """The broker has no record at a position: the reader asks where the log begins and ends, and says so."""


class TruncatedError(Exception):
    """The log was cut off behind the position, or is another log: what is there now is not what was read."""


def unsupported_codec(text: str, other: str) -> SourceError:
    """Say what to do where a client cannot unpack records.

    Examples
    --------
    >>> print(unsupported_codec("Libraries for snappy compression codec not found", "client='confluent'"))
    the topic is compressed with snappy: pip install python-snappy, or client='confluent'
    """
    found = re.search("snappy|lz4|zstd|gzip", text.lower())
    if found is None:
        return SourceError(f"the topic is compressed in a way that this client cannot read ({text}): try {other}")
    install = f"pip install {PACKAGES[found[0]]}, or " if found[0] in PACKAGES and "confluent" in other else ""
    return SourceError(f"the topic is compressed with {found[0]}: {install}{other}")


class Client(abc.ABC):
    """A consumer.

    Parameters
    ----------
    bootstrap, access
        The broker, and how to get in.
    group : str or None
        The consumer group, for committing and for ``subscribe``.
    envelope : bool
        Whether keys, times and headers are asked for.
    where : function
        Asked, on the owner's thread, for the offsets at which partitions begin that the group has just assigned.
    """

    @abc.abstractmethod
    def __init__(self, bootstrap: str, access: Access, group: str | None, envelope: bool, where: Where) -> None: ...

    @abc.abstractmethod
    def assign(self, offsets: Mapping[Topic, int]) -> None:
        """Read these partitions from these offsets."""

    @abc.abstractmethod
    def subscribe(self, topics: list[str] | re.Pattern[str]) -> None:
        """Join the group; from then on ``poll`` may change what is assigned."""

    @abc.abstractmethod
    def assignment(self) -> set[Topic]:
        """Give what is assigned."""

    @abc.abstractmethod
    def poll(self, most: int, timeout_s: float) -> dict[Topic, Messages]:
        """Give what has come, tombstones too (bodies that are None).

        Raises
        ------
        OutOfRangeError
            There is no record at a position.
        TruncatedError
            There are other records before a position than those that were read.
        SourceError
            What no other client would mend: records that cannot be unpacked, a topic that may not be read.
        """

    @abc.abstractmethod
    def seek(self, topic: Topic, offset: int) -> None:
        """Go to an offset."""

    @abc.abstractmethod
    def position(self, topic: Topic) -> int | None:
        """Give the offset of the next record, past markers of transactions; None where it is not known."""

    @abc.abstractmethod
    def end(self, topic: Topic) -> int | None:
        """Give the end offset, as of the last fetch, open transactions included; None before the first."""

    @abc.abstractmethod
    def committed(self, topics: Iterable[Topic]) -> dict[Topic, int]:
        """Give what the group has committed."""

    @abc.abstractmethod
    def commit(self, offsets: Mapping[Topic, int], wait: bool) -> None:
        """Commit; without ``wait`` it is only sent."""

    @abc.abstractmethod
    def close(self) -> None:
        """Leave the group and let go."""
