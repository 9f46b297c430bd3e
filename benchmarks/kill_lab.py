"""What a lab of the kill campaign is: its events, its pipelines, and the process that reads into a store until it is killed.

Importing it compiles all kernels of the pipelines and starts no thread, so that labs can be forked from a process that has.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import govlab as gl
from govlab.testing import sample_events

SHARDS = 8
FIELDS = {
    "time": "timestamp", "event_id": "string", "actor": "string", "target": "string", "kind": "string", "value": "float64",
    "words": "float64", "text": "string", "label": "float64?", "score": "float64?",
}  # fmt: skip
SCHEMA = gl.Schema(FIELDS, id="event_id")
PHRASES = (
    "win a free phone at example dot org today only",
    "an ordinary remark about the weather",
    "see my channel for more of this",
)


def events(rows: int, seed: int = 0) -> pd.DataFrame:
    """Make events in order of arrival, with late ones, ids that come twice, missing values, labels, texts and a ring."""
    frame = sample_events(rows, seed, entities=12, span_s=7_200.0)
    rng = np.random.default_rng(seed)
    said = rng.integers(0, len(PHRASES), rows)
    frame["text"] = [f"{PHRASES[s]} {'' if s == 0 else f'number {i}'}" for i, s in enumerate(said)]
    ring = rng.random(rows) < 0.2
    frame.loc[ring, "actor"] = [f"ring{i % 3}" for i in range(int(ring.sum()))]
    frame.loc[ring, "target"] = [f"ringed{i // 3}" for i in range(int(ring.sum()))]
    frame["actor"], frame["target"] = frame["actor"].fillna("nobody"), frame["target"].fillna("nothing")
    frame["value"], frame["words"] = frame["value"].fillna(0.0), frame["words"].fillna(0.0)
    return gl.event_frame(frame[["time", *[name for name in FIELDS if name != "time"]]])


def windows() -> list[gl.Step]:
    return [
        gl.features.WindowCount(every="1min", by="actor", lateness="30s"),
        gl.detectors.EwmaZ("count", by="actor"),
        gl.alerts.Budget(per_day=2_000, cooldown="1min", warm="5min", entity="actor"),
    ]


def texts() -> list[gl.Step]:
    return [
        gl.detectors.NearDuplicate("text", author="actor", warm=20),
        gl.detectors.CoAction("actor", "target", window="2min", warm=20),
        gl.alerts.Threshold(0.5, entity="actor"),
        gl.alerts.Merge("20s", by_entity=True),
    ]


def reviewed() -> list[gl.Step]:
    learner = gl.detectors.ReviewLearner(["value", "words"], early=50, window=50, warm=20, share=0.3)
    return [learner, gl.alerts.Threshold(0.5, entity="actor")]


def every() -> list[gl.Step]:
    """Make an alert of each event, all of one score: how severe one is goes by those before it, and so by the order of arrival."""
    return [
        gl.prepare.Derive({"same": "event_id.str.len() * 0"}),
        gl.alerts.Threshold(-1, score="same", entity="event_id"),
    ]


PIPELINES = {"windows": windows, "texts": texts, "reviewed": reviewed, "every": every}


def pipeline(name: str, by: str | None) -> gl.Step:
    """Make a pipeline; members of a group share one that is sharded by partition, and the learner is sharded by actor."""
    steps = PIPELINES[name]()
    if by == "partition":
        return gl.Sharded(steps, by="partition", shards=SHARDS)
    return gl.Sharded(steps, by="actor", shards=4) if name == "reviewed" else gl.Pipeline(*steps)


def source_of(options: dict[str, Any]) -> Any:
    """Open what a lab reads."""
    kind, address, name = options["kind"], options["address"], options["name"]
    if kind == "file":
        return gl.from_replay(address, SCHEMA, order="arrival", max_rows=60)
    if kind == "rabbitmq":
        return gl.from_rabbitmq(name, address, SCHEMA, max_rows=60, **options["more"])
    return gl.from_kafka(name, address, SCHEMA, max_rows=60, **options["more"])


def lab(options: dict[str, Any]) -> None:
    """Read into the store, and write the ids of alerts into a plain file, to the end or until killed; says how it ended.

    An interrupt ends a run; the lab then runs the same cell again, as a person would.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    result = Path(options["result"])
    faulthandler.register(signal.SIGUSR1, file=open(f"{result}.stacks", "w"))  # noqa: SIM115 - open while it runs; says where it hangs
    out = os.open(options["sink"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    said: dict[str, Any] = {"threads": len(os.listdir("/proc/self/task"))}
    try:
        source = source_of(options)
        node = source.through(pipeline(options["pipeline"], options["by"]))
        node.sink(lambda rows: os.write(out, "".join(f"{one}\n" for one in rows["id"]).encode()))
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                summary = gl.run(source, store=options["store"], progress=False, save_every_s=0.01, timeout_s=options["timeout_s"])
                if summary.state == "finished" or (summary.events >= options["events"] and options["timeout_s"]):
                    break
        said |= {"events": summary.events, "fingerprint": summary.fingerprint}
    except KeyboardInterrupt:
        os._exit(130)  # outside of a run: the next lab begins where this one stood
    except Exception as error:
        said["error"] = f"{type(error).__name__}: {error}"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    whole = result.with_suffix(f".{os.getpid()}")
    whole.write_text(json.dumps(said))
    whole.rename(result)
    os._exit(0)


def _compile() -> None:
    """Run what labs run, so that it is imported and compiled before they are forked."""
    import tempfile
    import threading

    import confluent_kafka  # noqa: F401
    import kafka  # noqa: F401
    import pika  # noqa: F401
    import tqdm

    from govlab.sinks.encode import json_bodies

    tqdm.tqdm.monitor_interval = 0  # a thread, which a lab would be forked beside
    tqdm.tqdm.set_lock(threading.RLock())  # its own is a semaphore of the system, which a killed lab would leave behind
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.ndjson"
        path.write_bytes(b"\n".join([*json_bodies(events(400)), b""]))
        for name in PIPELINES:
            for by in (None, "partition"):
                source = gl.from_replay(str(path), SCHEMA, order="arrival")
                source.through(pipeline(name, by))
                gl.run(source, store=f"{folder}/{name}-{by}.db", progress=False)
                source.reader.close()


if os.environ.get("GOVLAB_KILL_LAB"):  # in the process that labs are forked from
    _compile()
