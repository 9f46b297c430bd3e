"""Kill TaskManagers, labs and clusters while a job runs on Flink, and compare its alerts with a run that nobody disturbed.

A job over 200,000 events in small row groups, on a real cluster. Again and again, without warning, something is killed: a
TaskManager (another is started), the Python worker below one, the whole cluster with the lab that submitted (the job is taken up
from its last checkpoint by a new lab on a new cluster); now and then the job is rescaled instead. In the end alerts and
fingerprint must be those of one undisturbed run: none missing, none twice.

    python benchmarks/kill_flink.py                        # 20 kills, about 15 minutes
    python benchmarks/kill_flink.py --events 50000 --kills 4 --json
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
from events import make

import govlab as gl
from govlab import services
from govlab.engines import flink
from govlab.errors import GovlabError

KINDS = ("taskmanager", "worker", "cluster")
PATIENT = {"restart-strategy.failure-rate.max-failures-per-interval": 1000}


def watch() -> gl.Pipeline:
    counts = [gl.features.WindowCount(every="10s", by="actor", lateness="5s"), gl.detectors.EwmaZ("count", by="actor")]
    steps = [gl.prepare.Deduplicate("event_id", within="1min"), gl.Sharded(counts, by="actor", shards=4)]
    return gl.Pipeline(*steps, gl.alerts.Threshold(above=2.5))


def begin(options: argparse.Namespace, folder: Path, number: int, parallelism: int) -> tuple[Any, flink.Job]:
    cluster = services.start("flink", folder / f"cluster-{number}", workers=2, slots=1)
    source = gl.from_replay(str(folder / "slow.parquet"), order="arrival")
    job = flink.submit(
        watch(), source, folder / "lab.db", folder / "job", cluster, parallelism, "500ms", max_rows=options.rows, settings=PATIENT
    )
    return cluster, job


def settled(job: flink.Job, checkpoints: int, timeout_s: float = 120) -> bool:
    """Wait until a job runs and has written so many checkpoints more; gives whether it still runs."""
    end = time.monotonic() + timeout_s
    before = job.status().checkpoints
    while time.monotonic() < end:
        status = job.status()
        if status.state in ("FINISHED", "FAILED", "CANCELED"):
            return False
        if status.state == "RUNNING" and status.checkpoints >= before + checkpoints:
            return True
        time.sleep(0.2)
    raise SystemExit(f"the job does not go on: {job.status()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument(
        "--rows", type=int, default=50, help="rows of a row group; small ones make a long job (default: %(default)s)"
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the result as JSON, and nothing else")
    options = parser.parse_args()
    rng, done = random.Random(options.seed), dict.fromkeys((*KINDS, "rescale"), 0)

    def say(text: str) -> None:
        if not options.json:
            print(text, flush=True)

    with tempfile.TemporaryDirectory(prefix="govlab-kill-flink-") as name:
        folder = Path(name)
        table = pq.read_table(make(folder, options.events, ndjson=False)[1])
        pq.write_table(table, folder / "slow.parquet", row_group_size=options.rows)
        expected = watch().run(gl.from_replay(str(folder / "slow.parquet"), order="arrival").reader)
        say(f"undisturbed: {len(expected.rows)} alerts, fingerprint {expected.summary.fingerprint[:16]}")
        cluster, job = begin(options, folder, 0, 2)
        try:
            while sum(done[kind] for kind in KINDS) < options.kills and settled(job, rng.randint(1, 3)):
                events = job.status().events
                kind = rng.choices((*KINDS, "rescale"), (5, 3, 2, 2))[0]
                done[kind] += 1
                say(f"{sum(done.values()):3} {kind} after {events or 0:,} events")
                if kind == "taskmanager":
                    rng.choice(cluster.workers).kill()
                    for worker in cluster.workers:
                        if not worker.running:
                            worker.restart()
                elif kind == "worker":
                    below = [
                        one for worker in cluster.workers for one in psutil.Process(worker.pid).children(recursive=True)
                        if "python" in one.name()
                    ]  # fmt: skip
                    for one in below:
                        one.kill()
                elif kind == "rescale":
                    try:
                        job.rescale(1 if job.status().parallelism == 2 else 2)
                    except GovlabError as error:
                        say(f"    {error}")
                else:
                    for server in (cluster, *cluster.workers):
                        server.kill()
                    cluster.stop()
                    cluster, job = begin(options, folder, sum(done.values()), rng.choice((1, 2)))
            job.wait(1_800, progress=False)
        finally:
            cluster.stop()
        kept = sorted(gl.stores.Sqlite(folder / "lab.db").alerts()["id"])
        alerts, wanted = job.alerts(), expected.rows.reset_index(drop=True)
        told = {
            "alerts": len(wanted),
            "missing": len(set(wanted["id"]) - set(alerts["id"])),
            "twice": len(alerts) - alerts["id"].nunique(),
            "equal": wanted.equals(alerts),
            "fingerprints_equal": expected.summary.fingerprint == job.fingerprint(),
            "store_equal": sorted(wanted["id"]) == kept,
            "kills": done,
            "finished_before_all_kills": sum(done[kind] for kind in KINDS) < options.kills,
        }
    print(json.dumps(told, indent=1))
    raise SystemExit(0 if told["equal"] and told["fingerprints_equal"] and told["store_equal"] else 1)


if __name__ == "__main__":
    main()
