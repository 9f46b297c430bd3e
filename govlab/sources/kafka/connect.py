"""The reader and the sink of a topic, by address."""

from __future__ import annotations

from typing import Any

from govlab.access import Access
from govlab.errors import ArgumentError
from govlab.sources.kafka.range import KafkaRange
from govlab.sources.kafka.reader import KafkaReader
from govlab.sources.kafka.sink import KafkaSink, make_topic
from govlab.sources.reader import Reader

__all__ = ["reader_at", "sink_at"]

RANGED = ("order", "look_ahead", "slack")


def reader_at(topics: Any, bootstrap: str = "localhost:9092", *, start: Any = None, stop: Any = None, **options: Any) -> Reader:
    """Make the reader of topics: of a range of them where there is a ``stop``, else a live one.

    Parameters
    ----------
    topics : str, list of str, or compiled pattern
        What to read, several with commas.
    bootstrap, start, stop, **options
        As of :class:`govlab.sources.KafkaReader` and :class:`govlab.sources.KafkaRange`; None for their defaults.
    """
    topics = topics.split(",") if isinstance(topics, str) and "," in topics else topics
    given = {name: value for name, value in options.items() if value is not None}
    if stop is None:
        if odd := sorted(given.keys() & set(RANGED)):
            raise ArgumentError(f"{', '.join(odd)}: only for a stretch of a topic; give stop=a time, or stop='now'.")
        return KafkaReader(topics, bootstrap, start=start, **given)
    if "group" in given:
        raise ArgumentError("group: a stretch of a topic (stop=...) is read without joining a group; leave one of them out.")
    if start in ("committed", "latest"):
        raise ArgumentError(f"start={start!r} with stop={stop!r}; expected start='earliest' or a time.")
    return KafkaRange(topics, bootstrap, start="earliest" if start is None else start, stop=stop, **given)


def sink_at(
    topic: str, bootstrap: str, *, access: Access | None = None, partitions: int | None = None, **options: Any
) -> KafkaSink:
    """Make the sink of a topic, and the topic where it is not there and ``partitions`` are given; options as of the sink."""
    if partitions is not None:
        make_topic(topic, partitions, bootstrap, access)
    return KafkaSink(topic, bootstrap, access=access, **options)
