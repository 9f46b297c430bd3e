"""Two Kafka clients behind one face: what is read does not depend on which."""

from __future__ import annotations

from govlab.sources import kafka_confluent, kafka_pure
from govlab.sources.kafka_client import Client

__all__ = ["CLIENTS"]

CLIENTS: dict[str, type[Client]] = {"confluent": kafka_confluent.CLIENT, "kafka-python": kafka_pure.CLIENT}
