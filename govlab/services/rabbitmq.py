"""A RabbitMQ node with streams, MQTT and STOMP."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from govlab.services.installing import files, package
from govlab.services.server import Server

__all__ = ["Rabbitmq"]

PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"


class Rabbitmq(Server):
    """A RabbitMQ node on this machine, with streams, MQTT and STOMP, for trying and testing; user ``guest``, password ``guest``.

    Parameters
    ----------
    folder, port
        As of every server.
    users : mapping of str to str, optional
        Passwords of further users.
    tls : str or Path, optional
        A folder with ``ca.pem``, ``server.pem`` and ``server.key``; adds a listener for AMQP with TLS.
    """

    name = "rabbitmq"

    def __init__(
        self,
        folder: str | Path,
        port: int | None = None,
        users: Mapping[str, str] | None = None,
        tls: str | Path | None = None,
    ) -> None:
        super().__init__(folder, port)
        self._users, self._tls = dict(users or {}), tls

    def install(self) -> None:
        """Install the Debian package."""
        # the program in sbin does su and loses HOME, so the one behind it is started
        package("rabbitmq-server", PROGRAM, "RabbitMQ")

    def port_names(self) -> list[str]:
        """Name a port for each protocol, and two of Erlang's own."""
        return ["amqp", "stream", "mqtt", "stomp", *["amqps"] * bool(self._tls), "dist", "epmd"]

    @property
    def address(self) -> str:
        """The address for AMQP, with the user that may only come from this machine."""
        return f"amqp://guest:guest@127.0.0.1:{self.ports['amqp']}/"

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses: ``amqp`` and ``amqps`` as URLs, ``stream``, ``mqtt`` and ``stomp`` as host and port."""
        ports = {name: f"127.0.0.1:{port}" for name, port in self.ports.items() if name not in ("dist", "epmd")}
        return ports | {name: f"{name}://{ports[name]}/" for name in ("amqp", "amqps") if name in ports} | {"amqp": self.address}

    def prepare(self) -> None:
        """Write the settings."""
        lines = [
            (files("rabbitmq") / "rabbitmq.conf").read_text(),
            f"listeners.tcp.1 = 127.0.0.1:{self.ports['amqp']}",
            f"stream.listeners.tcp.1 = 127.0.0.1:{self.ports['stream']}",
            "stream.advertised_host = 127.0.0.1",
            f"stream.advertised_port = {self.ports['stream']}",
            f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.ports['mqtt']}",
            f"stomp.listeners.tcp.1 = 127.0.0.1:{self.ports['stomp']}",
        ]
        if self._tls:
            folder = Path(self._tls)
            lines += [
                f"listeners.ssl.1 = 127.0.0.1:{self.ports['amqps']}",
                f"ssl_options.cacertfile = {folder / 'ca.pem'}",
                f"ssl_options.certfile = {folder / 'server.pem'}",
                f"ssl_options.keyfile = {folder / 'server.key'}",
            ]
        definitions = {
            "vhosts": [{"name": "/"}],
            "users": [_user(name, password) for name, password in {"guest": "guest", **self._users}.items()],
            "permissions": [
                {"user": name, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"} for name in ["guest", *self._users]
            ],
        }
        known = self.folder / "definitions.json"
        known.touch(mode=0o600)
        known.write_text(json.dumps(definitions))
        (self.folder / "rabbitmq.conf").write_text("\n".join([*lines, f"load_definitions = {known}"]) + "\n")
        shutil.copy(files("rabbitmq") / "enabled_plugins", self.folder / "enabled_plugins")
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(secrets.token_hex(16))
            cookie.chmod(0o400)

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Give the command that starts it."""
        environment = {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"govlab{self.ports['amqp']}@localhost",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self.ports["dist"]),
            "ERL_EPMD_PORT": str(self.ports["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        return [PROGRAM], environment

    def gone(self) -> None:
        """End its port mapper, which Erlang starts and leaves."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports.get("epmd", 1)), 2) as mapper:
            mapper.sendall(struct.pack(">HB", 1, ord("k")))
            mapper.recv(16)


def _user(name: str, password: str) -> dict[str, object]:
    """Describe a user as RabbitMQ keeps it: with a salted hash."""
    salt = os.urandom(4)
    hashed = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    tags = ["administrator"] if name == "guest" else []
    return {"name": name, "password_hash": hashed, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": tags}
