"""Readers: from where event frames come. No engine is known here; any thread that owns a reader may use it."""

from typing import TYPE_CHECKING

from govlab.connectors import listed
from govlab.registry import lazy_room

TABLE = listed("sources")

if TYPE_CHECKING:
    from govlab.sources.files.replay import ReplayReader as ReplayReader
    from govlab.sources.frames import FrameReader as FrameReader
    from govlab.sources.frames import reader_of as reader_of
    from govlab.sources.kafka.range import KafkaRange as KafkaRange
    from govlab.sources.kafka.reader import KafkaReader as KafkaReader
    from govlab.sources.rabbitmq.queue import RabbitQueue as RabbitQueue
    from govlab.sources.rabbitmq.range import RabbitRange as RabbitRange
    from govlab.sources.rabbitmq.stream import RabbitStream as RabbitStream
    from govlab.sources.reader import DeadLetter as DeadLetter
    from govlab.sources.reader import EndOfStream as EndOfStream
    from govlab.sources.reader import Reader as Reader
else:
    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        TABLE,
        {
            "DeadLetter": "govlab.sources.reader:DeadLetter",
            "EndOfStream": "govlab.sources.reader:EndOfStream",
            "FrameReader": "govlab.sources.frames:FrameReader",
            "Reader": "govlab.sources.reader:Reader",
            "reader_of": "govlab.sources.frames:reader_of",
        },
    )
