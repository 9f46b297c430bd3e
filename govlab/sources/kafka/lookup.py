"""What a Kafka broker knows of its topics: ids, partitions, offsets, times; asked aside from the consumer, for all clients."""

from __future__ import annotations

import logging
import re
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import kafka
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError
from kafka.protocol.consumer import IsolationLevel

from govlab.access import Access, reach
from govlab.errors import SourceError
from govlab.hashing import hash_text
from govlab.sources.kafka.client import Topic
from govlab.sources.kafka.settings import for_kafka_python, login_of

__all__ = ["Described", "Lookup", "UnansweredError", "number_of"]

TIMEOUT_MS = 10_000
UNKNOWN, NO_LEADER = 3, 5  # error codes of a topic
FIRST, LAST = -2, -1  # instead of a time


def number_of(topic: Topic, alone: bool) -> int:
    """Give the number of a partition in frames: Kafka's own where one topic is read, else with a hash of the topic."""
    name, partition = topic
    return partition if alone else int(hash_text(name) % 2**19) << 11 | partition


class UnansweredError(SourceError):
    """The broker could not be asked, now; it may answer later."""


@dataclass(frozen=True)
class Described:
    """Topics as they are now: the id of each (0 where the broker gives none), and their partitions."""

    ids: Mapping[str, int]
    partitions: tuple[Topic, ...]


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
        reach(bootstrap, 5.0, UnansweredError)
        self.bootstrap = bootstrap
        heard, logger = _Heard(), logging.getLogger("kafka")
        logger.addHandler(heard)
        try:
            self._admin = kafka.KafkaAdminClient(
                bootstrap_servers=bootstrap.split(","),
                bootstrap_timeout_ms=TIMEOUT_MS,
                request_timeout_ms=TIMEOUT_MS,
                reconnect_backoff_max_ms=1_000,
                **for_kafka_python(access),
            )
        except (KafkaError, ssl.SSLError) as error:
            text = heard.text + str(error).lower()
            refused = "the login failed" if re.search("authenticat|sasl", text) else "it does not speak as expected"
            why = "its certificate is not trusted" if "certificate" in text else refused
            raise SourceError(
                f"{bootstrap} answers, but {why} ({type(error).__name__}): check user, password, mechanism and TLS "
                f"(now {login_of(access)})."
            ) from None
        finally:
            logger.removeHandler(heard)

    def _ask(self, question: Any, *arguments: Any) -> Any:
        try:
            return question(*arguments)
        except (KafkaError, OSError) as error:
            raise UnansweredError(f"{self.bootstrap} does not answer ({type(error).__name__}: {error}).") from error

    def cluster(self) -> str:
        """Give the name that the cluster has given itself."""
        return str(self._ask(self._admin.describe_cluster)["cluster_id"])

    def describe(self, topics: list[str] | re.Pattern[str]) -> Described:
        """Give what there is of some topics, or of those whose names match; what is not there is left out."""
        pattern = topics if isinstance(topics, re.Pattern) else None
        ids: dict[str, int] = {}
        partitions: list[Topic] = []
        for topic in self._ask(self._admin.describe_topics, None if pattern is not None else topics):
            name = topic["name"]
            if pattern is not None and (topic["is_internal"] or not pattern.match(name)):
                continue
            if topic["error_code"] not in (0, UNKNOWN, NO_LEADER):
                raise SourceError(f"{self.bootstrap} does not describe the topic {name!r} (error {topic['error_code']}).")
            if topic["error_code"] == 0 and topic["partitions"]:
                # half of the bits: a number that every store can hold
                ids[name] = int(str(topic["topic_id"] or "0").replace("-", ""), 16) >> 66
                partitions += [(name, one["partition_index"]) for one in topic["partitions"]]
        return Described(ids, tuple(sorted(partitions)))

    def topics(self, topics: list[str] | re.Pattern[str]) -> Described:
        """Give what there is of topics, all of which must be there.

        Raises
        ------
        SourceError
            A topic is not there, or none matches.
        """
        until = time.monotonic() + 2.0  # one that was made just now takes a moment to be there
        while True:
            found = self.describe(topics)
            missing = [] if isinstance(topics, re.Pattern) else [name for name in topics if name not in found.ids]
            if found.ids and not missing:
                return found
            if time.monotonic() > until:
                break
            time.sleep(0.1)
        there = ", ".join(sorted(name for name in self._ask(self._admin.list_topics) if not name.startswith("__"))[:20]) or "none"
        if isinstance(topics, re.Pattern):
            raise SourceError(f"no topic at {self.bootstrap} matches {topics.pattern!r}. There are: {there}.")
        raise SourceError(f"there is no topic {missing[0]!r} at {self.bootstrap}. There are: {there}.")

    def _offsets(self, topics: Iterable[Topic], moment: int, committed: bool = False) -> dict[Topic, int]:
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        asked = {kafka.TopicPartition(*topic): moment for topic in topics}
        found = self._ask(self._admin.list_partition_offsets, asked, level) if asked else {}
        return {(tp.topic, tp.partition): one.offset for tp, one in found.items()}

    def firsts(self, topics: Iterable[Topic]) -> dict[Topic, int]:
        """Give the offsets of the first records that are still there."""
        return self._offsets(topics, FIRST)

    def ends(self, topics: Iterable[Topic]) -> dict[Topic, int]:
        """Give the end offsets, records of open transactions included."""
        return self._offsets(topics, LAST)

    def stable(self, topics: Iterable[Topic]) -> dict[Topic, int]:
        """Give the offsets up to which records can be read: the ends, or where the first open transaction begins."""
        return self._offsets(topics, LAST, committed=True)

    def at(self, topics: Iterable[Topic], moment_us: int) -> dict[Topic, int]:
        """Give the first offsets whose records were written at or after a moment; the end where there is none."""
        topics = list(topics)
        found = self._offsets(topics, max(0, -(-moment_us // 1000)))
        return found | self.ends(topic for topic in topics if found[topic] < 0)

    def settings(self, topic: str) -> dict[str, str]:
        """Give the settings of a topic; empty where we are not allowed to see them."""
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic, None)]
        found = self._ask(lambda: self._admin.describe_configs(asked, config_filter="all"))
        return {name: str(one["value"]) for name, one in found.get("topic", {}).get(topic, {}).items()}

    def members(self, group: str) -> list[str]:
        """Name the members of a group, as far as the broker says."""
        found = self._ask(self._admin.describe_groups, [group]).get(group, {})
        return [f"{one['client_id']} at {str(one['client_host']).lstrip('/')}" for one in found.get("members", ())]

    def close(self) -> None:
        """Let go of the connection."""
        self._admin.close()
