"""Frames into an exchange or a queue of RabbitMQ."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd
import pika
from pika import exceptions
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from govlab.access import Access, reach
from govlab.errors import ArgumentError, SinkError, did_you_mean
from govlab.sinks.encode import arrow_bodies, check_format, id_column, json_bodies, key_column, texts, times_ms
from govlab.sinks.sink import Sink
from govlab.sources.rabbitmq.parameters import parameters_of, refusal_of
from govlab.sources.rabbitmq.publisher import Message, Publisher

__all__ = ["KINDS", "RabbitSink", "is_exchange"]

KINDS = ("classic", "quorum", "stream")
STARTING_S = 60.0
SHORT = 255  # bytes of a routing key or a message id at most
TYPES = {"json": "application/json", "arrow": "application/vnd.apache.arrow.stream"}


class RabbitSink(Sink):
    """Sends rows to an exchange or a queue of RabbitMQ.

    Delivery: at least once, confirmed by the broker before ``flush`` returns. Messages that were not confirmed when a
    connection was lost are sent again; what could not be delivered is not kept: a run that fails does not move its position,
    so the rows come again, and an alert has the same ``message_id`` then. Order: as given. Messages are persistent; one that
    no queue takes is an error. Its timestamp is the event time. Memory: some 25,000 messages on their way.

    Parameters
    ----------
    exchange : str
        Where to. It must be there; ``""`` is the default exchange, whose routing keys are names of queues.
    url : str
        ``"amqp://user@host:port/vhost"``, or ``"env:NAME"`` to take it from an environment variable. Better without a
        password, and with ``access``.
    routing_key : str, optional
        The routing key of all messages.
    key : str, optional
        The column whose value is the routing key (its first 255 bytes); of alerts the entity by default.
    id : str, optional
        The column whose value is the ``message_id``; of alerts their id by default.
    queue : str, optional
        A queue to write to, in place of an exchange.
    kind : {"quorum", "stream", "classic"}, optional
        Make the queue, of this kind and durable, if it is not there.
    format : {"json", "arrow"}
        JSON, a message a row; or Arrow streams of several rows, at most 0.9 MB each.
    access : Access, optional
        User, password, certificates.

    Raises
    ------
    SinkError
        Nobody answers, the login is refused, or there is no such exchange or queue.
    """

    def __init__(
        self,
        exchange: str = "",
        url: str = "amqp://guest:guest@localhost:5672/",
        routing_key: str | None = None,
        key: str | None = None,
        id: str | None = None,
        queue: str | None = None,
        kind: str | None = None,
        format: str = "json",
        access: Access | None = None,
    ) -> None:
        if queue is not None and (exchange or routing_key is not None or key is not None):
            raise ArgumentError("queue: its messages go to it directly; leave exchange, routing_key and key out, or queue.")
        if routing_key is not None and key is not None:
            raise ArgumentError("routing_key is the same for all rows, key names a column; give one of them.")
        if not exchange and queue is None and routing_key is None and key is None:
            raise ArgumentError("give the exchange, or queue='its name'.")
        if kind is not None and (kind not in KINDS or queue is None):
            raise ArgumentError(f"kind={kind!r} is the kind of queue=... to make. {did_you_mean(kind, KINDS)}")
        if format == "arrow" and (key is not None or id is not None):
            raise ArgumentError("an Arrow message holds several rows, so it has neither key nor id; give format='json'.")
        self.exchange, self.key, self.id, self.format = exchange, key, id, check_format(format)
        self.routing_key = queue if queue is not None else routing_key
        parameters, shown = parameters_of(url, access or Access(), SinkError)
        self.name = f"rabbitmq {exchange or self.routing_key or 'default exchange'}"
        _see(parameters, shown, exchange, queue, kind)
        self._publisher = Publisher(parameters, exchange, f"{self.name} at {shown}")

    def send(self, frame: pd.DataFrame) -> None:
        """Take the rows of a frame."""
        if len(frame):
            self._publisher.put(self._arrow(frame) if self.format == "arrow" else self._json(frame))

    def _json(self, frame: pd.DataFrame) -> list[Message]:
        key, name = key_column(frame, self.key), id_column(frame, self.id)
        if self.routing_key is not None or key is None:
            keys: Any = repeat(self.routing_key or "", len(frame))
        else:
            keys = [_short(text or "") for text in texts(frame, key)]
        names: Any = repeat(None, len(frame)) if name is None else texts(frame, name)
        rows = zip(keys, json_bodies(frame), names, times_ms(frame), strict=True)
        return [(key, body, self._properties(time_ms, name)) for key, body, name, time_ms in rows]

    def _arrow(self, frame: pd.DataFrame) -> list[Message]:
        written = arrow_bodies(frame)
        ends = np.cumsum([rows for rows, _ in written])
        latest = [int(max(times)) for times in np.split(np.array(times_ms(frame)), ends[:-1])]
        return [(self.routing_key or "", body, self._properties(ms, None)) for (_, body), ms in zip(written, latest, strict=True)]

    def _properties(self, time_ms: int, name: str | None) -> pika.BasicProperties:
        if name is not None and len(name) > SHORT // 4 and len(name.encode()) > SHORT:
            raise SinkError(f"{self.name}: the id {name[:40]!r}... is longer than the {SHORT} bytes that RabbitMQ takes.")
        return pika.BasicProperties(TYPES[self.format], delivery_mode=2, message_id=name, timestamp=time_ms // 1000)

    def flush(self, timeout_s: float = 60.0) -> None:
        """Wait until all rows taken are confirmed."""
        self._publisher.flush(timeout_s)

    def close(self) -> None:
        """Flush, and let go of the connection."""
        try:
            self.flush()
        finally:
            self._publisher.close()


def _short(text: str) -> str:
    return text if len(text) <= SHORT // 4 else text.encode()[:SHORT].decode(errors="ignore")


def _see(parameters: Any, shown: str, exchange: str, queue: str | None, kind: str | None) -> None:
    """See that an exchange, or a queue, is there; a queue is made if a kind is given.

    Raises
    ------
    SinkError
        Nobody answers, the login is refused, or it is not there.
    """
    with _asking(parameters, shown) as connection:
        if queue is None:
            if exchange and not _there(connection, lambda channel: channel.exchange_declare(exchange, passive=True)):
                raise SinkError(f"{shown}: there is no exchange {exchange!r}; declare it first.")
        elif not _there(connection, lambda channel: channel.queue_declare(queue, passive=True)):
            if kind is None:
                raise SinkError(f"{shown}: there is no queue {queue!r}; declare it first, or say of which kind to make it.")
            connection.channel().queue_declare(queue, durable=True, arguments={"x-queue-type": kind})


def is_exchange(name: str, url: str, access: Access | None = None) -> bool:
    """Tell whether there is an exchange of this name."""
    with _asking(*parameters_of(url, access or Access(), SinkError)) as connection:
        return _there(connection, lambda channel: channel.exchange_declare(name, passive=True))


def _there(connection: Any, ask: Callable[[Any], Any]) -> bool:
    end = time.monotonic() + STARTING_S
    while True:
        try:
            ask(connection.channel())
            return True
        except exceptions.ChannelClosedByBroker as error:
            starting = "is down or inaccessible" in str(error.reply_text)  # a queue whose node comes back with its broker
            if error.reply_code == 404 and not starting:
                return False
            if not starting or time.monotonic() > end:
                raise
        connection.sleep(0.2)


@contextlib.contextmanager
def _asking(parameters: Any, shown: str) -> Iterator[Any]:
    reach(f"{parameters.host}:{parameters.port}", 5.0, SinkError)
    try:
        with pika.BlockingConnection(parameters) as connection:
            yield connection
    except (exceptions.AMQPError, AMQPConnectorException, OSError) as error:  # pika gives some reasons as they came
        raise _told(error, shown) from None


def _told(error: Exception, shown: str) -> SinkError:
    if refusal := refusal_of(error, shown):
        return SinkError(refusal)
    if isinstance(error, exceptions.ChannelClosedByBroker):
        return SinkError(f"{shown}: {error.reply_text}")
    return SinkError(
        f"{shown} answers, but not as RabbitMQ does ({type(error).__name__}): is it the port of AMQP, with or without TLS?"
    )
