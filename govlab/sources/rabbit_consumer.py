"""A consumer of RabbitMQ on a thread of its own, which makes the connection, reads, acknowledges, and makes it anew."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pika
from pika import exceptions

from govlab.access import Access, amqp_parameters, amqp_refusal, reach
from govlab.errors import SourceError

__all__ = ["Consumer", "Delivery", "look_at"]

log = logging.getLogger("govlab")
Delivery = tuple[int, str, Any, bytes]  # tag, routing key, properties, body
LOOK_S = 2.0


class Consumer:
    """Consumes a queue in the background; messages wait here until they are taken, at most ``prefetch`` of them.

    Parameters
    ----------
    queue, url, access
        Where, and how to get in.
    prefetch : int
        So many messages are given out by the broker at most before they are acknowledged.
    arguments : function, optional
        Asked at each connection for the arguments of the consumer.
    at_once : bool
        Acknowledge as soon as messages are taken, as streams want it.
    """

    def __init__(
        self,
        queue: str,
        url: str,
        access: Access,
        prefetch: int,
        arguments: Callable[[], dict[str, Any]] | None = None,
        at_once: bool = False,
    ) -> None:
        self.queue, self.prefetch, self._arguments, self._at_once = queue, prefetch, arguments or dict, at_once
        self._parameters, self.shown = amqp_parameters(url, access, SourceError)
        self.session = 0
        self.ready: int | None = None  # messages in the queue that nobody has yet
        self.error: str | None = None
        self._fatal: SourceError | None = None
        self._arrived: deque[Delivery] = deque()
        self._orders: deque[Callable[[Any], None]] = deque()
        self._state = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Connect and consume.

        Raises
        ------
        SourceError
            Nobody answers, the login is refused, or there is no such queue.
        """
        host = urlsplit(self.shown)
        reach(f"{host.hostname}:{host.port or 5672}", 5.0, SourceError)
        self._thread = threading.Thread(target=self._run, name=f"govlab rabbitmq {self.queue}", daemon=True)
        self._thread.start()
        with self._state:
            self._state.wait_for(lambda: self.session or self._fatal or self.error, 20.0)
        if not self.session:
            self.close()
            raise self._fatal or SourceError(f"{self.shown}: {self.error or 'it does not answer in time'}")

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = 0.2
        while not self._closing:
            try:
                connection = pika.BlockingConnection(self._parameters)
                try:
                    self._consume(connection)
                    pause_s = 0.2
                finally:
                    _drop(connection)
            except Exception as error:  # whatever it is, the connection is gone
                self._fatal = _fatal(error, self.shown, self.queue)
                if not self._closing:
                    log.warning("rabbitmq %s: %s: %s", self.queue, type(error).__name__, error)
                with self._state:
                    self.error = f"{type(error).__name__}: {error}"
                    self._arrived.clear()  # what was not acknowledged comes again
                    self._state.notify_all()
                if self._fatal is not None:
                    return
            end = time.monotonic() + pause_s
            while time.monotonic() < end and not self._closing:
                time.sleep(0.02)
            pause_s = min(5.0, 2 * pause_s)

    def _consume(self, connection: Any) -> None:
        channel = connection.channel()
        self.ready = channel.queue_declare(self.queue, passive=True).method.message_count
        channel.basic_qos(prefetch_count=self.prefetch)
        with self._state:
            self._arrived.clear()
            self._orders.clear()  # a tag is good for its connection only
        channel.basic_consume(self.queue, self._on_message, arguments=self._arguments())
        with self._state:
            self.session, self.error = self.session + 1, None
            self._state.notify_all()
        look = time.monotonic() + LOOK_S
        while not self._closing:
            connection.process_data_events(0.02)
            while self._orders:
                self._orders.popleft()(channel)
            if time.monotonic() > look:
                self.ready = channel.queue_declare(self.queue, passive=True).method.message_count
                look = time.monotonic() + LOOK_S
        while self._orders:
            self._orders.popleft()(channel)

    def _on_message(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._arrived.append((method.delivery_tag, method.routing_key, properties, body))

    # -- the side of the reader ----------------------------------------------------------------------------------------

    def take(self, most: int, timeout_s: float) -> tuple[int, list[Delivery]]:
        """Hand over messages, and the number of the connection that they came by."""
        if self._fatal is not None:
            raise self._fatal
        end = time.monotonic() + timeout_s
        while not self._arrived and time.monotonic() < end:
            time.sleep(0.001)
        with self._state:
            session = self.session
            n = min(most, len(self._arrived))
            taken = [self._arrived.popleft() for _ in range(n)]
        if taken and self._at_once:
            self.ack(session, taken[-1][0])
        return session, taken

    def ack(self, session: int, tag: int) -> None:
        """Acknowledge all messages of a connection up to a tag; of an older connection there is nothing to say any more."""
        self.order(session, lambda channel: channel.basic_ack(tag, multiple=True))

    def order(self, session: int, work: Callable[[Any], None]) -> None:
        """Let the thread do something with its channel, unless the connection is another by then."""
        with self._state:
            if session == self.session and self.error is None:
                self._orders.append(work)

    def close(self) -> None:
        """Do what was ordered, and let go."""
        self._closing = True
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(10.0)


def _drop(connection: Any) -> None:
    try:
        connection.close()
    except Exception as error:
        log.debug("closing a connection: %s", error)


def _fatal(error: Exception, shown: str, queue: str) -> SourceError | None:
    """Give the error that no other try would mend, or None."""
    if refusal := amqp_refusal(error, shown):
        return SourceError(refusal)
    if isinstance(error, exceptions.ChannelClosedByBroker):
        if error.reply_code == 404:
            return SourceError(f"{shown}: there is no queue {queue!r}: {error.reply_text}")
        if error.reply_code in (403, 406):
            return SourceError(f"{shown}: queue {queue!r} cannot be consumed: {error.reply_text}")
    return None


def look_at(queue: str, url: str, access: Access) -> tuple[str, str]:
    """Ask of which kind a queue is (``"classic"``, ``"quorum"`` or ``"stream"``), and how its broker calls itself.

    Raises
    ------
    SourceError
        Nobody answers, the login is refused, or there is no such queue.
    """
    parameters, shown = amqp_parameters(url, access, SourceError)
    host = urlsplit(shown)
    reach(f"{host.hostname}:{host.port or 5672}", 5.0, SourceError)
    try:
        with pika.BlockingConnection(parameters) as connection:
            cluster = _cluster(connection)
            channel = connection.channel()
            channel.queue_declare(queue, passive=True)
            try:
                # the broker does not say, but it objects to another kind, and names its own
                channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "stream"})
            except exceptions.ChannelClosedByBroker as error:
                if "'x-queue-type'" in error.reply_text or "'durable'" in error.reply_text:
                    return ("quorum" if "'quorum'" in error.reply_text else "classic"), cluster
            return "stream", cluster
    except (exceptions.AMQPError, OSError) as error:  # pika gives some reasons of the system as they came
        raise _fatal(error, shown, queue) or SourceError(f"{shown}: {type(error).__name__}: {error}") from None


def _cluster(connection: Any) -> str:
    # what a server says of itself is not public in pika's blocking connection
    return str((getattr(connection._impl, "server_properties", None) or {}).get("cluster_name", ""))
