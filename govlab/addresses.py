"""Queues by address: ``kafka://host:port/topic``, ``amqp://host:port/queue``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from govlab.access import Access, without_password
from govlab.errors import ArgumentError, did_you_mean
from govlab.sinks.sink import Sink
from govlab.sources.reader import Reader

__all__ = ["Address", "make_queue", "reader_of", "sink_of"]

SCHEMES = ("amqp", "amqps", "kafka")


@dataclass(frozen=True)
class Address:
    """An address taken apart: ``kind`` ("kafka" or "rabbitmq"), ``name`` of the topic or queue, ``server`` (address without it)."""

    kind: str
    server: str
    name: str

    @classmethod
    def of(cls, text: str) -> Address:
        """Take an address apart.

        Raises
        ------
        ArgumentError
            It is none; the message never holds a password.

        Examples
        --------
        >>> Address.of("kafka://localhost:9092/edits")
        Address(kind='kafka', server='localhost:9092', name='edits')
        >>> Address.of("amqp://localhost:5672/edits")
        Address(kind='rabbitmq', server='amqp://localhost:5672/', name='edits')
        """
        parts = urlsplit(text)
        if parts.scheme not in SCHEMES:
            raise ArgumentError(f"{without_password(text)!r}: {parts.scheme!r} is not known. {did_you_mean(parts.scheme, SCHEMES)}")
        vhost, _, name = parts.path.strip("/").rpartition("/")
        if not parts.hostname or not name:
            example = "kafka://localhost:9092/topic" if parts.scheme == "kafka" else "amqp://localhost:5672/queue"
            raise ArgumentError(f"{without_password(text)!r}: expected an address such as {example}.")
        if parts.scheme == "kafka":
            if "@" in parts.netloc:
                raise ArgumentError("kafka://...: give the user with --user and the password with --password env:NAME.")
            return cls("kafka", parts.netloc, name)
        return cls("rabbitmq", urlunsplit(parts._replace(path=f"/{vhost}", query="", fragment="")), name)


def reader_of(address: Address, access: Access, **options: Any) -> Reader:
    """Make the reader of a topic (several with commas) or of a queue; options as of their readers, None for their defaults."""
    named = {key: value for key, value in options.items() if value is not None}
    if address.kind == "kafka":
        from govlab.engines.queues import kafka_reader

        return kafka_reader(address.name.split(","), address.server, access=access, **named)
    from govlab.sources.rabbitmq import rabbit_reader

    return rabbit_reader(address.name, address.server, access=access, **named)


def sink_of(address: Address, access: Access, key: str | None, shards: int | None, format: str) -> Sink:
    """Make the sink of a topic, or of a queue."""
    if address.kind == "kafka":
        from govlab.sinks.kafka import KafkaSink

        return KafkaSink(address.name, address.server, key=key, shards=shards, format=format, access=access)
    from govlab.sinks.rabbitmq import RabbitSink

    return RabbitSink("", address.server, routing_key=address.name, format=format, access=access)


def make_queue(address: Address, access: Access, partitions: int | None, kind: str | None) -> None:
    """Make the topic (with so many partitions) or the queue (of a kind), where it is not there and that is asked for."""
    if address.kind == "kafka" and partitions is not None:
        import kafka
        from kafka.errors import TopicAlreadyExistsError

        admin = kafka.KafkaAdminClient(bootstrap_servers=address.server.split(","), **access.kafka_python())
        try:
            admin.create_topics({address.name: {"num_partitions": partitions, "replication_factor": 1}})
        except TopicAlreadyExistsError:
            pass  # it is there
        finally:
            admin.close()
    if address.kind == "rabbitmq" and kind is not None:
        import pika

        from govlab.access import amqp_parameters

        with pika.BlockingConnection(amqp_parameters(address.server, access, ArgumentError)[0]) as connection:
            connection.channel().queue_declare(address.name, durable=True, arguments={"x-queue-type": kind})
