"""What RabbitMQ is asked: of which kind a queue is, and where a stream begins and ends. Nothing is declared, taken or changed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pika
from pika import exceptions
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from govlab.access import Access, PrivateUrl, reach
from govlab.errors import SourceError
from govlab.sources.rabbitmq.parameters import parameters_of, refusal_of

__all__ = [
    "OFFSET",
    "PATIENCE_S",
    "Delivery",
    "cluster_of",
    "comes_back",
    "end_of",
    "first_of",
    "look_at",
    "offset_of",
    "refusal",
    "stream_end",
]

Delivery = tuple[int, str, Any, bytes, bool]  # tag, routing key, properties, body, whether it was delivered before
KINDS = ("classic", "quorum", "stream")
OFFSET = "x-stream-offset"
PATIENCE_S = 60.0
PREFETCH = 5_000
REFUSED = re.compile(r"of queue type rabbit_(\w+)_queue$")
SINCE = (3, 10)  # the versions of RabbitMQ that refuse an argument which is not one of the kind of a queue


def offset_of(delivery: Delivery) -> int:
    """Give the offset of a message in its stream."""
    return int(delivery[2].headers[OFFSET])


def refusal(error: Exception, shown: str, queue: str) -> SourceError | None:
    """Give the error that no other try would mend, or None."""
    if why := refusal_of(error, shown):
        return SourceError(why)
    if isinstance(error, exceptions.ChannelClosedByBroker):
        if comes_back(error):
            return None
        if error.reply_code == 404:
            return SourceError(f"{shown}: there is no queue {queue!r}: {error.reply_text}")
        if error.reply_code == 405:
            return SourceError(f"{shown}: queue {queue!r} is open to one other connection only: {error.reply_text}")
        if error.reply_code in (403, 406):
            return SourceError(f"{shown}: queue {queue!r} cannot be consumed: {error.reply_text}")
    if isinstance(error, exceptions.ConnectionClosedByBroker) and error.reply_code in (530, 540):
        return SourceError(f"{shown}: queue {queue!r} cannot be consumed: {error.reply_text}")
    return None


def comes_back(error: Exception) -> bool:
    """Whether a queue is there and its node is still starting."""
    if not isinstance(error, exceptions.ChannelClosedByBroker) or error.reply_code != 404:
        return False
    return "is down or inaccessible" in str(error.reply_text)


@contextmanager
def _asking(queue: str, url: str | PrivateUrl, access: Access) -> Iterator[tuple[Any, str]]:
    parameters, shown = parameters_of(url, access, SourceError)
    place = urlsplit(shown)
    reach(f"{place.hostname}:{place.port or parameters.port}", 20.0, SourceError)
    try:
        connection = pika.BlockingConnection(parameters)
        try:
            _await(connection, queue)
            yield connection, shown
        finally:
            if connection.is_open:
                connection.close()
    except (exceptions.AMQPError, AMQPConnectorException, OSError) as error:  # pika gives some reasons as they came
        raise refusal(error, shown, queue) or SourceError(f"{shown}: {type(error).__name__}: {error}") from None


def _await(connection: Any, queue: str) -> None:
    """Wait until a queue is up, as it may not be yet where its broker has just started."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            connection.channel().queue_declare(queue, passive=True)
            return
        except exceptions.ChannelClosedByBroker as error:
            if not comes_back(error) or time.monotonic() > end:
                raise
        connection.sleep(0.2)


def cluster_of(connection: Any) -> str:
    """Give how a broker calls itself."""
    # what a server says of itself is not public in pika's blocking connection
    return str((getattr(connection._impl, "server_properties", None) or {}).get("cluster_name", ""))


def look_at(queue: str, url: str | PrivateUrl, access: Access, kind: str | None = None) -> tuple[str, str]:
    """Ask of which kind a queue is (``"classic"``, ``"quorum"`` or ``"stream"``), and how its broker calls itself.

    It is asked to be consumed in a way that no kind of queue allows: with an argument that only streams have, and without the
    prefetch that only streams need. The refusal names the kind; nothing is declared, delivered or changed.

    Raises
    ------
    SourceError
        Nobody answers, the login is refused, there is no such queue, or the broker does not say of which kind it is.
    """
    with _asking(queue, url, access) as (connection, shown):
        return kind or _kind(connection, queue, shown), cluster_of(connection)


