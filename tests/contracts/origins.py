"""The real places that readers and sinks of the tables are checked on: how each is made, written to, and read back."""

import pika
import queues

from govlab import frames, registry
from govlab.sinks.encode import json_bodies
from govlab.sources.kafka.sink import make_topic
from govlab.testing import live_events

CORRECTED = json_bodies(live_events(10_000, 1))[0]


class Topic:
    """A topic of Kafka."""

    def __init__(self, server, partitions=2):
        self.server, self.address = server, server.address
        self.name = queues.name("contract")
        make_topic(self.name, partitions, self.address)

    def put(self, rows):
        partition = rows["actor"].str[1:].astype(int) % 2
        for number in (0, 1):
            queues.send(self.server, self.name, json_bodies(rows[partition == number]), number)

    def put_raw(self, body):
        queues.send(self.server, self.name, [body])


class Queue:
    """A queue of RabbitMQ."""

    def __init__(self, server, kind):
        self.address, self.kind = server.address, kind
        self.name = queues.queue(server, kind)

    def put(self, rows):
        self._publish(json_bodies(rows))

    def put_raw(self, body):
        self._publish([body])

    def _publish(self, bodies):
        with pika.BlockingConnection(pika.URLParameters(self.address)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for body in bodies:
                channel.basic_publish("", self.name, body)


def filled(origin, rows=60):
    """Write rows with three bad records among them."""
    for first in range(0, rows, rows // 3):
        origin.put(live_events(first, rows // 3))
        origin.put_raw(b"?%d" % first)
    return origin


def what_to_do(room, factories, exempt):
    """Name the entries of a room's table that no check is run on, and say what to do; None if there are none."""
    missing = sorted(set(registry.names(room)) - set(factories) - set(exempt))
    unknown = sorted((set(factories) | set(exempt)) - set(registry.names(room)))
    if missing or unknown or not all(exempt.values()):
        return (
            f"govlab.{room}: {', '.join(missing) or 'nothing'} has no factory for its contract check: write one into FACTORIES of "
            f"tests/contracts/test_{room}.py, or a reason into EXEMPT. Not in the table: {', '.join(unknown) or 'nothing'}."
        )
    return None


def reads_back(reader):
    """Make a function that gives what came since it was last called, at least so many rows."""

    def read_back(n):
        parts = [frames.empty()]
        while sum(map(len, parts)) < n or sum(reader.lag().values(), start=0 if reader.lag() else 1):
            parts.append(reader.read(1_000))
        reader.commit(reader.position())
        assert [] == reader.take_dead_letters()
        return frames.concat([part for part in parts if len(part)] or parts)

    return read_back
