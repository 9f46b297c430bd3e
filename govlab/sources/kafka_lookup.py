"""What a Kafka broker knows of its topics: partitions, offsets, times; asked aside from the consumer, for all clients."""

from __future__ import annotations

import logging
import re
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import kafka
from kafka.errors import KafkaError

from govlab.access import Access, reach
from govlab.errors import SourceError
from govlab.hashing import hash_text
from govlab.sources.kafka_clients import Topic

__all__ = ["Lookup", "Watch", "number_of"]

log = logging.getLogger("govlab")
TIMEOUT_MS = 10_000


def number_of(topic: Topic, alone: bool) -> int:
    """Give the number of a partition in frames: Kafka's own where one topic is read, else with a hash of the topic."""
    name, partition = topic
    return partition if alone else int(hash_text(name) % 2**19) << 11 | partition


class _Heard(logging.Handler):
    """Hears what kafka-python says of a login that fails, which it raises as a time-out only."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += record.getMessage().lower()


class Lookup:
    """A connection for questions.

    Raises
    ------
    SourceError
        The broker does not answer, or does not let us in: says which.
    """

    def __init__(self, bootstrap: str, access: Access) -> None:
        reach(bootstrap, 5.0, SourceError)
        self.bootstrap, self.access = bootstrap, access
        heard, logger = _Heard(), logging.getLogger("kafka")
        logger.addHandler(heard)
        try:
            self._consumer = kafka.KafkaConsumer(
                bootstrap_servers=bootstrap.split(","),
                group_id=None,
                enable_auto_commit=False,
                bootstrap_timeout_ms=TIMEOUT_MS,
                reconnect_backoff_max_ms=1_000,
                metrics_enabled=False,
                **access.kafka_python(),
            )
        except (KafkaError, ssl.SSLError) as error:
            text = heard.text + str(error).lower()
            refused = "the login failed" if re.search("authenticat|sasl", text) else "it does not speak as expected"
            why = "its certificate is not trusted" if "certificate" in text else refused
            raise SourceError(
                f"{bootstrap} answers, but {why} ({type(error).__name__}): check user, password, mechanism and TLS "
                f"(now {access.protocol}{', ' + access.mechanism if access.user else ''})."
            ) from None
        finally:
            logger.removeHandler(heard)

    def _ask(self, question: Any, *arguments: Any) -> Any:
        try:
            return question(*arguments)
        except KafkaError as error:
            raise SourceError(f"{self.bootstrap} does not answer ({type(error).__name__}).") from error

    def cluster(self) -> str:
        """Give the name that the cluster has given itself."""
        admin = kafka.KafkaAdminClient(
            bootstrap_servers=self.bootstrap.split(","), bootstrap_timeout_ms=TIMEOUT_MS, **self.access.kafka_python()
        )
        try:
            return str(self._ask(admin.describe_cluster)["cluster_id"])
        finally:
            admin.close()

    def partitions(self, topics: list[str] | re.Pattern[str]) -> list[Topic]:
        """List the partitions of topics, or of those whose names match.

        Raises
        ------
        SourceError
            A topic is not there.
        """
        if isinstance(topics, re.Pattern):
            there = sorted(self._ask(self._consumer.topics))
            found = [name for name in there if topics.match(name)]
            if not found:
                raise SourceError(
                    f"no topic at {self.bootstrap} matches {topics.pattern!r}. There are: {', '.join(there) or 'none'}."
                )
            topics = found
        else:
            there = self._ask(self._consumer.topics)
        pairs: list[Topic] = []
        for topic in topics:
            numbers = self._ask(self._consumer.partitions_for_topic, topic) if topic in there else None
            if not numbers:
                known = ", ".join(sorted(name for name in there if not name.startswith("__"))[:20])
                raise SourceError(f"there is no topic {topic!r} at {self.bootstrap}. There are: {known or 'none'}.")
            pairs += [(topic, number) for number in sorted(numbers)]
        return pairs

    def ends(self, topics: Iterable[Topic], first: bool = False) -> dict[Topic, int]:
        """Give the end offsets, or with ``first`` those of the first records that are still there."""
        pairs = [kafka.TopicPartition(*topic) for topic in topics]
        ask = self._consumer.beginning_offsets if first else self._consumer.end_offsets
        found = self._ask(ask, pairs, TIMEOUT_MS) if pairs else {}
        return {(tp.topic, tp.partition): offset for tp, offset in found.items()}

    def at(self, topics: Iterable[Topic], moment_us: int) -> dict[Topic, int]:
        """Give the first offsets whose records were written at or after a moment; the end where there is none."""
        topics = list(topics)
        asked = {kafka.TopicPartition(*topic): max(0, -(-moment_us // 1000)) for topic in topics}
        found = self._ask(self._consumer.offsets_for_times, asked, TIMEOUT_MS)
        offsets = {(tp.topic, tp.partition): at.offset for tp, at in found.items() if at is not None}
        late = self.ends(topic for topic in topics if topic not in offsets)
        return offsets | late

    def sample(self, topics: Iterable[Topic], most: int = 1_000) -> list[bytes]:
        """Give some of the first messages that are there, to guess a schema from."""
        firsts, lasts = self.ends(topics, first=True), self.ends(topics)
        filled = {topic: first for topic, first in firsts.items() if lasts[topic] > first}
        bodies: list[bytes] = []
        self._consumer.assign([kafka.TopicPartition(*topic) for topic in filled])
        for topic, first in filled.items():
            self._consumer.seek(kafka.TopicPartition(*topic), first)
        end = time.monotonic() + TIMEOUT_MS / 1000
        while filled and len(bodies) < most and time.monotonic() < end:
            records = self._ask(self._consumer.poll, 200, most)
            if not records and bodies:
                break
            bodies += [record.value for part in records.values() for record in part if record.value is not None]
        self._consumer.assign([])
        return bodies[:most]

    def close(self) -> None:
        """Let go of the connection."""
        self._consumer.close()


class Watch:
    """Asks for the end offsets every two seconds, on a thread and a connection of its own, so that a silent stall is seen."""

    def __init__(self, bootstrap: str, access: Access, every_s: float = 2.0) -> None:
        self.ends: dict[Topic, int] = {}
        self.topics: set[Topic] = set()
        self.unreachable_since: float | None = None
        self._bootstrap, self._access, self._every_s = bootstrap, access, every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"govlab watch {bootstrap}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        lookup: Lookup | None = None
        while not self._stop.wait(self._every_s if self.ends else 0.1):
            try:
                lookup = lookup or Lookup(self._bootstrap, self._access)
                self.ends = self.ends | lookup.ends(self.topics)
                if self.unreachable_since is not None:
                    log.warning("%s answers again", self._bootstrap)
                self.unreachable_since = None
            except Exception as error:  # whatever it is, the broker cannot be asked
                if self.unreachable_since is None:
                    self.unreachable_since = time.monotonic()
                    log.warning("%s", error)
                if lookup is not None:
                    lookup.close()
                    lookup = None
        if lookup is not None:
            lookup.close()

    def close(self) -> None:
        """End the thread; it may take a while where the broker does not answer, so it is not waited for long."""
        self._stop.set()
        self._thread.join(3.0)
