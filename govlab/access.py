"""How to get into a broker: user, password, certificates. Secrets are named, never written down."""

from __future__ import annotations

import os
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from govlab.connectors import SCHEMES
from govlab.errors import ArgumentError, GovlabError

__all__ = ["Access", "PrivateUrl", "masked", "reach", "secret", "split_url", "without_password"]

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
MASK = "***"
PLACE = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[^\s:@/?#\[\]]+)(:\d{1,5})?")  # host:port
HEAD = re.compile(r"[\w.-]+:")
BARE = re.compile(r"[\w.,:\[\]/+-]*")  # signs of a path in which no secret hides


def secret(reference: str, name: str = "password") -> str:
    """Read a secret: ``env:NAME`` from an environment variable, ``file:PATH`` from a file (without the line's end).

    Raises
    ------
    ArgumentError
        The reference is none, or what it names is not there. The message never holds a secret.
    """
    kind, _, where = str(reference).partition(":")
    if kind == "env" and where:
        if where not in os.environ:
            raise ArgumentError(f"{name}: the environment variable {where!r} is not set.")
        return os.environ[where]
    if kind == "file" and where:
        try:
            return Path(where).expanduser().read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ArgumentError(f"{name}: the file {where!r} cannot be read ({type(error).__name__}).") from None
    raise ArgumentError(
        f"{name} must say where the secret is, not what it is: 'env:NAME' for an environment variable, 'file:PATH' for a file."
    )


@dataclass(frozen=True)
class Access:
    """User, password and certificates for a broker. Secrets are read when a connection is made, and shown nowhere.

    Parameters
    ----------
    user : str, optional
        The user; without one, nobody logs in.
    password : str, optional
        ``"env:NAME"`` or ``"file:PATH"``: where the password is.
    mechanism : {"SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"}
        How the password is told (SASL, as of Kafka).
    tls : bool, optional
        Encrypt; by default when certificates are given.
    ca, cert, key : str, optional
        PEM files: who is trusted (by default whom the system trusts), and the client's own certificate and key.
    key_password : str, optional
        ``"env:NAME"`` or ``"file:PATH"``: the password of the key.

    Examples
    --------
    >>> Access("lab", password="hunter2")
    Traceback (most recent call last):
    govlab.errors.ArgumentError: Access: password must say where the secret is, not what it is: 'env:NAME' for an environment
    variable, 'file:PATH' for a file.
    """

    user: str | None = None
    password: str | None = None
    mechanism: str = "SCRAM-SHA-512"
    tls: bool | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    key_password: str | None = None

    def __post_init__(self) -> None:
        if self.mechanism not in MECHANISMS:
            raise ArgumentError(f"Access: mechanism={self.mechanism!r}; expected one of {', '.join(MECHANISMS)}.")
        for name in ("password", "key_password"):
            value = getattr(self, name)
            if value is not None and str(value).partition(":")[0] not in ("env", "file"):
                object.__setattr__(self, name, None)
                secret("", f"Access: {name}")
        if (self.user is None) != (self.password is None):
            raise ArgumentError("Access: user and password go together; give both or neither.")
        for name in ("ca", "cert", "key"):
            path = getattr(self, name)
            if path is not None:
                object.__setattr__(self, name, os.fspath(Path(path).expanduser()))
                if not Path(getattr(self, name)).is_file():
                    raise ArgumentError(f"Access: {name}={str(path)!r} is no file.")
        if self.tls is None:
            object.__setattr__(self, "tls", any((self.ca, self.cert, self.key)))

    def login(self) -> tuple[str, str] | None:
        """Read user and password."""
        return None if self.user is None else (self.user, secret(self.password or "", "Access: password"))

    def ssl_context(self) -> ssl.SSLContext | None:
        """Make the context of an encrypted connection; None where it is not to be encrypted."""
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert:
                password = secret(self.key_password, "Access: key_password") if self.key_password else None
                context.load_cert_chain(self.cert, self.key, password)
        except ssl.SSLError as error:
            raise ArgumentError(f"Access: the certificates cannot be used: {error.reason or type(error).__name__}.") from None
        return context


def reach(addresses: str, timeout_s: float, error: type[GovlabError]) -> None:
    """See that somebody answers at one of some ``host:port``, given with commas.

    Raises
    ------
    GovlabError
        Of the type given: nobody does.
    """
    reasons = []
    for address in addresses.split(","):
        host, colon, port = address.strip().rpartition(":")
        if not colon or not port.isdigit():
            raise ArgumentError(f"{address!r} is no address; expected 'host:port', several with commas.")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout_s).close()
            return
        except OSError as wrong:
            reasons.append(f"{address} ({wrong.strerror or type(wrong).__name__})")
    raise error(f"nothing answers at {', '.join(reasons)}: is the broker up, and is the address right?")


