"""The events of the throughput benchmark: made once, kept in a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

START_MS = 1_772_409_600_000
ACTORS = 50_000
CHUNK = 250_000


def make(folder: Path, rows: int, ndjson: bool = True, seed: int = 7) -> tuple[Path, Path]:
    """Write ``rows`` events of about 190 bytes (Zipf 1.05 over 50,000 actors, 6 h for 2 M, a tenth up to 5 s late) as ndjson and Parquet."""
    text, table = folder / f"events_{rows}.ndjson", folder / f"events_{rows}.parquet"
    rng = np.random.default_rng(seed)
    weights = 1.0 / np.arange(1, ACTORS + 1) ** 1.05
    edges = np.cumsum(weights / weights.sum())
    span_ms = int(rows / 92.6 * 1000)
    schema = pa.schema([("event_id", pa.string()), ("time", pa.timestamp("ms", "UTC")), ("actor", pa.string()), ("kind", pa.string()),
                        ("target", pa.string()), ("value", pa.float64()), ("ip", pa.string()), ("ok", pa.bool_())])  # fmt: skip
    kinds = np.array(["post", "comment", "like", "follow", "report", "login"])
    with pq.ParquetWriter(table, schema, compression="zstd") as out, open(text, "w") if ndjson else open("/dev/null", "w") as lines:
        for first in tqdm(range(0, rows, CHUNK), desc="making events", unit_scale=CHUNK, unit=" events", leave=False):
            n = min(CHUNK, rows - first)
            times = START_MS + (np.arange(first, first + n) * span_ms) // rows
            late = rng.random(n) < 0.1
            times[late] -= rng.integers(0, 5_000, int(late.sum()))
            actors = np.searchsorted(edges, rng.random(n))
            # bursts: now and then one actor is the actor of half of the events of a minute
            burst = (times // 60_000) % 9 == 4
            actors[burst & (rng.random(n) < 0.02)] = first // CHUNK % ACTORS
            who, kind = [f"user_{a:07d}" for a in actors.tolist()], kinds[rng.integers(0, 6, n)].tolist()
            what, value = [f"obj_{t:08x}" for t in rng.integers(0, 2**31, n).tolist()], np.round(rng.gamma(2.0, 10.0, n), 2)
            ips, ok = [f"203.0.113.{i}" for i in rng.integers(0, 255, n).tolist()], rng.random(n) < 0.97
            ids = [f"{first + i:012x}-{a:08x}" for i, a in enumerate(actors.tolist())]
            columns = [ids, pa.array(times, pa.timestamp("ms", "UTC")), who, kind, what, value, ips, ok]
            out.write_table(
                pa.Table.from_arrays([c if isinstance(c, pa.Array) else pa.array(c) for c in columns], schema=schema), 65_536
            )
            if ndjson:
                rows_of = zip(ids, times.tolist(), who, kind, what, value.tolist(), ips, ok.tolist(), strict=True)
                lines.writelines(
                    f'{{"event_id":"{e}","time":{t},"actor":"{a}","kind":"{k}","target":"{x}","value":{v},"ip":"{p}","ok":{"true" if o else "false"},"client":"web/5.12.3"}}\n'
                    for e, t, a, k, x, v, p, o in rows_of
                )
    return text, table
