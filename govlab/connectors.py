"""The systems that events come from and alerts go to: each is a folder ``govlab/sources/NAME`` and one entry here.

The tables of sources and sinks, addresses, ``gl.from_*``, the command line and ``into`` of Flink read this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from govlab import registry
from govlab.errors import ArgumentError

__all__ = ["CONNECTORS", "SCHEMES", "Connector", "listed", "options_of", "refuse_odd"]

Options = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Connector:
    """A system. Its ``connect.py`` has ``reader_at(name, server, ...)`` and ``sink_at(name, server, ...)``, if it has addresses.

    Attributes
    ----------
    name : str
        Its folder.
    title : str
        What it is called.
    readers, sinks : dict of str to str
        Their names in the tables, each with ``module:Class`` in the folder.
    extra : str, optional
        The extra of ``pyproject.toml`` that it needs.
    schemes : dict of str to str
        The schemes of its addresses, each with an example.
    urls : bool
        Whether its addresses are URLs, with a user and a virtual host; else only ``host:port``, several with commas.
    hint : str
        How its events are read in Python, for messages.
    reading, writing : dict of str to dict
        Options of ``govlab record`` and ``govlab play`` that not all systems have: arguments of ``add_argument``.
    """

    name: str
    title: str
    readers: Mapping[str, str]
    sinks: Mapping[str, str] = field(default_factory=dict)
    extra: str | None = None
    schemes: Mapping[str, str] = field(default_factory=dict)
    urls: bool = False
    hint: str = ""
    reading: Options = field(default_factory=dict)
    writing: Options = field(default_factory=dict)

    @property
    def install(self) -> str:
        """The command that installs what it needs."""
        return f"pip install 'govlab[{self.extra}]'" if self.extra else "pip install govlab"

    def load(self, name: str) -> Any:
        """Load a function of its ``connect.py``.

        Raises
        ------
        MissingExtraError
            A package that it needs is not installed; the message has the command.
        """
        return registry.found(self.title, f"govlab.sources.{self.name}.connect:{name}", self.install)


_CLIENT = {"choices": ["confluent", "kafka-python"], "help": "the client underneath"}
CONNECTORS = {
    one.name: one
    for one in (
        Connector("files", "files", {"replay": "replay:ReplayReader"}),
        Connector(
            "kafka",
            "Kafka",
            {"kafka_range": "range:KafkaRange", "kafka_reader": "reader:KafkaReader"},
            {"kafka_sink": "sink:KafkaSink"},
            schemes={"kafka": "kafka://host:9092/topic"},
            hint="gl.from_kafka('topic', 'host:9092'), with stop='now' for what is there already",
            reading={
                "start": {"help": "where a new recording begins: earliest, latest or a time"},
                "group": {"help": "join this consumer group, and commit to it what is written"},
                "client": _CLIENT,
            },
            writing={
                "shards": {
                    "type": int,
                    "metavar": "N",
                    "help": "all keys of a shard of Sharded(by=COLUMN, shards=N) go into one partition",
                },
                "partitions": {"type": int, "metavar": "N", "help": "make the topic, if it is not there, with N partitions"},
                "client": _CLIENT,
            },
        ),
        Connector(
            "rabbitmq",
            "RabbitMQ",
            {"rabbit_queue": "queue:RabbitQueue", "rabbit_range": "range:RabbitRange", "rabbit_stream": "stream:RabbitStream"},
            {"rabbit_sink": "sink:RabbitSink"},
            extra="rabbitmq",
            schemes={"amqp": "amqp://user@host:5672/queue", "amqps": "amqps://user@host:5671/queue"},
            urls=True,
            hint="gl.from_rabbitmq('queue', 'amqp://host:5672/')",
            reading={"start": {"help": "of a stream: first, last, next, an offset or a time"}},
            writing={
                "type": {"choices": ["classic", "quorum", "stream"], "help": "make the queue, if it is not there"},
                "id": {"metavar": "COLUMN", "help": "the column whose value is the message_id"},
            },
        ),
    )
}
SCHEMES = {scheme: one for one in CONNECTORS.values() for scheme in one.schemes}


def listed(room: str) -> dict[str, tuple[str, str]]:
    """Give the table of sources or of sinks."""
    found = {
        name: (f"govlab.sources.{one.name}.{target}", one.install)
        for one in CONNECTORS.values()
        for name, target in (one.readers if room == "sources" else one.sinks).items()
    }
    return dict(sorted(found.items()))


def options_of(use: str) -> dict[str, dict[str, Any]]:
    """Give the options of the command line for ``"reading"`` or ``"writing"``; what several systems have says so of each."""
    found: dict[str, dict[str, Any]] = {}
    for one in CONNECTORS.values():
        options: Options = getattr(one, use)
        for name, given in options.items():
            text = f"{one.title}: {given['help']}"
            found[name] = {**given, "help": f"{found[name]['help']}; {text}" if name in found else text}
    return found


def refuse_odd(connector: Connector, use: str, given: Mapping[str, Any]) -> None:
    """Refuse options of the command line that are given and that other systems have alone.

    Raises
    ------
    ArgumentError
        There is one; the message says whose it is.
    """
    for name in sorted(given):
        others = [one.title for one in CONNECTORS.values() if name in getattr(one, use)]
        if given[name] is not None and others and connector.title not in others:
            raise ArgumentError(f"--{name}: only of {' and '.join(others)}; leave it out.")
