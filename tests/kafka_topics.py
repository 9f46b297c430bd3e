"""What the tests of Kafka do to topics: transactions, compression, deletion; and rows that are read whole or in part."""

import contextlib

import confluent_kafka
import kafka
from queues import SCHEMA, bodies, events, name

from govlab.sources.kafka.range import KafkaRange
from govlab.sources.kafka.reader import KafkaReader

CLIENTS = ["kafka-python", "confluent"]


@contextlib.contextmanager
def admin(server):
    client = kafka.KafkaAdminClient(bootstrap_servers=server.address)
    yield client
    client.close()


def made(server, partitions=1, named=None, **configs):
    """Make a topic, and wait until it is there."""
    named = named or name()
    settings = {key.replace("_", "."): value for key, value in configs.items()}
    with admin(server) as client:
        client.create_topics({named: {"num_partitions": partitions, "configs": settings}}, wait_for_metadata=True)
    return named


def delete_records(server, topic, before, partition=0):
    with admin(server) as client:
        client.delete_records({kafka.TopicPartition(topic, partition): before})


def anew(server, topic, partitions=1):
    """Delete a topic, and make another of its name."""
    with admin(server) as client:
        client.delete_topics([topic])
        while topic in client.list_topics():
            pass
    return made(server, partitions, topic)


def producer(server, **settings):
    return confluent_kafka.Producer({"bootstrap.servers": server.address} | {k.replace("_", "."): v for k, v in settings.items()})


class Transactions:
    """A producer whose records are seen only when they are committed."""

    def __init__(self, server, topic):
        self.topic, self.producer = topic, producer(server, transactional_id=name())
        self.producer.init_transactions()

    def put(self, frame, partition=0):
        self.producer.begin_transaction()
        for body in bodies(frame):
            self.producer.produce(self.topic, body, partition=partition)
        self.producer.flush()

    def commit(self):
        self.producer.commit_transaction()

    def abort(self):
        self.producer.abort_transaction()


def live(server, topic, **options):
    return KafkaReader(topic, server.address, options.pop("schema", SCHEMA), **options)


def whole(server, topic, **options):
    return KafkaRange(topic, server.address, options.pop("schema", SCHEMA), **options)


def ids(rows):
    return rows["event_id"].tolist() if len(rows) else []


def some(a, b, seed=1):
    return events(b, seed=seed).iloc[a:].reset_index(drop=True)


def until(reader, happened, rows=None):
    """Read until something has happened; gives all that was read."""
    rows = [] if rows is None else rows
    while not happened(rows):
        rows += ids(reader.read(100))
    return rows
