"""A Kafka node: KRaft, broker and controller in one."""

from __future__ import annotations

import base64
import re
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from govlab.errors import ArgumentError, ServiceError
from govlab.services import certificates
from govlab.services.installing import files, jars, java
from govlab.services.server import Server, telling
from govlab.services.statefile import write_private

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
    ready_line = b"Kafka Server started"

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
        for user, password in self._users.items():
            if not (re.fullmatch(r"[\w.-]+", user, re.ASCII) and re.fullmatch(r"[!#-\[\]-~]+", password)):
                raise ArgumentError(
                    f"users: Kafka's settings cannot hold {user!r} or its password: a name may have letters, digits, '_', '.' and "
                    "'-', a password all signs of ASCII but blanks, double quotes and backslashes."
                )

    def install(self) -> None:
        """Install Java and the jars."""
        self._java, self._jars = java(), jars("kafka")

    def port_names(self) -> list[str]:
        """Name a port for each listener."""
        secure = ["sasl_plain"] * bool(self._users) + ["ssl"] * bool(self._tls) + ["sasl_ssl"] * bool(self._users and self._tls)
        return ["plain", *secure, "controller"]

    @property
    def addresses(self) -> dict[str, str]:
        """The bootstrap address of each listener: ``plain``, ``sasl_plain``, ``ssl``, ``sasl_ssl``."""
        return {name: f"127.0.0.1:{port}" for name, port in self.ports.items() if name != "controller"}

    def prepare(self) -> None:
        """Write the settings, and format the folder of the data."""
        settings = self.folder / "server.properties"
        write_private(settings, "\n".join([(files("kafka") / "server.properties").read_text(), *self._lines(), ""]))
        if (self.folder / "data" / "meta.properties").exists():
            return
        # the first byte is 0, as an identity that begins with "-" would be taken for an option
        identity = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", "-t", identity, "-c", str(settings), "--standalone"]
        done = subprocess.run([*self._run("128m"), *tool], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServiceError(f"Kafka cannot prepare {self.folder / 'data'} for its data:\n{telling(done.stdout + done.stderr)}")

    def _lines(self) -> list[str]:
        names = [name for name in self.ports if name != "controller"]
        listeners = [f"{name.upper()}://127.0.0.1:{self.ports[name]}" for name in names]
        controller = f"127.0.0.1:{self.ports['controller']}"
        lines = [
            f"listeners={','.join([*listeners, f'CONTROLLER://{controller}'])}",
            f"advertised.listeners={','.join(listeners)}",
            "listener.security.protocol.map=CONTROLLER:PLAINTEXT," + ",".join(f"{n.upper()}:{PROTOCOLS[n]}" for n in names),
            f"controller.quorum.bootstrap.servers={controller}",
            f"log.dirs={self.folder / 'data'}",
            f"num.partitions={self.partitions}",
        ]
        if self._users:
            known = " ".join(f'user_{user}="{password}"' for user, password in self._users.items())
            lines.append("sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN")
            for name in [name for name in names if name.startswith("sasl")]:
                lines.append(f"listener.name.{name}.scram-sha-512.sasl.jaas.config={SCRAM}")
                lines.append(f"listener.name.{name}.plain.sasl.jaas.config={PLAIN} {known};")
        if self._tls:
            ca, certificate, key = certificates.copy(self._tls, self.folder)
            both = self.folder / "keystore.pem"
            write_private(both, key.read_text() + certificate.read_text())
            lines += ["ssl.keystore.type=PEM", f"ssl.keystore.location={both}"]
            lines += ["ssl.truststore.type=PEM", f"ssl.truststore.location={ca}"]
        return lines + [f"{key}={value}" for key, value in self.properties.items()]

    def _run(self, heap: str) -> list[str]:
        log = f"-Dlog4j2.configurationFile={files('kafka') / 'log4j2.properties'}"
        return [self._java, f"-Xmx{heap}", "-XX:+UseG1GC", "-cp", f"{self._jars}/*", log]

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Give the command that starts it."""
        return [*self._run(self.heap), "kafka.Kafka", str(self.folder / "server.properties")], {}

    def welcome(self) -> None:
        """Make the users for SCRAM; by a client, as the tool that formats would show their passwords to all of the machine."""
        if not self._users:
            return
        from kafka.admin import KafkaAdminClient, UserScramCredentialUpsertion

        admin = KafkaAdminClient(bootstrap_servers=self.address)
        try:
            wanted = [UserScramCredentialUpsertion(user, "SCRAM-SHA-512", password) for user, password in self._users.items()]
            wrong = {user: error for user, error in admin.alter_user_scram_credentials(wanted).items() if error}
            if wrong:
                raise ServiceError(f"Kafka does not take the users: {wrong}")
            end = time.monotonic() + self.patience_s
            while any(user["error"] for user in admin.describe_user_scram_credentials([*self._users]).values()):
                if time.monotonic() > end:
                    raise ServiceError(f"Kafka has not made the users after {self.patience_s:g} s; its log is {self.log}")
                time.sleep(0.02)  # the broker learns of them a moment after the controller
        finally:
            admin.close()
