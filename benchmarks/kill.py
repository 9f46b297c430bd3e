"""Kill labs and brokers while events flow, and compare what the store holds with a run that nobody disturbed.

Events are played into a real Kafka (4 partitions) or RabbitMQ (a quorum queue). Meanwhile a lab process that writes a
store is killed without warning again and again and started anew; the broker is killed and restarted; connections are cut;
with Kafka, a second lab joins the group and leaves it. In the end the alerts must be those of one undisturbed run over the
same events: none missing, none twice, nothing changed. Prints how many records were read more than once.

    python benchmarks/kill.py                                        # Kafka, then RabbitMQ: 200,000 events, 20 + 5 kills each
    python benchmarks/kill.py --queue kafka --events 20000 --kills 4 --broker-kills 1 --json
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from events import make

import govlab as gl
from govlab import services
from govlab.access import Access
from govlab.frames import from_us
from govlab.sources.kafka.lookup import Lookup
from govlab.sources.kafka.sink import make_topic

SHARDS = 4


def schema() -> gl.Schema:
    return gl.Schema({"time": "timestamp", "event_id": "string", "actor": "string", "kind": "string", "value": "float64"})


def watch(queue: str) -> gl.Step:
    steps = [
        gl.features.WindowCount(every="10s", by="actor", lateness="5s", distinct="kind"),
        gl.detectors.EwmaZ("count", by="actor"),
        gl.alerts.Threshold(above=2.5),
    ]
    if queue == "kafka":  # members of a group share the run, partition by partition
        return gl.Sharded(steps, by="partition", shards=SHARDS)
    return gl.Pipeline(*steps)


def source(options: argparse.Namespace, group: str | None) -> Any:
    if options.queue == "kafka":
        return gl.from_kafka("events", options.address, schema=schema(), group=group, client=options.client)
    return gl.from_rabbitmq("events", options.address, schema=schema(), prefetch=4_000)


def lab(options: argparse.Namespace) -> None:
    """Read into the store until killed, or until told to end."""
    live = source(options, "labs")
    read = os.open(options.read, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    live.map(len).sink(lambda n: os.write(read, n.to_bytes(4, "little")))
    live.through(watch(options.queue))
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        gl.run(live, store=options.store, progress=False, save_every_s=0.2)
    except KeyboardInterrupt:
        live.reader.close()


def player(options: argparse.Namespace) -> None:
    """Play the events into the queue, at a steady rate."""
    played = gl.from_replay(options.file, schema(), order="arrival", max_rows=2_000)
    if options.queue == "kafka":
        outlet = played.to_kafka("events", options.address, key="actor", shards=SHARDS, client=options.client)
    else:
        outlet = played.to_rabbitmq("", options.address, routing_key="events", id="event_id")
    rate, began, sent = options.events / options.seconds, time.monotonic(), 0
    while gl.run(played, max_events=1_000, progress=False).state != "finished":
        sent += 1_000
        time.sleep(max(0.0, began + sent / rate - time.monotonic()))
    outlet.flush()
    outlet.close()


class Campaign:
    """One campaign against one queue."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder = options, folder
        self.rng = random.Random(options.seed)
        self.server = services.start(options.queue, folder / options.queue)
        options.address, options.store = self.server.address, str(folder / f"{options.queue}.db")
        options.read, options.file = str(folder / "read.bin"), str(folder / "events.parquet")
        if options.queue == "kafka":
            make_topic("events", SHARDS, self.server.address, Access())
        else:
            gl.sinks.RabbitSink(url=self.server.address, queue="events", kind="quorum").close()

    def process(self, role: str) -> subprocess.Popen[bytes]:
        plain = {name: str(value) for name, value in vars(self.options).items() if name not in ("role", "json", "quiet")}
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in plain.items()]
        return subprocess.Popen(
            [sys.executable, __file__, f"--role={role}", *arguments], stderr=open(self.folder / "log.txt", "ab")
        )

    def stored(self) -> int:
        """How many events the snapshots in the store are past."""
        store = gl.stores.Sqlite(self.options.store)
        try:
            rows = store._db.execute("SELECT positions FROM snapshots").fetchall()
        finally:
            store.close()
        positions = [json.loads(text)["events"] for (text,) in rows]
        return sum(n for position in positions for key, n in position.items() if 0 <= int(key) < SHARDS)

    def there(self) -> int:
        """How many events are in the queue in all."""
        if self.options.queue == "rabbitmq":
            return self.options.events
        lookup = Lookup(self.options.address, Access())
        try:
            return sum(lookup.ends([("events", p) for p in range(SHARDS)]).values())
        finally:
            lookup.close()

    def run(self) -> dict[str, object]:
        options = self.options
        play, labs = self.process("player"), [self.process("lab")]
        moments = ["lab"] * options.kills + ["broker"] * options.broker_kills + ["cut"] * options.cuts
        moments += ["join", "leave"] * (options.joins if options.queue == "kafka" else 0)
        self.rng.shuffle(moments)
        done = dict.fromkeys(["lab", "broker", "cut", "join", "leave"], 0)
        for what in moments:
            self.wait_for_progress(labs)
            time.sleep(self.rng.uniform(0.0, 1.0) * options.seconds / (len(moments) + 1))
            done[what] += self.happen(what, labs)
            if not options.quiet:
                print(f"{what:7} stored {self.stored():8,}", file=sys.stderr, flush=True)
        if play.wait():
            raise SystemExit("the player failed:\n" + (self.folder / "log.txt").read_text()[-3000:])
        end = time.monotonic() + 180
        while self.stored() < self.there():
            if time.monotonic() > end:
                log = (self.folder / "log.txt").read_text()[-3000:]
                raise SystemExit(f"only {self.stored():,} of {self.there():,} events are in the store:\n{log}")
            for i, one in enumerate(labs):
                if one.poll() is not None:
                    labs[i] = self.process("lab")
            time.sleep(0.3)
        for one in labs:
            one.send_signal(signal.SIGTERM)
            one.wait(60)
        return self.compare() | {"happened": done}

    def wait_for_progress(self, labs: list[subprocess.Popen[bytes]]) -> None:
        """Wait until something was stored since the last time something happened, or all is."""
        before, end = self.stored(), time.monotonic() + 60
        while self.stored() == before < self.options.events and time.monotonic() < end:
            time.sleep(0.1)

    def happen(self, what: str, labs: list[subprocess.Popen[bytes]]) -> int:
        if what == "lab":
            victim = self.rng.randrange(len(labs))
            labs[victim].kill()
            labs[victim].wait()
            labs[victim] = self.process("lab")
        elif what == "broker":
            self.server.kill()
            self.server.restart()
        elif what == "cut":
            port = self.options.address.rsplit(":", 1)[-1].strip("/")
            return int(subprocess.run(["ss", "-K", "dst", "127.0.0.1", "dport", "=", port], capture_output=True).returncode == 0)
        elif what == "join":
            labs.append(self.process("lab"))
        elif len(labs) > 1:
            leaving = labs.pop(0)
            leaving.send_signal(signal.SIGTERM)
            leaving.wait(60)
        return 1

    def compare(self) -> dict[str, object]:
        """Compare the store with a run over the same events that nobody disturbs."""
        quiet = str(self.folder / f"{self.options.queue}-quiet.db")
        # neither comes to an end, so what windows still hold is held by both
        kafka = self.options.queue == "kafka"
        reference = source(self.options, None) if kafka else gl.from_replay(self.options.file, schema(), order="arrival")
        reference.through(watch(self.options.queue))
        whole = gl.run(reference, store=quiet, progress=False, max_events=self.there())
        reference.reader.close()
        stores = [gl.stores.Sqlite(path) for path in (self.options.store, quiet)]
        ours, theirs = (store.alerts() for store in stores)
        for store in stores:
            store.close()
        read = Path(self.options.read).read_bytes()
        given = sum(int.from_bytes(read[i : i + 4], "little") for i in range(0, len(read), 4))
        return {
            "queue": self.options.queue, "events": whole.events, "alerts": len(ours), "expected": len(theirs),
            "missing": len(set(theirs["id"]) - set(ours["id"])), "unknown": len(set(ours["id"]) - set(theirs["id"])),
            "twice": int(ours["id"].duplicated().sum()), "equal": ours.equals(theirs),
            "read_again": given - whole.events,
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queue", choices=["kafka", "rabbitmq", "both"], default="both")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=240, help="how long the events flow")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--broker-kills", type=int, default=5)
    parser.add_argument("--cuts", type=int, default=3)
    parser.add_argument("--joins", type=int, default=2)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--client", default="kafka-python")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    for name in ("role", "address", "store", "read", "file"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role:
        {"lab": lab, "player": player}[options.role](options)
        return
    for queue in ["kafka", "rabbitmq"] if options.queue == "both" else [options.queue]:
        with tempfile.TemporaryDirectory(prefix="govlab-kill-") as folder:
            _, table = make(Path(folder), options.events, ndjson=False)
            rows = pq.read_table(table).to_pandas()[["time", "event_id", "actor", "kind", "value"]]
            rows["time"] = from_us(rows["time"].dt.as_unit("us").astype("int64").to_numpy())
            rows.to_parquet(Path(folder) / "events.parquet")
            campaign = Campaign(argparse.Namespace(**vars(options) | {"queue": queue}), Path(folder))
            try:
                told = campaign.run()
            finally:
                campaign.server.stop()
            print(json.dumps(told) if options.json else "\n".join(f"{key:12} {value}" for key, value in told.items()), flush=True)
            if told["missing"] or told["unknown"] or told["twice"] or not told["equal"]:
                raise SystemExit("the disturbed run is not that of the undisturbed one")


if __name__ == "__main__":
    main()
