"""Autoscaling: more tasks for a live job that falls behind, fewer for an idle one, and TaskManagers that are kept alive.

Flink's own autoscaler counts ticks and cannot see what waits at the source; this one asks the job.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from govlab import frames
from govlab.engines.flink.job import ENDED, Job, JobStatus
from govlab.errors import ArgumentError, GovlabError, ServiceError

__all__ = ["Limits", "autoscale", "wanted"]

log = logging.getLogger("govlab")
STILL_S = 30.0


@dataclass(frozen=True)
class Limits:
    """When a job is spread over more or fewer tasks.

    Parameters
    ----------
    least, most : int
        So many tasks at least and at most; more than there are shards or partitions would have nothing to do.
    busy : float
        More tasks when those that are spread work for more of their time than this; fewer when one less would still work for
        no more than ``idle``, which is well below, so that it does not swing.
    idle : float
        See ``busy``.
    lag : int
        More tasks, too, when more records than this wait at the source and their number grows.
    looks : int
        So many looks in a row must agree.
    cool_down : str
        So long nothing is changed after a change.
    """

    least: int = 1
    most: int = 4
    busy: float = 0.8
    idle: float = 0.5
    lag: int = 100_000
    looks: int = 3
    cool_down: str = "60s"

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ArgumentError(f"autoscale: least={self.least!r}, most={self.most!r}; expected 1 <= least <= most.")
        if not 0 < self.idle < self.busy <= 1:
            raise ArgumentError(f"autoscale: idle={self.idle!r}, busy={self.busy!r}; expected 0 < idle < busy <= 1.")
        frames.duration_us(self.cool_down, "autoscale: cool_down", zero=True)


def wanted(status: JobStatus, lag_before: int, still: bool, limits: Limits) -> int:
    """Give over how many tasks a job should be spread, as it stands now; ``still``: nothing came for a while.

    Examples
    --------
    >>> wanted(JobStatus("RUNNING", parallelism=1, lag=0, busy={"shards": 0.95}), 0, False, Limits())
    2
    >>> wanted(JobStatus("RUNNING", parallelism=2, lag=0, busy={"shards": 0.2}), 0, False, Limits())
    1
    >>> wanted(JobStatus("RUNNING", parallelism=2, lag=0, busy={"shards": 0.6}), 0, False, Limits())
    2
    """
    now = status.parallelism
    busy = max((status.busy[stage] for stage in ("fetch", "shards") if stage in status.busy), default=None)
    busy = 0.0 if still else busy  # what idle tasks last said is old
    lag = status.lag or 0
    target = now
    if busy is not None and busy > limits.busy:
        target = max(now + 1, math.ceil(now * busy / limits.busy))
    elif lag > max(limits.lag, lag_before):
        target = now + 1
    elif busy is not None and now > 1 and lag <= limits.lag and busy * now / (now - 1) <= limits.idle:
        target = now - 1
    return min(max(target, limits.least), limits.most)


def autoscale(
    job: Job,
    limits: Limits | None = None,
    every: str = "5s",
    cluster: Any = None,
    say: Callable[[str], None] = log.info,
    until: Callable[[], bool] = lambda: False,
) -> None:
    """Watch a job until it ends, and spread it as its load asks for.

    Parameters
    ----------
    job : Job
        As :func:`submit` or :func:`attach` gave it.
    limits : Limits, optional
        The bounds, and when to change.
    every : str
        Look so often.
    cluster : server, optional
        What ``gl.services.start("flink")`` gave: TaskManagers of it that have died are restarted, one is added where there are
        too few slots, and stopped when it has nothing to do any more.
    say : function
        Told each change, in a sentence.
    until : function
        Asked at each look; ends when it gives true.
    """
    limits, every_s = limits or Limits(), frames.duration_us(every, "autoscale: every") / 1e6
    cool_down_s = frames.duration_us(limits.cool_down, "autoscale: cool_down", zero=True) / 1e6
    quiet_until, agreed, way_before, before, moved = 0.0, 0, 0, JobStatus("UNKNOWN"), time.monotonic()
    first = len(cluster.workers) if cluster is not None else 0
    while not until():
        for worker in cluster.workers if cluster is not None else ():
            if not worker.running:
                worker.restart()
                say(f"TaskManager {worker.folder.name} was dead and is restarted")
        try:
            status = job.status()
        except ServiceError as error:
            say(f"no look this time: {error}")
            status = JobStatus("UNKNOWN")
        if status.state in ENDED:
            return
        if status.state == "RUNNING" and time.monotonic() >= quiet_until:
            moved = moved if status.events == before.events else time.monotonic()
            target = wanted(status, before.lag or 0, time.monotonic() > moved + STILL_S, limits)
            way = (target > status.parallelism) - (target < status.parallelism)
            agreed = agreed + 1 if way == way_before else 1
            way_before, before = way, status
            if way and agreed >= limits.looks:
                _to(job, status, target, cluster, say)
                for worker in cluster.idle()[: len(cluster.workers) - first] if way < 0 and cluster else ():
                    worker.remove()
                    say(f"TaskManager {worker.folder.name} has nothing to do and is stopped")
                quiet_until, agreed = time.monotonic() + cool_down_s, 0
        time.sleep(every_s)


def _to(job: Job, status: JobStatus, target: int, cluster: Any, say: Callable[[str], None]) -> None:
    busy = ", ".join(f"{stage} {share:.0%}" for stage, share in status.busy.items())
    say(f"{status.parallelism} -> {target} tasks (busy: {busy}; {status.lag or 0:,} records wait)")
    while cluster is not None and cluster.free_slots() < target - status.parallelism:
        cluster.add()
    try:
        job.rescale(target)
    except GovlabError as error:
        say(f"it stays as it is: {error}")
