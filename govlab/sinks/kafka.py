"""Frames into a topic of Kafka."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import kafka
import numpy as np
import pandas as pd
from kafka.errors import KafkaError

from govlab.access import Access, reach
from govlab.errors import ArgumentError, SinkError, did_you_mean
from govlab.frames import require
from govlab.hashing import hash_column
from govlab.registry import extra
from govlab.sinks.encode import arrow_body, check_format, is_alerts, json_bodies, keys_of, times_ms
from govlab.sinks.sink import Sink

__all__ = ["KafkaSink"]

IN_FLIGHT = 20_000


class KafkaSink(Sink):
    """Sends rows to a topic of Kafka.

    Delivery: at least once, confirmed by all replicas before ``flush`` returns; a run whose position did not move sends
    rows again, and an alert has the same id then. Order: as given, within a partition. The timestamp of a record is the
    event time; alerts have their id in the header ``govlab-id``.

    Parameters
    ----------
    topic : str
        Where to.
    bootstrap : str
        ``"host:port"``, several with commas.
    key : str, optional
        The column whose value is the key; of alerts the entity by default.
    shards : int, optional
        With ``key``: put all keys of a shard of ``Sharded(by=key, shards=...)`` into one partition, so that several
        partitions give the same answer as one.
    format : {"json", "arrow"}
        JSON, a message for each row; or an Arrow stream, a message for each frame (or partition of it).
    access : Access, optional
        User, password, certificates.
    client : {"kafka-python", "confluent"}
        The client underneath.

    Raises
    ------
    SinkError
        Nobody answers, or rows could not be delivered.
    """

    def __init__(
        self,
        topic: str,
        bootstrap: str = "localhost:9092",
        key: str | None = None,
        shards: int | None = None,
        format: str = "json",
        access: Access | None = None,
        client: str = "kafka-python",
    ) -> None:
        if shards is not None and key is None:
            raise ArgumentError("shards needs a key: the column by which Sharded deals the rows.")
        if client not in _PRODUCERS:
            raise ArgumentError(f"client={client!r} is not known. {did_you_mean(client, _PRODUCERS)}")
        self.name, self.topic, self.key, self.shards, self.format = f"kafka {topic}", topic, key, shards, check_format(format)
        reach(bootstrap, 5.0, SinkError)
        self._producer = _PRODUCERS[client](topic, bootstrap, access or Access())
        self._partitions: int | None = None

    def send(self, frame: pd.DataFrame) -> None:
        """Take the rows of a frame."""
        if not len(frame):
            return
        where = self._deal(frame) if self.shards else None
        if self.format == "json":
            ids = frame["id"].tolist() if is_alerts(frame) else None
            self._producer.put(json_bodies(frame), keys_of(frame, self.key), times_ms(frame), where, ids)
            return
        for partition in [None] if where is None else sorted(set(where)):
            part = frame if where is None else frame[np.array(where) == partition]
            at = None if partition is None else [partition]
            self._producer.put([arrow_body(part)], None, [max(times_ms(part))], at, None)

    def _deal(self, frame: pd.DataFrame) -> list[int]:
        if self._partitions is None:
            self._partitions = self._producer.partitions()
        require(frame, [self.key], "key")
        shard = (hash_column(frame[self.key]) % np.uint64(self.shards or 1)).astype("int64")
        found: list[int] = (shard % self._partitions).tolist()
        return found

    def flush(self, timeout_s: float = 60.0) -> None:
        """Wait until all rows taken are confirmed."""
        self._producer.flush(timeout_s)

    def close(self) -> None:
        """Flush, and let go of the connection."""
        try:
            self.flush()
        finally:
            self._producer.close()


class _KafkaPython:
    def __init__(self, topic: str, bootstrap: str, access: Access) -> None:
        self.topic = topic
        self._waiting: deque[Any] = deque()
        try:
            self._producer = kafka.KafkaProducer(
                bootstrap_servers=bootstrap.split(","), acks="all", linger_ms=5, batch_size=131_072, compression_type="lz4",
                max_request_size=20_000_000, bootstrap_timeout_ms=10_000, reconnect_backoff_max_ms=1_000, metrics_enabled=False,
                delivery_timeout_ms=120_000, request_timeout_ms=30_000, **access.kafka_python(),
            )  # fmt: skip
        except KafkaError as error:
            raise SinkError(
                f"{bootstrap} answers, but does not let us in ({type(error).__name__}): check user, password, mechanism and "
                f"TLS (now {access.protocol})."
            ) from None

    def partitions(self) -> int:
        try:
            return len(self._producer.partitions_for(self.topic))
        except KafkaError as error:
            raise SinkError(f"{self.topic!r}: its partitions are not known ({type(error).__name__}).") from error

    def put(self, bodies: list[bytes], keys: Any, times: list[int], where: list[int] | None, ids: list[str] | None) -> None:
        try:
            for i, body in enumerate(bodies):
                sent = self._producer.send(
                    self.topic,
                    body,
                    key=keys[i] if keys else None,
                    headers=[("govlab-id", ids[i].encode())] if ids else None,
                    partition=where[i] if where else None,
                    timestamp_ms=times[i],
                )
                self._waiting.append(sent)
                if len(self._waiting) > IN_FLIGHT:
                    self._settle(self._waiting.popleft(), 60.0)
        except KafkaError as error:
            raise SinkError(f"{self.topic!r}: a message was not taken: {error}") from error

    def _settle(self, sent: Any, timeout_s: float) -> None:
        try:
            sent.get(timeout=timeout_s)
        except KafkaError as error:
            raise SinkError(
                f"{self.topic!r}: {1 + len(self._waiting):,} messages are not confirmed, the first because of: {error}"
            ) from error

    def flush(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while self._waiting:
            self._settle(self._waiting.popleft(), max(0.0, end - time.monotonic()))

    def close(self) -> None:
        self._producer.close(timeout=5)


class _Confluent:
    def __init__(self, topic: str, bootstrap: str, access: Access) -> None:
        lib = extra("confluent_kafka", "pip install 'govlab[confluent]'")
        self.topic, self._lib = topic, lib
        self._failed: list[str] = []
        settings = {
            "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 5, "compression.type": "lz4",
            "message.max.bytes": 20_000_000, "queue.buffering.max.messages": 5 * IN_FLIGHT, "log_level": 3,
        }  # fmt: skip
        self._producer = lib.Producer(settings | access.confluent())

    def partitions(self) -> int:
        found = self._producer.list_topics(self.topic, timeout=10).topics[self.topic]
        if found.error is not None:
            raise SinkError(f"{self.topic!r}: its partitions are not known ({found.error}).")
        return len(found.partitions)

    def _told(self, error: Any, message: Any) -> None:
        if error is not None:
            self._failed.append(str(error))

    def put(self, bodies: list[bytes], keys: Any, times: list[int], where: list[int] | None, ids: list[str] | None) -> None:
        for i, body in enumerate(bodies):
            options: dict[str, Any] = {"partition": where[i]} if where else {}
            if ids:
                options["headers"] = [("govlab-id", ids[i].encode())]
            while True:
                try:
                    key = keys[i] if keys else None
                    self._producer.produce(self.topic, body, key=key, timestamp=times[i], on_delivery=self._told, **options)
                    break
                except BufferError:
                    self._producer.poll(0.1)  # as many are on their way as may be
                except self._lib.KafkaException as error:
                    raise SinkError(f"{self.topic!r}: a message was not taken: {error}") from error
        self._producer.poll(0)
        self._check(0)

    def _check(self, left: int) -> None:
        if self._failed or left:
            count, first = len(self._failed) + left, (self._failed or ["no confirmation in time"])[0]
            self._failed = []
            raise SinkError(f"{self.topic!r}: {count:,} messages are not confirmed, the first because of: {first}")

    def flush(self, timeout_s: float) -> None:
        self._check(self._producer.flush(timeout_s))

    def close(self) -> None:
        self._producer.flush(5)


_PRODUCERS: dict[str, Any] = {"confluent": _Confluent, "kafka-python": _KafkaPython}
