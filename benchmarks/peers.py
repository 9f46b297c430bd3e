"""The same job without govlab: a bare numba loop, plain streamz with an event a dict, streamz with pandas groupby."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numba import njit
from streamz import Stream


@njit(cache=True, nogil=True)
def bare_rows(ids, times, values, newest, counts, sums, touched, touches, n, mean, variance, alerts):
    """Do the same job in a plain loop over arrays, with nothing around it."""
    for i in range(ids.size):
        t, k = times[i], ids[i]
        if t > newest[0]:
            after = (t - 5_000_000 - 60_000_000) // 60_000_000 + 1
            if newest[1] < 0:
                newest[1] = after
            for w in range(newest[1], min(after, newest[1] + 4)):
                s = w % 4
                for j in range(touches[s]):
                    a = touched[s, j]
                    off = counts[s, a] - mean[a]
                    if n[a] >= 5 and off / np.sqrt(variance[a] + 1.0) >= 6.0:
                        alerts[0] += 1
                    if n[a] == 0:
                        mean[a] = counts[s, a]
                    else:
                        mean[a] += 0.1 * off
                        variance[a] = 0.9 * (variance[a] + 0.1 * off * off)
                    n[a] += 1
                    counts[s, a], sums[s, a] = 0, 0.0
                touches[s] = 0
            newest[0], newest[1] = t, max(after, newest[1])
        w = t // 60_000_000
        if w < newest[1]:
            continue
        s = w % 4
        if counts[s, k] == 0:
            touched[s, touches[s]] = k
            touches[s] += 1
        counts[s, k] += 1
        sums[s, k] += values[i]


class Bare:
    """State and key index of the bare loop."""

    def __init__(self) -> None:
        size = 60_000
        self.ids: dict[str, int] = {}
        self.state = (np.full(2, -1), np.zeros((4, size), "int64"), np.zeros((4, size)), np.zeros((4, size), "int64"), np.zeros(4, "int64"),
                      np.zeros(size, "int64"), np.zeros(size), np.zeros(size), np.zeros(1, "int64"))  # fmt: skip

    def number(self, names: list[str]) -> np.ndarray:
        return np.array([self.ids.setdefault(name, len(self.ids)) for name in names])

    def rows(self, ids: np.ndarray, times: np.ndarray, values: np.ndarray) -> None:
        bare_rows(ids, times, values, *self.state)


def bare_ndjson(path: Path) -> int:
    kind = msgspec.defstruct("Record", [("time", int), ("actor", str), ("value", float)], gc=False)
    decoder, bare = msgspec.json.Decoder(kind), Bare()
    with open(path, "rb") as file:
        rest = b""
        while block := file.read(4 << 20):
            data, _, rest_now = (rest + block).rpartition(b"\n")
            records = decoder.decode_lines(data)
            coded = pa.array([r.actor for r in records]).dictionary_encode()
            ids = bare.number(coded.dictionary.to_pylist())[coded.indices.to_numpy()]
            bare.rows(ids, np.array([r.time for r in records]) * 1000, np.array([r.value for r in records]))
            rest = rest_now
    return int(bare.state[-1][0])


def bare_parquet(path: Path) -> int:
    bare = Bare()
    for batch in pq.ParquetFile(path).iter_batches(65_536, columns=["time", "actor", "value"]):
        coded = batch.column("actor").dictionary_encode()
        ids = bare.number(coded.dictionary.to_pylist())[coded.indices.to_numpy()]
        bare.rows(ids, batch.column("time").to_numpy(False).view("int64") * 1000, batch.column("value").to_numpy(False))
    return int(bare.state[-1][0])


def streamz_dicts(path: Path, most: int) -> int:
    """Plain streamz, an event a dict; only the first events, since it is slow."""
    open_windows: dict[int, dict[str, list[float]]] = {}
    past: dict[str, list[float]] = {}
    newest, alerts = [0], [0]

    def window(event: dict[str, Any]) -> list[tuple[str, float]]:
        closed: list[tuple[str, float]] = []
        t, w = event["time"], event["time"] // 60_000
        if t > newest[0]:
            newest[0] = t
            for start in [s for s in open_windows if (s + 1) * 60_000 <= t - 5_000]:
                closed += [(actor, cell[0]) for actor, cell in open_windows.pop(start).items()]
        if (w + 1) * 60_000 > newest[0] - 5_000:
            cell = open_windows.setdefault(w, {}).setdefault(event["actor"], [0, 0.0])
            cell[0] += 1
            cell[1] += event["value"]
        return closed

    def score(row: tuple[str, float]) -> float:
        actor, x = row
        state = past.setdefault(actor, [0, x, 0.0])
        off = x - state[1]
        z = off / (state[2] + 1.0) ** 0.5 if state[0] >= 5 else float("nan")
        state[0], state[1], state[2] = state[0] + 1, state[1] + 0.1 * off, 0.9 * (state[2] + 0.1 * off * off)
        return z

    source: Any = Stream()
    source.map(window).flatten().map(score).filter(lambda z: z >= 6).sink(lambda z: alerts.__setitem__(0, alerts[0] + 1))
    with open(path, "rb") as file:
        for i, line in enumerate(file):
            if i == most:
                break
            source.emit(json.loads(line))
    return alerts[0]


def streamz_groupby(path: Path, max_rows: int) -> int:
    """Streamz with frames, and pandas groupby for the windows."""
    state: dict[str, Any] = {"open": None, "newest": 0}
    past: dict[str, list[float]] = {}

    def window(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.assign(w=frame["time"] // 60_000)
        part = frame.groupby(["w", "actor"], sort=False)["value"].agg(["count", "sum"]).reset_index()
        if state["open"] is not None:
            part = pd.concat([state["open"], part]).groupby(["w", "actor"], sort=False)[["count", "sum"]].sum().reset_index()
        state["newest"] = max(state["newest"], int(frame["time"].max()))
        shut = (part["w"] + 1) * 60_000 <= state["newest"] - 5_000
        state["open"] = part[~shut]
        return part[shut]

    def score(rows: pd.DataFrame) -> int:
        alerts = 0
        for actor, x in zip(rows["actor"].tolist(), rows["count"].tolist(), strict=True):
            n = past.setdefault(actor, [0, x, 0.0])
            off = x - n[1]
            alerts += n[0] >= 5 and off / (n[2] + 1.0) ** 0.5 >= 6
            n[0], n[1], n[2] = n[0] + 1, n[1] + 0.1 * off, 0.9 * (n[2] + 0.1 * off * off)
        return alerts

    source: Any = Stream()
    found = source.map(window).map(score).sink_to_list()
    for batch in pq.ParquetFile(path).iter_batches(max_rows, columns=["time", "actor", "value"]):
        frame = batch.to_pandas()
        source.emit(
            frame.assign(
                time=frame["time"].astype("int64") if frame["time"].dt.unit == "ms" else frame["time"].astype("int64") // 1000
            )
        )
    return sum(found)
