"""How many events a second: count and sum per actor and minute (5 s lateness), EWMA z, alert.

govlab through streamz, beside a bare numba loop that reads the same files, plain streamz with an event a dict, and streamz
with pandas groupby; half-space trees beside river; latency of live frames; memory of a long run. Rates are events per
CPU-second of this process, best of the rounds; ratios are of figures of one run.

    python benchmarks/throughput.py                  # 2 M events, about 5 minutes
    python benchmarks/throughput.py --events 200000 --only ndjson,parquet
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from events import make
from peers import bare_ndjson, bare_parquet, streamz_dicts, streamz_groupby

import govlab as gl

SCHEMA = gl.Schema({"time": "epoch_ms", "actor": "string", "value": "float64"})
TABLE = gl.Schema({"time": "timestamp", "actor": "string", "value": "float64"})


def job() -> gl.Pipeline:
    """Give the pipeline that is measured."""
    return gl.Pipeline(
        gl.features.WindowCount("actor", every="1min", lateness="5s", value="value"),
        gl.detectors.EwmaZ("count", by="actor"),
        gl.alerts.Threshold(6),
    )


def cpu(work: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Give the least CPU time of some rounds, in seconds, and the last answer."""
    best, answer = float("inf"), None
    for _ in range(rounds):
        began = time.process_time()
        answer = work()
        best = min(best, time.process_time() - began)
    return best, answer


def govlab_run(path: Path, schema: gl.Schema, max_rows: int) -> tuple[int, str]:
    source = gl.from_replay(str(path), schema, order="arrival", max_rows=max_rows)
    alerts = source.through(job()).sink_to_list()
    summary = gl.run(source, progress=False)
    return sum(map(len, alerts)), summary.fingerprint


def trees(rows: int) -> dict[str, float]:
    """Half-space trees, 25 of depth 8, window 250, 4 features: govlab beside river."""
    from river import anomaly

    rng = np.random.default_rng(1)
    frame = gl.event_frame(
        {
            "time": pd.Timestamp("2026-03-02", tz="UTC") + pd.to_timedelta(np.arange(rows), "s"),
            **{c: rng.random(rows) for c in "abcd"},
        }
    )
    ours = gl.detectors.HalfSpaceTrees(list("abcd"), trees=25, depth=8, window=250)
    ours.process(frame.iloc[:300].reset_index(drop=True))
    ours_s, _ = cpu(lambda: ours.fresh().process(frame), 2)
    few = min(rows, 5_000)
    events = frame[list("abcd")].head(few).to_dict("records")

    def theirs() -> None:
        model = anomaly.HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=1)
        for x in events:
            model.score_one(x)
            model.learn_one(x)

    theirs_s, _ = cpu(theirs, 1)
    return {"govlab": rows / ours_s, "river": few / theirs_s}


def latency(rows: int = 1_000, frames: int = 300) -> tuple[float, float]:
    """Give p50 and p99 of the time from handing over a live frame until its alerts are out, in milliseconds."""
    rng = np.random.default_rng(2)
    times = pd.Timestamp("2026-03-02", tz="UTC") + pd.to_timedelta(np.sort(rng.integers(0, frames * 10_000, rows * frames)), "ms")
    whole = gl.event_frame(
        {"time": times, "actor": [f"user_{a}" for a in rng.zipf(1.2, rows * frames) % 50_000], "value": rng.random(rows * frames)}
    )
    parts = [whole.iloc[i : i + rows].reset_index(drop=True) for i in range(0, len(whole), rows)]
    from streamz import Stream

    import govlab.engines.streams  # noqa: F401 - registers through

    source: Any = Stream()
    source.through(job()).sink(lambda alerts: None)
    took = []
    for part in parts:
        began = time.perf_counter()
        source.emit(part)
        took.append(time.perf_counter() - began)
    return tuple(float(q) * 1000 for q in np.percentile(took[10:], [50, 99]))  # type: ignore[return-value]


