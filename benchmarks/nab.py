"""The detectors of one metric on the Numenta Anomaly Benchmark, beside baselines in the same run.

    GOVLAB_DATA=folder python benchmarks/nab.py [--files N]

The folder must hold ``nab/data`` and ``nab/labels/combined_windows.json`` of https://github.com/numenta/NAB (MIT). No
detector here is told anything of a file beyond the rows before the one it scores. By the benchmark's rules the one
threshold is chosen on the labels it is judged by: all figures but `always` are `oracle`. The `others` are not: there each
category of files is judged by the threshold that is best on the other categories.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from govlab.detectors import AnomalyLikelihood, CadOse, ConformalKnn, EwmaZ, Fused, FuzzyArt, Spot
from govlab.evaluation.nab import PROFILES, nab_score
from govlab.frames import event_frame
from govlab.pipeline import Pipeline
from govlab.step import Step

Scorer = Callable[[np.ndarray], np.ndarray]
CHANCE = np.random.default_rng(0)  # one for all files: a seed a file would give files of equal length equal scores


def of(*steps: Step) -> Scorer:
    """Score a file by fresh copies of steps."""

    def scored(values: np.ndarray) -> np.ndarray:
        times = pd.date_range("2026-03-02", periods=values.size, freq="5min", tz="UTC")
        return Pipeline(*steps).process(event_frame({"time": times, "value": values}))["score"].to_numpy("float64")

    return scored


def ewma_z(values: np.ndarray, alpha: float = 0.005) -> np.ndarray:
    """Distance from a running mean in running standard deviations; forgets over some 200 rows."""
    scores, mean, variance = np.full(values.size, np.nan), values[0], 0.0
    for i, value in enumerate(values.tolist()):
        step = value - mean
        if variance > 0:
            scores[i] = abs(step) / math.sqrt(variance)
        mean += alpha * step
        variance = (1 - alpha) * (variance + alpha * step * step)
    return scores


def windowed_gaussian(values: np.ndarray, window: int = 6400, step: int = 150) -> np.ndarray:
    """1 - the normal tail beside the last 6,400 rows, renewed every 150, as NAB's own windowedGaussian has it."""
    scores = np.full(values.size, np.nan)
    mean = deviation = 0.0
    for i, value in enumerate(values.tolist()):
        if i:
            away = abs(value - mean)
            z = away / deviation if deviation > 0 else (math.inf if away > 0 else 0.0)
            scores[i] = 1.0 - 0.5 * math.erfc(z / math.sqrt(2))
        if i < window or (i + 1 - window) % step == 0:
            held = values[max(0, i + 1 - window) : i + 1]
            mean, deviation = float(held.mean()), float(held.std())
    return scores


def local_record(scorer: Scorer, record: int = 50) -> Scorer:
    """Let a score count only if it is above the last 50, as the conformal detector does."""

    def scored(values: np.ndarray) -> np.ndarray:
        scores = scorer(values)
        top = pd.Series(scores).rolling(record, min_periods=1).max().shift(1).to_numpy()
        return np.where(scores > np.where(np.isnan(top), -np.inf, top), scores, np.nan)

    return scored


EVIDENCE = [CadOse(record=0), FuzzyArt(record=0), ConformalKnn(record=0)]  # in nats, each row by itself
DETECTORS: dict[str, Scorer] = {
    "cad_ose": of(CadOse()),
    "fuzzy_art": of(FuzzyArt()),
    "conformal_knn": of(ConformalKnn()),
    "fused: cad_ose, conformal_knn": of(Fused([EVIDENCE[0], EVIDENCE[2]], ranked=False, record=50)),
    "fused: cad_ose, fuzzy_art": of(Fused(EVIDENCE[:2], ranked=False, record=50)),
    "fused: all three": of(Fused(EVIDENCE, ranked=False, record=50)),
    "fused: all three, ranked": of(Fused(EVIDENCE, record=50)),
    "spot, both tails, local record": local_record(of(Spot("value", tail="both"))),
    "spot, both tails, drift of 288, local record": local_record(of(Spot("value", tail="both", drift=288))),
    "cad_ose, then anomaly_likelihood, local record": local_record(of(EVIDENCE[0], AnomalyLikelihood())),
    "ewma_z, then anomaly_likelihood, local record": local_record(
        of(EwmaZ("value", alpha=0.005, floor=1e-3, tail="both"), AnomalyLikelihood())
    ),
    "EWMA z": ewma_z,
    "EWMA z, local record": local_record(ewma_z),
    "windowed Gaussian": windowed_gaussian,
    "windowed Gaussian, local record": local_record(windowed_gaussian),
    "random": lambda values: CHANCE.random(values.size),
    "never": lambda values: np.full(values.size, np.nan),
    "always": lambda values: np.ones(values.size),
}
GIVEN = {"always": 1.0}  # the best threshold would turn "always" into "never"


