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
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from govlab.services import certificates
from govlab.services.installing import files, package
from govlab.services.server import Server
from govlab.services.statefile import write_private

__all__ = ["Rabbitmq"]

PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"
# the setting of the listener of each protocol
PLAIN = {
    "amqp": "listeners.tcp.1",
    "stream": "stream.listeners.tcp.1",
    "mqtt": "mqtt.listeners.tcp.1",
    "stomp": "stomp.listeners.tcp.1",
}
SECURE = {f"{name}s": key.replace("tcp", "ssl") for name, key in PLAIN.items()}


class Rabbitmq(Server):
    """A RabbitMQ node on this machine, with streams, MQTT and STOMP, for trying and testing; user ``guest``, password ``guest``.

    Parameters
    ----------
    folder, port
        As of every server.
    users : mapping of str to str, optional
        Passwords of further users.
    readers : sequence of str
        Those of the users who may read and nothing else.
    tls : str or Path, optional
        A folder with ``ca.pem``, ``server.pem`` and ``server.key``; adds listeners with TLS.
    """

    name = "rabbitmq"
    ready_line = b"Server startup complete"

    def __init__(
        self,
        folder: str | Path,
        port: int | None = None,
        users: Mapping[str, str] | None = None,
        tls: str | Path | None = None,
        readers: Sequence[str] = (),
    ) -> None:
        super().__init__(folder, port)
        self._users, self._tls, self._readers = dict(users or {}), tls, set(readers)

    def install(self) -> None:
        """Install the Debian package."""
        # the program in sbin does su and loses HOME, so the one behind it is started
        package("rabbitmq-server", PROGRAM, "RabbitMQ")

    def port_names(self) -> list[str]:
        """Name a port for each protocol, and two of Erlang's own."""
        return [*PLAIN, *(SECURE if self._tls else []), "dist", "epmd"]

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses: ``amqp`` as a URL, ``stream``, ``mqtt``, ``stomp`` as host and port; with TLS also ``amqps`` and so on."""
        ports = {name: f"127.0.0.1:{port}" for name, port in self.ports.items() if name not in ("dist", "epmd")}
        return ports | {name: f"{name}://guest:guest@{ports[name]}/" for name in ("amqp", "amqps") if name in ports}

    def prepare(self) -> None:
        """Write the settings."""
        users = {"guest": "guest", **self._users}
        definitions = {
            "vhosts": [{"name": "/"}],
            "users": [_user(name, password) for name, password in users.items()],
            "permissions": [
                {"user": name, "vhost": "/", "configure": more, "write": more, "read": ".*"}
                for name in users
                for more in ["" if name in self._readers else ".*"]
            ],
        }
        write_private(self.folder / "definitions.json", json.dumps(definitions))
        lines = [
            (files("rabbitmq") / "rabbitmq.conf").read_text(),
            f"load_definitions = {self.folder / 'definitions.json'}",
            "stream.advertised_host = 127.0.0.1",
            f"stream.advertised_port = {self.ports['stream']}",
            *(f"{key} = 127.0.0.1:{self.ports[name]}" for name, key in (PLAIN | SECURE).items() if name in self.ports),
        ]
        if self._tls:
            ca, certificate, key = certificates.copy(self._tls, self.folder)
            lines += [
                "stream.advertised_tls_host = 127.0.0.1",
                f"stream.advertised_tls_port = {self.ports['streams']}",
                f"ssl_options.cacertfile = {ca}",
                f"ssl_options.certfile = {certificate}",
                f"ssl_options.keyfile = {key}",
            ]
        (self.folder / "rabbitmq.conf").write_text("\n".join([*lines, ""]))
        shutil.copy(files("rabbitmq") / "enabled_plugins", self.folder)
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            write_private(cookie, secrets.token_hex(16))

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Give the command that starts it."""
        environment = {
            "HOME": str(self.folder),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,  # that of the whole machine is not for it
            "RABBITMQ_NODENAME": "govlab@localhost",  # its data go by this name; each node has a port mapper of its own
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self.ports["dist"]),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the server instead of waiting for it: the pid is the server's
            "ERL_EPMD_PORT": str(self.ports["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        return [PROGRAM], environment

    def gone(self) -> None:
        """End its port mapper, which Erlang starts and leaves; it refuses while a server is registered with it."""
        end = time.monotonic() + 5
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                with socket.create_connection(("127.0.0.1", self.ports.get("epmd", 1)), 2) as mapper:
                    mapper.sendall(struct.pack(">HB", 1, ord("k")))
                    mapper.recv(16)


def _user(name: str, password: str) -> dict[str, object]:
    """Describe a user as RabbitMQ keeps it: with a salted hash."""
    salt = os.urandom(4)
    hashed = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    tags = ["administrator"] if name == "guest" else []
    return {"name": name, "password_hash": hashed, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": tags}
