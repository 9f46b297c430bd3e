"""Deliveries of RabbitMQ to messages, and what tells one from another."""

from __future__ import annotations

import hashlib
from typing import Any

from govlab.sources.messages import Messages
from govlab.sources.rabbitmq.asking import Delivery

__all__ = ["IDENTITIES", "content_of", "identity_of", "messages_of"]

IDENTITIES = -(2**40)  # keys of a position from here downwards are messages that may be delivered again


def messages_of(taken: list[Delivery], offsets: Any, queue: str, envelope: bool) -> Messages:
    """Put deliveries into columns."""
    messages = Messages(list(offsets), [body for _, _, _, body, _ in taken], topic=queue)
    if envelope:
        messages.keys = [key for _, key, _, _, _ in taken]
        messages.times_ms = [None if p.timestamp is None else 1000 * int(p.timestamp) for _, _, p, _, _ in taken]
        messages.headers = [p.headers for _, _, p, _, _ in taken]
    return messages


def identity_of(delivery: Delivery) -> int:
    """Give what tells a message from others, as a key of a position."""
    _, _, properties, body, _ = delivery
    return IDENTITIES - _hash(properties.message_id.encode() if properties.message_id else body)


def content_of(delivery: Delivery) -> int:
    """Give a number that another message at the same offset would not have."""
    _, key, properties, body, _ = delivery
    return _hash(repr((key, properties.message_id, properties.timestamp)).encode() + body)


def _hash(text: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 2
