"""What Flink is told about a job besides the job itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from govlab import frames
from govlab.engines.flink.rest import Rest
from govlab.errors import ArgumentError, ServiceError
from govlab.services import flink_environment
from govlab.services.ports import choose

__all__ = ["reach", "settings_of"]


def settings_of(
    place: Path, cluster: Any, parallelism: int, checkpoint_every: str, live: bool, more: dict[str, Any]
) -> tuple[dict[str, Any], str]:
    """Give the settings, and the address of the cluster's REST interface."""
    python = flink_environment.environment()
    every_ms = max(1, frames.duration_us(checkpoint_every, "submit: checkpoint_every") // 1000)
    settings: dict[str, Any] = {
        "python.client.executable": str(python),
        "python.executable": str(python),
        "python.pythonpath": str(flink_environment.code(place)),
        "python.fn-execution.bundle.time": 5 if live else 1000,
        "execution.buffer-timeout.interval": "5 ms" if live else "100 ms",
        "pipeline.max-parallelism": 128,
        "execution.checkpointing.interval": f"{every_ms} ms",
        "execution.checkpointing.dir": f"file://{place}/checkpoints",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.min-pause": "100 ms",
        "restart-strategy.type": "failure-rate",
        "restart-strategy.failure-rate.max-failures-per-interval": 5,
        "restart-strategy.failure-rate.failure-rate-interval": "5 min",
        "restart-strategy.failure-rate.delay": "500 ms",
    }
    if cluster is None:
        port = choose({"rest": None})["rest"]
        address = f"http://127.0.0.1:{port}"
        settings |= {
            "execution.target": "local",
            "rest.port": port,
            "rest.bind-port": str(port),
            "rest.address": "127.0.0.1",
            "rest.bind-address": "127.0.0.1",
            "taskmanager.numberOfTaskSlots": max(parallelism, 1),
            "taskmanager.memory.network.max": "128mb",
            "taskmanager.memory.managed.size": "256mb",
        }
    else:
        address = cluster if isinstance(cluster, str) else cluster.address
        host, _, given = address.removeprefix("http://").rstrip("/").rpartition(":")
        if not host or not given.isdigit():
            raise ArgumentError(f"submit: cluster={cluster!r}; expected gl.services.start('flink'), or 'http://host:8081'.")
        settings |= {"execution.target": "remote", "rest.address": host, "rest.port": int(given)}
    if checkpoint := _last_checkpoint(place):
        settings["execution.state-recovery.path"] = checkpoint
    return settings | more, address


def _last_checkpoint(place: Path) -> str | None:
    found = [one.parent for one in (*place.glob("checkpoints/*/chk-*/_metadata"), *place.glob("savepoints/*/_metadata"))]
    return f"file://{max(found, key=lambda one: (one / '_metadata').stat().st_mtime)}" if found else None


def reach(address: str) -> None:
    """See that a cluster is there, and that it is of the right version."""
    version = Rest(address).ask("/config").get("flink-version", "?")
    if version.rpartition(".")[0] != flink_environment.VERSION.rpartition(".")[0]:
        raise ServiceError(
            f"the cluster at {address} is Flink {version}, and govlab's jobs are made by {flink_environment.VERSION}: "
            f"use a cluster of version {flink_environment.VERSION.rpartition('.')[0]}."
        )
