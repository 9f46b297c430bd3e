"""Gaps in the offsets of a partition: which are innocent, which are lost records, and which the client made."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from govlab.access import Access
from govlab.errors import SourceError
from govlab.sources.kafka.client import Topic
from govlab.sources.kafka.lookup import Lookup
from govlab.sources.kafka.sampling import records
from govlab.sources.messages import Messages

__all__ = ["Gaps", "first_gap", "gone"]

log = logging.getLogger("govlab")


def gone(topic: Topic, expected: int, first: int, end: int) -> SourceError:
    """Say that a position is not within the log any more."""
    what = "are gone (retention, or deleted)" if expected < first else "are not there (was the topic made anew?)"
    return SourceError(
        f"{topic[0]}, partition {topic[1]}: records at the position {what}: the next offset is {expected:,}, but there are "
        f"{first:,} to {end:,}. Begin anew with another store, or start='earliest'."
    )


def first_gap(messages: Messages, expected: int) -> tuple[int, int] | None:
    """Give the first (offset expected, offset found instead) in messages; None where each follows the one before.

    Examples
    --------
    >>> first_gap(Messages([5, 6, 9], [b"", b"", b""]), 5), first_gap(Messages([5, 6], [b"", b""]), 5)
    ((7, 9), None)
    """
    offsets = messages.offsets
    if offsets[0] == expected and offsets[-1] - expected + 1 == len(offsets):
        return None
    at = next(i for i, offset in enumerate(offsets) if offset != expected + i)
    return expected + at, offsets[at]


class Gaps:
    """Judges gaps. Innocent ones are those of compaction, and of transactions (their markers, and what was aborted).

    A gap is innocent only where the log still begins at or before it, so that nothing there was taken away behind the reader,
    and either the topic is compacted, or it holds transactions. That it holds transactions is not believed but tried, once a
    partition: another client, put at the first offset of the gap, must find the same next record.

    Parameters
    ----------
    client_name, bootstrap, access
        As of the reader.
    """

    def __init__(self, client_name: str, bootstrap: str, access: Access) -> None:
        self._client_name, self._bootstrap, self._access = client_name, bootstrap, access
        self._lookup: Lookup | None = None
        self._compacted: dict[str, bool] = {}
        self._transactional: set[Topic] = set()
        self._skipped: dict[Topic, int] = {}

    def innocent(self, topic: Topic, expected: int, found: int) -> bool:
        """Tell whether no record is between two offsets; False where there is one that the client has left out.

        Raises
        ------
        SourceError
            Records between them are gone; or the client has left them out a second time; or the broker does not answer.
        """
        lookup = self.asked()
        if lookup.firsts([topic])[topic] > expected:
            raise gone(topic, expected, lookup.firsts([topic])[topic], lookup.ends([topic])[topic])
        if topic[0] not in self._compacted:
            self._compacted[topic[0]] = "compact" in lookup.settings(topic[0]).get("cleanup.policy", "")
        if self._compacted[topic[0]] or topic in self._transactional:
            return True
        there = records(self._client_name, self._bootstrap, self._access, {topic: (expected, found)}, most=1)
        if topic not in there or not there[topic].offsets:
            self._transactional.add(topic)
            return True
        if self._skipped.get(topic) == expected:
            raise SourceError(
                f"{topic[0]}, partition {topic[1]}: the next offset is {expected:,}, but the client {self._client_name} gives "
                f"{found:,}, twice, though the record at {there[topic].offsets[0]:,} is there. Try the other client."
            )
        self._skipped[topic] = expected
        log.warning("%s, partition %d: offset %d was expected and %d came: fetched again", *topic, expected, found)
        return False

    def bounds(self, positions: Mapping[Topic, int]) -> None:
        """See that positions are within the log.

        Raises
        ------
        SourceError
            One is not: its records are gone, or are not there.
        """
        lookup = self.asked()
        firsts, ends = lookup.firsts(positions), lookup.ends(positions)
        for topic, position in positions.items():
            if not firsts[topic] <= position <= ends[topic]:
                raise gone(topic, position, firsts[topic], ends[topic])

    def asked(self) -> Lookup:
        """Give the connection for questions."""
        self._lookup = self._lookup or Lookup(self._bootstrap, self._access)
        return self._lookup

    def close(self) -> None:
        """Let go of the connection."""
        lookup, self._lookup = self._lookup, None
        if lookup is not None:
            lookup.close()
