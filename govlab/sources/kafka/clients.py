"""Two Kafka clients behind one face: what is read does not depend on which."""

from __future__ import annotations

from govlab.sources.kafka import confluent, pure
from govlab.sources.kafka.client import Client

__all__ = ["CLIENTS"]

CLIENTS: dict[str, type[Client]] = {"confluent": confluent.CLIENT, "kafka-python": pure.CLIENT}
