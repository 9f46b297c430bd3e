"""What the labs of the kill campaign read: files, topics, queues and streams, each filled anew where a round needs it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import confluent_kafka
import kafka
import pandas as pd
import pika

from govlab.sinks.encode import json_bodies
from govlab.stores import Sqlite

__all__ = ["LANES", "Lane"]

CLIENTS = ("kafka-python", "confluent")
BATCH = 50  # records in a transaction


@dataclass
class Lane:
    """One kind of origin: how it is filled, what else happens to it during a round, and how a lab opens it."""

    name: str
    kind: str
    share: float  # of all kills
    more: dict[str, Any]
    by: str | None = None
    fresh: bool = False  # each round needs an origin of its own
    happenings: tuple[str, ...] = ()
    partitions: int = 4  # of a topic, in the end
    pipelines: tuple[str, ...] = ("windows", "texts", "reviewed")

    @property
    def live(self) -> bool:
        """Whether it has no end, so that a lab ends by the number of events."""
        return self.kind != "file" and "stop" not in self.more

    def fill(self, rows: pd.DataFrame, folder: Path, address: str, whole: bool = False) -> tuple[str, str]:
        """Make an origin with the events (a topic to which a partition will be added has it already when ``whole``)."""
        name = f"{self.kind}-{uuid.uuid4().hex[:8]}"
        if self.kind == "file":
            path = folder / f"{name}.ndjson"
            lines = json_bodies(rows)
            for i in range(100, len(lines), 500):
                lines[i : i + 1] = [lines[i], b"no event"]
            path.write_bytes(b"\n".join([*lines, b""]))
            return str(path), name
        if self.kind == "kafka":
            admin = kafka.KafkaAdminClient(bootstrap_servers=address)
            begun = self.partitions - ("add" in self.happenings and not whole)
            admin.create_topics({name: {"num_partitions": begun, "replication_factor": 1}}, wait_for_metadata=True)
            admin.close()
            for partition in range(begun):
                self.produce(rows, name, address, partition)
            return address, name
        with pika.BlockingConnection(pika.URLParameters(address)) as connection:
            channel = connection.channel()
            channel.queue_declare(name, durable=True, arguments={"x-queue-type": "stream" if "stream" in self.name else "quorum"})
            channel.confirm_delivery()
            for body in json_bodies(rows):
                channel.basic_publish("", name, body)
        return address, name

    def produce(self, rows: pd.DataFrame, name: str, address: str, partition: int) -> None:
        """Write the share of a partition in transactions, with aborted ones among them."""
        bodies = json_bodies(rows.iloc[partition :: self.partitions].reset_index(drop=True))
        producer = confluent_kafka.Producer({"bootstrap.servers": address, "transactional.id": f"{name}-{partition}"})
        producer.init_transactions()
        for first in range(0, len(bodies), BATCH):
            producer.begin_transaction()
            for body in bodies[first : first + BATCH]:
                producer.produce(name, body, partition=partition)
            producer.commit_transaction()
            if first // BATCH % 5 == 2:
                producer.begin_transaction()
                for body in bodies[:7]:
                    producer.produce(name, body, partition=partition)
                producer.flush()
                producer.abort_transaction()

    def add_partition(self, rows: pd.DataFrame, name: str, address: str) -> None:
        """Give the topic the partition that it does not have yet, with its events."""
        admin = kafka.KafkaAdminClient(bootstrap_servers=address)
        admin.create_partitions({name: 4})
        admin.close()
        self.produce(rows, name, address, 3)

    def trim(self, name: str, address: str, store: str, beyond: int = 0) -> bool:
        """Delete the records before the stored position of each partition, or some beyond it, as retention does."""
        positions = stored(store)
        if not positions:
            return False
        client = confluent_kafka.Consumer({"bootstrap.servers": address, "group.id": "ends"})
        end = {p: client.get_watermark_offsets(confluent_kafka.TopicPartition(name, p), 30)[1] for p in positions}
        client.close()
        before = {kafka.TopicPartition(name, p): min(n + beyond, end[p]) for p, n in positions.items()}
        if beyond and not any(positions[one.partition] < n for one, n in before.items()):
            return False
        admin = kafka.KafkaAdminClient(bootstrap_servers=address)
        admin.delete_records(before)
        admin.close()
        return True


def stored(path: str) -> dict[int, int]:
    """Give the next offset of each partition, as the snapshots in the store say."""
    store, found = Sqlite(path), dict[int, int]()
    try:
        runs = [run for (run,) in store._db.execute("SELECT run FROM snapshots").fetchall()]
        for run in runs:
            snapshot = store.snapshot(run)
            for position in snapshot.positions.values() if snapshot else ():
                found |= {p: n for p, n in position.items() if p >= 0}
    finally:
        store.close()
    return found


def _lanes() -> list[Lane]:
    lanes = [Lane("file", "file", 0.4, {})]
    for client in CLIENTS:
        more = {"client": client}
        lanes += [
            Lane(f"kafka range by {client}", "kafka", 0.12, {**more, "stop": "now"}),
            Lane(f"kafka live by {client}", "kafka", 0.06, more, fresh=True, happenings=("trim", "overtake"), partitions=1),
            # the order between partitions is that of arrival, so each event is an alert of its own
            Lane(f"kafka partitions by {client}", "kafka", 0.02, more, fresh=True, happenings=("add",), pipelines=("every",)),
            Lane(f"kafka group by {client}", "kafka", 0.02, more, "partition", fresh=True, happenings=("add", "join", "trim")),
        ]
    lanes.append(Lane("rabbitmq queue", "rabbitmq", 0.08, {"prefetch": 500}, fresh=True))
    lanes.append(Lane("rabbitmq stream", "rabbitmq", 0.04, {}))
    lanes.append(Lane("rabbitmq stream range", "rabbitmq", 0.04, {"stop": "now"}))
    return lanes


LANES = _lanes()
