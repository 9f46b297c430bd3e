"""Readers: from where event frames come. No engine is known here; any thread that owns a reader may use it."""

from govlab.registry import lazy_room

TABLE = {
    "kafka_range": ("govlab.sources.kafka_range:KafkaRange", "pip install govlab"),
    "kafka_reader": ("govlab.sources.kafka:KafkaReader", "pip install govlab"),
    "rabbit_queue": ("govlab.sources.rabbitmq:RabbitQueue", "pip install 'govlab[rabbitmq]'"),
    "rabbit_range": ("govlab.sources.rabbit_range:RabbitRange", "pip install 'govlab[rabbitmq]'"),
    "rabbit_stream": ("govlab.sources.rabbit_stream:RabbitStream", "pip install 'govlab[rabbitmq]'"),
    "replay": ("govlab.sources.replay:ReplayReader", "pip install govlab"),
}

__getattr__, __dir__ = lazy_room(
    "sources",
    {},
    {
        "DeadLetter": "govlab.sources.reader:DeadLetter",
        "EndOfStream": "govlab.sources.reader:EndOfStream",
        "FrameReader": "govlab.sources.frames:FrameReader",
        "KafkaRange": "govlab.sources.kafka_range:KafkaRange",
        "KafkaReader": "govlab.sources.kafka:KafkaReader",
        "RabbitQueue": "govlab.sources.rabbitmq:RabbitQueue",
        "RabbitRange": "govlab.sources.rabbit_range:RabbitRange",
        "RabbitStream": "govlab.sources.rabbit_stream:RabbitStream",
        "Reader": "govlab.sources.reader:Reader",
        "ReplayReader": "govlab.sources.replay:ReplayReader",
        "reader_of": "govlab.sources.frames:reader_of",
    },
)
