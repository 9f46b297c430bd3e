"""Sinks as streamz nodes: ``alerts.to_kafka("alerts")``, ``alerts.to_rabbitmq("alerts")``."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamz.core
from streamz import Stream

from govlab import registry
from govlab.engines.graph import Node, above, hold_below
from govlab.errors import ArgumentError
from govlab.sinks.sink import Sink

__all__ = ["Outlet"]


class Outlet(Node):
    """A sink at the end of a stream. A run waits for what it has taken to be delivered before its position moves.

    Parameters
    ----------
    upstream : Stream
        A stream whose elements are frames of alerts or events.
    sink : Sink
        Where they go.
    """

    def __init__(self, upstream: Stream, sink: Sink, **kwargs: Any) -> None:
        self.sink = sink
        super().__init__(upstream, **kwargs)
        for node in above(self):
            hold_below(node)

    def update(self, x: pd.DataFrame, who: Stream | None = None, metadata: Any = None) -> list[Any]:
        """Hand a frame on; it comes out below too."""
        if not isinstance(x, pd.DataFrame):
            raise ArgumentError(
                f"{self.sink.name}: a {type(x).__name__} is no frame; put a sink behind frames of events or alerts."
            )
        self.sink.send(x)
        found: list[Any] = self._emit(x, metadata)
        return found

    def flush(self) -> None:
        """Wait until all is delivered."""
        self.sink.flush()

    def close(self) -> None:
        """Deliver what is on its way, and let go of the connection."""
        self.sink.close()


_plain_to_kafka = streamz.core.Stream.to_kafka


def to_kafka(self: Stream, topic: str, bootstrap: Any = "localhost:9092", **options: Any) -> Any:
    """Send frames to a topic of Kafka; parameters as of :class:`govlab.sinks.KafkaSink`.

    Called as streamz's own node of this name, with its dict of settings, it is that.
    """
    if isinstance(bootstrap, dict) or "producer_config" in options:
        settings = options.pop("producer_config", bootstrap)
        return _plain_to_kafka(self, topic, settings, **options)
    return Outlet(self, registry.load("sinks", "kafka_sink")(topic, bootstrap, **options))


def to_rabbitmq(self: Stream, exchange: str = "", url: str = "amqp://guest:guest@localhost:5672/", **options: Any) -> Outlet:
    """Send frames to an exchange of RabbitMQ; parameters as of :class:`govlab.sinks.RabbitSink`."""
    return Outlet(self, registry.load("sinks", "rabbit_sink")(exchange, url, **options))


Stream.to_kafka, Stream.to_rabbitmq = to_kafka, to_rabbitmq
