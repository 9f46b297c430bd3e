"""``govlab flink setup|status|rescale|savepoint|cancel|autoscale``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from govlab.errors import ArgumentError

__all__ = ["add_parser", "run"]

FOLDER = "the folder of the job, as submit() was given it"


def add_parser(commands: Any) -> None:
    """Add the command to those of the command line."""
    parser = commands.add_parser("flink", help="look after jobs on Flink: status, rescale, savepoint, cancel, autoscale")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("setup", help="install Flink in an environment of its own, and check it")
    for name, text in (
        ("status", "say how a job is"),
        ("savepoint", "write a savepoint, from which a job can begin"),
        ("cancel", "end a job where it stands; submit() with its folder takes it up again"),
    ):
        actions.add_parser(name, help=text).add_argument("folder", type=Path, help=FOLDER)
    rescale = actions.add_parser("rescale", help="spread a job over another number of tasks, while it runs")
    rescale.add_argument("folder", type=Path, help=FOLDER)
    rescale.add_argument("parallelism", type=int)
    auto = actions.add_parser(
        "autoscale",
        help="spread a job over more tasks when it falls behind, over fewer when it is idle",
        description="Watch a job until it ends; a change is made when some looks in a row agree, and then not for a while.",
    )
    auto.add_argument("folder", type=Path, help=FOLDER)
    auto.add_argument("--least", type=int, default=1, help="so many tasks at least (default: %(default)s)")
    auto.add_argument("--most", type=int, default=4, help="so many tasks at most (default: %(default)s)")
    auto.add_argument("--busy", type=float, default=0.8, help="more tasks above this share of time (default: %(default)s)")
    auto.add_argument("--idle", type=float, default=0.5, help="fewer when one less stays below this (default: %(default)s)")
    auto.add_argument("--lag", type=int, default=100_000, help="more when more records wait, and it grows (default: %(default)s)")
    auto.add_argument("--looks", type=int, default=3, help="so many looks must agree (default: %(default)s)")
    auto.add_argument("--cool-down", default="60s", help="no change for so long after one (default: %(default)s)")
    auto.add_argument("--every", default="5s", help="look so often (default: %(default)s)")
    auto.add_argument(
        "--cluster", type=Path, metavar="FOLDER", help="of a cluster that govlab started: its TaskManagers are restarted"
    )


def run(options: argparse.Namespace) -> int:
    """Do what was asked; gives the exit status."""
    actions: dict[str, Callable[[argparse.Namespace], None]] = {
        "setup": _setup,
        "status": lambda given: print(_job(given).status().text()),
        "rescale": lambda given: _job(given).rescale(given.parallelism),
        "savepoint": lambda given: print(_job(given).savepoint()),
        "cancel": lambda given: _job(given).cancel(),
        "autoscale": _autoscale,
    }
    actions[options.action](options)
    return 0


def _job(options: argparse.Namespace) -> Any:
    from govlab.engines.flink.submitting import attach

    return attach(options.folder)


def _setup(options: argparse.Namespace) -> None:
    from govlab.services import flink_environment

    print(f"Flink {flink_environment.VERSION} is in {flink_environment.environment().parent.parent}")


def _autoscale(options: argparse.Namespace) -> None:
    from govlab import services
    from govlab.engines.flink.scaling import Limits, autoscale

    limits = Limits(options.least, options.most, options.busy, options.idle, options.lag, options.looks, options.cool_down)
    cluster = None
    if options.cluster:
        cluster = next((one for one in services.running(options.cluster) if one.name == "flink"), None)
        if cluster is None:
            raise ArgumentError(f"autoscale: no cluster runs in {options.cluster}; govlab services status shows where one does.")
    autoscale(_job(options), limits, options.every, cluster, say=lambda text: print(text, flush=True))
