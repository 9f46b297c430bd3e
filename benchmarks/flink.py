"""Events per second and per CPU-second on Flink, from files and from Kafka, beside other ways to write the same job for it.

Count and sum per actor and minute (5 s lateness), EWMA z, alert, in 8 shards. govlab's blocks on one TaskManager and on two (a
slot each), a KeyedProcessFunction that takes an event at a time, the windows alone in Flink SQL, and govlab in one process.
CPU time is that of all processes of the cluster, Java and Python; a first, small run of the same job is taken off, so that the
start of Flink and of its workers does not count. Also the time from producing a live event to its alert.

    python benchmarks/flink.py                      # 2 M events, about 10 minutes
    python benchmarks/flink.py --events 500000 --only parquet,latency
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from events import make
from tqdm import tqdm

import govlab as gl
from govlab import services
from govlab.engines import flink
from govlab.services import flink_environment

TEXT = gl.Schema({"time": "epoch_ms", "actor": "string", "value": "float64"})
TABLE = gl.Schema({"time": "timestamp", "actor": "string", "value": "float64"})
ROOMS = ("local", "parquet", "ndjson", "kafka", "naive", "sql", "latency")
SMALL = 50_000
Rates = tuple[float, float]  # events a second and a CPU-second
Checks = dict[tuple[str, int], set[str]]  # of a source and its events, what the runs said: one thing, or something is wrong


def job(shards: int = 8) -> gl.Pipeline:
    """Give the pipeline that is measured."""
    steps = [
        gl.features.WindowCount("actor", every="1min", lateness="5s", value="value"),
        gl.detectors.EwmaZ("count", by="actor"),
        gl.alerts.Threshold(6),
    ]
    return gl.Pipeline(gl.Sharded(steps, by="actor", shards=shards))


class Meter:
    """Adds up the CPU time of processes and of all that they start, by looking ten times a second."""

    def __init__(self, pids: list[int]) -> None:
        self.pids, self.seen, self._stop = pids, dict[tuple[int, float], float](), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _look(self) -> None:
        for pid in self.pids:
            try:
                whole = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            for one in whole:
                try:
                    used = one.cpu_times()
                    self.seen[one.pid, one.create_time()] = used.user + used.system
                except psutil.NoSuchProcess:
                    continue

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            self._look()

    def __enter__(self) -> Meter:
        self._look()
        self.before = dict(self.seen)
        self.began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._look()
        self.wall = time.monotonic() - self.began
        self._stop.set()
        self._thread.join()
        self.cpu = sum(used - self.before.get(who, 0.0) for who, used in self.seen.items())


def net(run: Callable[[int], Meter], events: int) -> Rates:
    """Give events a second and a CPU-second of a large run, a small one taken off."""
    run(SMALL)  # kernels are compiled, the JVM is warm
    small, large = run(SMALL), run(events)
    return (events - SMALL) / max(large.wall - small.wall, 1e-3), (events - SMALL) / max(large.cpu - small.cpu, 1e-3)


def tell(name: str, rates: Rates, beside: str = "") -> None:
    print(f"{name:44}{rates[0]:14,.0f}{rates[1]:18,.0f}   {beside}", flush=True)


def pids_of(cluster: Any) -> list[int]:
    return [cluster.pid, *(worker.pid for worker in cluster.workers)]


def on_cluster(options: argparse.Namespace, name: str, source: Callable[[int], Any], workers: int, checks: Checks) -> Rates:
    """Run the job on a cluster of so many TaskManagers."""
    with services.start("flink", options.folder / f"cluster-{time.time_ns()}", workers=workers, slots=1) as cluster:

        def run(events: int) -> Meter:
            with Meter(pids_of(cluster)) as meter:
                done = flink.submit(job(), source(events), cluster=cluster, parallelism=workers, checkpoint_every="5s")
                done.wait(1_800)
            checks.setdefault((name, events), set()).add(f"{done.fingerprint()[:12]}, {len(done.alerts())} alerts")
            shutil.rmtree(done.folder)
            return meter

        return net(run, options.events)


def local(options: argparse.Namespace, name: str, source: Callable[[int], Any], checks: Checks) -> Rates:
    """Run the job in this process."""

    def run(events: int) -> Any:
        wall, cpu = time.monotonic(), time.process_time()
        done = job().run(source(events).reader)
        checks.setdefault((name, events), set()).add(f"{done.summary.fingerprint[:12]}, {len(done.rows)} alerts")
        return argparse.Namespace(wall=time.monotonic() - wall, cpu=time.process_time() - cpu)

    return net(run, options.events)


def peer(options: argparse.Namespace, which: str, events: int) -> Rates:
    """Run one of the other programs, on a small cluster of its own."""
    few = options.few if which == "naive" else SMALL

    def run(n: int) -> Meter:
        command = [
            flink_environment.environment(),
            Path(__file__).with_name("flink_peers.py"),
            which,
            text(options, n),
            options.folder,
        ]
        variables = flink_environment.clean({"PYTHONPATH": str(flink_environment.code(options.folder))})
        process = subprocess.Popen(list(map(str, command)), env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        with Meter([process.pid]) as meter:
            said = process.communicate()[1]
        if process.returncode:
            raise SystemExit(f"{which} failed:\n{said.decode()[-3_000:]}")
        return meter

    small, large = run(few), run(events)
    return (events - few) / (large.wall - small.wall), (events - few) / (large.cpu - small.cpu)


def text(options: argparse.Namespace, events: int) -> Path:
    """Give the first events as a file of lines."""
    path = options.folder / f"first_{events}.ndjson"
    if not path.exists():
        with options.text.open("rb") as lines, path.open("wb") as out:
            out.writelines(line for line, _ in zip(lines, range(events), strict=False))
    return path


def table(options: argparse.Namespace, events: int) -> Path:
    """Give the first events as a Parquet file."""
    import pyarrow.parquet as pq

    path = options.folder / f"first_{events}.parquet"
    if not path.exists():
        pq.write_table(pq.read_table(options.table).slice(0, events), path, compression="zstd", row_group_size=65_536)
    return path


def fill(options: argparse.Namespace, address: str, events: int) -> str:
    """Put the first events into a topic of four partitions, a record each, keyed by the actor."""
    import confluent_kafka as ck

    from govlab.sources.kafka.sink import make_topic

    name = f"events-{events}"
    make_topic(name, 4, address)
    producer = ck.Producer(
        {"bootstrap.servers": address, "compression.type": "lz4", "linger.ms": 20, "queue.buffering.max.messages": 2_000_000}
    )
    with text(options, events).open("rb") as lines:
        for line in tqdm(lines, desc="into Kafka", total=events, leave=False):
            producer.produce(name, line.rstrip(), key=line[line.index(b"user_") :][:12])
    producer.flush()
    return name


def latency(options: argparse.Namespace, address: str) -> dict[str, float]:
    """Produce 2,000 events a second, of which every fortieth makes an alert; from producing to the alert in a topic."""
    import confluent_kafka as ck
    import msgspec

    from govlab.sources.kafka.sink import make_topic

    for topic in ("live", "live-alerts"):
        make_topic(topic, 4 if topic == "live" else 1, address)
    schema = gl.Schema(TEXT.fields | {"kind": "string"}, time="time")
    watch = gl.Pipeline(gl.Sharded([gl.detectors.Volume("value"), gl.alerts.Threshold(above=1.0)], by="actor", shards=4))
    row, stop, delays = {"actor": "ann", "kind": "post"}, threading.Event(), list[float]()

    def produce() -> None:
        producer, began, n = ck.Producer({"bootstrap.servers": address, "linger.ms": 5}), time.monotonic(), 0
        while not stop.is_set():
            n += 1
            body = row | {"actor": f"user_{n % 50}", "time": int(time.time() * 1000), "value": float(n % 40 == 0)}
            producer.produce("live", msgspec.json.encode(body), partition=n % 4)
            producer.poll(0)
            time.sleep(max(0.0, began + n / 2_000 - time.monotonic()))
        producer.flush()

    with services.start("flink", options.folder / "live", workers=1, slots=1) as cluster:
        source = gl.from_kafka("live", address, schema, client="confluent")
        made = flink.submit(watch, source, f"kafka://{address}/live-alerts", cluster=cluster)
        consumer = ck.Consumer(
            {"bootstrap.servers": address, "group.id": "seen", "auto.offset.reset": "latest", "fetch.wait.max.ms": 100}
        )
        consumer.assign([ck.TopicPartition("live-alerts", 0, ck.OFFSET_END)])
        thread = threading.Thread(target=produce)
        thread.start()
        end, warm = time.monotonic() + 60, time.monotonic() + 30
        while time.monotonic() < end:
            for message in consumer.consume(100, 0.01):
                if message.error() is None and time.monotonic() > warm:
                    said = json.loads(message.value())
                    delays.append(time.time() * 1000 - gl.frames.instant_us(said["time"], "time") / 1000)
        stop.set()
        thread.join()
        consumer.close()
        made.cancel()
    return {"alerts": len(delays), **{f"p{q}": float(np.percentile(delays, q)) for q in (50, 95, 99)}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument(
        "--few", type=int, default=5_000, help="the small run of the naive program; its large one is three times that"
    )
    parser.add_argument("--only", default=",".join(ROOMS), help=f"some of {', '.join(ROOMS)}")
    options = parser.parse_args()
    only = options.only.split(",")
    with tempfile.TemporaryDirectory(prefix="govlab-flink-bench-") as folder:
        options.folder = Path(folder)
        options.text, options.table = make(options.folder, options.events)
        sources: dict[str, Callable[[int], Any]] = {
            "parquet": lambda n: gl.from_replay(str(table(options, n)), TABLE, order="arrival"),
            "ndjson": lambda n: gl.from_replay(str(text(options, n)), TEXT, order="arrival"),
        }
        print(f"{'':44}{'events/s':>14}{'events/CPU-s':>18}")
        found: dict[str, Rates] = {}
        checks: Checks = {}

        def measure(name: str) -> None:
            if "local" in only:
                tell(f"govlab in one process, {name}", local(options, name, sources[name], checks))
            for workers in (1, 2):
                rates = found[f"{name} {workers}"] = on_cluster(options, name, sources[name], workers, checks)
                ratio = f"{rates[0] / found[f'{name} 1'][0]:.2f} times one" if workers == 2 else ""
                tell(f"govlab on Flink, {name}, {workers} TaskManager{'s' * (workers > 1)}", rates, ratio)

        for name in ("parquet", "ndjson"):
            if name in only:
                measure(name)
        if {"kafka", "latency"} & set(only):
            with services.start("kafka", options.folder / "kafka", heap="1g") as kafka:
                if "kafka" in only:
                    topics = {n: fill(options, kafka.address, n) for n in (SMALL, options.events)}
                    sources["kafka"] = lambda n: gl.from_kafka(
                        topics[n], kafka.address, TEXT, stop="now", order="arrival", client="confluent"
                    )
                    measure("kafka")
                if "latency" in only:
                    told = latency(options, kafka.address)
                    print("live, 2,000 events/s: " + ", ".join(f"{k} {v:,.0f}" for k, v in told.items()) + " (ms)", flush=True)
        if "naive" in only:
            rates = peer(options, "naive", 3 * options.few)
            best = next((found[name] for name in ("ndjson 1", "parquet 1") if name in found), None)
            tell("KeyedProcessFunction, ndjson", rates, f"govlab: {best[1] / rates[1]:.0f} times" if best else "")
        if "sql" in only:
            tell("Flink SQL, the windows alone, ndjson", peer(options, "sql", options.events))
        for (name, events), told_by in sorted(checks.items()):
            print(
                f"{name}, {events:,} events: {'all runs equal' if len(told_by) == 1 else 'DIFFERENT'}: {'; '.join(sorted(told_by))}"
            )
        if any(len(told_by) > 1 for told_by in checks.values()):
            raise SystemExit("runs over the same events differ: this is a bug.")


if __name__ == "__main__":
    main()