def corpus(files: int | None) -> tuple[dict[str, np.ndarray], dict[str, list[tuple[int, int]]]]:
    folder = Path(os.environ.get("GOVLAB_DATA", "")) / "nab"
    labels = folder / "labels" / "combined_windows.json"
    if "GOVLAB_DATA" not in os.environ or not labels.is_file():
        sys.exit(f"{labels} is not there; set GOVLAB_DATA to the folder that holds nab/ (data and labels of numenta/NAB).")
    spans = json.loads(labels.read_text())
    values, windows = {}, {}
    for name in sorted(spans)[:: max(1, math.ceil(len(spans) / files)) if files else 1]:
        table = pd.read_csv(folder / "data" / name, parse_dates=["timestamp"])
        values[name] = table["value"].to_numpy("float64")
        at = table["timestamp"].to_numpy()
        windows[name] = [
            (int(np.flatnonzero(at >= np.datetime64(a))[0]), int(np.flatnonzero(at <= np.datetime64(b))[-1]))
            for a, b in spans[name]
        ]
    return values, windows


def by_others(scores: dict[str, np.ndarray], windows: dict[str, list[tuple[int, int]]], profile: str) -> float:
    """Give the score with the threshold of each category of files chosen on all the others."""
    kinds = {name: re.sub("^artificial.*", "artificial", name.partition("/")[0]) for name in scores}
    total = found = 0.0
    for kind in set(kinds.values()):
        inside = [name for name in scores if kinds[name] == kind]
        outside = [name for name in scores if kinds[name] != kind]
        if not any(windows[name] for name in inside) or not any(windows[name] for name in outside):
            continue
        chosen = nab_score({n: scores[n] for n in outside}, {n: windows[n] for n in outside}, profile).threshold
        result = nab_score({n: scores[n] for n in inside}, {n: windows[n] for n in inside}, profile, chosen)
        total, found = total + result.score * result.windows, found + result.windows
    return total / max(found, 1)


def summary() -> Iterator[list[object]]:
    """Score all of NAB; the other detectors of one metric are in py."""
    values, windows = corpus(None)
    rows = sum(v.size for v in values.values())
    for name in ("fused: cad_ose, conformal_knn", "cad_ose", "fuzzy_art", "conformal_knn", "random"):
        DETECTORS[name](np.zeros(1_000))  # compiling is not scoring
        began = time.process_time()
        scores = {file: DETECTORS[name](v) for file, v in values.items()}
        cpu = time.process_time() - began
        found = [nab_score(scores, windows, profile) for profile in PROFILES]
        others = [by_others(scores, windows, profile) for profile in PROFILES]
        yield [
            name,
            " / ".join(f"{result.score:.1f}" for result in found),
            " / ".join(f"{score:.1f}" for score in others),
            f"{found[0].found} of {found[0].windows}",
            f"{rows / cpu:,.0f}",
        ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, metavar="N", help="about N files, spread over the corpus, instead of all 58")
    files = parser.parse_args().files
    if files is not None and files < 1:
        parser.error("--files must be at least 1")
    values, windows = corpus(files)
    rows = sum(v.size for v in values.values())
    print(f"{len(values)} files, {rows:,} rows, {sum(map(len, windows.values()))} windows; thresholds are oracle")
    for name, scorer in DETECTORS.items():
        if name != "random":
            scorer(np.arange(400) % 7.0)  # compiling is not scoring
    table = []
    for name, scorer in DETECTORS.items():
        began = time.process_time()
        scores = {file: scorer(v) for file, v in tqdm(values.items(), desc=name, leave=False)}
        cpu_s = time.process_time() - began
        results = [nab_score(scores, windows, profile, GIVEN.get(name)) for profile in PROFILES]
        found = f"{results[0].found}/{results[0].windows}"
        others = [math.nan if name in GIVEN else by_others(scores, windows, profile) for profile in PROFILES]
        times = [cpu_s, cpu_s / rows * 1e6]
        table.append([name, *(r.score for r in results), found, results[0].false_detections, *others, *times])
    columns = ["detector", *PROFILES, "found", "false", *(f"others_{profile}" for profile in PROFILES), "cpu_s", "us_a_row"]
    print(pd.DataFrame(table, columns=columns).round(1).to_string(index=False))


if __name__ == "__main__":
    main()
