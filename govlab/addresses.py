"""Queues by address, ``kafka://host:port/topic`` or ``amqp://host:port/name``, and how the command line is let into them."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from govlab.access import Access, split_url, without_password
from govlab.errors import ArgumentError, did_you_mean
from govlab.sinks.sink import Sink
from govlab.sources.reader import Reader

__all__ = ["Address", "access_of", "queue_reader", "sink_of"]

SCHEMES = {"amqp": "amqp://user@host:5672/queue", "amqps": "amqps://user@host:5671/queue", "kafka": "kafka://host:9092/topic"}


@dataclass(frozen=True, repr=False)
class Address:
    """An address taken apart.

    Attributes
    ----------
    kind : {"kafka", "rabbitmq"}
        What is there.
    server : str
        The bootstrap address, or the URL of the broker and its vhost.
    name : str
        The topic, queue or exchange.
    """

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
        scheme = text.partition("://")[0].lower()
        if scheme not in SCHEMES or "://" not in text:
            known = did_you_mean(scheme if scheme.isalpha() else "", SCHEMES)
            raise ArgumentError(f"{without_password(text)!r} is no address of a queue: {known} Expected {SCHEMES['kafka']!r}, say.")
        if scheme == "kafka" and "@" in text:
            raise ArgumentError("kafka://...: give the user with --user, and where the password is with --password env:NAME.")
        if scheme == "kafka":
            place, _, rest = text.partition("://")[2].partition("/")
            login = ""
        else:
            _, user, password, place, rest = split_url(text)
            login = "" if user is None else f"{user}@" if password is None else f"{user}:{password}@"
        vhost, _, name = re.split("[?#]", rest)[0].strip("/").rpartition("/")
        if not place or not name or "/" in vhost:
            raise ArgumentError(f"{without_password(text)!r} names no topic or queue; expected {SCHEMES[scheme]!r}.")
        if scheme == "kafka":
            return cls("kafka", place, unquote(name))
        return cls("rabbitmq", f"{scheme}://{login}{place}/{vhost}", unquote(name))

    def __repr__(self) -> str:
        return f"Address(kind={self.kind!r}, server={without_password(self.server)!r}, name={self.name!r})"

    def __str__(self) -> str:
        return f"kafka://{self.server}/{self.name}" if self.kind == "kafka" else f"{self.name} at {without_password(self.server)}"


def access_of(options: argparse.Namespace, address: Address) -> Access:
    """Give the way in that the options say."""
    user = options.user
    if user is None and options.password is not None and address.kind == "rabbitmq":
        user = unquote(split_url(address.server)[1] or "") or None
    return Access(user, options.password, options.mechanism, ca=options.ca)


def queue_reader(address: Address, access: Access, **options: Any) -> Reader:
    """Make the reader of a topic (several with commas) or of a queue; options as of their readers, None for their defaults."""
    named = {key: value for key, value in options.items() if value is not None}
    if address.kind == "kafka":
        from govlab.engines.streams.queues import kafka_reader

        return kafka_reader(address.name.split(","), address.server, access=access, **named)
    from govlab import registry

    registry.load("sources", "rabbit_queue")  # names the package that is missing, if it is
    from govlab.sources.rabbit_reader import rabbit_reader

    if wrong := sorted(set(named) & {"client", "group"}):
        raise ArgumentError(f"{', '.join(wrong)}: only of Kafka; leave it out.")
    return rabbit_reader(address.name, address.server, access=access, **named)


def sink_of(
    address: Address, access: Access, partitions: int | None = None, kind: str | None = None, id: str | None = None, **options: Any
) -> Sink:
    """Make the sink of a topic; or of an exchange or, where there is none of this name or a kind is given, of a queue.

    ``partitions`` and ``kind`` are given to make the topic or the queue where it is not there; options as of the sinks, None
    for their defaults.
    """
    from govlab import registry

    named = {key: value for key, value in options.items() if value is not None}
    if address.kind == "kafka":
        if kind is not None or id is not None:
            raise ArgumentError("--type and --id: only of RabbitMQ; leave them out.")
        make = registry.load("sinks", "kafka_sink")
        from govlab.sinks.kafka import make_topic

        if partitions is not None:
            make_topic(address.name, partitions, address.server, access)
        sink: Sink = make(address.name, address.server, access=access, **named)
        return sink
    if wrong := sorted(set(named) & {"client", "shards"}) + ["partitions"] * (partitions is not None):
        raise ArgumentError(f"--{', --'.join(wrong)}: only of Kafka; leave it out.")
    make = registry.load("sinks", "rabbit_sink")
    from govlab.sinks.rabbitmq import is_exchange

    exchange = kind is None and is_exchange(address.name, address.server, access)
    where = {"exchange": address.name} if exchange else {"queue": address.name, "kind": kind}
    sink = make(url=address.server, access=access, id=id, **where, **named)
    return sink
