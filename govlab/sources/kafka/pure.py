"""Kafka's records by kafka-python, which is written in Python alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import kafka
from kafka import errors
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.structs import OffsetAndMetadata

from govlab.access import Access
from govlab.errors import SourceError
from govlab.sources.kafka.client import (
    MAX_BYTES,
    METADATA_S,
    Client,
    OutOfRangeError,
    Topic,
    TruncatedError,
    Where,
    unsupported_codec,
)
from govlab.sources.kafka.settings import for_kafka_python
from govlab.sources.messages import Messages

__all__ = ["CLIENT"]

JOINING_S = 1.0
REFUSED = (errors.TopicAuthorizationFailedError, errors.GroupAuthorizationFailedError, errors.ClusterAuthorizationFailedError)


class KafkaPython(Client, ConsumerRebalanceListener):
    """kafka-python. Its rebalance listener runs on its IO thread and may not do more than take notes."""

    def __init__(self, bootstrap: str, access: Access, group: str | None, envelope: bool, where: Where) -> None:
        self._envelope, self._where, self._group = envelope, where, group is not None
        self._changes, self._seen = 0, (0, set[Topic]())
        self.consumer = kafka.KafkaConsumer(
            bootstrap_servers=bootstrap.split(","),
            group_id=group,
            isolation_level="read_committed",
            enable_auto_commit=False,
            # with a group a partition may be fetched before its offset is set; never "latest", and what it jumps over is seen
            auto_offset_reset="earliest" if group else "none",
            max_poll_interval_ms=3_600_000,
            session_timeout_ms=6_000,
            heartbeat_interval_ms=2_000,
            fetch_max_bytes=MAX_BYTES,
            reconnect_backoff_max_ms=1_000,
            bootstrap_timeout_ms=20_000,
            metadata_max_age_ms=METADATA_S * 1_000,
            metrics_enabled=False,
            **for_kafka_python(access),
        )
        # else a topic that is deleted while it is read comes back empty; 3.0.12 does not hand its own setting down
        self.consumer._manager.cluster.config["allow_auto_create_topics"] = False

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
        try:
            fetched = self.consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=most)
        except errors.OffsetOutOfRangeError as error:
            raise OutOfRangeError(str(error)) from error
        except errors.UnsupportedCodecError as error:
            raise unsupported_codec(str(error), "client='confluent'") from error
        except errors.LogTruncationError as error:
            raise TruncatedError(str(error)) from error
        except REFUSED as error:
            raise SourceError(f"{type(error).__name__}: {error}") from error
        now = self._changes, self.assignment()
        if self._group and now != self._seen:  # the listener may be called before the assignment changes
            # what came may have begun at another offset than ours, so it is dropped and fetched again
            self._seen = now
            for topic, offset in self._where(now[1]).items():
                self.seek(topic, offset)
            return {}
        return {(tp.topic, tp.partition): self._messages(tp.topic, records) for tp, records in fetched.items() if records}

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
        except (errors.KafkaError, AssertionError):
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


CLIENT = KafkaPython