def memory(folder: Path, rows: int) -> float:
    """Give the peak memory of a run over a Parquet file in a process of its own, in MB."""
    # not ru_maxrss, which a process inherits from the one that started it
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); import throughput as t; t.govlab_run(sys.argv[1], t.TABLE, 16384); "
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    path = make(folder, rows, ndjson=False)[1]
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(Path(__file__).parent)], capture_output=True, text=True, check=True
    )
    path.unlink()
    return float(done.stdout.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="ndjson,parquet,peers,trees,latency,memory", help="parts to run, with commas")
    parser.add_argument("--memory-events", type=int, nargs=2, default=(1_000_000, 20_000_000))
    parser.add_argument("--keep", type=Path, help="folder for the events, to keep them")
    options = parser.parse_args()
    only = set(options.only.split(","))
    folder = options.keep or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    n, rounds = options.events, options.rounds
    text, table = folder / f"events_{n}.ndjson", folder / f"events_{n}.parquet"
    if not (text.exists() and table.exists()):
        make(folder, n)
    print(f"{n:,} events, {text.stat().st_size / n:.0f} B each as ndjson; million events per CPU-second")
    rates: dict[str, float] = {}
    for name, path, schema, bare in (("ndjson", text, SCHEMA, bare_ndjson), ("parquet", table, TABLE, bare_parquet)):
        if name not in only:
            continue
        bare(path)
        seconds, found = cpu(lambda bare=bare, path=path: bare(path), rounds)
        rates[f"{name} bare loop"] = n / seconds
        print(f"  {name:8} bare numba loop     {n / seconds / 1e6:6.2f}   ({found} alerts)")
        seen = set()
        for max_rows in (1_024, 4_096, 16_384):
            seconds, (found, mark) = cpu(lambda p=path, s=schema, m=max_rows: govlab_run(p, s, m), rounds)
            seen.add(mark)
            rates[f"{name} {max_rows}"] = n / seconds
            ratio = rates[f"{name} {max_rows}"] / rates[f"{name} bare loop"]
            print(
                f"  {name:8} govlab, frames {max_rows:6,} {n / seconds / 1e6:5.2f}   {ratio:.2f} of the bare loop ({found} alerts)"
            )
        print(f"  {name:8} fingerprints of the three: {'equal' if len(seen) == 1 else 'DIFFERENT'}")
    if "peers" in only:
        few = min(n, 200_000)
        seconds, found = cpu(lambda: streamz_dicts(text, few), 1)
        rates["dicts"] = few / seconds
        print(f"  ndjson   streamz, dicts      {few / seconds / 1e6:6.3f}")
        for max_rows in (1_024, 16_384):
            seconds, found = cpu(lambda m=max_rows: streamz_groupby(table, m), 1)
            print(f"  parquet  streamz, groupby {max_rows:6,} {n / seconds / 1e6:6.3f}   ({found} alerts)")
        if "ndjson 16384" in rates:
            print(f"  govlab is {rates['ndjson 16384'] / rates['dicts']:.0f} times streamz with dicts (ndjson, frames of 16,384)")
    if "trees" in only:
        speed = trees(min(n, 200_000))
        print(
            f"  half-space trees 25x8: govlab {speed['govlab'] / 1e6:.3f}, river {speed['river'] / 1e6:.4f}: {speed['govlab'] / speed['river']:.0f} times"
        )
    if "latency" in only:
        for rows in (1, 100, 1_000, 4_096):
            p50, p99 = latency(rows)
            print(f"  live frames of {rows:5,} rows: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    if "memory" in only:
        small, large = (memory(folder, rows) for rows in options.memory_events)
        a, b = options.memory_events
        print(f"  peak memory: {small:.0f} MB for {a:,} events, {large:.0f} MB for {b:,}")
    if options.keep is None:
        for path in (text, table):
            path.unlink()


if __name__ == "__main__":
    main()
