"""What changes under a reader of Kafka: topics that are made anew, partitions that come and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from govlab.errors import SourceError
from govlab.sources.cuts import SPAN, partition_of
from govlab.sources.kafka.client import Topic
from govlab.sources.kafka.lookup import Described, number_of
from govlab.sources.kafka.watch import View

__all__ = ["Changes", "made_anew"]

LOST_S = 6.0  # a partition that is not described for so long is no more
ID = -1 - 2 * SPAN  # under ID - partition, a position holds the id of the topic


def made_anew(topic: str) -> SourceError:
    """Say that a topic is another than the one whose records were read."""
    return SourceError(
        f"{topic} was made anew: the topic of this name is another one than that which was read, and its offsets mean other "
        "records. Begin anew with another store."
    )


class Changes:
    """Remembers which topics are read: by their ids, since a name can be given again.

    Parameters
    ----------
    alone : bool
        Whether one topic is read, and partitions have Kafka's own numbers.
    """

    def __init__(self, alone: bool) -> None:
        self._alone = alone
        self.ids: dict[str, int] = {}
        self._numbers: set[int] = set()
        self._missing: dict[Topic, float] = {}

    def meet(self, topics: Described, position: Mapping[int, int]) -> None:
        """Take note of topics; what was read before must be of the same.

        Raises
        ------
        SourceError
            A topic was made anew.
        """
        for topic in topics.partitions:
            earlier = position.get(ID - number_of(topic, self._alone)) or self.ids.get(topic[0])
            if earlier and topics.ids[topic[0]] != earlier:
                raise made_anew(topic[0])
        self.ids |= topics.ids
        self._numbers |= {number_of(topic, self._alone) for topic in topics.partitions}

    def complete(self, position: Mapping[int, int]) -> None:
        """See that all partitions of a position are there.

        Raises
        ------
        SourceError
            One was deleted, so that nobody knows what more it held.
        """
        lost = sorted({partition_of(key) for key in position} - self._numbers)
        if lost:
            raise SourceError(
                f"{len(lost)} of the partitions that the run has read are gone: {', '.join(map(str, lost))}. Were topics "
                "deleted? Begin anew with another store."
            )

    def position(self, topics: Iterable[Topic]) -> dict[int, int]:
        """Give what a position holds of the ids."""
        pairs = ((number_of(topic, self._alone), self.ids.get(topic[0], 0)) for topic in topics)
        return {ID - number: identity for number, identity in pairs if identity}

    def compare(self, view: View, reading: Iterable[Topic]) -> tuple[list[Topic], list[Topic]]:
        """Give the partitions that are there and not read, and those that are read and no more there.

        Raises
        ------
        SourceError
            A topic was made anew.
        """
        self.meet(view.topics, {})
        reading, there = set(reading), set(view.topics.partitions)
        self._missing = {topic: self._missing.get(topic, view.at_s) for topic in reading - there}
        lost = [topic for topic, since in self._missing.items() if view.at_s - since > LOST_S]
        return sorted(there - reading), sorted(lost)
