"""Real servers on this machine, started by govlab itself: for trying, for notebooks, for tests. They listen on loopback only."""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

TABLE = {
    "flink": ("govlab.services.flink:Flink", "pip install govlab"),
    "kafka": ("govlab.services.kafka:Kafka", "pip install govlab"),
    "rabbitmq": ("govlab.services.rabbitmq:Rabbitmq", "pip install govlab"),
}

if TYPE_CHECKING:
    from govlab.services.flink import Flink as Flink
    from govlab.services.kafka import Kafka as Kafka
    from govlab.services.known import running as running
    from govlab.services.known import start as start
    from govlab.services.rabbitmq import Rabbitmq as Rabbitmq
    from govlab.services.server import Server as Server
else:
    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        TABLE,
        {
            "Server": "govlab.services.server:Server",
            "running": "govlab.services.known:running",
            "start": "govlab.services.known:start",
        },
    )
