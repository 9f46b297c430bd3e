"""Two Kafka clients behind one face. Each belongs to one thread, which makes it, polls it and closes it.

No deserializer is given to a client (one that raises would block it), and one that raised is never polled again: the
reader closes it and makes another.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any

import kafka
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from govlab.access import Access
from govlab.registry import extra
from govlab.sources.messages import Messages

__all__ = ["CLIENTS", "Client", "Topic"]

Topic = tuple[str, int]  # a topic and one of its partitions
Where = Callable[[Iterable[Topic]], dict[Topic, int]]
MAX_BYTES = 50 << 20
JOINING_S = 1.0


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
        """Give what has come, tombstones too (bodies that are None)."""

    @abc.abstractmethod
    def seek(self, topic: Topic, offset: int) -> None:
        """Go to an offset."""

    @abc.abstractmethod
    def position(self, topic: Topic) -> int | None:
        """Give the offset of the next record, past markers of transactions; None where it is not known."""

    @abc.abstractmethod
    def end(self, topic: Topic) -> int | None:
        """Give the end offset, as of the last fetch; None before the first."""

    @abc.abstractmethod
    def committed(self, topics: Iterable[Topic]) -> dict[Topic, int]:
        """Give what the group has committed."""

    @abc.abstractmethod
    def commit(self, offsets: Mapping[Topic, int], wait: bool) -> None:
        """Commit; without ``wait`` it is only sent."""

    @abc.abstractmethod
    def close(self) -> None:
        """Leave the group and let go."""


class KafkaPython(Client, ConsumerRebalanceListener):
    """kafka-python. Its rebalance listener runs on its IO thread and may not do more than take notes."""

    def __init__(self, bootstrap: str, access: Access, group: str | None, envelope: bool, where: Where) -> None:
        self._envelope, self._where, self._group = envelope, where, group is not None
        self._changes, self._seen = 0, (0, set[Topic]())
        self.consumer = kafka.KafkaConsumer(
            bootstrap_servers=bootstrap.split(","),
            group_id=group,
            enable_auto_commit=False,
            # with a group a partition may be fetched before its offset is set; never "latest", which loses silently
            auto_offset_reset="earliest" if group else "none",
            max_poll_interval_ms=3_600_000,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=2_000,
            fetch_max_bytes=MAX_BYTES,
            reconnect_backoff_max_ms=1_000,
            bootstrap_timeout_ms=20_000,
            metadata_max_age_ms=30_000,
            metrics_enabled=False,
            **access.kafka_python(),
        )

    def assign(self, offsets: Mapping[Topic, int]) -> None:
        self.consumer.assign([kafka.TopicPartition(*topic) for topic in offsets])
        for topic, offset in offsets.items():
            self.seek(topic, offset)

    def subscribe(self, topics: list[str] | re.Pattern[str]) -> None:
        if isinstance(topics, re.Pattern):
            self.consumer.subscribe(pattern=topics.pattern, listener=self)
        else:
            self.consumer.subscribe(topics, listener=self)

    def on_partitions_revoked(self, revoked: Any) -> None:
        self._changes += 1

    def on_partitions_assigned(self, assigned: Any) -> None:
        self._changes += 1

    def on_partitions_lost(self, lost: Any) -> None:
        self._changes += 1

    def assignment(self) -> set[Topic]:
        return {(tp.topic, tp.partition) for tp in self.consumer.assignment()}

    def poll(self, most: int, timeout_s: float) -> dict[Topic, Messages]:
        if self._group and not self.consumer.assignment():
            timeout_s = max(timeout_s, JOINING_S)  # to join takes some answers, and a poll that is too short forgets them
        fetched = self.consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=most)
        now = self._changes, self.assignment()
        if self._group and now != self._seen:  # the listener may be called before the assignment changes
            # what came may have begun at another offset than ours, so it is dropped and fetched again
            self._seen = now
            for topic, offset in self._where(now[1]).items():
                self.seek(topic, offset)
            return {}
        return {(tp.topic, tp.partition): self._messages(tp.topic, records) for tp, records in fetched.items()}

    def _messages(self, topic: str, records: list[Any]) -> Messages:
        messages = Messages([r.offset for r in records], [r.value for r in records], topic=topic)
        if self._envelope:
            messages.keys, messages.times_ms = [r.key for r in records], [r.timestamp for r in records]
            messages.headers = [r.headers for r in records]
        return messages

    def seek(self, topic: Topic, offset: int) -> None:
        self.consumer.seek(kafka.TopicPartition(*topic), offset)

    def position(self, topic: Topic) -> int | None:
        try:
            return self.consumer.position(kafka.TopicPartition(*topic), timeout_ms=10)
        except (KafkaError, AssertionError):
            return None

    def end(self, topic: Topic) -> int | None:
        return self.consumer.highwater(kafka.TopicPartition(*topic))

    def committed(self, topics: Iterable[Topic]) -> dict[Topic, int]:
        found = {topic: self.consumer.committed(kafka.TopicPartition(*topic)) for topic in topics}
        return {topic: offset for topic, offset in found.items() if offset is not None}

    def commit(self, offsets: Mapping[Topic, int], wait: bool) -> None:
        whole = {kafka.TopicPartition(*topic): OffsetAndMetadata(offset, "", -1) for topic, offset in offsets.items()}
        if wait:
            self.consumer.commit(whole, timeout_ms=5_000)
        else:
            self.consumer.commit_async(whole, callback=lambda *_: None)

    def close(self) -> None:
        self.consumer.close(autocommit=False, timeout_ms=2_000)


class Confluent(Client):
    """confluent-kafka (librdkafka): three to eight times the rate of kafka-python."""

    def __init__(self, bootstrap: str, access: Access, group: str | None, envelope: bool, where: Where) -> None:
        self._lib = extra("confluent_kafka", "pip install 'govlab[confluent]'")
        self._envelope, self._where = envelope, where
        self._ends: dict[Topic, int] = {}
        self._eof = self._lib.KafkaError._PARTITION_EOF
        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": group or "govlab",  # it wants a name, also where nothing is committed
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "max.poll.interval.ms": 3_600_000,
            "session.timeout.ms": 6_000,
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": 65_536,
            "reconnect.backoff.max.ms": 1_000,
            "log_level": 3,
        }
        self.consumer = self._lib.Consumer(settings | access.confluent())

    def assign(self, offsets: Mapping[Topic, int]) -> None:
        self._ends.clear()
        self.consumer.assign([self._lib.TopicPartition(*topic, offset) for topic, offset in offsets.items()])

    def subscribe(self, topics: list[str] | re.Pattern[str]) -> None:
        names = [f"^({topics.pattern})"] if isinstance(topics, re.Pattern) else topics
        self.consumer.subscribe(names, on_assign=self._on_assign)

    def _on_assign(self, consumer: Any, partitions: Any) -> None:
        self.assign(self._where([(tp.topic, tp.partition) for tp in partitions]))

    def assignment(self) -> set[Topic]:
        return {(tp.topic, tp.partition) for tp in self.consumer.assignment()}

    def poll(self, most: int, timeout_s: float) -> dict[Topic, Messages]:
        fetched = self.consumer.consume(most, timeout_s)
        errors = [m for m in fetched if m.error() is not None]
        for message in errors:
            if message.error().code() == self._eof:
                self._ends[message.topic(), message.partition()] = message.offset()
            elif not message.error().retriable():
                raise self._lib.KafkaException(message.error())
        if errors:
            fetched = [m for m in fetched if m.error() is None]
        found: dict[Topic, list[Any]] = {}
        # they come in runs of one partition
        for number, run in groupby(fetched, self._lib.Message.partition):
            for topic, messages in groupby(run, self._lib.Message.topic):
                found.setdefault((topic, number), []).extend(messages)
        return {topic: self._messages(topic[0], messages) for topic, messages in found.items()}

    def _messages(self, topic: str, records: list[Any]) -> Messages:
        messages = Messages([r.offset() for r in records], [r.value() for r in records], topic=topic)
        if self._envelope:
            messages.keys, messages.times_ms = [r.key() for r in records], [r.timestamp()[1] for r in records]
            messages.headers = [r.headers() for r in records]
        return messages

    def seek(self, topic: Topic, offset: int) -> None:
        self._ends.pop(topic, None)  # that it came to an end before says nothing of how far it is now
        self.consumer.seek(self._lib.TopicPartition(*topic, offset))

    def position(self, topic: Topic) -> int | None:
        # librdkafka's own position may still be one from before a seek
        return self._ends.get(topic)

    def end(self, topic: Topic) -> int | None:
        _, high = self.consumer.get_watermark_offsets(self._lib.TopicPartition(*topic), cached=True)
        return high if high >= 0 else None

    def committed(self, topics: Iterable[Topic]) -> dict[Topic, int]:
        found = self.consumer.committed([self._lib.TopicPartition(*topic) for topic in topics], timeout=20)
        return {(tp.topic, tp.partition): tp.offset for tp in found if tp.offset >= 0}

    def commit(self, offsets: Mapping[Topic, int], wait: bool) -> None:
        whole = [self._lib.TopicPartition(*topic, offset) for topic, offset in offsets.items()]
        self.consumer.commit(offsets=whole, asynchronous=not wait)

    def close(self) -> None:
        self.consumer.close()


CLIENTS: dict[str, type[Client]] = {"confluent": Confluent, "kafka-python": KafkaPython}
