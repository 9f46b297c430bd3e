"""A real server on this machine: started, stopped, killed, and found again by its state file."""

from __future__ import annotations

import abc
import atexit
import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import psutil

from govlab.errors import ServiceError
from govlab.services import statefile
from govlab.services.ports import choose

__all__ = ["Server", "telling"]


class Server(abc.ABC):
    """A server process with a folder of its own, on loopback only.

    Parameters
    ----------
    folder : str or Path
        Where its settings, data, log and state file are. One that was used before keeps its data and its ports.
    port : int, optional
        Its main port; a free one by default.

    Attributes
    ----------
    folder, log : Path
        Its folder, and the file in it with what the server says.
    pid : int or None
        The process that was started last.
    ports : dict of str to int
        Its ports by name.
    """

    name = "server"
    ready_line = b""  # what it writes into its log when it takes connections
    patience_s = 90.0

    def __init__(self, folder: str | Path, port: int | None = None) -> None:
        self.folder = Path(folder).expanduser().resolve()
        self.log = self.folder / "log.txt"
        self.pid: int | None = None
        self.ports: dict[str, int] = {}
        self._port = port
        self._keep = True
        self._process: subprocess.Popen[bytes] | None = None
        self._recall()

    # -- what a server is ----------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def install(self) -> None:
        """Install what is missing, or say what to do."""

    @abc.abstractmethod
    def port_names(self) -> list[str]:
        """Name the ports it needs; the first is its main one."""

    @abc.abstractmethod
    def prepare(self) -> None:
        """Write settings into its folder, before it starts; what an earlier start left there may be replaced, not its data."""

    @abc.abstractmethod
    def command(self) -> tuple[list[str], dict[str, str]]:
        """Give the command that starts it, and what is added to the environment. They are kept in the state file: no secrets."""

    @property
    @abc.abstractmethod
    def addresses(self) -> dict[str, str]:
        """Where clients find it, by protocol."""

    @property
    def address(self) -> str:
        """Where clients find it, at its main port."""
        return next(iter(self.addresses.values()))

    def welcome(self) -> None:  # noqa: B027 - most need nothing
        """Do what can be done only when it runs, such as making users."""

    def gone(self) -> None:  # noqa: B027 - most leave nothing behind
        """Remove what outlives the process."""

    # -- its life ------------------------------------------------------------------------------------------------------

    def start(self, keep: bool = False) -> Self:
        """Install, start, and wait until it is ready; it ends with this process unless ``keep``.

        Raises
        ------
        ServiceError
            It cannot be installed or started, or runs already.
        """
        self.install()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with statefile.alone(self.folder / "lock"):
            known = statefile.read(self.folder) or {"name": self.name, "whole": [*self.folder.iterdir()] == [self.folder / "lock"]}
            if known["name"] != self.name:
                raise ServiceError(f"{self.folder} is the folder of {known['name']}; choose another for {self.name}.")
            if self.running:
                raise ServiceError(
                    f"{self.name} runs already in {self.folder} (pid {self.pid}): stop it, or choose another folder; "
                    "services.running(folder) finds it."
                )
            wanted = {name: known.get("ports", {}).get(name) for name in self.port_names()}
            self.ports = choose(wanted | ({self.port_names()[0]: self._port} if self._port else {}))
            known |= {"ports": self.ports, "pid": None}
            statefile.write(self.folder, known)
            self.prepare()
            command, environment = self.command()
            statefile.write(self.folder, known | {"command": command, "environment": environment})
            self._keep = keep
            self._launch(self.welcome)
        return self

    def restart(self) -> Self:
        """Start it again where it was: same folder, settings, ports and data. One that runs is stopped first."""
        if self._recall() is None:
            raise ServiceError(f"{self.name} was never started in {self.folder}: use start().")
        if self.running:
            self.stop()
        with statefile.alone(self.folder / "lock"):
            self._launch()
        return self

    def _launch(self, then: Any = None) -> None:
        known = statefile.read(self.folder) or {}
        said = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            try:
                self._process = subprocess.Popen(
                    known["command"],
                    cwd=self.folder,
                    env=os.environ | known["environment"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # an interrupt in the notebook or terminal is not for it
                )
            except OSError as error:
                raise ServiceError(f"{self.name} cannot be started: {error}") from error
        self.pid = self._process.pid
        statefile.write(self.folder, known | {"pid": self.pid, "since": statefile.since(self.pid)})
        if not self._keep:
            atexit.register(self._end, os.getpid())
        try:
            self._await(said)
            if then is not None:
                then()
        except BaseException:
            self.kill()
            self.gone()
            raise

    def _await(self, said: int) -> None:
        """Wait until it is ready; ``said`` is how long its log was before it was started."""
        end = time.monotonic() + self.patience_s
        while True:
            ended = not self.running  # asked before its log is read, so that its last words are
            with self.log.open("rb") as log:
                log.seek(said)
                text = log.read()
            if self.ready_line in text:
                return
            if ended or time.monotonic() > end:
                why = "ended before it was ready" if ended else f"was not ready after {self.patience_s:g} s"
                raise ServiceError(f"{self.name} {why}; from its log ({self.log}):\n{telling(text.decode(errors='replace'))}")
            time.sleep(0.05)

    def _recall(self) -> dict[str, Any] | None:
        """Read what is known of it; None where another server has the folder, or none."""
        known = statefile.read(self.folder)
        if known is None or known["name"] != self.name:
            return None
        self.pid, self.ports = known["pid"], known["ports"]
        return known

    @property
    def known(self) -> bool:
        """Whether a server of this kind was started in its folder, at some time."""
        return self._recall() is not None

    @property
    def state(self) -> str:
        """How it is: ``running``, ``suspended`` or ``stopped``."""
        process = statefile.process(self._recall())
        # a child is asked itself: it is gone only when all of its threads are, with their ports
        there = process is not None or (self._process is not None and self._process.poll() is None)
        with contextlib.suppress(psutil.NoSuchProcess):
            if process is not None and process.status() == psutil.STATUS_STOPPED:
                return "suspended"
        return "running" if there else "stopped"

    @property
    def running(self) -> bool:
        """Whether its process is there (also when it is suspended)."""
        return self.state != "stopped"

    def memory_mb(self) -> float:
        """Give the memory that it holds, with the processes below it, in MB; 0 where it does not run."""
        process = statefile.process(self._recall())
        if process is None:
            return 0.0
        return float(sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 1e6)

    def _signal(self, *numbers: int) -> None:
        if self.running and self.pid is not None:
            for number in numbers:
                with contextlib.suppress(ProcessLookupError):  # it may end at this moment
                    os.killpg(self.pid, number)  # while it starts, scripts stand between it and the process

    def _until(self, state: str, timeout_s: float = 10.0) -> None:
        end = time.monotonic() + timeout_s
        while self.state not in (state, "stopped") and time.monotonic() < end:
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it, by its pid; its data stay."""
        self._signal(signal.SIGCONT, signal.SIGTERM)
        self._until("stopped", 30.0)
        self.kill()
        self.gone()
        atexit.unregister(self._end)

    def _end(self, owner: int) -> None:
        """Stop it when the process that started it ends; not when a fork of that one does, nor what another started since."""
        if os.getpid() == owner and self._recall() and self._process is not None and self._process.pid == self.pid:
            self.stop()

    def kill(self) -> None:
        """Kill it (SIGKILL), as a crash would."""
        self._signal(signal.SIGKILL)
        self._until("stopped")

    def suspend(self) -> None:
        """Let it stand still (SIGSTOP), as an overloaded machine would."""
        self._signal(signal.SIGSTOP)
        self._until("suspended")

    def resume(self) -> None:
        """Let it go on after ``suspend``."""
        self._signal(signal.SIGCONT)
        self._until("running")

    def remove(self) -> None:
        """Stop it and delete its folder.

        Raises
        ------
        ServiceError
            Files that are not its own were there before its first start: the folder is left.
        """
        known = self._recall()
        self.stop()
        if known and not known["whole"]:
            raise ServiceError(f"{self.folder} is not deleted: it had other files in it before {self.name} was started there.")
        if known:
            shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def __repr__(self) -> str:
        where = self.address if self.ports else "not started"
        return f"{type(self).__name__}({where}, pid={self.pid}, folder={str(self.folder)!r})"


def telling(log: str) -> str:
    """Give the first errors of a log, and its end."""
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith("\tat ")]
    errors = [line for line in lines[:-8] if re.search(r"(\b(ERROR|FATAL)\b|\[error\]|Exception).*\w", line)]
    return "\n".join([*errors[:8], *lines[-8:]])
