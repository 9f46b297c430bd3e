"""Frames into a topic of Kafka."""

from __future__ import annotations

from itertools import repeat

import kafka
import numpy as np
import pandas as pd
from kafka.errors import KafkaError, TopicAlreadyExistsError

from govlab.access import Access, reach
from govlab.errors import ArgumentError, SinkError, did_you_mean
from govlab.frames import positions, require, values
from govlab.hashing import hash_column
from govlab.sinks.encode import arrow_bodies, check_format, id_column, json_bodies, key_column, texts, times_ms
from govlab.sinks.sink import Sink
from govlab.sources.kafka.producers import MAX_BYTES, PRODUCERS, connect

__all__ = ["KafkaSink", "make_topic"]


class KafkaSink(Sink):
    """Sends rows to a topic of Kafka.

    Delivery: at least once, confirmed by all replicas before ``flush`` returns. What could not be delivered is not kept: a
    run that fails does not move its position, so the rows come again, and an alert has the same id then. Order: as given,
    within a partition. The timestamp of a record is the event time; an alert has its id in the header ``govlab-id``.
    Memory: 20,000 messages or 64 MB on their way; a ``send`` beyond that waits.

    Parameters
    ----------
    topic : str
        Where to.
    bootstrap : str
        ``"host:port"``, several with commas.
    key : str, optional
        The column whose value is the key of a message; of alerts the entity by default.
    shards : int, optional
        With ``key``: put all keys of a shard of ``Sharded(by=key, shards=...)`` into one partition, so that a run over
        several partitions gives the same answer as one over a file. Partitions that are added later stay empty.
    format : {"json", "arrow"}
        JSON, a message a row; or Arrow streams of several rows, at most 0.9 MB each, which have no key.
    access : Access, optional
        User, password, certificates.
    client : {"kafka-python", "confluent"}
        The client underneath; confluent is several times faster.

    Raises
    ------
    SinkError
        Nobody answers, the broker does not let us in, or there is no such topic and it is not made by itself.
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
        if client not in PRODUCERS:
            raise ArgumentError(f"client={client!r} is not known. {did_you_mean(client, PRODUCERS)}")
        if shards is not None and (isinstance(shards, bool) or not isinstance(shards, int) or not 1 <= shards <= 4096):
            raise ArgumentError(f"shards={shards!r}; expected a whole number from 1 to 4096.")
        if shards is not None and key is None:
            raise ArgumentError("shards needs a key: the column by which Sharded deals the rows.")
        if check_format(format) == "arrow" and key is not None and shards is None:
            raise ArgumentError("an Arrow message holds several rows, so it has no key; give shards= too, or format='json'.")
        self.name, self.topic, self.key, self.shards, self.format = f"kafka {topic}", topic, key, shards, format
        reach(bootstrap, 5.0, SinkError)
        self._producer = PRODUCERS[client](topic, bootstrap, access or Access())
        self._partitions = self._producer.partitions()

    def send(self, frame: pd.DataFrame) -> None:
        """Take the rows of a frame."""
        self._producer.check()
        if not len(frame):
            return
        where = None if self.shards is None else self._deal(frame)
        if self.format == "arrow":
            self._send_arrow(frame, where)
            return
        key, name = key_column(frame, self.key), id_column(frame)
        keys = repeat(None, len(frame)) if key is None else [t if t is None else t.encode() for t in texts(frame, key)]
        heads = repeat(None, len(frame)) if name is None else [[("govlab-id", (t or "").encode())] for t in texts(frame, name)]
        places = repeat(None, len(frame)) if where is None else where.tolist()
        self._producer.put(self._fitting(json_bodies(frame), frame), list(keys), times_ms(frame), list(places), list(heads))

    def _send_arrow(self, frame: pd.DataFrame, where: np.ndarray | None) -> None:
        for partition in [None] if where is None else np.unique(where).tolist():
            part = frame if where is None else frame[where == partition]
            written = arrow_bodies(part)
            ends = np.cumsum([rows for rows, _ in written])
            latest = [max(times) for times in np.split(np.array(times_ms(part)), ends[:-1])]
            self._producer.put(
                self._fitting([body for _, body in written], part),
                [None] * len(written), list(map(int, latest)), [partition] * len(written), [None] * len(written),
            )  # fmt: skip

    def _fitting(self, bodies: list[bytes], frame: pd.DataFrame) -> list[bytes]:
        largest = max(map(len, bodies))
        if largest > MAX_BYTES - 1_000:
            at = [len(body) for body in bodies].index(largest)
            where = positions(frame.iloc[at : at + 1] if len(bodies) == len(frame) else frame)
            raise SinkError(
                f"topic {self.topic!r}: a message of {largest:,} bytes (row {where}) is too large; at most {MAX_BYTES:,} are sent."
            )
        return bodies

    def _deal(self, frame: pd.DataFrame) -> np.ndarray:
        """Give the partition of each row: that of its shard."""
        assert self.key is not None
        require(frame, [self.key], "key")
        if self.key == "partition":
            shard = frame["partition"].to_numpy("int64") % self.shards
        else:
            shard = (hash_column(values(frame, self.key)) % np.uint64(self.shards or 1)).astype("int64")
        return np.asarray(shard % self._partitions)

    def flush(self, timeout_s: float = 60.0) -> None:
        """Wait until all rows taken are confirmed."""
        self._producer.check(self._producer.flush(timeout_s))

    def close(self) -> None:
        """Flush, and let go of the connection."""
        try:
            self.flush()
        finally:
            self._producer.close()


def make_topic(topic: str, partitions: int, bootstrap: str = "localhost:9092", access: Access | None = None) -> None:
    """Make a topic with so many partitions, if it is not there; records are kept for ever, as their times may be long ago.

    Raises
    ------
    ArgumentError
        It is there, with another number of partitions.
    SinkError
        Nobody answers, or the topic cannot be made.
    """
    reach(bootstrap, 5.0, SinkError)
    admin = connect(kafka.KafkaAdminClient, bootstrap, access or Access())
    try:
        options = {"num_partitions": partitions, "configs": {"retention.ms": "-1"}}
        admin.create_topics({topic: options}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        there = len(admin.describe_topics([topic])[0]["partitions"])
        if there != partitions:
            raise ArgumentError(
                f"topic {topic!r} is there already, with {there} partitions and not {partitions}; leave the number out to use it."
            ) from None
    except KafkaError as error:
        raise SinkError(f"topic {topic!r} cannot be made at {bootstrap} ({type(error).__name__}: {error}).") from error
    finally:
        admin.close()
