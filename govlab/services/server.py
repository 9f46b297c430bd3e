"""A server of a real queue or store on this machine: started, stopped, killed and found again by its state file."""

from __future__ import annotations

import abc
import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import psutil

from govlab.errors import ServiceError

__all__ = ["Server", "free_ports"]

STATE = "govlab-service.json"


def free_ports(n: int, first: int | None = None) -> list[int]:
    """Give free ports of this machine; with ``first``, that one and those that follow it."""
    with contextlib.ExitStack() as held:
        ports = []
        for i in range(n):
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", 0 if first is None else first + i))
            except OSError as error:
                raise ServiceError(f"port {first and first + i} is taken ({error.strerror}); choose another, or none.") from None
            ports.append(probe.getsockname()[1])
        return ports


class Server(abc.ABC):
    """A server process with a folder of its own, on loopback only.

    Parameters
    ----------
    folder : str or Path
        Where its settings, data, log and state file are.
    port : int, optional
        The first of its ports; free ones by default. A folder that was used before keeps its ports.
    """

    name = "server"
    patience_s = 90.0

    def __init__(self, folder: str | Path, port: int | None = None) -> None:
        self.folder = Path(folder).expanduser().resolve()
        self.log = self.folder / "log.txt"
        self.pid: int | None = None
        self.ports: dict[str, int] = {}
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    # -- what a server is ----------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def install(self) -> None:
        """Install what is missing, or say what to do."""

    @abc.abstractmethod
    def port_names(self) -> list[str]:
        """Name the ports it needs; the first is its main one."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Write settings into its folder; called once, before its first start."""

    @abc.abstractmethod
    def command(self) -> tuple[list[str], dict[str, str]]:
        """Give the command that starts it, and what is added to the environment."""

    @property
    @abc.abstractmethod
    def address(self) -> str:
        """Where clients find it."""

    def ready(self) -> bool:
        """Tell whether it takes connections: by default, whether all of its ports do."""
        return all(_answers(port) for port in self.ports.values())

    def gone(self) -> None:  # noqa: B027 - most leave nothing behind
        """Remove what outlives the process."""

    # -- its life ------------------------------------------------------------------------------------------------------

    def start(self, keep: bool = False) -> Self:
        """Install, start, and wait until it is ready; it ends with this process unless ``keep``."""
        if self.running:
            raise ServiceError(
                f"{self.name} runs already in {self.folder} (pid {self.pid}); stop it first, or choose another folder."
            )
        self.install()
        self.folder.mkdir(parents=True, exist_ok=True)
        known = _read(self.folder)
        if known and known["name"] != self.name:
            raise ServiceError(f"{self.folder} is the folder of {known['name']}; choose another for {self.name}.")
        if known and set(known["ports"]) == set(self.port_names()):
            self.ports = {name: int(port) for name, port in known["ports"].items()}
        else:
            self.ports = dict(zip(self.port_names(), free_ports(len(self.port_names()), self._port), strict=True))
            self.prepare()
        self._launch()
        if not keep:
            atexit.register(self.stop)
        return self

    def _launch(self) -> None:
        command, more = self.command()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | more,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._process.pid
        state = {"name": self.name, "pid": self.pid, "since": _since(self.pid), "ports": self.ports, "address": self.address}
        (self.folder / STATE).write_text(json.dumps(state))
        end = time.monotonic() + self.patience_s
        while not self.ready():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > end:
                self.kill()
                last = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
                why = "ended at once" if ended else f"was not ready after {self.patience_s:g} s"
                raise ServiceError(f"{self.name} {why}; the end of its log ({self.log}):\n{last}")
            time.sleep(0.05)

    @property
    def mine(self) -> bool:
        """Whether its folder is that of a server of this kind."""
        state = _read(self.folder)
        return state is not None and state["name"] == self.name

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        if self._process is not None:
            return self._process.poll() is None
        state = _read(self.folder)
        if state is None or state["since"] is None or _since(state["pid"]) != state["since"]:
            return False
        self.pid, self.ports = state["pid"], state["ports"]
        return True

    def memory_mb(self) -> float:
        """Give the memory that it holds, with the processes below it, in MB."""
        process = psutil.Process(self.pid)
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 1e6

    def _signal(self, number: int) -> None:
        if self.running and self.pid is not None:
            os.killpg(self.pid, number)  # the program may be the child of a script

    def _wait(self, timeout_s: float) -> bool:
        end = time.monotonic() + timeout_s
        while (there := self.running or _group(self.pid)) and time.monotonic() < end:
            time.sleep(0.02)
        return not there

    def stop(self) -> None:
        """Stop it, by its pid; its data stay."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        if not self._wait(30.0):
            if self.pid is not None and _group(self.pid):
                os.killpg(self.pid, signal.SIGKILL)
            self.kill()
        self.gone()

    def kill(self) -> None:
        """Kill it, as a crash would."""
        self._signal(signal.SIGKILL)
        self._wait(10.0)

    def suspend(self) -> None:
        """Let it stand still (SIGSTOP), as an overloaded machine would."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after ``suspend``."""
        self._signal(signal.SIGCONT)

    def restart(self) -> Self:
        """Start it again where it was: same folder, ports and data."""
        if self.running:
            self.stop()
        self._launch()
        return self

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.address if self.ports else 'not started'}, pid={self.pid}, folder={str(self.folder)!r})"
        )


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
        return True
    except OSError:
        return False


def _group(pid: int | None) -> bool:
    """Tell whether a process of a group is there."""
    try:
        os.killpg(pid or 0, 0)
        return pid is not None
    except ProcessLookupError:
        return False


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads((folder / STATE).read_text())
        return state
    except (OSError, ValueError):
        return None


def _since(pid: int) -> float | None:
    """Give when a process began, so that another with its number is not taken for it; None where it is gone."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None
