"""Two clients that write to Kafka, behind what a sink needs of one."""

from __future__ import annotations

import abc
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import kafka
from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from govlab.access import Access
from govlab.errors import SinkError
from govlab.registry import extra
from govlab.sources.kafka.settings import for_confluent, for_kafka_python, login_of

__all__ = ["MAX_BYTES", "PRODUCERS", "Producer", "connect"]

IN_FLIGHT, IN_FLIGHT_BYTES = 20_000, 64_000_000
MAX_BYTES = 20_000_000
CONNECT_S, HOLD_S, DELIVERY_MS = 10.0, 60.0, 120_000
Headers = list[tuple[str, bytes]]


def refused(bootstrap: str, access: Access, why: str) -> SinkError:
    """Give the error of a broker that is there, but cannot be used."""
    return SinkError(
        f"{bootstrap} answers, but does not let us in ({why}): check user, password, mechanism and TLS (now {login_of(access)})."
    )


def connect(make: Callable[..., Any], bootstrap: str, access: Access, **options: Any) -> Any:
    """Make a client of kafka-python; one that cannot connect is closed, which it does not do itself."""
    made: list[KafkaNetClient] = []

    def client(**settings: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**settings))
        return made[0]

    known = {"bootstrap_servers": bootstrap.split(","), "bootstrap_timeout_ms": int(CONNECT_S * 1000), **for_kafka_python(access)}
    try:
        return make(kafka_client=client, **known, **options)
    except KafkaError as error:
        for one in made:
            one.close()
        raise refused(bootstrap, access, type(error).__name__) from None


class Producer(abc.ABC):
    """Writes to one topic; what is on its way is bounded, and what was refused is told at the next ``check``.

    Parameters
    ----------
    topic, bootstrap, access
        Where, and how to get in.

    Raises
    ------
    SinkError
        The broker does not let us in, or the topic is not there and is not made by itself.
    """

    def __init__(self, topic: str, bootstrap: str, access: Access) -> None:
        self.topic, self.bootstrap, self.access = topic, bootstrap, access
        self._failed, self._reason = 0, ""

    def _no_topic(self, why: str) -> SinkError:
        return SinkError(
            f"there is no topic {self.topic!r} at {self.bootstrap}, and it is not made by itself ({why}). Make it first: "
            "'govlab play --partitions N' does."
        )

    def _fail(self, error: object) -> None:
        self._failed, self._reason = self._failed + 1, self._reason or str(error)

    def check(self, left: int = 0) -> None:
        """Raise what went wrong since the last call; ``left`` messages were not confirmed in time."""
        if self._failed or left:
            count, reason = self._failed + left, self._reason or "no confirmation in time; is the broker up?"
            self._failed, self._reason = 0, ""
            raise SinkError(f"topic {self.topic!r} at {self.bootstrap}: {count:,} messages are not confirmed, first: {reason}")

    @abc.abstractmethod
    def partitions(self) -> int:
        """Give how many partitions the topic has."""

    @abc.abstractmethod
    def put(
        self,
        bodies: Sequence[bytes],
        keys: Sequence[bytes | None],
        times_ms: Sequence[int],
        partitions: Sequence[int | None],
        headers: Sequence[Headers | None],
    ) -> None:
        """Take messages; holds back while too many are on their way."""

    @abc.abstractmethod
    def flush(self, timeout_s: float) -> int:
        """Wait for the confirmations; gives how many are missing."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of the connection."""


