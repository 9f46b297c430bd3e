"""Sinks: where alerts and events go. What a run gives is confirmed by the other side before the run's position moves."""

from typing import TYPE_CHECKING

from govlab.connectors import listed
from govlab.registry import lazy_room

TABLE = listed("sinks")

if TYPE_CHECKING:
    from govlab.sinks.sink import Sink as Sink
    from govlab.sources.kafka.sink import KafkaSink as KafkaSink
    from govlab.sources.rabbitmq.sink import RabbitSink as RabbitSink
else:
    __getattr__, __dir__, __all__ = lazy_room(__name__, TABLE, {"Sink": "govlab.sinks.sink:Sink"})