def split_url(url: str) -> tuple[str, str | None, str | None, str, str]:
    """Take an address apart into scheme, user, password, ``host:port`` and the rest; the user and password as they are written.

    Raises
    ------
    ArgumentError
        It could be read in two ways, as a password holds signs that end one. The message never holds any of it.
    """
    scheme, slashes, after = url.partition("://")
    if not slashes:
        return "", None, None, "", ""
    end = re.search(r"[/?#]", after)
    authority, path = (after[: end.start()], after[end.start() :]) if end else (after, "")
    login, at, place = authority.rpartition("@")
    user, colon, password = login.partition(":")
    if "@" in path or (place and not PLACE.fullmatch(place)):
        raise ArgumentError(
            f"{without_password(url)!r} cannot be read: in a password / # ? @ % are written %2F %23 %3F %40 %25 (as an @ in a "
            "vhost is); better name where the password is, access=gl.Access('user', 'env:NAME'), or the whole address, 'env:NAME'."
        )
    return scheme.lower(), user if at else None, password if colon else None, place, path


def without_password(url: str) -> str:
    """Give an address as it may be shown: what could be a password, up to the last ``@``, is masked.

    Examples
    --------
    >>> without_password("amqp://lab:hunter2@localhost:5672/%2F")
    'amqp://lab:***@localhost:5672/%2F'
    >>> without_password("amqp://lab:hun/t@r#2@localhost:5672/")
    'amqp://lab:***@localhost:5672/'
    """
    if re.fullmatch(r"env:\w+|file:[^@]+", url):
        return url
    head, slashes, after = url.partition("://")
    if not slashes or not re.fullmatch(r"[\w+.-]+", head):
        head, slashes, after = "", "", url
    login, at, place = after.rpartition("@")
    authority = re.split(r"[/?#]", after, maxsplit=1)[0]
    if at and "@" not in authority and PLACE.fullmatch(authority):
        return f"{head}{slashes}{MASK}"  # the authority could be a host, or a user and the beginning of a password
    if at:
        user = unquote(login.partition(":")[0])
        known = head.lower() in SCHEMES  # else what stands for the scheme may be the user
        shown = quote(user, safe="") if known and re.fullmatch(r"[\w.-]+", user) else ""
        return f"{head}{slashes}{shown}:{MASK}@{_shown_place(place)}"
    # without a host, what follows the user could be the password
    return f"{head}{slashes}{_shown_place(after)}"


def _shown_place(place: str) -> str:
    """Show ``host:port/path`` and mask what follows where it is not of this form, and a query, which may hold secrets."""
    hosts, slash, path = place.partition("/")
    path = path if BARE.fullmatch(re.sub(r"%[0-9A-Fa-f]{2}", "", path)) else MASK
    if all(PLACE.fullmatch(host) for host in hosts.split(",")):
        return f"{hosts}{slash}{path}"
    return f"{slash}{path}" if not hosts else f"{hosts.partition(':')[0] if HEAD.match(hosts) else ''}:{MASK}"


def masked(made: tuple[tuple[Any, ...], dict[str, Any]], url: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give the arguments of a call with the address among them kept private; another call may still use it."""
    shown = url if isinstance(url, PrivateUrl) else PrivateUrl(str(url))
    args, named = made
    return tuple(shown if x is url else x for x in args), {name: shown if x is url else x for name, x in named.items()}


class PrivateUrl:
    """An address whose password is neither shown nor pickled; ``str`` and ``repr`` give it masked."""

    __slots__ = ("_reveal",)

    def __init__(self, url: str | PrivateUrl) -> None:
        text = url.reveal() if isinstance(url, PrivateUrl) else str(url)
        self._reveal = lambda: text  # not a string, which whoever looks at an object's parts would show

    def reveal(self) -> str:
        """Give the address as it is."""
        return self._reveal()

    def __repr__(self) -> str:
        return without_password(self.reveal())

    def __reduce__(self) -> Any:
        return PrivateUrl, (repr(self),)
