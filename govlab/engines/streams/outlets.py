"""Sinks as streamz nodes: ``alerts.to_kafka("alerts")``, ``alerts.to_rabbitmq("alerts")``."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamz.sinks
from streamz import Stream

from govlab import registry
from govlab.access import Access
from govlab.cells import Cells
from govlab.engines.streams.graph import Node, above, hold_below, nodes_below
from govlab.errors import ArgumentError
from govlab.frames import TIME
from govlab.sinks.sink import Sink

__all__ = ["Outlet", "outlets_below"]

cells = Cells()  # the sinks that notebook cells made


class Outlet(Node):
    """A sink at the end of a stream; what it takes comes out below too.

    A run waits for what it has taken to be delivered before its position moves. A run that is taken up sends the alerts from
    its last saved position on once more, with the ids that they had. When a notebook cell runs again, the sinks that its earlier
    run has made get no more frames, so nothing is sent twice.

    Parameters
    ----------
    upstream : Stream
        A stream whose elements are frames of alerts or events.
    sink : Sink
        Where they go.
    """

    def __init__(self, upstream: Stream, sink: Sink, **kwargs: Any) -> None:
        self.sink = sink
        self.error: Exception | None = None
        super().__init__(upstream, **kwargs)
        for node in above(self):
            hold_below(node)
        self._made = _Made(self)
        cells.claim(self._made)

    def update(self, x: pd.DataFrame, who: Stream | None = None, metadata: Any = None) -> list[Any]:
        """Hand a frame on."""
        try:
            self._send(x)
        except Exception as error:
            if not any(hasattr(node, "queue") for node in above(self)):
                raise
            self.error = error  # behind a queue nobody would hear it: ``flush`` tells
        found: list[Any] = self._emit(x, metadata)
        return found

    def _send(self, x: Any) -> None:
        if not isinstance(x, pd.DataFrame) or TIME not in x.columns:
            what = f"a frame without a column {TIME!r}" if isinstance(x, pd.DataFrame) else f"{type(x).__name__} {x!r:.60}"
            raise ArgumentError(f"{self.sink.name} was given {what}; put it behind frames of events or alerts.")
        if len(x):
            self.sink.send(x)

    def flush(self, timeout_s: float = 60.0) -> None:
        """Wait until all is delivered."""
        error, self.error = self.error, None
        if error is not None:
            raise error
        self.sink.flush(timeout_s)

    def close(self) -> None:
        """Deliver what is on its way, and let go of the connection."""
        self.sink.close()


class _Made:
    """A sink as what a cell has made: when the cell runs again, it gets no more frames, and is closed."""

    def __init__(self, outlet: Outlet) -> None:
        self.outlet = outlet

    def close(self) -> None:
        for upstream in list(self.outlet.upstreams):
            upstream.disconnect(self.outlet)
        self.outlet.close()


def outlets_below(*tops: Stream) -> list[Outlet]:
    """List the sinks below some nodes, in the order of the flow."""
    return [node for node in nodes_below(*tops) if isinstance(node, Outlet)]


def to_kafka(
    upstream: Stream,
    topic: str,
    bootstrap: Any = "localhost:9092",
    key: str | None = None,
    shards: int | None = None,
    format: str = "json",
    access: Access | None = None,
    client: str = "kafka-python",
    **kwargs: Any,
) -> Any:
    """Send frames to a topic of Kafka; parameters as of :class:`govlab.sinks.KafkaSink`.

    Called as streamz's own node of this name, with a dict of settings, it is that.
    """
    if isinstance(bootstrap, dict) or "producer_config" in kwargs:
        return streamz.sinks.to_kafka(upstream, topic, kwargs.pop("producer_config", bootstrap), **kwargs)
    sink = registry.load("sinks", "kafka_sink")(topic, bootstrap, key, shards, format, access, client)
    return Outlet(upstream, sink, **kwargs)


def to_rabbitmq(
    upstream: Stream,
    exchange: str = "",
    url: str = "amqp://guest:guest@localhost:5672/",
    routing_key: str | None = None,
    key: str | None = None,
    id: str | None = None,
    queue: str | None = None,
    kind: str | None = None,
    format: str = "json",
    access: Access | None = None,
    **kwargs: Any,
) -> Outlet:
    """Send frames to an exchange or a queue of RabbitMQ; parameters as of :class:`govlab.sinks.RabbitSink`."""
    sink = registry.load("sinks", "rabbit_sink")(exchange, url, routing_key, key, id, queue, kind, format, access)
    return Outlet(upstream, sink, **kwargs)


Stream.register_api()(to_kafka)
Stream.register_api()(to_rabbitmq)
