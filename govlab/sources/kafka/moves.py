"""What a live reader of Kafka does when topics and partitions come, go, or are not what they were."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from govlab.errors import SourceError
from govlab.sources.kafka.client import Topic
from govlab.sources.kafka.watch import View

if TYPE_CHECKING:
    from govlab.sources.kafka.following import Following

__all__ = ["compare", "truncated"]

log = logging.getLogger("govlab")
REJOIN_S = 15.0  # a group that has not dealt out a new partition for so long is joined again


def compare(reader: Following, view: View) -> None:
    """Read partitions that are new; and see that none that is read was made anew, or deleted before its end."""
    named = isinstance(reader.topics, list)
    new, lost = reader._changes.compare(view, [*reader._lanes, *(reader._there if named else ())])
    for topic in lost:
        _lost(reader, topic, named)
    if reader.group is None or set(new) <= reader._rejoined:
        reader._dealt_s = view.at_s
    elif view.at_s - reader._dealt_s > REJOIN_S:
        reader._rejoined |= set(new)  # once: another member may have it since
        log.warning("%s: the group has not dealt out all partitions yet: joined again", reader.name)
        reader.rejoin()
    if reader.group is None and new:
        log.warning("%s: new, and read from the first record on: %s", reader.name, ", ".join(f"{t}, partition {p}" for t, p in new))
        reader._begin(new, reader._gaps.asked())
    if reader.group is None and (new or not set(lost) <= set(reader._lanes)):
        reader._assign()


def _lost(reader: Following, topic: Topic, named: bool) -> None:
    lane = reader._lanes.get(topic)
    if named or lane is None or lane.next < lane.end:
        far = f": up to offset {lane.next:,}, of {lane.end:,}" if lane is not None else ""
        raise SourceError(f"{topic[0]}, partition {topic[1]} was deleted while it was read{far}.")
    if not lane.keys.size and not lane.letters and lane.partition not in reader._ready["partition"].to_numpy():
        log.warning("%s, partition %d was deleted, after it was read to its end", *topic)
        reader._known |= reader.position()
        del reader._lanes[topic]


def truncated(reader: Following, error: Exception) -> None:
    """Say what it means that the log was cut off: the topic is gone, or another, or the broker has lost records."""
    view = reader._watch.view(0.0) if reader._watch is not None else None
    if view is not None:
        reader._changes.meet(view.topics, {})
    if view is None or set(reader._lanes) - set(view.topics.partitions):
        reader._broken(error)  # it is gone, or the broker: which of both is seen soon
    else:
        raise SourceError(f"{reader.name}: the broker has lost records that were read, and has others now: {error}") from error
