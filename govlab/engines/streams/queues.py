"""Queues as streamz sources: Kafka and RabbitMQ, live or a stretch of them."""

from __future__ import annotations

from typing import Any

from govlab import registry
from govlab.access import Access
from govlab.arguments import fitting
from govlab.clock import Clock
from govlab.engines.streams.source import Source
from govlab.errors import ArgumentError
from govlab.frames import Schema
from govlab.sources.reader import Reader

__all__ = ["from_kafka", "from_rabbitmq", "kafka_reader"]


def kafka_reader(topics: Any, bootstrap: str = "localhost:9092", *, start: Any = None, stop: Any = None, **options: Any) -> Reader:
    """Make the reader of :func:`from_kafka`: of a stretch where there is a ``stop``, else a live one."""
    ranged = {"order", "look_ahead", "slack"}
    if stop is None:
        if odd := ranged & {name for name, value in options.items() if value is not None}:
            raise ArgumentError(f"{', '.join(sorted(odd))}: only for a stretch of a topic; give stop=a time, or stop='now'.")
        live = {name: value for name, value in options.items() if name not in ranged}
        reader: Reader = registry.load("sources", "kafka_reader")(topics, bootstrap, start=start, **live)
        return reader
    if options.pop("group", None) is not None:
        raise ArgumentError("group: a stretch of a topic (stop=...) is read without joining a group; leave one of them out.")
    if start in ("committed", "latest"):
        raise ArgumentError(f"start={start!r} with stop={stop!r}; expected start='earliest' or a time.")
    given = {name: value for name, value in options.items() if value is not None}
    reader = registry.load("sources", "kafka_range")(
        topics, bootstrap, start="earliest" if start is None else start, stop=stop, **given
    )
    return reader


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
        What to read.
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
    reader = kafka_reader(
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
        :func:`govlab.sources.rabbit_reader.rabbit_reader`.

    Returns
    -------
    Source
    """
    make = registry.load("sources", "rabbit_queue")  # names the package that is missing, if it is
    assert make is not None
    from govlab.sources.rabbit_reader import rabbit_reader

    return Source(rabbit_reader(queue, url, schema=schema, prefetch=prefetch, **options), speed, max_rows, clock)
