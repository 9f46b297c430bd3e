"""Kafka's records by confluent-kafka (librdkafka): three to eight times the rate of kafka-python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from govlab.access import Access
from govlab.errors import SourceError
from govlab.registry import extra
from govlab.sources.kafka.client import METADATA_S, Client, OutOfRangeError, Topic, TruncatedError, Where, unsupported_codec
from govlab.sources.kafka.settings import for_confluent
from govlab.sources.messages import Messages

__all__ = ["CLIENT"]


class Confluent(Client):
    """confluent-kafka."""

    def __init__(self, bootstrap: str, access: Access, group: str | None, envelope: bool, where: Where) -> None:
        self._lib = extra("confluent_kafka", "pip install 'govlab[confluent]'")
        self._envelope, self._where = envelope, where
        self._ends: dict[Topic, int] = {}
        self._failed: Exception | None = None
        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": group or "govlab",  # it wants a name, also where nothing is committed
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "max.poll.interval.ms": 3_600_000,
            "session.timeout.ms": 6_000,
            "topic.metadata.refresh.interval.ms": METADATA_S * 1_000,
            "fetch.queue.backoff.ms": 10,
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": 65_536,
            "reconnect.backoff.max.ms": 1_000,
            "log_level": 3,
        }
        self.consumer = self._lib.Consumer(settings | for_confluent(access))

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
        if self._failed is not None:
            raise self._failed
        fetched = self.consumer.consume(most, timeout_s)
        errors = [m for m in fetched if m.error() is not None]
        for message in errors:
            if message.error().code() == self._lib.KafkaError._PARTITION_EOF:
                self._ends[message.topic(), message.partition()] = message.offset()
            elif not message.error().retriable():
                self._failed = self._failed or self._named(message.error())
        if errors:
            fetched = [m for m in fetched if m.error() is None]
        if self._failed is not None and not fetched:
            raise self._failed
        found: dict[Topic, list[Any]] = {}
        # they come in runs of one partition
        for number, run in groupby(fetched, self._lib.Message.partition):
            for topic, messages in groupby(run, self._lib.Message.topic):
                found.setdefault((topic, number), []).extend(messages)
        return {topic: self._messages(topic[0], messages) for topic, messages in found.items()}

    def _named(self, error: Any) -> Exception:
        """Tell apart what an error of the library means for a reader."""
        kinds = self._lib.KafkaError
        if error.code() in (kinds._AUTO_OFFSET_RESET, kinds.OFFSET_OUT_OF_RANGE):
            return OutOfRangeError(error.str())
        if error.code() == kinds._NOT_IMPLEMENTED:
            return unsupported_codec(error.str(), "client='kafka-python'")
        if error.code() == kinds._LOG_TRUNCATION:
            return TruncatedError(error.str())
        if error.code() in (kinds.TOPIC_AUTHORIZATION_FAILED, kinds.GROUP_AUTHORIZATION_FAILED):
            return SourceError(f"{error.name()}: {error.str()}")
        raised: Exception = self._lib.KafkaException(error)
        return raised

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


CLIENT = Confluent
