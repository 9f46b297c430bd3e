"""A Flink cluster on this machine: a JobManager and TaskManagers, from the files of the PyFlink package."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from govlab.errors import ServiceError
from govlab.services import flink_environment as environment
from govlab.services.installing import files, java
from govlab.services.server import Server

__all__ = ["Flink", "TaskManager"]

MAIN = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
WORKER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"


class _Java(Server):
    """A Java process of Flink's, with its settings in a folder of its own."""

    heap = "512m"
    main = ""

    def install(self) -> None:
        """Install Java, and Flink in an environment of its own."""
        environment.environment()

    def settings(self) -> dict[str, Any]:
        """Give what is set besides the settings that come with govlab."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Write the settings."""
        conf = self.folder / "conf"
        conf.mkdir(exist_ok=True)
        whole = (files("flink") / "config.yaml").read_text()
        (conf / "config.yaml").write_text(
            whole + "".join(f"{key}: {json.dumps(value)}\n" for key, value in self.settings().items())
        )

    def command(self) -> tuple[list[str], dict[str, str]]:
        """Give the command that starts it."""
        log = f"-Dlog4j.configurationFile={files('flink') / 'log4j2.properties'}"
        options = [f"-Xmx{self.heap}", "-XX:+UseG1GC", log, *environment.java_options()]
        jars = f"{environment.home() / 'lib'}/*:{environment.home() / 'opt'}/flink-python-{environment.VERSION}.jar"
        python = environment.environment()
        # the Python workers are its children: they find this govlab, and nothing else of the lab's
        variables = {
            "PYTHONPATH": str(environment.code(self.folder)),
            "FLINK_CONF_DIR": str(self.folder / "conf"),
            "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONHOME": "",
        }
        return [java(), *options, "-cp", jars, self.main, "--configDir", str(self.folder / "conf")], variables


class TaskManager(_Java):
    """A TaskManager: it runs the parts of a job that it is given.

    Parameters
    ----------
    folder, port
        As of every server.
    master : Flink
        Whose it is.
    slots : int
        So many parts it can run at a time.
    """

    name = "flink-taskmanager"
    ready_line = b"Successful registration at resource manager"
    heap = "768m"
    main = WORKER

    def __init__(self, folder: str | Path, port: int | None = None, master: Flink | None = None, slots: int = 2) -> None:
        super().__init__(folder, port)
        self.master, self.slots = master, slots

    def port_names(self) -> list[str]:
        """Name its port for data."""
        return ["data"]

    @property
    def addresses(self) -> dict[str, str]:
        """Where others fetch data from it."""
        return {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}

    @property
    def resource(self) -> str:
        """What it is called in the cluster."""
        return f"{self.folder.name}-{self.ports['data']}"

    def settings(self) -> dict[str, Any]:
        """Give its settings."""
        assert self.master is not None
        return {
            **self.master.shared(),
            "taskmanager.data.port": self.ports["data"],
            "taskmanager.numberOfTaskSlots": self.slots,
            "taskmanager.resource-id": self.resource,
            "io.tmp.dirs": str(self.folder / "tmp"),
        }


class Flink(_Java):
    """A Flink cluster on this machine, for trying and testing: one JobManager, and TaskManagers in folders below its own.

    Parameters
    ----------
    folder, port
        As of every server; the port is that of its REST interface and web page.
    workers : int
        How many TaskManagers are started.
    slots : int
        How many parts of jobs each can run at a time.
    settings : dict, optional
        Further settings of Flink's.
    """

    name = "flink"
    ready_line = b"Rest endpoint listening at"
    main = MAIN

    def __init__(
        self,
        folder: str | Path,
        port: int | None = None,
        workers: int = 1,
        slots: int = 2,
        settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(folder, port)
        self.count, self.slots, self.more = workers, slots, settings or {}
        self._workers: dict[Path, TaskManager] = {}

    def port_names(self) -> list[str]:
        """Name its ports."""
        return ["rest", "rpc", "blob"]

    @property
    def addresses(self) -> dict[str, str]:
        """The address of its REST interface and web page."""
        return {"rest": f"http://127.0.0.1:{self.ports['rest']}"}

    def shared(self) -> dict[str, Any]:
        """Give the settings that its TaskManagers have too."""
        return {"jobmanager.rpc.port": self.ports["rpc"], "blob.server.port": str(self.ports["blob"]), **self.more}

    def settings(self) -> dict[str, Any]:
        """Give its settings."""
        return {**self.shared(), "rest.port": self.ports["rest"], "io.tmp.dirs": str(self.folder / "tmp")}

    def welcome(self) -> None:
        """Start the TaskManagers."""
        for _ in range(self.count):
            self.add()

    def add(self) -> TaskManager:
        """Start one more TaskManager."""
        number = 1 + max((int(one.folder.name.rpartition("-")[2]) for one in self.workers), default=0)
        return self._worker(self.folder / f"worker-{number}").start(keep=self._keep)

    def _worker(self, folder: Path) -> TaskManager:
        return self._workers.setdefault(folder, TaskManager(folder, master=self, slots=self.slots))

    @property
    def workers(self) -> list[TaskManager]:
        """The TaskManagers that were started, whether they run or not."""
        places = sorted(self.folder.glob("worker-*"), key=lambda place: int(place.name.rpartition("-")[2]))
        return [worker for place in places if (worker := self._worker(place)).known]

    def restart(self) -> Flink:
        """Start it again where it was, with the TaskManagers it had."""
        super().restart()
        for worker in self.workers:
            if not worker.running:
                worker.restart()
        return self

    def stop(self) -> None:
        """Stop it and its TaskManagers."""
        for worker in self.workers:
            worker.stop()
        super().stop()

    def free_slots(self) -> int:
        """Give how many parts of jobs it could run now."""
        return sum(int(one["freeSlots"]) for one in self._taskmanagers())

    def idle(self) -> list[TaskManager]:
        """Give the TaskManagers that run and have nothing to do."""
        names = {one["id"] for one in self._taskmanagers() if one["freeSlots"] == one["slotsNumber"]}
        return [worker for worker in self.workers if worker.running and worker.resource in names]

    def _taskmanagers(self) -> list[dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"{self.address}/taskmanagers", timeout=10) as answer:
                found: list[dict[str, Any]] = json.load(answer)["taskmanagers"]
        except OSError as error:
            raise ServiceError(f"the cluster at {self.address} does not answer: {error}") from error
        return found
