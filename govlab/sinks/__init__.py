"""Sinks: where alerts and events go. What a run gives is confirmed by the other side before the run's position moves."""

from govlab.registry import lazy_room

TABLE = {
    "kafka_sink": ("govlab.sinks.kafka:KafkaSink", "pip install govlab"),
    "rabbit_sink": ("govlab.sinks.rabbitmq:RabbitSink", "pip install 'govlab[rabbitmq]'"),
}

__getattr__, __dir__ = lazy_room("sinks", TABLE, {"Sink": "govlab.sinks.sink:Sink"})
