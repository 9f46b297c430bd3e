"""What is known of a server, as a file in its folder, so that other processes find it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

__all__ = ["alone", "process", "read", "since", "write", "write_private"]

FILE = "govlab-service.json"


def read(folder: Path) -> dict[str, Any] | None:
    """Read the state of the server in a folder; None where there is none."""
    try:
        state: dict[str, Any] = json.loads((folder / FILE).read_text())
        return state
    except (OSError, ValueError):
        return None


def write(folder: Path, state: Mapping[str, Any]) -> None:
    """Write it, whole or not at all."""
    aside = folder / f"{FILE}.{os.getpid()}"
    aside.write_text(json.dumps(state))
    aside.replace(folder / FILE)


def process(state: Mapping[str, Any] | None) -> psutil.Process | None:
    """Give the process of a server; None where it has ended, also where another process has its number now."""
    if not state or state["pid"] is None:
        return None
    began = since(state["pid"])
    # the times are counted from the machine's start, which moves a little when its clock is set
    return psutil.Process(state["pid"]) if began is not None and abs(began - state["since"]) < 2 else None


def since(pid: int) -> float | None:
    """Give when a process began; None where it has ended."""
    try:
        found = psutil.Process(pid)
        # the first thread of a process that ends is a zombie while others still hold its ports
        ended = found.status() == psutil.STATUS_ZOMBIE and found.num_threads() <= 1
        return None if ended else found.create_time()
    except psutil.NoSuchProcess:
        return None


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Let one process at a time do what is in the block."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
