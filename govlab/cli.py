"""The command line: ``govlab demo``, ``list``, ``services``, ``record``, ``play``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import govlab
from govlab import copying, registry
from govlab.errors import GovlabError
from govlab.services import command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status."""
    parser = argparse.ArgumentParser(prog="govlab", description="A workbench for people who keep a platform healthy.")
    parser.add_argument("--version", action="version", version=f"govlab {govlab.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="replay real edits and a machine metric, alert, judge, write a report")
    demo.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")
    demo.add_argument(
        "--report", type=Path, default=Path("reports/demo.html"), help="where the HTML report goes (default: %(default)s)"
    )
    demo.add_argument("--store", help="keep alerts and snapshots in this SQLite file; a run that was killed goes on where it stood")
    listing = commands.add_parser("list", help="list the steps, readers, stores and engines that there are")
    listing.add_argument("room", nargs="?", choices=registry.ROOMS, help="only this room")
    listing.add_argument("--markdown", action="store_true", help="print the steps as the table of the README")
    command.add_parser(commands)
    copying.add_parsers(commands)
    options = parser.parse_args(arguments)
    run = {"demo": _demo, "list": _list, "services": command.run, "record": copying.run, "play": copying.run}
    try:
        return run[options.command](options)
    except GovlabError as error:
        print(f"govlab: {error}", file=sys.stderr)
        return 1


def _list(options: argparse.Namespace) -> int:
    if options.markdown:
        print(markdown_table())
        return 0
    for room in [options.room] if options.room else registry.ROOMS:
        for name in registry.names(room):
            print(f"{room:10} {name:18} {_what(room, name)}")
    return 0


def _what(room: str, name: str) -> str:
    """Give the first sentence of what a table lists."""
    text = " ".join((registry.load(room, name).__doc__ or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".")


def markdown_table() -> str:
    """Give the tables of all rooms as one Markdown table, as it stands in the README."""
    rows = [
        f"| `gl.{room}.{registry.camel(name)}` | {_what(room, name)} |"
        for room in registry.STEP_ROOMS
        for name in registry.names(room)
    ]
    return "\n".join(["| step | what it does |", "|---|---|", *rows])


def _demo(options: argparse.Namespace) -> int:
    import pandas as pd

    from govlab.demo import run_demo

    result = run_demo(options.report, options.store, progress=not options.json)
    if options.json:
        print(json.dumps(result, indent=1))
        return 0
    alerts = pd.DataFrame(result["alerts"])
    with pd.option_context("display.width", 160, "display.max_columns", 20, "display.max_colwidth", 60):
        for detector, found in alerts.groupby("detector", sort=False):
            print(f"\n{len(found):,} alerts by {detector}, the five highest:")
            print(found.nlargest(5, "score")[["time", "entity", "score", "severity", "reason"]].to_string(index=False))
        for title, key in (
            ("Wikipedia edits: alerts on edits that were reverted as damaging", "edits"),
            ("Machine metric: incidents caught", "metric"),
        ):
            print(f"\n{title}, with baselines of the same budget:")
            print(pd.DataFrame(result[key]).to_string(index=False, float_format="{:.3f}".format, na_rep="-"))
    print(f"\n{result['events']:,} events, {len(alerts):,} alerts, fingerprint {result['fingerprint']}")
    print(f"report: {options.report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
