"""A publisher of RabbitMQ on a thread of its own: many confirmations are awaited at once, and a lost connection is made anew."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any

import pika

from govlab.errors import SinkError

__all__ = ["Message", "Publisher"]

log = logging.getLogger("govlab")
if logging.getLogger("pika").level == logging.NOTSET:
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # it tells of a failed attempt in ten lines; one is told here
WINDOW = 5_000  # published and not yet confirmed
WAITING, WAITING_BYTES, HOLD_S = 10_000, 64_000_000, 60.0
Message = tuple[str, bytes, pika.BasicProperties]  # routing key, body, properties


class Publisher:
    """Publishes to an exchange; what a lost connection leaves unconfirmed is published again, in its order.

    Parameters
    ----------
    parameters : pika.URLParameters
        The broker, and how to get in.
    exchange : str
        Where to.
    shown : str
        What is published to, for messages.
    """

    def __init__(self, parameters: Any, exchange: str, shown: str) -> None:
        self.exchange, self.shown = exchange, shown
        self._parameters = parameters
        self._todo: deque[Message] = deque()
        self._sent: OrderedDict[int, Message] = OrderedDict()  # by delivery tag; only the thread looks at it
        self._left = self._left_bytes = self._failed = 0
        self._reason = self._trouble = ""
        self._state = threading.Condition()
        self._closing = threading.Event()
        self._connection: Any = None
        self._channel: Any = None
        self._thread = threading.Thread(target=self._run, name=f"govlab {shown}", daemon=True)
        self._thread.start()

    # -- the side of the user ------------------------------------------------------------------------------------------

    def put(self, messages: Sequence[Message]) -> None:
        """Take messages; holds back while too many are on their way."""
        with self._state:
            fits = self._state.wait_for(lambda: self._failed or (self._left < WAITING and self._left_bytes < WAITING_BYTES), HOLD_S)
            self._check(0 if fits else self._left)
            self._left += len(messages)
            self._left_bytes += sum(len(body) for _, body, _ in messages)
            self._todo.extend(messages)
        self._ask(self._publish)

    def flush(self, timeout_s: float) -> None:
        """Wait until all is confirmed."""
        with self._state:
            done = self._state.wait_for(lambda: not self._left, timeout_s)
            self._check(0 if done else self._left)

    def _check(self, left: int) -> None:
        if self._failed or left:
            count, reason = self._failed + left, self._reason or f"no confirmation in time{self._trouble and ': '}{self._trouble}"
            self._failed, self._reason = 0, ""
            raise SinkError(f"{self.shown}: {count:,} messages are not confirmed, first: {reason}")

    def close(self) -> None:
        """Let go of the connection."""
        self._closing.set()
        self._ask(self._hang_up)
        self._thread.join(10.0)

    def _ask(self, work: Any) -> None:
        """Let the thread do something; where there is no connection, it does it once there is one."""
        with self._state:
            if self._connection is not None:
                self._connection.ioloop.add_callback_threadsafe(work)

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pause_s = 0.1
        while not self._closing.is_set():
            # one that failed is never used again, so each try has a connection of its own
            connection = pika.SelectConnection(
                self._parameters,
                on_open_callback=self._on_open,
                on_open_error_callback=self._on_lost,
                on_close_callback=self._on_lost,
            )
            with self._state:
                self._connection = connection
            connection.ioloop.start()
            pause_s = 0.1 if self._channel is not None else min(5.0, 2 * pause_s)
            with self._state:
                self._connection = self._channel = None
                self._todo.extendleft(reversed(self._sent.values()))
                self._sent.clear()
            connection.ioloop.close()
            self._closing.wait(pause_s)

    def _hang_up(self) -> None:
        if self._connection.is_open:  # else it is being opened or closed, and its callback will see
            self._connection.close()

    def _on_open(self, connection: Any) -> None:
        if self._closing.is_set():
            connection.close()
        else:
            connection.add_on_connection_blocked_callback(self._on_blocked)
            connection.add_on_connection_unblocked_callback(self._on_unblocked)
            connection.channel(on_open_callback=self._on_channel)

    def _on_blocked(self, _: Any, frame: Any) -> None:
        self._trouble = f"the broker blocks the connection: {frame.method.reason}"
        log.warning("%s: %s", self.shown, self._trouble)

    def _on_unblocked(self, *_: Any) -> None:
        self._trouble = ""

    def _on_lost(self, connection: Any, error: Any) -> None:
        known, self._trouble = self._trouble, f"no connection ({type(error).__name__}: {str(error) or repr(error.args[0])})"
        if not known and not self._closing.is_set():
            log.warning("%s: %s", self.shown, self._trouble)
        connection.ioloop.stop()

    def _on_channel(self, channel: Any) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm)
        self._channel, self._tag, self._trouble = channel, 0, ""
        self._publish()

    def _on_channel_closed(self, channel: Any, error: Any) -> None:
        """Give up what is on its way: an exchange that is gone, say, is not there at another try either."""
        if isinstance(error, pika.exceptions.ChannelClosedByBroker):
            with self._state:
                self._failed, self._reason = self._failed + self._left, self._reason or str(error.reply_text)
                self._todo.clear()
                self._sent.clear()
                self._left = self._left_bytes = 0
                self._state.notify_all()
            self._connection.close()

    def _on_return(self, channel: Any, method: Any, properties: Any, body: bytes) -> None:
        with self._state:
            self._failed += 1  # its confirmation follows
            self._reason = self._reason or f"no queue takes the routing key {method.routing_key!r} ({method.reply_text})"

    def _on_confirm(self, frame: Any) -> None:
        method, done = frame.method, []
        if not method.multiple:
            done = [message] if (message := self._sent.pop(method.delivery_tag, None)) is not None else []
        while method.multiple and self._sent and next(iter(self._sent)) <= method.delivery_tag:
            done.append(self._sent.popitem(last=False)[1])
        with self._state:
            self._left -= len(done)
            self._left_bytes -= sum(len(body) for _, body, _ in done)
            if isinstance(method, pika.spec.Basic.Nack):
                self._failed, self._reason = self._failed + len(done), self._reason or "the broker has refused them"
            self._state.notify_all()
        self._publish()

    def _publish(self) -> None:
        channel = self._channel
        while self._todo and channel is not None and channel.is_open and len(self._sent) < WINDOW:
            self._tag += 1
            message = self._sent[self._tag] = self._todo.popleft()
            channel.basic_publish(self.exchange, *message, mandatory=True)
