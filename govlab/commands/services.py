"""``govlab services up|status|down``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from govlab import registry
from govlab.errors import ArgumentError, did_you_mean
from govlab.services.known import found, make
from govlab.services.server import Server

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to those of the command line."""
    names = registry.names("services")
    parser = commands.add_parser("services", help="start and stop real servers on this machine: " + ", ".join(names))
    parser.add_argument("action", choices=["up", "status", "down"])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(names)} (default: all)")
    parser.add_argument("--folder", type=Path, help="where settings, data and log are (default: in your state folder)")
    parser.add_argument("--port", type=int, help="the main port of the one that is named (default: a free one)")


def run(options: argparse.Namespace) -> int:
    """Do what was asked; gives the exit status."""
    every = registry.names("services")
    for name in options.names:
        if name not in every:
            raise ArgumentError(f"there is no server {name!r}. {did_you_mean(name, every)}")
    if options.port and len(options.names) != 1:
        raise ArgumentError("--port is for one server: name it, as in: govlab services up kafka --port 9092")
    if options.action == "up":
        for name in options.names or every:
            _up(name, options)
        return 0
    servers = [server for server in found(options.folder) if server.name in (options.names or every)]
    if options.action == "status":
        _status(servers)
    for server in servers if options.action == "down" else []:
        ran = server.running
        server.stop()  # also one that has crashed, which may have left something
        print(f"{server.name} {'is stopped' if ran else 'did not run'}; its data stay in {server.folder}")
    if not servers:
        print(f"there is no server{f' in {options.folder}' if options.folder else ''}; start one: govlab services up kafka")
    return 0


def _up(name: str, options: argparse.Namespace) -> None:
    # a folder is that of the one server that is named, or has one for each
    folder = options.folder / name if options.folder and len(options.names) != 1 else options.folder
    server = make(name, folder, port=options.port)
    if server.running:
        print(f"{name} runs already (pid {server.pid})")
    else:
        print(f"starting {name} in {server.folder} ...", flush=True)
        server.start(keep=True)
        print(f"{name} is up (pid {server.pid})")
    for protocol, address in server.addresses.items():
        print(f"  {protocol:10} {address}")
    print(f"  stop it:   govlab services down {name}{f' --folder {options.folder}' if options.folder else ''}")


def _status(servers: list[Server]) -> None:
    if servers:
        print(f"{'name':10} {'state':10} {'pid':>8} {'MB':>6}  {'address':44} folder")
    for server in servers:
        state = server.state
        pid = "-" if state == "stopped" else server.pid
        print(f"{server.name:10} {state:10} {pid:>8} {server.memory_mb():6.0f}  {server.address:44} {server.folder}")
