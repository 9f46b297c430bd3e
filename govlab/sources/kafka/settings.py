"""The way in, as the clients of Kafka want it told."""

from __future__ import annotations

from typing import Any

from govlab.access import Access, secret

__all__ = ["for_confluent", "for_kafka_python", "login_of"]


def _protocol(access: Access) -> str:
    return ("SASL_" if access.user else "") + ("SSL" if access.tls else "PLAINTEXT")


def login_of(access: Access) -> str:
    """Say how the broker is asked to let us in, for messages."""
    return f"{_protocol(access)}{', ' + access.mechanism if access.user else ''}"


def for_kafka_python(access: Access) -> dict[str, Any]:
    """Give the settings of kafka-python."""
    settings: dict[str, Any] = {"security_protocol": _protocol(access), "ssl_context": access.ssl_context()}
    if login := access.login():
        settings |= {"sasl_mechanism": access.mechanism, "sasl_plain_username": login[0], "sasl_plain_password": login[1]}
    return settings


def for_confluent(access: Access) -> dict[str, Any]:
    """Give the settings of confluent-kafka."""
    settings: dict[str, Any] = {"security.protocol": _protocol(access)}
    for name, value in (("ca", access.ca), ("certificate", access.cert), ("key", access.key)):
        if access.tls and value:
            settings[f"ssl.{name}.location"] = value
    if access.tls and access.key_password:
        settings["ssl.key.password"] = secret(access.key_password, "Access: key_password")
    if login := access.login():
        settings |= {"sasl.mechanism": access.mechanism, "sasl.username": login[0], "sasl.password": login[1]}
    return settings
