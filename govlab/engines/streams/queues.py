"""Queues as streamz sources: Kafka and RabbitMQ, live or a stretch of them."""

from __future__ import annotations

from typing import Any

from govlab.access import Access
from govlab.arguments import fitting
from govlab.clock import Clock
from govlab.connectors import CONNECTORS
from govlab.engines.streams.source import Source
from govlab.frames import Schema

__all__ = ["from_kafka", "from_rabbitmq"]


@fitting
def from_kafka(
    topics: Any,
    bootstrap: str = "localhost:9092",
    schema: Schema | None = None,
    group: str | None = None,
    start: Any = None,
    stop: Any = None,
    client: str = "kafka-python",
    format: str = "json",
    access: Access | None = None,
    order: str | None = None,
    speed: float | None = None,
    max_rows: int = 16_384,
    look_ahead: int | None = None,
    slack: str | None = None,
    clock: Clock | None = None,
) -> Source:
    """Read topics of Kafka as a streamz source whose elements are event frames: live, or a stretch of them as a replay.

    Parameters
    ----------
    topics : str, list of str, or compiled pattern
        What to read; in a text several with commas.
    bootstrap : str
        ``"host:port"``, several with commas.
    schema : Schema, optional
        Guessed from the oldest and newest messages where it is not given. Fields ``message_key``, ``message_time``,
        ``message_headers`` and ``message_topic`` are taken from the record around the message.
    group : str, optional
        Live: join this consumer group, and commit to it what is through (with a store: what is stored).
    start : {"committed", "earliest", "latest"}, str or Timestamp, optional
        Where to begin; a run that is taken up from a store goes by the store. By default ``"committed"`` with a group,
        else ``"earliest"``.
    stop : str or Timestamp, optional
        Replay the stretch from ``start`` to before this time, by event time, and end; ``"now"`` for all that is there.
    client : {"kafka-python", "confluent"}
        The client underneath; confluent (``pip install 'govlab[confluent]'``) is several times faster.
    format : {"json", "ndjson", "arrow"}
        How messages are written.
    access : Access, optional
        User, password, certificates: ``gl.Access("lab", password="env:KAFKA_PASSWORD", ca="ca.pem")``.
    order, look_ahead, slack
        Of a stretch: as in :func:`from_replay`; ``slack`` (``"1h"``) is how far the time at which a record was written may
        be from the time of its event.
    speed : float, optional
        Seconds of event time in a second; by default as fast as it comes.
    max_rows : int
        Rows a frame at most. No answer depends on it.
    clock : Clock, optional
        The clock under the replay.

    Returns
    -------
    Source
    """
    reader = CONNECTORS["kafka"].load("reader_at")(
        topics, bootstrap, start=start, stop=stop, schema=schema, group=group, client=client, format=format, access=access,
        order=order, look_ahead=look_ahead, slack=slack,
    )  # fmt: skip
    return Source(reader, speed, max_rows, clock)


@fitting
def from_rabbitmq(
    queue: str,
    url: str = "amqp://guest:guest@localhost:5672/",
    schema: Schema | None = None,
    prefetch: int = 2_000,
    speed: float | None = None,
    max_rows: int = 16_384,
    clock: Clock | None = None,
    **options: Any,
) -> Source:
    """Read a queue of RabbitMQ as a streamz source: a quorum queue live, a stream queue live or a stretch of it.

    Parameters
    ----------
    queue : str
        Its name.
    url : str
        ``"amqp://user@host:port/vhost"``, or ``"env:NAME"`` to take it from an environment variable. Better without a
        password, and with ``access``.
    schema : Schema
        The columns.
    prefetch : int
        So many messages are on their way at most before they are acknowledged.
    speed, max_rows, clock
        As in :func:`from_kafka`.
    **options
        ``kind``, ``start``, ``stop``, ``format``, ``access``, ``dead_letter_exchange`` and others, as of
        :func:`govlab.sources.rabbitmq.connect.reader_at`.

    Returns
    -------
    Source
    """
    reader = CONNECTORS["rabbitmq"].load("reader_at")(queue, url, schema=schema, prefetch=prefetch, **options)
    return Source(reader, speed, max_rows, clock)
