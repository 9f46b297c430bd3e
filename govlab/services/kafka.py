"""A Kafka node: KRaft, broker and controller in one."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path

from govlab.errors import ServiceError
from govlab.services.installing import files, jars, java
from govlab.services.server import Server

__all__ = ["Kafka"]

PROTOCOLS = {"plain": "PLAINTEXT", "sasl_plain": "SASL_PLAINTEXT", "ssl": "SSL", "sasl_ssl": "SASL_SSL"}
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"


class Kafka(Server):
    """A Kafka node on this machine (KRaft), for trying and testing. Its first listener is open to all of this machine.

    Parameters
    ----------
    folder, port
        As of every server.
    partitions : int
        How many a topic gets that is made by writing to it.
    users : mapping of str to str, optional
        Passwords by user; adds a listener with SASL (SCRAM-SHA-512 and PLAIN).
    tls : str or Path, optional
        A folder with ``ca.pem``, ``server.pem`` and ``server.key``; adds a listener with TLS (and one with TLS and SASL).
    heap : str
        Memory of its Java.
    properties : mapping, optional
        Further lines for its ``server.properties``.
    """

    name = "kafka"

    def __init__(
        self,
        folder: str | Path,
        port: int | None = None,
        partitions: int = 4,
        users: Mapping[str, str] | None = None,
        tls: str | Path | None = None,
        heap: str = "512m",
        properties: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(folder, port)
        self.partitions, self._users, self._tls, self.heap = partitions, dict(users or {}), tls, heap
        self.properties = dict(properties or {})
        self._jars: Path | None = None
        self._java = "java"

    def install(self) -> None:
        """Install Java and the jars."""
        self._java, self._jars = java(), jars("kafka")

    def port_names(self) -> list[str]:
        """Name a port for each listener."""
        secure = ["sasl_plain"] * bool(self._users) + ["ssl"] * bool(self._tls) + ["sasl_ssl"] * bool(self._users and self._tls)
        return ["plain", *secure, "controller"]

    @property
    def address(self) -> str:
        """The bootstrap address, for clients that neither log in nor encrypt."""
        return f"127.0.0.1:{self.ports['plain']}"

    @property
    def addresses(self) -> dict[str, str]:
        """The bootstrap address of each listener: ``plain``, ``sasl_plain``, ``ssl``, ``sasl_ssl``."""
        return {name: f"127.0.0.1:{port}" for name, port in self.ports.items() if name != "controller"}

    def prepare(self) -> None:
        """Write the settings, and format the folder of the data."""
        names = [name for name in self.ports if name != "controller"]
        listeners = [f"{name.upper()}://127.0.0.1:{self.ports[name]}" for name in names]
        lines = [
            (files("kafka") / "server.properties").read_text(),
            f"listeners={','.join([*listeners, 'CONTROLLER://127.0.0.1:' + str(self.ports['controller'])])}",
            f"advertised.listeners={','.join(listeners)}",
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT," + ",".join(f"{n.upper()}:{PROTOCOLS[n]}" for n in names),
            f"controller.quorum.bootstrap.servers=127.0.0.1:{self.ports['controller']}",
            f"log.dirs={self.folder / 'data'}",
            f"num.partitions={self.partitions}",
        ]
        if self._users:
            known = " ".join(f'user_{user}="{_plain(user, password)}"' for user, password in self._users.items())
            lines.append("sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN")
            for name in [name for name in names if name.startswith("sasl")]:
                lines.append(f"listener.name.{name}.scram-sha-512.sasl.jaas.config={SCRAM}")
                lines.append(f"listener.name.{name}.plain.sasl.jaas.config={PLAIN} {known};")
        if self._tls:
            folder = Path(self._tls)
            pem = self.folder / "server.pem"
            _private(pem, (folder / "server.key").read_text() + (folder / "server.pem").read_text())
            lines += ["ssl.keystore.type=PEM", f"ssl.keystore.location={pem}"]
            lines += ["ssl.truststore.type=PEM", f"ssl.truststore.location={folder / 'ca.pem'}"]
        lines += [f"{key}={value}" for key, value in self.properties.items()]
        settings = self.folder / "server.properties"
        _private(settings, "\n".join(lines) + "\n")
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        users = [x for u, p in self._users.items() for x in ("--add-scram", f"SCRAM-SHA-512=[name={u},password={p}]")]
        tool = ["kafka.tools.StorageTool", "format", "-t", identity, "-c", str(settings), "--standalone", *users]
        done = subprocess.run([*self._run_java("128m"), *tool], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServiceError(f"Kafka's folder cannot be formatted: {(done.stderr or done.stdout).strip().splitlines()[-1]}")

    def _run_java(self, heap: str) -> list[str]:
        log = f"-Dlog4j2.configurationFile={files('kafka') / 'log4j2.properties'}"
        return [self._java, f"-Xmx{heap}", "-XX:+UseG1GC", "-cp", f"{self._jars}/*", log]

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Give the command that starts it."""
        if self._jars is None:
            self.install()
        return [*self._run_java(self.heap), "kafka.Kafka", str(self.folder / "server.properties")], {}

    def _launch(self) -> None:
        self._from = self.log.stat().st_size if self.log.exists() else 0
        super()._launch()

    def ready(self) -> bool:
        """Tell whether its log says so."""
        with self.log.open("rb") as log:
            log.seek(self._from)
            return b"Kafka Server started" in log.read()


def _plain(user: str, password: str) -> str:
    if re.search(r'[\s"\\,\]=;]', user + password):
        raise ServiceError(f"the name or the password of the user {user!r} has a sign that Kafka's settings cannot hold.")
    return password


def _private(path: Path, text: str) -> None:
    """Write a file that only this user can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