def _kind(connection: Any, queue: str, shown: str) -> str:
    said = connection._impl.server_properties or {}
    product, version = (_text(said.get(name, "")) for name in ("product", "version"))
    answer = f"it is {product} {version}, which may not refuse to be asked"
    if product == "RabbitMQ" and tuple(int(part) for part in re.findall(r"\d+", version)[:2]) >= SINCE:
        channel = connection.channel()
        try:
            channel.basic_consume(queue, lambda *_: None, arguments={OFFSET: "next"})
            answer = "it does not refuse what no kind allows"
        except exceptions.ChannelClosedByBroker as error:
            answer = str(error.reply_text)
            if error.reply_code == 406 and "consumer prefetch count is not set" in answer:
                return "stream"
            if error.reply_code == 406 and (named := REFUSED.search(answer)) and named[1] in KINDS:
                return named[1]
            if error.reply_code != 406:
                raise
    raise SourceError(f"{shown}: the broker does not say of which kind {queue!r} is ({answer}); give kind='quorum', say.")


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def first_of(queue: str, url: str | PrivateUrl, access: Access, wanted: int) -> list[Delivery]:
    """Give the first messages of a stream, as many as wanted, or all it has.

    Raises
    ------
    SourceError
        It gives none in 60 s: it is empty, or its broker is slow.
    """
    with _asking(queue, url, access) as (connection, shown):
        return _some(connection, queue, "first", wanted, PATIENCE_S, shown)[:wanted]


def end_of(queue: str, url: str | PrivateUrl, access: Access) -> int:
    """Give the offset after the last message of a stream.

    Raises
    ------
    SourceError
        It gives no message in 60 s: it is empty, or its broker is slow.
    """
    with _asking(queue, url, access) as (connection, shown):
        return stream_end(connection, queue, PATIENCE_S, shown)


def stream_end(connection: Any, queue: str, patience_s: float, shown: str) -> int:
    """As :func:`end_of`, on a connection that is open."""
    return offset_of(_some(connection, queue, "last", None, patience_s, shown)[-1]) + 1


def _some(connection: Any, queue: str, begin: str, wanted: int | None, patience_s: float, shown: str) -> list[Delivery]:
    """Read from an offset until the broker has shown that there is nothing behind, or as many as wanted are there.

    A broker sends a stream as far as it goes, or as far as it has credit. What is answered on the same channel comes after
    what was sent before; so when credit is left after an answer, there was no further message. (The count of messages that a
    broker gives for a stream is some seconds old, and also counts what is no message.)
    """
    found: list[Delivery] = []

    def keep(_: Any, method: Any, properties: Any, body: bytes) -> None:
        found.append((method.delivery_tag, method.routing_key, properties, body, method.redelivered))

    channel = connection.channel()
    channel.basic_qos(prefetch_count=PREFETCH)
    tag = channel.basic_consume(queue, keep, arguments={OFFSET: begin})
    try:
        end = time.monotonic() + patience_s
        while not found:
            if time.monotonic() > end:
                raise SourceError(
                    f"{shown}: the stream {queue!r} has given no message in {patience_s:g} s: it is empty, or its broker is too "
                    "slow. Where it is empty, leave stop out and give a schema."
                )
            connection.process_data_events(0.05)
        acknowledged, done = 0, False
        while not done:
            channel.queue_declare(queue, passive=True)
            connection.process_data_events(0)  # hands over what came before the answer
            done = len(found) - acknowledged < PREFETCH or (wanted is not None and len(found) >= wanted)
            acknowledged = len(found)
            channel.basic_ack(found[-1][0], multiple=True)
    finally:
        if channel.is_open:
            # pika would hand back what comes until the end, which a stream does not take: the broker would end the connection
            channel._consumer_infos[tag].auto_ack = True
            channel._impl._consumers_with_noack.add(tag)
            channel.close()
    return found
