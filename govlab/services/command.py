"""``govlab services up|status|down``."""

from __future__ import annotations

import argparse
from typing import Any

from govlab import registry
from govlab.services.known import make, running

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add the command to those of the command line."""
    names = registry.names("services")
    parser = commands.add_parser("services", help="start and stop real servers on this machine: " + ", ".join(names))
    parser.add_argument("action", choices=["up", "status", "down"])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(names)} (default: all)")
    parser.add_argument("--folder", help="the folder of its settings, data and log (default: one in your state folder)")
    parser.add_argument("--port", type=int, help="the first of its ports (default: free ones)")


def run(options: argparse.Namespace) -> int:
    """Do what was asked; gives the exit status."""
    for name in options.names:
        make(name, options.folder)  # a name that is not known ends here
    if options.action == "up":
        for name in options.names or registry.names("services"):
            server = make(name, options.folder, **({"port": options.port} if options.port else {}))
            if server.running:
                print(f"{name} runs already: {server.address}")
                continue
            server.start(keep=True)
            more = f" --folder {options.folder}" if options.folder else ""
            print(f"{name} is up: {server.address}   (log: {server.log}; stop it with: govlab services down {name}{more})")
        return 0
    found = [server for server in running(options.folder) if not options.names or server.name in options.names]
    if options.action == "status":
        print(f"{'name':10} {'pid':>8} {'MB':>6}  address")
    for server in found:
        if options.action == "status":
            print(f"{server.name:10} {server.pid:8} {server.memory_mb():6.0f}  {server.address}   {server.folder}")
        else:
            server.stop()
            print(f"{server.name} is stopped; its data stay in {server.folder}")
    if not found:
        print("no server runs" + (f" in {options.folder}" if options.folder else "") + "; start one: govlab services up kafka")
    return 0
