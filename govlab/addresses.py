"""Queues by address, ``kafka://host:port/topic`` or ``amqp://host:port/name``, and how the command line is let into them."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from govlab.access import Access, split_url, without_password
from govlab.connectors import CONNECTORS, SCHEMES, Connector, refuse_odd
from govlab.errors import ArgumentError, did_you_mean
from govlab.sinks.sink import Sink
from govlab.sources.reader import Reader

__all__ = ["Address", "access_of", "reader_at", "sink_at"]


@dataclass(frozen=True, repr=False)
class Address:
    """An address taken apart.

    Attributes
    ----------
    kind : str
        What is there: a name in the table of connectors.
    server : str
        The bootstrap address, or the URL of the broker and its vhost.
    name : str
        The topic, queue or exchange.
    """

    kind: str
    server: str
    name: str

    @classmethod
    def of(cls, text: str) -> Address:
        """Take an address apart.

        Raises
        ------
        ArgumentError
            It is none; the message never holds a password.

        Examples
        --------
        >>> Address.of("kafka://localhost:9092/edits")
        Address(kind='kafka', server='localhost:9092', name='edits')
        >>> Address.of("amqp://localhost:5672/edits")
        Address(kind='rabbitmq', server='amqp://localhost:5672/', name='edits')
        """
        scheme, _, rest = text.partition("://")
        scheme = scheme.lower()
        if scheme not in SCHEMES or "://" not in text:
            examples = {name: one.schemes[name] for name, one in SCHEMES.items()}
            known = did_you_mean(scheme if scheme.isalpha() else "", examples)
            raise ArgumentError(
                f"{without_password(text)!r} is no address of a queue: {known} Expected {examples['kafka']!r}, say."
            )
        connector = SCHEMES[scheme]
        if connector.urls:
            _, user, password, place, rest = split_url(text)
            login = "" if user is None else f"{user}@" if password is None else f"{user}:{password}@"
        elif "@" in text:
            raise ArgumentError(f"{scheme}://...: give the user with --user, and where the password is with --password env:NAME.")
        else:
            place, _, rest = rest.partition("/")
        vhost, _, name = re.split("[?#]", rest)[0].strip("/").rpartition("/")
        if not place or not name or "/" in vhost:
            raise ArgumentError(f"{without_password(text)!r} names no topic or queue; expected {connector.schemes[scheme]!r}.")
        return cls(connector.name, f"{scheme}://{login}{place}/{vhost}" if connector.urls else place, unquote(name))

    @property
    def connector(self) -> Connector:
        """What is there."""
        return CONNECTORS[self.kind]

    def __repr__(self) -> str:
        return f"Address(kind={self.kind!r}, server={without_password(self.server)!r}, name={self.name!r})"

    def __str__(self) -> str:
        if self.connector.urls:
            return f"{self.name} at {without_password(self.server)}"
        return f"{next(iter(self.connector.schemes))}://{self.server}/{self.name}"


def access_of(options: argparse.Namespace, address: Address) -> Access:
    """Give the way in that the options say."""
    user = options.user
    if user is None and options.password is not None:
        user = unquote(split_url(address.server)[1] or "") or None
    return Access(user, options.password, options.mechanism, ca=options.ca)


def reader_at(address: Address, access: Access, **options: Any) -> Reader:
    """Make the reader of a topic (several with commas) or of a queue; options as of its readers, None for their defaults."""
    refuse_odd(address.connector, "reading", options)
    given = {name: value for name, value in options.items() if value is not None}
    reader: Reader = address.connector.load("reader_at")(address.name, address.server, access=access, **given)
    return reader


def sink_at(address: Address, access: Access, **options: Any) -> Sink:
    """Make the sink of a topic, an exchange or a queue; options as of its sink, None for their defaults."""
    refuse_odd(address.connector, "writing", options)
    given = {name: value for name, value in options.items() if value is not None}
    sink: Sink = address.connector.load("sink_at")(address.name, address.server, access=access, **given)
    return sink
