"""The reader and the sink of a queue, by address."""

from __future__ import annotations

from typing import Any

from govlab.access import Access
from govlab.errors import ArgumentError
from govlab.sources.rabbitmq.asking import look_at
from govlab.sources.rabbitmq.queue import RabbitQueue
from govlab.sources.rabbitmq.range import RabbitRange
from govlab.sources.rabbitmq.sink import RabbitSink, is_exchange
from govlab.sources.rabbitmq.stream import RabbitStream
from govlab.sources.reader import Reader

__all__ = ["reader_at", "sink_at"]


def reader_at(
    queue: str,
    url: str = "amqp://guest:guest@localhost:5672/",
    *,
    kind: str | None = None,
    start: Any = None,
    stop: Any = None,
    **options: Any,
) -> Reader:
    """Make the reader of a queue: of a stream, live or (with ``stop``) a stretch of it, or of a queue of another kind.

    Parameters
    ----------
    queue, url
        Where.
    kind : {"classic", "quorum", "stream"}, optional
        The broker is asked where it is not given.
    start, stop
        Of a stream: see :class:`govlab.sources.RabbitStream` and :class:`govlab.sources.RabbitRange`.
    **options
        As of the reader.
    """
    options = {name: value for name, value in options.items() if value is not None}
    kind = kind or look_at(queue, url, options.get("access") or Access())[0]
    if kind not in ("classic", "quorum", "stream"):
        raise ArgumentError(f"kind={kind!r}; expected 'classic', 'quorum' or 'stream'.")
    if kind != "stream":
        if start is not None or stop is not None:
            raise ArgumentError(f"{queue!r} is a {kind} queue, which forgets what it has given: start and stop are for streams.")
        return RabbitQueue(queue, url, kind=kind, **options)
    if stop is None:
        return RabbitStream(queue, url, kind=kind, **({} if start is None else {"start": start}), **options)
    return RabbitRange(queue, url, kind=kind, **({} if start is None else {"start": start}), stop=stop, **options)


def sink_at(name: str, url: str, *, access: Access | None = None, type: str | None = None, **options: Any) -> RabbitSink:
    """Make the sink of an exchange or, where there is none of this name or a ``type`` is given, of a queue.

    A queue that is not there is made of this type; options as of the sink.
    """
    if type is None and is_exchange(name, url, access):
        return RabbitSink(name, url=url, access=access, **options)
    return RabbitSink(url=url, queue=name, kind=type, access=access, **options)
