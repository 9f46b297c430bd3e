"""Kill or interrupt labs a thousand times, over files and queues, and compare each with a run that nobody disturbs.

A round is one run from the first event to the last, by lab after lab: each is forked from a process that has everything
compiled, reads into the store of the round, and is killed (SIGKILL) or interrupted (SIGINT once or twice) at a random moment.
Beside that, partitions are added, a second member joins, records before the stored position are deleted. In the end the
store must have the alerts and dead letters of the undisturbed run, none twice, the run its fingerprint, and the plain file
that the labs wrote each alert at least once. Where records beyond the stored position are deleted the next lab must refuse.

    python benchmarks/kill_campaign.py                                   # 1,000 kills; the table is markdown
    python benchmarks/kill_campaign.py --kills 40 --seed 7 --only file,rabbitmq
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GOVLAB_KEY", "the key of a kill campaign, for nothing else")
os.environ["GOVLAB_KILL_LAB"] = "1"
# the process that labs are forked from does not know where this script is, and would compile nothing without a word
os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])

from kill_lab import events, lab
from kill_lanes import LANES, Lane

from govlab import services
from govlab.stores import Sqlite

ROWS, PATIENCE_S = 3_000, 180.0
COLUMNS = (
    "killed",
    "interrupted",
    "rounds",
    "alerts",
    "missing",
    "unknown",
    "twice",
    "unequal",
    "not in the file",
    "errors",
    "hung",
    "refused",
)


class Round:
    """One run, from the first event to the last, whatever happens to it."""

    def __init__(self, campaign: Campaign, lane: Lane, pipeline: str, folder: Path, disturbed: bool) -> None:
        self.campaign, self.lane, self.folder = campaign, lane, folder
        folder.mkdir()
        self.rng, self.disturbed = campaign.rng, disturbed
        address, name = campaign.origin(lane, disturbed)
        more = dict(lane.more)
        if lane.by == "partition":
            more["group"] = folder.name
        paths = {key: str(folder / key) for key in ("store", "sink", "result")}
        events = ROWS if lane.live else 0
        self.options = {
            "kind": lane.kind, "address": address, "name": name, "more": more, "pipeline": pipeline, "by": lane.by,
            "events": events, "timeout_s": 0.3 if lane.live else None, **paths,
        }  # fmt: skip
        self.counts: Counter[str] = Counter(rounds=1)
        self.result: dict[str, Any] = {}

    def lab(self) -> Any:
        made = self.campaign.context.Process(target=lab, args=(self.options,))
        made.start()
        return made

    def run(self, took: float, kills: int) -> float:
        """Play it to its end; gives how long that took."""
        began, todo = time.monotonic(), list(self.lane.happenings) if self.disturbed else []
        if "overtake" in todo and self.rng.random() < 0.7:
            todo.remove("overtake")
        self.rng.shuffle(todo)
        while True:
            one = self.lab()
            how = self.rng.choice(["killed", "killed", "interrupted", "twice"]) if kills > 0 else "left"
            one.join(self.rng.uniform(0, took) if kills > 0 else PATIENCE_S if not todo else took)
            if one.exitcode is None:
                if how == "killed" or how == "left":
                    late = how == "left" and not todo
                    if late:
                        self.campaign.say(f"{self.lane.name}, {self.options['pipeline']} hangs:\n{self.stacks(one)}")
                    one.kill()
                    one.join()
                    self.counts["hung" if late else "killed"] += 1
                    kills -= 1
                    if late:
                        break
                else:
                    for _ in range(2 if how == "twice" else 1):
                        os.kill(one.pid, signal.SIGINT)
                    self.counts["interrupted"] += 1
                    kills -= 1
                    one.join(self.rng.uniform(0, took))
                    if one.exitcode is None:
                        one.kill()
                        one.join()
                        self.counts["killed"] += 1
                        kills -= 1
            if self.ended() and not (todo and "add" in todo):
                break
            if todo and self.happen(todo.pop()):
                break
        return time.monotonic() - began

    def stacks(self, one: Any) -> str:
        """Ask a lab where it stands."""
        os.kill(one.pid, signal.SIGUSR1)
        time.sleep(1.0)
        return Path(self.options["result"] + ".stacks").read_text()

    def ended(self) -> bool:
        path = Path(self.options["result"])
        if path.exists():
            self.result = json.loads(path.read_text())
            path.unlink()
        return bool(self.result)

    def happen(self, what: str) -> bool:
        """Let something happen while no lab runs; tells whether that ends the round."""
        lane, options = self.lane, self.options
        if what == "add":
            lane.add_partition(self.campaign.rows, options["name"], options["address"])
        elif what == "trim":
            lane.trim(options["name"], options["address"], options["store"])
        elif what == "join":
            first, second = self.lab(), self.lab()
            second.join(4.0)
            for one in (first, second):
                one.kill()
                one.join()
            self.counts["killed"] += 2
        elif lane.trim(options["name"], options["address"], options["store"], beyond=200):
            one = self.lab()
            one.join(PATIENCE_S)
            one.kill()
            one.join()
            refused = self.ended() and "error" in self.result and "gone" in self.result["error"]
            self.counts["refused" if refused else "errors"] += 1
            if not refused:
                self.campaign.say(f"{lane.name}: records at the position are gone, and the lab said {self.result}")
            self.result = {"refused": True}
            return True
        return False

    def kept(self) -> tuple[Any, Any]:
        store = Sqlite(self.options["store"])
        try:
            return store.alerts(), store.dead_letters()
        finally:
            store.close()

    def compare(self, whole: Round) -> None:
        """Count what differs from the undisturbed round."""
        if "refused" in self.result:
            return
        (ours, letters), (theirs, expected) = self.kept(), whole.kept()
        mine, known = set(ours["id"]), set(theirs["id"])
        given = set(Path(self.options["sink"]).read_text().split())
        self.counts["alerts"] += len(theirs)
        self.counts["missing"] += len(known - mine)
        self.counts["unknown"] += len(mine - known)
        self.counts["twice"] += int(ours["id"].duplicated().sum())
        self.counts["not in the file"] += len(known - given)
        self.counts["errors"] += "error" in self.result
        plain = [one.drop(columns=["run"], errors="ignore").sort_values("id", ignore_index=True) for one in (ours, theirs)]
        where = [one[["partition", "offset", "reason"]].values.tolist() for one in (letters, expected)]
        equal = plain[0].equals(plain[1]) and where[0] == where[1] and self.result.get("fingerprint") == whole.result["fingerprint"]
        self.counts["unequal"] += not equal
        if not equal or "error" in self.result:
            self.campaign.say(f"{self.lane.name}, {self.options['pipeline']}: {self.result}; undisturbed {whole.result}")


class Campaign:
    """All lanes, two at a time."""

    def __init__(self, options: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
        self.options, self.folder = options, folder
        self.rng = random.Random(options.seed)
        self.rows = events(ROWS, options.seed)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["kill_lab"])
        self.lanes = [lane for lane in LANES if any(lane.name.startswith(one) for one in options.only)]
        kinds = sorted({lane.kind for lane in self.lanes} - {"file"})
        self.addresses = {kind: stack.enter_context(services.start(kind, folder / kind)).address for kind in kinds}
        self.origins: dict[str, tuple[str, str]] = {}
        self.began = time.monotonic()

    def origin(self, lane: Lane, disturbed: bool) -> tuple[str, str]:
        if lane.name in self.origins:
            return self.origins[lane.name]
        made = lane.fill(self.rows, self.folder, self.addresses.get(lane.kind, ""), whole=not disturbed)
        if not lane.fresh:
            self.origins[lane.name] = made
        return made

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self.began:6.0f} s  {text}", file=sys.stderr, flush=True)

    def play(self, lane: Lane) -> dict[str, Any]:
        """Play rounds of a lane until its share of kills is reached."""
        kills = max(round(self.options.kills * lane.share / sum(one.share for one in self.lanes)), len(lane.pipelines))
        began, counts, n = time.monotonic(), Counter[str](), 0
        wholes: dict[str, tuple[Round, float]] = {}
        end = self.began + 60 * self.options.minutes
        while counts["killed"] + counts["interrupted"] < kills and counts["hung"] < 3 and time.monotonic() < end:
            pipeline = lane.pipelines[n % len(lane.pipelines)]
            stem = "".join(c if c.isalnum() else "-" for c in f"{lane.name}-{pipeline}-{n}")
            if pipeline not in wholes:
                for i in range(2):  # the first is slower, as files and topics are new
                    whole = Round(self, lane, pipeline, self.folder / f"{stem}-whole-{i}", disturbed=False)
                    took = whole.run(0.0, 0)
                if "fingerprint" not in whole.result:
                    raise SystemExit(
                        f"the undisturbed run of {lane.name}, {pipeline}, failed: {whole.result or dict(whole.counts)}"
                    )
                if whole.result["threads"] > 2:
                    raise SystemExit(f"a lab begins with {whole.result['threads']} threads: something before the fork started some")
                wholes[pipeline] = whole, took
            one = Round(self, lane, pipeline, self.folder / stem, disturbed=True)
            whole, took = wholes[pipeline]
            wanted = self.rng.randint(1, 8)
            one.run(took, wanted)
            one.compare(whole)
            if one.counts["killed"] + one.counts["interrupted"] < wanted:  # it came to its end before: kill sooner
                wholes[pipeline] = whole, max(0.05, 0.7 * took)
            counts += one.counts
            n += 1
        self.say(f"{lane.name}: {dict(counts)}")
        return {"lane": lane.name, **{key: counts[key] for key in COLUMNS}, "seconds": round(time.monotonic() - began)}

    def run(self) -> list[dict[str, Any]]:
        with ThreadPoolExecutor(self.options.lanes) as pool:
            return list(pool.map(self.play, self.lanes))


def table(rows: list[dict[str, Any]]) -> str:
    """Write rows as markdown, with their sum."""
    whole = {"lane": "all"} | {key: sum(row[key] for row in rows) for key in rows[0] if key != "lane"}
    lines = ["| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    return "\n".join(
        lines
        + [
            "| " + " | ".join(f"{value:,}" if isinstance(value, int) else value for value in row.values()) + " |"
            for row in [*rows, whole]
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1_000, help="kills and interrupts, of all lanes together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="file,kafka,rabbitmq", type=lambda text: text.split(","), help="how lanes' names begin")
    parser.add_argument("--lanes", type=int, default=2, help="so many lanes at once")
    parser.add_argument(
        "--minutes", type=float, default=60.0, help="begin no round after this time; the table says what was reached"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="govlab-kills-") as folder, ExitStack() as stack:
        rows = Campaign(options, Path(folder), stack).run()
    print(json.dumps(rows) if options.json else table(rows), flush=True)
    wrong = ("missing", "unknown", "twice", "unequal", "not in the file", "errors", "hung")
    if any(row[key] for row in rows for key in wrong):
        raise SystemExit("the disturbed runs are not those of the undisturbed ones")


if __name__ == "__main__":
    main()
