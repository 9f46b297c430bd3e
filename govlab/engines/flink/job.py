"""A job on a cluster, seen from the lab."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from govlab.engines.flink.folder import read_spec
from govlab.engines.flink.outputs import read_lines
from govlab.engines.flink.rest import Rest
from govlab.errors import GovlabError, ServiceError
from govlab.markup import preformatted
from govlab.pipeline import Result
from govlab.summary import Summary

__all__ = ["Job", "JobStatus"]

ENDED = ("FINISHED", "FAILED", "CANCELED")


@dataclass(frozen=True)
class JobStatus:
    """How a job is.

    Attributes
    ----------
    state : str
        As Flink says: ``RUNNING``, ``RESTARTING``, ``FINISHED``, ``FAILED``, ``CANCELED``, ...
    parallelism : int
        How many tasks reading and the shards are spread over now.
    events, rows, lag : int or None
        Events read, rows given, and records that wait at the source; None where no task tells.
    restarts : int
        How often it was taken up after a failure.
    checkpoints : int
        How many were completed.
    busy : dict of str to float
        The share of time that the tasks of each stage work (``fetch``, ``head``, ``shards``, ``tail``), from 0 to 1.
    error : str or None
        What went wrong last.
    """

    state: str
    parallelism: int = 0
    events: int | None = None
    rows: int | None = None
    lag: int | None = None
    restarts: int = 0
    checkpoints: int = 0
    busy: dict[str, float] = field(default_factory=dict)
    error: str | None = None

    def text(self) -> str:
        """Say it in lines."""
        said = self.__dict__ | {"busy": ", ".join(f"{stage} {share:.0%}" for stage, share in self.busy.items()) or None}
        return "\n".join(f"{name:12} {'-' if value is None else value}" for name, value in said.items())

    def _repr_html_(self) -> str:
        return preformatted(self.text())


class Job:
    """A pipeline that runs on Flink; ``submit`` makes it, and ``attach`` finds it again.

    Parameters
    ----------
    folder : Path
        The folder of the job: what it was told, its checkpoints, and what it gave.
    process : Popen, optional
        The process that holds the cluster, where it is one for this job only.
    """

    def __init__(self, folder: Path, process: subprocess.Popen[bytes] | None = None) -> None:
        self.folder, self._process = folder, process
        self.told = read_spec(folder / "spec.json")
        known = json.loads((folder / "job.json").read_text())
        self.id = str(known["id"])
        if not re.fullmatch(r"[0-9a-f]{32}", self.id):
            raise GovlabError(f"{str(folder / 'job.json')!r} has no number of a job of Flink's; submit it again.")
        self.rest = Rest(self.told["rest"])
        self._ended: JobStatus | None = None
        self._cancelled = False

    # -- how it is -----------------------------------------------------------------------------------------------------

    def status(self) -> JobStatus:
        """Ask how it is."""
        if self._ended is not None:
            return self._ended
        try:
            status = self._status()
        except ServiceError:
            if self.told["settings"]["execution.target"] != "local":
                raise
            # a cluster of its own is gone with its job
            if self._process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(20)
            done = self.summary() is not None
            state = "FINISHED" if done else "CANCELED" if self._cancelled else "FAILED"
            status = JobStatus(state, error=self._last_words() if state == "FAILED" else None)
        if status.state in ENDED:
            self._ended = status
        return status

    def _status(self) -> JobStatus:
        told = self.rest.ask(f"/jobs/{self.id}")
        vertices = told["vertices"]
        counts = self.rest.ask(f"/jobs/{self.id}/checkpoints")["counts"]
        numbers = self._numbers(vertices) if told["state"] == "RUNNING" else {}
        return JobStatus(
            told["state"],
            max(one["parallelism"] for one in vertices),
            numbers.get("events"),
            numbers.get("rows"),
            numbers.get("lag"),
            counts["restored"],
            counts["completed"],
            numbers.get("busy", {}),
            self._failure() if told["state"] in ("FAILED", "RESTARTING", "FAILING") else None,
        )

    def _numbers(self, vertices: list[dict[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {"busy": {}}
        for vertex in vertices:
            # tasks that are chained have the names of all of them
            stage = next((name for name in ("fetch", "head", "shards", "tail") if name in vertex["name"]), "ticks")
            path = f"/jobs/{self.id}/vertices/{vertex['id']}/subtasks/metrics"
            with contextlib.suppress(ServiceError):  # tasks come and go
                wanted = [one["id"] for one in self.rest.ask(path) if "govlab_" in one["id"]]
                for one in self.rest.ask(f"{path}?get={','.join(wanted)}&agg=max,avg") if wanted else ():
                    name = one["id"].rpartition("govlab_")[2]
                    if name == "busy":
                        found["busy"][stage] = one["avg"] / 100
                    else:
                        found[name] = max(found.get(name, 0), int(one["max"]))
        return found

    def _failure(self) -> str | None:
        told = self.rest.ask(f"/jobs/{self.id}/exceptions")
        entries = told.get("exceptionHistory", {}).get("entries", [])
        return cause_of(entries[0]["stacktrace"]) if entries else None

    def _last_words(self) -> str | None:
        log = self.folder / "log.txt"
        return cause_of(log.read_text(errors="replace")[-200_000:]) if log.exists() else None

    def wait(self, timeout_s: float | None = None, progress: bool | None = None) -> Summary:
        """Wait until it has ended.

        Parameters
        ----------
        timeout_s : float, optional
            So long at most.
        progress : bool, optional
            Show how many events were read; by default when it takes longer than three seconds.

        Raises
        ------
        GovlabError
            It failed, was cancelled, or has not ended in time; the message has the cause as the worker told it.
        """
        began = time.monotonic()
        end = None if timeout_s is None else began + timeout_s
        with tqdm(unit=" events", unit_scale=True, disable=progress is False, delay=0 if progress else 3, leave=False) as bar:
            while (status := self.status()).state not in ENDED:
                if status.events is not None:
                    bar.update(max(0, status.events - bar.n))
                if status.error is not None and "govlab.errors." in status.error:
                    self.cancel()  # it would fail in the same way each time
                    raise GovlabError(f"the job failed: {status.error}")
                if end is not None and time.monotonic() > end:
                    raise GovlabError(f"the job has not ended after {timeout_s:g} s; it is {status.state}: {status}")
                time.sleep(0.3 if time.monotonic() - began < 15 else 1.0)
        summary = self.summary()
        if status.state != "FINISHED" or summary is None:
            raise GovlabError(f"the job {status.state.lower()}: {status.error or f'see {self.folder} and the log of the cluster'}")
        return summary

    # -- what it gave --------------------------------------------------------------------------------------------------

    def alerts(self) -> pd.DataFrame:
        """Give the rows that came out so far, up to the last checkpoint, each exactly once."""
        return read_lines(self.folder / "results")[0].rows()

    def dead_letters(self) -> pd.DataFrame:
        """Give the records that could not be read."""
        return read_lines(self.folder / "results")[1]

    def summary(self) -> Summary | None:
        """Give the summary, once it has come to the end of its source."""
        return read_lines(self.folder / "results")[2]

    def fingerprint(self) -> str:
        """Give the fingerprint: equal to that of a run in the lab over the same events."""
        summary = self.summary()
        if summary is None:
            raise GovlabError(f"there is no fingerprint yet: the job is {self.status().state}, and not at the end of its source.")
        return summary.fingerprint

    def result(self) -> Result:
        """Give rows, sides and summary as a run in the lab does."""
        output, _, summary = read_lines(self.folder / "results")
        if summary is None:
            raise GovlabError(f"there is no result yet: the job is {self.status().state}.")
        return output.result(summary)

    # -- what is done to it --------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """End it where it stands; its last checkpoint stays, and ``submit`` with the same folder goes on from there."""
        self._cancelled = True
        with contextlib.suppress(ServiceError):  # it may have ended at this moment
            self.rest.ask(f"/jobs/{self.id}?mode=cancel", "PATCH")
        end = time.monotonic() + 60
        while time.monotonic() < end and self.status().state not in ENDED:
            time.sleep(0.1)
        self._let_go()

    def savepoint(self, stop: bool = False) -> str:
        """Write a savepoint and, with ``stop``, end there; ``submit`` with the same folder goes on from it. Gives its place."""
        path = f"/jobs/{self.id}/{'stop' if stop else 'savepoints'}"
        body: dict[str, Any] = {"targetDirectory" if stop else "target-directory": f"file://{self.folder}/savepoints"}
        trigger = self.rest.ask(path, "POST", body | ({"drain": False} if stop else {"cancel-job": False}))["request-id"]
        while (told := self.rest.ask(f"/jobs/{self.id}/savepoints/{trigger}"))["status"]["id"] != "COMPLETED":
            time.sleep(0.1)
        operation = told["operation"]
        if "location" not in operation:
            raise GovlabError(f"no savepoint: {cause_of(operation['failure-cause']['stack-trace'])}")
        return str(operation["location"])

    def rescale(self, parallelism: int) -> None:
        """Spread reading and the shards over another number of tasks, while it runs; returns when it does."""
        told = self.rest.ask(f"/jobs/{self.id}/resource-requirements")
        vertices = {one["id"]: one["name"] for one in self.rest.ask(f"/jobs/{self.id}")["vertices"]}
        for key, name in vertices.items():
            wanted = parallelism if re.search("fetch|shards", name) else told[key]["parallelism"]["upperBound"]
            told[key] = {"parallelism": {"lowerBound": 1, "upperBound": wanted}}
        self.rest.ask(f"/jobs/{self.id}/resource-requirements", "PUT", told)
        end = time.monotonic() + 120
        while time.monotonic() < end:
            status = self.status()
            if status.state in ENDED or (status.state == "RUNNING" and status.parallelism == parallelism):
                return
            time.sleep(0.1)
        raise GovlabError(
            f"the job has {self.status().parallelism} tasks for its shards, not {parallelism}: are there slots for them?"
        )

    def _let_go(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _repr_html_(self) -> str:
        return self.status()._repr_html_()

    def __repr__(self) -> str:
        return f"Job({self.id}, folder={str(self.folder)!r})"


def cause_of(stacktrace: str) -> str:
    """Find the cause in what Flink says of a failure: the error of the Python worker, if there is one, else the last cause."""
    python = re.findall(r"^(?:E\s+)?((?:govlab\.|[A-Za-z_][\w.]*)(?:Error|Exception)(?:: .*)?)$", stacktrace, re.MULTILINE)
    python = [line for line in python if not line.startswith("py4j.")]  # behind these, Java says what it is
    own = [line for line in python if line.startswith("govlab.")]
    if own or python:
        return (own or python)[-1].strip()
    causes = re.findall(r"Caused by: (.*)", stacktrace)
    return causes[-1].strip() if causes else stacktrace.strip().splitlines()[0] if stacktrace.strip() else "unknown"
