"""Partitions of Kafka whose ends move, and where they begin."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from govlab.frames import Schema
from govlab.sources.kafka.client import Topic
from govlab.sources.kafka.gaps import gone
from govlab.sources.kafka.lookup import Lookup, number_of
from govlab.sources.lanes import Lane, Order

__all__ = ["Live", "begun"]


class Live(Lane):
    """A partition whose end moves: rows wait only for partitions that have more to read."""

    def __init__(self, topic: Topic, number: int, order: Order, first: int, end: int) -> None:
        super().__init__(number, topic[0], order)
        self.topic, self.next, self.end = topic, first, end
        self.rewind = False
        self.moved_s = time.monotonic()

    def free(self) -> int:
        """Count the rows that may go: all of them, where no more is there to be read."""
        return super().free() if self.next < self.end else self.keys.size

    def bound(self) -> tuple[int, int] | None:
        """Give the (time, partition) that rows still to be read cannot come before; None where nothing waits."""
        return super().bound() if self.next < self.end else None


def begun(
    lookup: Lookup,
    topics: Sequence[Topic],
    schema: Schema,
    alone: bool,
    known: Mapping[int, int],
    start: Any,
    there: Mapping[Topic, int],
    committed: Callable[[Sequence[Topic]], dict[Topic, int]] | None = None,
    ahead: Callable[[Sequence[Topic]], dict[Topic, int]] | None = None,
) -> dict[Topic, Live]:
    """Begin partitions: at their position, else where the group stands, else by ``start``, else at their first record.

    Parameters
    ----------
    lookup : Lookup
        Asked for offsets.
    topics : sequence of (topic, partition)
        The partitions.
    schema, alone
        As of the reader.
    known : dict
        The position.
    start : {"earliest", "latest", "committed"} or int
        For partitions without a position.
    there : dict
        The ends of the partitions for which ``start`` counts: those that came into being later are read from their first
        record.
    committed : function, optional
        Gives where the group stands, where that counts.
    ahead : function, optional
        The same, where it counts only beyond the ends: what came since then, and another member has read.

    Raises
    ------
    SourceError
        There are no records at a position.
    """
    firsts, ends, stable = lookup.firsts(topics), lookup.ends(topics), lookup.stable(topics)
    begin = dict(firsts)
    unknown = [topic for topic in topics if number_of(topic, alone) not in known]
    old = [topic for topic in unknown if topic in there]
    if start == "latest":
        begin |= {topic: there[topic] for topic in old}
    elif isinstance(start, int):
        begin |= lookup.at(old, start)
    if committed is not None and unknown:
        begin |= committed(unknown)
    elif ahead is not None and old and start == "latest":
        begin |= {topic: max(there[topic], offset) for topic, offset in ahead(old).items()}
    order, lanes = Order("arrival", 0, schema), {}
    for topic in topics:
        number = number_of(topic, alone)
        first = known.get(number, begin[topic])
        if not firsts[topic] <= first <= ends[topic]:
            raise gone(topic, first, firsts[topic], ends[topic])
        lanes[topic] = Live(topic, number, order, first, stable[topic])
    return lanes
