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

from govlab.access import Access, PrivateUrl, reach
from govlab.errors import SourceError
from govlab.sources.rabbitmq.asking import PATIENCE_S, Delivery, comes_back, refusal, stream_end
from govlab.sources.rabbitmq.parameters import parameters_of

__all__ = ["FRESH_S", "Consumer"]

log = logging.getLogger("govlab")
if logging.getLogger("pika").level == logging.NOTSET:
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # it reports a failed attempt in ten lines; here it is one
LOOK_S, FRESH_S = 2.0, 10.0
UNKNOWN_LOOKS = 3  # in a row, at which a queue says that nobody reads it
RENEW_S = 30.0


class Consumer:
    """Consumes a queue in the background; messages wait here until they are taken, at most ``prefetch`` of them.

    Parameters
    ----------
    queue, url, access
        Where, and how to get in.
    prefetch : int
        The broker sends at most N messages before they are acknowledged.
    arguments : function, optional
        Asked at each connection for the arguments of the consumer; only a stream has any.

    Attributes
    ----------
    session : int
        The number of the connection, from 1.
    waiting : int or None
        Messages in the queue that nobody has yet, as the broker said at ``asked_s``; of a stream None.
    end : int or None
        The offset after the last message of a stream, as asked at ``asked_s``.
    alone : int or None
        How many messages were in the queue when this connection began, if nobody else consumed it then: only those can have
        been delivered before.
    settled : tuple of int
        The connection and tag up to which the broker has taken acknowledgements, as seen by two answers since.
    vanished, vanished_s
        How many messages left the queue unread at least, and when that was last seen.
    """

    def __init__(
        self,
        queue: str,
        url: str | PrivateUrl,
        access: Access,
        prefetch: int,
        arguments: Callable[[], dict[str, Any]] | None = None,
    ) -> None:
        self.queue, self.prefetch, self._arguments = queue, prefetch, arguments
        self._parameters, self.shown = parameters_of(url, access, SourceError)
        self.session, self.asked_s, self.vanished, self.vanished_s = 0, -FRESH_S, 0, 0.0
        self.waiting: int | None = None
        self.end: int | None = None
        self.alone: int | None = None
        self.settled, self._answered, self._acknowledged = (0, 0), (0, 0), (0, 0)
        self.error: str | None = None
        self.blocked: str | None = None
        self._fatal: SourceError | None = None
        self._starting = False
        self._received = self._before = self._last_tag = 0
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
            Nobody answers, the login is refused, there is no such queue, or its node is not up in 60 s.
        """
        place = urlsplit(self.shown)
        reach(f"{place.hostname}:{place.port or self._parameters.port}", 20.0, SourceError)
        self._thread = threading.Thread(target=self._run, name=f"govlab rabbitmq {self.queue}", daemon=True)
        self._thread.start()
        with self._state:
            answered = lambda: self.session or self._fatal or (self.error and not self._starting)  # noqa: E731
            self._state.wait_for(answered, self._parameters.stack_timeout + PATIENCE_S)
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
                fatal = error if isinstance(error, SourceError) else refusal(error, self.shown, self.queue)
                if fatal and self.session and isinstance(error, exceptions.ChannelClosedByBroker) and error.reply_code == 404:
                    fatal = self._deleted()
                if not self._closing:
                    log.warning("rabbitmq %s: %s: %s", self.queue, type(error).__name__, error)
                with self._state:
                    self._fatal, self._starting = fatal, comes_back(error)
                    self.error = f"{type(error).__name__}: {error}"
                    self._arrived.clear()  # what was not acknowledged comes again
                    self.waiting = self.end = None
                    self._state.notify_all()
                if fatal is not None:
                    return
            end = time.monotonic() + pause_s
            while time.monotonic() < end and not self._closing:
                time.sleep(0.02)
            pause_s = min(5.0, 2 * pause_s)

    def _consume(self, connection: Any) -> None:
        cancelled: list[Any] = []
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        self.blocked = None
        channel = connection.channel()
        channel.add_on_cancel_callback(cancelled.append)
        there = channel.queue_declare(self.queue, passive=True).method
        channel.basic_qos(prefetch_count=self.prefetch)
        with self._state:
            self._arrived.clear()
            self._orders.clear()  # a tag is good for its connection only
            self._received, self._unknown, self.waiting, self.end = 0, 0, None, None
            self.alone = None if there.consumer_count else there.message_count
        arguments = None if self._arguments is None else self._arguments()
        channel.basic_consume(self.queue, self._on_message, arguments=arguments)
        with self._state:
            self.session, self.error = self.session + 1, None
            self._state.notify_all()
        look = moved = time.monotonic()
        before = self._received
        while not self._closing:
            connection.process_data_events(0.02)
            if self._received != before or self._orders or self._arrived or not self._all_acknowledged():
                before, moved = self._received, time.monotonic()
            elif self._arguments is None and time.monotonic() - moved > RENEW_S:
                return  # to consume anew: a quorum queue that was made anew may hold messages for a consumer that it has lost
            if cancelled:
                raise self._deleted()
            while self._orders:
                self._orders.popleft()(channel)
            if time.monotonic() > look:
                self._look(connection, channel)
                look = time.monotonic() + LOOK_S
        while self._orders:
            self._orders.popleft()(channel)
        channel.queue_declare(self.queue, passive=True)  # its answer says that the broker has taken the acknowledgements

    def _all_acknowledged(self) -> bool:
        return not self._received or self._acknowledged == (self.session, self._last_tag)

    def _deleted(self) -> SourceError:
        return SourceError(
            f"{self.shown}: the broker has ended the reading of {self.queue!r}: the queue was deleted (and perhaps made anew), or "
            "its node is gone. See that it is there and what it holds, then open the reader again."
        )

    def _look(self, connection: Any, channel: Any) -> None:
        """Ask how much there is: a queue for its count, a stream for its end."""
        asked_s, received = time.monotonic(), self._received
        there = channel.queue_declare(self.queue, passive=True).method
        connection.process_data_events(0)  # hands over what came before the answer
        self.settled, self._answered = self._answered, self._acknowledged
        if self._arguments is not None:
            try:
                self.end = stream_end(connection, self.queue, 1.0, self.shown)
            except SourceError:
                self.end = None  # not known this time: empty, or slow
        else:
            # what went to nobody else and did not come here is gone: purged, expired, over a limit, or fetched by hand
            gone = (self.waiting or 0) - there.message_count - (self._received - self._before)
            if self.waiting is not None and gone > 0 and there.consumer_count == 1:
                self.vanished, self.vanished_s = self.vanished + gone, asked_s
                log.warning("rabbitmq %s: at least %s messages left the queue without being read here", self.queue, f"{gone:,}")
            self.waiting, self._before = there.message_count, received
            # a quorum queue that was deleted and made anew at once does not always cancel its consumers: it knows none
            self._unknown = 0 if there.consumer_count else self._unknown + 1
            if self._unknown >= UNKNOWN_LOOKS:
                raise self._deleted()
        self.asked_s = asked_s

    def _on_blocked(self, _: Any, frame: Any) -> None:
        self.blocked = str(frame.method.reason)

    def _on_unblocked(self, *_: Any) -> None:
        self.blocked = None

    def _on_message(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        again = bool(method.redelivered) or bool((properties.headers or {}).get("x-delivery-count"))
        self._received, self._last_tag = self._received + 1, method.delivery_tag
        self._arrived.append((method.delivery_tag, method.routing_key, properties, body, again))

    # -- the side of the reader ----------------------------------------------------------------------------------------

    @property
    def here(self) -> int:
        """How many messages have arrived and were not taken."""
        return len(self._arrived)

    @property
    def fresh(self) -> bool:
        """Whether the broker was asked some seconds ago at most."""
        return self.error is None and time.monotonic() - self.asked_s < FRESH_S

    def take(self, most: int, timeout_s: float) -> tuple[int, list[Delivery]]:
        """Hand over messages, and the number of the connection that they came by."""
        end = time.monotonic() + timeout_s
        while not self._arrived and self._fatal is None and time.monotonic() < end:
            time.sleep(0.001)
        if self._fatal is not None:
            raise self._fatal
        with self._state:
            session = self.session
            n = min(most, len(self._arrived))
            taken = [self._arrived.popleft() for _ in range(n)]
        if taken and self._arguments is not None:
            self.ack(session, taken[-1][0])  # to a stream it only says that more may come
        return session, taken

    def ack(self, session: int, tag: int) -> None:
        """Acknowledge all messages of a connection up to a tag; of an older connection there is nothing to say any more."""

        def acknowledge(channel: Any) -> None:
            channel.basic_ack(tag, multiple=True)
            self._acknowledged = session, tag

        self.order(session, acknowledge)

    def order(self, session: int, work: Callable[[Any], None]) -> None:
        """Let the thread do something with its channel, unless the connection is another by then."""
        with self._state:
            if session == self.session and self.error is None:
                self._orders.append(work)

    def trouble(self) -> tuple[str, str] | None:
        """Say what keeps messages from coming."""
        if self.error is not None:
            return "reconnecting", self.error
        if self.blocked is not None:
            return "stalled", f"the broker blocks the connection: {self.blocked}"
        return None

    def close(self) -> None:
        """Do what was ordered, and let go."""
        self._closing = True
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(30.0)


def _drop(connection: Any) -> None:
    try:
        connection.close()
    except Exception as error:
        log.debug("closing a connection: %s", error)
