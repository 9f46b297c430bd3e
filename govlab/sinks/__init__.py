"""Sinks: where alerts and events go. What a run gives is confirmed by the other side before the run's position moves."""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

TABLE = {
    "kafka_sink": ("govlab.sinks.kafka:KafkaSink", "pip install govlab"),
    "rabbit_sink": ("govlab.sinks.rabbitmq:RabbitSink", "pip install 'govlab[rabbitmq]'"),
}

if TYPE_CHECKING:
    from govlab.sinks.kafka import KafkaSink as KafkaSink
    from govlab.sinks.rabbitmq import RabbitSink as RabbitSink
    from govlab.sinks.sink import Sink as Sink
else:
    __getattr__, __dir__, __all__ = lazy_room(__name__, TABLE, {"Sink": "govlab.sinks.sink:Sink"})
