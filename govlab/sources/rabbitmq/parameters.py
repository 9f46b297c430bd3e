"""The way in, as pika wants it told, and why RabbitMQ refuses it."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import unquote

import pika
from pika import exceptions

from govlab.access import MASK, Access, PrivateUrl, secret, split_url, without_password
from govlab.errors import ArgumentError, GovlabError

__all__ = ["parameters_of", "refusal_of"]


def parameters_of(url: str | PrivateUrl, access: Access, error: type[GovlabError]) -> tuple[Any, str]:
    """Make pika's parameters of an address of RabbitMQ; gives them, and the address as it may be shown.

    A user and password of ``access`` take the place of those in the address; ``amqps://`` encrypts.
    """
    url = url.reveal() if isinstance(url, PrivateUrl) else url
    url = secret(url, "url") if url.startswith(("env:", "file:")) else url
    shown = without_password(url)
    scheme, user, password, place, path = split_url(url)
    if scheme not in ("amqp", "amqps") or not place:
        raise ArgumentError(f"{shown!r} is no address of RabbitMQ; expected 'amqp://user@host:port/vhost'.")
    login = access.login()
    if login is None and user is not None:
        if password is None or password == MASK:
            raise ArgumentError(
                f"{shown!r} names a user and no password; say where it is: "
                "access=gl.Access('user', 'env:NAME'), or --password env:NAME."
            )
        login = unquote(user), unquote(password)
    try:
        # pika fails over a user without a password, and would show both in an error
        parameters = pika.URLParameters(f"{scheme}://{place}{path if path.strip('/') else '/%2F'}")
    except ValueError as wrong:
        raise ArgumentError(f"{shown!r} is no address of RabbitMQ ({type(wrong).__name__}).") from None
    if login is not None:
        parameters.credentials = pika.PlainCredentials(*login)
    if scheme == "amqps" or access.tls:
        context = access.ssl_context() or ssl.create_default_context()
        parameters.ssl_options = pika.SSLOptions(context, parameters.host)
    parameters.heartbeat, parameters.blocked_connection_timeout, parameters.socket_timeout = 30, 60, 10
    parameters.stack_timeout = 120  # a slow network is no other answer
    parameters.connection_attempts = 1
    return parameters, shown


def refusal_of(error: BaseException, shown: str) -> str | None:
    """Say why RabbitMQ, or we, refused a connection for good; None where another try may help."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{shown} answers, but its certificate is not trusted: give the file of its authority, gl.Access(ca=...)."
    if isinstance(error, exceptions.ProbableAuthenticationError | exceptions.AuthenticationError):
        return f"{shown}: the login is refused: check user and password."
    if isinstance(error, exceptions.ProbableAccessDeniedError):
        return f"{shown}: the login is refused: is the vhost there, and may the user enter it?"
    return None
