"""Run the demo's pipelines with a store, killed without warning again and again; prints what was left, as JSON.

python kill_driver.py FOLDER KILLS SEED. A process of its own, so that forking is safe: no thread has been started here.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import govlab as gl
from govlab.commands.demo import METRIC, edits_watch, metric_watch

JOBS = {"edits": ("wiki_edits", edits_watch), "metric": (METRIC, metric_watch)}


def run(job, store):
    data, watch = JOBS[job]
    source = gl.from_replay(gl.datasets.path(data), max_rows=60)
    source.through(watch())
    return gl.run(source, store=store, progress=False, save_every_s=0.01)


def told(job, store, summary):
    kept = gl.stores.Sqlite(store)
    alerts = kept.alerts()
    kept.close()
    alerts["time"], alerts["start"] = alerts["time"].astype(str), alerts["start"].astype(str)
    return {
        "fingerprint": summary.fingerprint,
        "events": summary.events,
        "state": summary.state,
        "alerts": alerts.astype(str).to_dict("records"),
    }


def main(folder, kills, seed):
    rng = random.Random(seed)
    result = {}
    for job in JOBS:
        run(job, str(folder / f"{job}-warm.db"))  # kernels are compiled before anything is timed
        began = time.monotonic()
        whole = told(job, str(folder / f"{job}-whole.db"), run(job, str(folder / f"{job}-whole.db")))
        took = time.monotonic() - began
        store, killed = str(folder / f"{job}-killed.db"), 0
        for _ in range(kills):
            child = os.fork()
            if child == 0:
                run(job, store)
                os._exit(0)
            time.sleep(rng.uniform(0.0, 2.0 * took / kills))
            os.kill(child, signal.SIGKILL)
            killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        result[job] = {"whole": whole, "killed": told(job, store, run(job, store)), "kills": killed}
    print(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
