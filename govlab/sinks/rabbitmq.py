"""Frames into an exchange or a queue of RabbitMQ."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pika

from govlab.access import Access, amqp_parameters, reach, without_password
from govlab.errors import SinkError
from govlab.frames import require
from govlab.sinks.encode import arrow_body, check_format, is_alerts, json_bodies, keys_of, times_ms
from govlab.sinks.sink import Sink

__all__ = ["RabbitSink"]

log = logging.getLogger("govlab")
WINDOW = 5_000  # messages on their way; confirmations come back while others are sent
Message = tuple[str, bytes, pika.BasicProperties]


class RabbitSink(Sink):
    """Sends rows to RabbitMQ, with confirmations that are not waited for one by one.

    Delivery: at least once, confirmed by the broker before ``flush`` returns; messages that were not confirmed when a
    connection broke are sent again, and so are the rows of a run whose position did not move: an alert has the same
    ``message_id`` then. Order: as given. Messages are persistent; one that no queue takes is an error.

    Parameters
    ----------
    exchange : str
        Where to; ``""`` is the default exchange, whose routing keys are names of queues.
    url : str
        ``"amqp://user@host:port/vhost"``, or ``"env:NAME"``. Better without a password, and with ``access``.
    routing_key : str, optional
        The routing key of all messages; by default the value of ``key``.
    key : str, optional
        The column whose value is the routing key; of alerts the entity by default.
    id : str, optional
        The column whose value is the ``message_id``; of alerts their id by default.
    format : {"json", "arrow"}
        JSON, a message for each row; or an Arrow stream, a message for each frame.
    access : Access, optional
        User, password, certificates.

    Raises
    ------
    SinkError
        Nobody answers, or rows could not be delivered.
    """

    def __init__(
        self,
        exchange: str = "",
        url: str = "amqp://guest:guest@localhost:5672/",
        routing_key: str | None = None,
        key: str | None = None,
        id: str | None = None,
        format: str = "json",
        access: Access | None = None,
    ) -> None:
        self.exchange, self.routing_key, self.key, self.id, self.format = exchange, routing_key, key, id, check_format(format)
        self._parameters, shown = amqp_parameters(url, access or Access(), SinkError)
        self.name = f"rabbitmq {exchange or routing_key or 'default exchange'}"
        host = urlsplit(shown)
        reach(f"{host.hostname}:{host.port or 5672}", 5.0, SinkError)
        self._shown = without_password(shown)
        self._todo: deque[Message] = deque()
        self._sent: OrderedDict[int, Message] = OrderedDict()
        self._returned: deque[str] = deque()
        self._error: str | None = None
        self._state = threading.Condition()
        self._closing = self._opened = False
        self._connection: Any = None
        self._channel: Any = None
        self._thread = threading.Thread(target=self._run, name=f"govlab {self.name}", daemon=True)
        self._thread.start()
        with self._state:
            self._state.wait_for(lambda: self._opened or self._error, 20.0)
            if not self._opened:
                self._closing = True
                raise SinkError(f"{self._shown}: {self._error or 'it does not answer in time'}")

    # -- the thread that owns the connection ---------------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = 0.2
        while not self._closing:
            # one that failed is never used again, so each try has a connection of its own
            self._connection = pika.SelectConnection(
                self._parameters,
                on_open_callback=self._on_open,
                on_open_error_callback=self._on_wrong,
                on_close_callback=self._on_wrong,
            )
            connection = self._connection
            connection.ioloop.start()
            with self._state:
                self._connection = self._channel = None
                connection.ioloop.close()
                self._todo.extendleft(reversed(self._sent.values()))
                self._sent.clear()
                self._state.notify_all()
            if not self._closing:
                time.sleep(pause_s)
                pause_s = min(5.0, 2 * pause_s)

    def _on_open(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._on_channel)

    def _on_channel(self, channel: Any) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm)
        with self._state:
            self._channel, self._tag, self._opened = channel, 0, True
            self._state.notify_all()
        self._drain()

    def _on_wrong(self, connection: Any, error: Any) -> None:
        refused = (
            "Authentication" in type(error).__name__ or "ACCESS_REFUSED" in str(error) or "AccessDenied" in type(error).__name__
        )
        with self._state:
            if refused or not self._opened:
                what = "the login is refused: check user, password and vhost" if refused else f"{type(error).__name__}: {error}"
                self._error = what
            self._state.notify_all()
        if not self._closing:
            log.warning("%s: connection lost (%s)", self.name, type(error).__name__)
        connection.ioloop.stop()

    def _on_channel_closed(self, channel: Any, error: Any) -> None:
        if self._closing or not isinstance(error, pika.exceptions.ChannelClosedByBroker):
            return  # with its connection
        with self._state:
            self._error = str(error)  # such as an exchange that is not there: another try would end in the same way
            self._state.notify_all()
        self._connection.close()

    def _on_return(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        with self._state:
            self._returned.append(f"{method.reply_text} (exchange {method.exchange!r}, routing key {method.routing_key!r})")

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        with self._state:
            tags = [tag for tag in self._sent if tag <= method.delivery_tag] if method.multiple else [method.delivery_tag]
            for tag in tags:
                self._sent.pop(tag, None)
            if isinstance(method, pika.spec.Basic.Nack):
                self._error = f"the broker refused {len(tags):,} messages"
            self._state.notify_all()
        self._drain()

    def _drain(self) -> None:
        with self._state:
            while self._todo and self._channel is not None and self._channel.is_open and len(self._sent) < WINDOW:
                message = self._todo.popleft()
                self._tag += 1
                self._sent[self._tag] = message
                self._channel.basic_publish(self.exchange, *message, mandatory=True)

    # -- the side of the user ------------------------------------------------------------------------------------------

    def send(self, frame: pd.DataFrame) -> None:
        """Take the rows of a frame."""
        if not len(frame):
            return
        messages = self._messages(frame)
        with self._state:
            self._check()
            self._todo.extend(messages)
        self._wake()
        with self._state:
            self._state.wait_for(lambda: len(self._todo) < WINDOW or self._error, 60.0)
            self._check()

    def _messages(self, frame: pd.DataFrame) -> list[Message]:
        id_column = self.id or ("id" if is_alerts(frame) else None)
        require(frame, [id_column], "id")
        kind = {"json": "application/json", "arrow": "application/vnd.apache.arrow.stream"}[self.format]
        if self.format == "arrow":
            properties = pika.BasicProperties(content_type=kind, delivery_mode=2, timestamp=max(times_ms(frame)) // 1000)
            return [(self.routing_key or "", arrow_body(frame), properties)]
        keys = [self.routing_key.encode()] * len(frame) if self.routing_key is not None else keys_of(frame, self.key)
        ids = [None] * len(frame) if id_column is None else [str(value) for value in frame[id_column].tolist()]
        return [
            (
                (key or b"").decode(errors="replace"),
                body,
                pika.BasicProperties(content_type=kind, delivery_mode=2, message_id=name, timestamp=time_ms // 1000),
            )
            for body, key, name, time_ms in zip(json_bodies(frame), keys or [b""] * len(frame), ids, times_ms(frame), strict=True)
        ]

    def _wake(self, work: Any = None) -> None:
        with self._state:
            if self._connection is not None:
                self._connection.ioloop.add_callback_threadsafe(work or self._drain)

    def _check(self) -> None:
        if self._error or self._returned:
            why = self._error or f"{len(self._returned):,} messages came back, the first: {self._returned[0]}"
            self._error, self._returned = None, deque()
            raise SinkError(f"{self._shown}: {why}; {len(self._todo) + len(self._sent):,} messages are not confirmed.")

    def flush(self, timeout_s: float = 60.0) -> None:
        """Wait until all rows taken are confirmed."""
        self._wake()
        with self._state:
            done = self._state.wait_for(lambda: self._error or not (self._todo or self._sent), timeout_s)
            self._check()
            if not done:
                raise SinkError(f"{self._shown}: {len(self._todo) + len(self._sent):,} messages are not confirmed in time.")

    def close(self) -> None:
        """Flush, and let go of the connection."""
        try:
            if not self._closing:
                self.flush()
        finally:
            self._closing = True
            connection = self._connection
            connection.ioloop.add_callback_threadsafe(
                lambda: connection.close() if connection.is_open else connection.ioloop.stop()
            )
            self._thread.join(5.0)
