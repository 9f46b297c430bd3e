"""Real servers on this machine, started by govlab itself: for trying, for notebooks, for tests. They listen on loopback only."""

from govlab.registry import lazy_room

TABLE = {
    "flink": ("govlab.services.flink:Flink", "pip install govlab"),
    "kafka": ("govlab.services.kafka:Kafka", "pip install govlab"),
    "rabbitmq": ("govlab.services.rabbitmq:Rabbitmq", "pip install govlab"),
}

__getattr__, __dir__ = lazy_room(
    "services",
    TABLE,
    {
        "Server": "govlab.services.server:Server",
        "running": "govlab.services.known:running",
        "start": "govlab.services.known:start",
    },
)
