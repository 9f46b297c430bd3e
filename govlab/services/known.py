"""Starting servers by name, and finding those that run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from govlab import registry
from govlab.services.server import Server

__all__ = ["found", "home", "make", "running", "start"]


def home() -> Path:
    """Give the folder under which servers have theirs, unless told otherwise."""
    given = os.environ.get("GOVLAB_SERVICES")
    return Path(given).expanduser() if given else user_state_path("govlab", appauthor=False) / "services"


def make(name: str, folder: str | Path | None = None, **options: Any) -> Server:
    """Make a server that is not started; one that runs in this folder already is found."""
    server: Server = registry.load("services", name)(folder or home() / name, **options)
    return server


def start(name: str, folder: str | Path | None = None, keep: bool = False, **options: Any) -> Server:
    """Start a server and wait until it is ready; what is missing is installed first.

    Parameters
    ----------
    name : str
        ``"kafka"`` or ``"rabbitmq"``.
    folder : str or Path, optional
        Where its settings, data and log are; by default ``GOVLAB_SERVICES``/name, else a folder in the user's state.
    keep : bool
        Leave it running when this process ends.
    **options
        As of :class:`govlab.services.Kafka` and :class:`govlab.services.Rabbitmq`.

    Returns
    -------
    Server
        With ``address``, ``addresses``, ``stop()``, ``kill()``, ``restart()``, ``suspend()``, ``resume()``; a context manager.

    Raises
    ------
    ServiceError
        It cannot be installed or started: says what to do.
    """
    return make(name, folder, **options).start(keep)


def found(folder: str | Path | None = None) -> list[Server]:
    """List the servers that were started in a folder, or in folders named after them in it, whether they run or not."""
    base = Path(folder) if folder else home()
    places = [make(name, place) for name in registry.names("services") for place in (base / name, base)]
    return [server for server in places if server.known]


def running(folder: str | Path | None = None) -> list[Server]:
    """List the servers that run, whoever started them, in a folder or in folders named after them in it.

    Parameters
    ----------
    folder : str or Path, optional
        By default the one under which servers are where nothing else is said.
    """
    return [server for server in found(folder) if server.running]