class KafkaPython(Producer):
    """kafka-python: needs no compiled library."""

    def __init__(self, topic: str, bootstrap: str, access: Access) -> None:
        super().__init__(topic, bootstrap, access)
        self._waiting: deque[tuple[Any, int]] = deque()
        self._bytes, self._spoilt = 0, False
        self._producer = self._connect()

    def _connect(self) -> Any:
        return connect(
            kafka.KafkaProducer, self.bootstrap, self.access, acks="all", linger_ms=5, batch_size=131_072, compression_type="lz4",
            max_request_size=MAX_BYTES, max_block_ms=int(CONNECT_S * 1000), reconnect_backoff_max_ms=1_000, metrics_enabled=False,
            delivery_timeout_ms=DELIVERY_MS,
        )  # fmt: skip

    def check(self, left: int = 0) -> None:
        # one to which a message was refused refuses all that follow (3.0.12), so another takes its place
        self._spoilt = self._spoilt or self._failed > 0
        super().check(left)

    def _renew(self) -> None:
        self._producer.close(timeout=0)
        self._waiting.clear()
        self._bytes = 0
        self._producer, self._spoilt = self._connect(), False

    def partitions(self) -> int:
        try:
            return len(self._producer.partitions_for(self.topic))
        except (KafkaError, TypeError, ValueError) as error:
            self._producer.close(timeout=0)
            raise self._no_topic(type(error).__name__) from error

    def put(self, bodies: Any, keys: Any, times_ms: Any, partitions: Any, headers: Any) -> None:
        if self._spoilt:
            self._renew()
        waiting = self._waiting
        try:
            for body, key, at, partition, head in zip(bodies, keys, times_ms, partitions, headers, strict=True):
                waiting.append((self._producer.send(self.topic, body, key, head, partition, at), len(body)))
                self._bytes += len(body)
                if len(waiting) > IN_FLIGHT or self._bytes > IN_FLIGHT_BYTES:
                    self.check(self._settle(IN_FLIGHT // 2, IN_FLIGHT_BYTES // 2, HOLD_S))
        except KafkaError as error:
            raise SinkError(f"topic {self.topic!r}: a message was not taken ({type(error).__name__}: {error}).") from error

    def _settle(self, most: int, most_bytes: int, timeout_s: float) -> int:
        """Wait until few enough are on their way; gives how many there are if that takes too long."""
        end = time.monotonic() + timeout_s
        while len(self._waiting) > most or self._bytes > most_bytes:
            sent, size = self._waiting[0]
            try:
                sent.get(max(0.0, end - time.monotonic()))
            except KafkaError as error:
                if not sent.is_done:
                    return len(self._waiting)
                self._fail(f"{type(error).__name__}: {error}")
            self._waiting.popleft()
            self._bytes -= size
        return 0

    def flush(self, timeout_s: float) -> int:
        return self._settle(0, 0, timeout_s)

    def close(self) -> None:
        self._producer.close(timeout=2)


class Confluent(Producer):
    """confluent-kafka (librdkafka): several times the rate of kafka-python."""

    def __init__(self, topic: str, bootstrap: str, access: Access) -> None:
        super().__init__(topic, bootstrap, access)
        self._lib = extra("confluent_kafka", "pip install 'govlab[confluent]'")
        self._heard: list[str] = []
        settings = {
            "bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 5, "compression.type": "lz4",
            "batch.size": 131_072, "message.max.bytes": MAX_BYTES, "delivery.timeout.ms": DELIVERY_MS, "log_level": 0,
            "queue.buffering.max.messages": IN_FLIGHT, "queue.buffering.max.kbytes": IN_FLIGHT_BYTES // 1000,
            "delivery.report.only.error": True, "reconnect.backoff.max.ms": 1_000,
            "error_cb": lambda error: self._heard.append(error.str()),
            "partitioner": "murmur2_random",  # as kafka-python and Java deal the keys
        }  # fmt: skip
        self._producer = self._lib.Producer(settings | for_confluent(self.access))

    def partitions(self) -> int:
        end = time.monotonic() + CONNECT_S
        why = ""
        while time.monotonic() < end:
            try:
                found = self._producer.list_topics(self.topic, timeout=max(0.1, end - time.monotonic())).topics[self.topic]
            except self._lib.KafkaException as error:
                self._producer.poll(0)
                raise refused(self.bootstrap, self.access, (self._heard or [error.args[0].str()])[-1]) from None
            if found.error is None:
                return len(found.partitions)
            why = found.error.str()
            self._producer.poll(0.1)  # a topic that is being made is not there at once
        raise self._no_topic(why)

    def _told(self, error: Any, message: Any) -> None:
        if error is not None:
            self._fail(error.str())

    def put(self, bodies: Any, keys: Any, times_ms: Any, partitions: Any, headers: Any) -> None:
        produce = self._producer.produce
        for body, key, at, partition, head in zip(bodies, keys, times_ms, partitions, headers, strict=True):
            where = -1 if partition is None else partition
            while True:
                try:
                    produce(self.topic, body, key, where, self._told, None, at, head)
                    break
                except BufferError:
                    self._wait()
                except self._lib.KafkaException as error:
                    raise SinkError(f"topic {self.topic!r}: a message was not taken ({error.args[0].str()}).") from error
        self._producer.poll(0)

    def _wait(self) -> None:
        """Wait until fewer are on their way."""
        end = time.monotonic() + HOLD_S
        while len(self._producer) >= IN_FLIGHT // 2:
            self._producer.poll(0.01)
            self.check(len(self._producer) if time.monotonic() > end else 0)

    def flush(self, timeout_s: float) -> int:
        return int(self._producer.flush(timeout_s))

    def close(self) -> None:
        self._producer.purge()
        self._producer.flush(2)


PRODUCERS: dict[str, Callable[[str, str, Access], Producer]] = {"confluent": Confluent, "kafka-python": KafkaPython}
