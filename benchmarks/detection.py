"""What the detectors find on public data, in stream order, beside published figures; how fast they are beside river and PySAD.

Each row is scored before it is learned; recipes are the defaults unless they are written out. Two defaults were found here: how far
out a value is left out of the range of CadOse and FuzzyArt (on NAB), and how RsHash, Kitnet and HalfSpaceTrees scale (on the events);
nothing else was tuned to these sets.
AUC and AP are those of scikit-learn, with a row that has no score yet as the lowest. Rates are rows per CPU-second, compiled.

    GOVLAB_DATA=folder python benchmarks/detection.py                 # 2 minutes; writes benchmarks/detection.md
    GOVLAB_DATA=folder python benchmarks/detection.py --only drift    # rates, events, feedback, coordination, drift, speed; prints only
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import nab
import numpy as np
import pandas as pd
from detection_sets import errors_of_bayes, event_sets, logs
from tqdm import tqdm

import govlab as gl
from govlab.evaluation import change_point_f1, covering
from govlab.frames import from_us

Frame = pd.DataFrame
START_US = 1_772_409_600_000_000
ROWS = 16_384  # a frame


def scored(step: gl.Step, events: Frame) -> tuple[np.ndarray, float]:
    """Give the scores of events, and the rows per CPU-second of all but the first frame (which compiles)."""
    running, parts, cpu = step.fresh(), [], 0.0
    size = min(ROWS, 1 + len(events) // 4)
    cuts = [events.iloc[i : i + size].reset_index(drop=True) for i in range(0, len(events), size)]
    for i, part in enumerate(cuts):
        began = time.process_time()
        parts.append(running.process(part)["score"].to_numpy("float64", na_value=np.nan))
        cpu += time.process_time() - began if i else 0.0
    return np.concatenate(parts), (len(events) - len(cuts[0])) / cpu if cpu else float("nan")


def marks(label: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    from sklearn.metrics import average_precision_score, roc_auc_score

    known = np.isfinite(score)
    rank = np.where(known, np.unique(score, return_inverse=True)[1] + 1, 0)
    return float(roc_auc_score(label, rank)), float(average_precision_score(label, rank))


def judged(sets: Iterable[tuple[Any, ...]]) -> Iterator[list[Any]]:
    """Score the sets of events, each with its step, labels and which rows count (None = all)."""
    for name, step, events, label, which, told in sets:
        score, rate = scored(step, events)
        roc, ap = marks(label, score) if which is None else marks(label[which], score[which])
        yield [name, f"`{short(step)}`", f"{roc:.3f} / {ap:.3f}", f"{rate:,.0f}", told]


def short(step: gl.Step) -> str:
    """Write what a recipe has beside its columns and the defaults."""
    parts = [
        f"{field.name}={getattr(step, field.name)!r}"
        for field in dataclasses.fields(step)  # type: ignore[arg-type]
        if field.name != "columns" and getattr(step, field.name) != field.default
    ]
    return f"{type(step).__name__}({', '.join(parts)})"


def of_feedback() -> Iterator[list[Any]]:
    """Let the review learner ask for one edit in twenty, whose labels come two days late; mean of three seeds."""
    edits = gl.datasets.load("wiki_edits")
    columns = [c for c in edits.frame.columns if c not in ("time", "rev_id", "time_exact")]
    events = edits.frame.assign(**{f"log_{c}": v for c, v in logs(edits.frame, columns)[columns].items()})
    stream, label = gl.evaluation.with_labels(events, edits.labels, id="rev_id"), edits.labels["reverted"].to_numpy()
    for how, audit in (("its own review queue", 0.01), ("at random", 0.05)):
        found = []
        for seed in range(3):
            learner = gl.detectors.ReviewLearner(columns, id="rev_id", audit=audit, seed=seed)
            forest = gl.detectors.HalfSpaceTrees([f"log_{c}" for c in columns])
            rows = gl.Pipeline(forest, learner).run(stream).rows
            rows = rows[rows["label"].isna()]
            found.append([*marks(label, rows["score"].to_numpy("float64")), rows["asked"].sum()])
        roc, ap, asked = np.mean(found, axis=0)
        yield [
            "wiki_reverts",
            how,
            f"{asked:,.0f}",
            f"{roc:.3f} / {ap:.3f}",
            "queue .799/.246 (1,159 labels); all 19,840 labels .846/.316",
        ]


def of_events() -> Iterator[tuple[Any, ...]]:
    from sklearn.ensemble import IsolationForest
    from sklearn.neighbors import LocalOutlierFactor
    from sklearn.svm import OneClassSVM

    d = gl.detectors
    models = IsolationForest(random_state=0), LocalOutlierFactor(novelty=True), OneClassSVM(nu=0.05)
    for name, events, columns, label, told in event_sets():
        every = "10min" if name in ("shuttle", "http") else "1d"
        events = gl.event_frame(events)
        for step in (
            d.Loda(columns),
            d.DecayedHistogram(columns),
            d.RsHash(columns),
            d.Mstream(columns, every=every),
            d.Kitnet(columns),
            d.HalfSpaceTrees(columns),
            d.HalfSpaceTrees(columns, guard=0),
            *(d.Sklearn(model, columns) for model in models if len(events) < 100_000),
        ):
            yield name, step, events, label, None, told


def of_edges() -> Iterator[tuple[Any, ...]]:
    d = gl.detectors
    data = gl.datasets.load("darpa")
    # the ticks of the papers, a minute each
    events = gl.event_frame(data.frame.assign(time=from_us(START_US + 60_000_000 * data.frame["tick"].to_numpy("int64"))))
    label = data.labels["anomalous"].to_numpy()
    for alpha in (0.5, 0.9):
        step = d.Midas("source", "destination", ticks=["1min"], alpha=alpha)
        yield "darpa", step, events, label, None, "MIDAS-F .987/.993, MIDAS-R .950/.969, AnoEdge-L .963/.981"
    data = gl.datasets.load("bitcoin_otc")
    label, events = data.labels["abnormal"].to_numpy(), gl.event_frame(data.frame)
    last = (events["time"] > events["time"].quantile(0.85)).to_numpy()
    for step in (d.RoleShift("rater", "rated"), d.Midas("rater", "rated")):
        yield "bitcoin_otc, last 15 %", step, events, label, last, "best published AP .205; sum of four tails .814/.356"
    data = gl.datasets.load("community")
    events = data.frame
    ring, spam = (
        events["event_id"].isin(data.labels["event_id"][data.labels["incident_id"].str.startswith(kind)])
        for kind in ("coordinated", "spam")
    )
    likes, texts = (events["kind"] == "like").to_numpy(), events["text"].notna().to_numpy()
    for name, step, rows, label in (
        ("community, a planted ring of likes", d.CoAction(window="10min"), likes, ring),
        ("community, a planted wave of spam", d.NearDuplicate(), texts, spam),
    ):
        yield name, step, gl.event_frame(events[rows]), label.to_numpy()[rows].astype(int), None, "planted by govlab"
    data = gl.datasets.load("youtube_spam")
    step, label = d.NearDuplicate(author="author"), data.labels["spam"].to_numpy()
    yield "youtube_spam", step, gl.event_frame(data.frame), label, None, "of more videos: containment .725"


def of_drift() -> Iterator[list[Any]]:
    for name, step, told in (
        ("page_hinkley", gl.detectors.PageHinkley("value"), "259"),
        ("adwin", gl.detectors.Adwin("value"), "407"),
        ("hddm", gl.detectors.Hddm("value"), "686"),
    ):
        running, frame = step.fresh(), gl.event_frame({"time": ["2026-03-02T00:00:00Z"], "value": [0.0]})

        def restart(error: float, running: gl.Step = running, frame: Frame = frame) -> bool:
            return bool(running.score_learn_many(frame.assign(value=error))[0] > 1)  # type: ignore[attr-defined]

        alarms, _ = errors_of_bayes(restart)
        ends = [12_500, 25_000, 37_500, 50_000]
        delays = [next((a - b for a in alarms if b <= a < e), None) for b, e in itertools.pairwise(ends)]
        found = [delay for delay in delays if delay is not None]
        median = f"{np.median(found):,.0f}" if len(found) == 3 else "-"
        yield ["SEA, errors", name, f"{len(found)} of 3 found, median delay {median}, {len(alarms) - len(found)} others", told]
    data, rows = gl.datasets.load("tcpd"), []
    for name, frame in data.frames.items():
        values = [c for c in frame.columns if c != "time"]
        if len(values) != 1:
            continue
        seen = data.labels[data.labels["series"] == name]
        people = [sorted({int(p) for p in own["position"].dropna()}) for _, own in seen.groupby("annotator")]
        step = gl.detectors.Bocpd("value", run_length=True)
        out = step.process(gl.event_frame({"time": frame["time"], "value": frame[values[0]]}))
        said: list[int] = []
        for at, length in zip(np.flatnonzero(out["score"] > 0.5).tolist(), out["run_length"][out["score"] > 0.5], strict=True):
            begin = at - int(length) + 1  # the change is where the regime began, told at most ``lag`` rows later
            if length <= step.lag and (not said or begin - said[-1] > 5):
                said.append(begin)
        annotations = dict(enumerate(people))
        rows.append([covering(annotations, said, len(frame)), change_point_f1(annotations, said, len(frame))])
    cover, f1 = np.mean(rows, axis=0)
    yield [
        f"tcpd, {len(rows)} series",
        "bocpd",
        f"covering {cover:.3f}, F1 {f1:.3f}",
        "of 31 series: online .673/.750, zero .568/.663",
    ]


def of_speed() -> Iterator[list[Any]]:
    """Run govlab and others over the same rows, each learning and scoring."""
    import river
    from river import anomaly, drift

    data = gl.datasets.load("shuttle").frame
    columns = [c for c in data.columns if c != "time"]
    events, few = gl.event_frame(data), data[columns].head(4_000)
    dicts, rows = few.to_dict("records"), few.to_numpy("float64")
    noise = np.random.default_rng(0).normal(size=200_000)
    ones = gl.event_frame({"time": from_us(np.full(200_000, START_US)), "value": noise})

    def rate(learn: Callable[[Any], Any], rows: Iterable[Any]) -> float:
        n, began = 0, time.process_time()
        for n, row in enumerate(rows, 1):  # noqa: B007
            learn(row)
        return n / (time.process_time() - began)

    def of_river(model: Any) -> float:
        return rate(lambda x: (model.score_one(x), model.learn_one(x)), dicts)

    def of_pysad(model: Any) -> float:
        model.fit_partial(rows[0])
        return rate(lambda x: (model.score_partial(x), model.fit_partial(x)), rows)

    d = gl.detectors
    peers: list[tuple[str, gl.Step, Callable[[], float]]] = [
        (f"river {river.__version__}", d.HalfSpaceTrees(columns), lambda: of_river(anomaly.HalfSpaceTrees(25, 8, 250, seed=1))),
        (f"river {river.__version__}", d.Loda(columns), lambda: of_river(anomaly.LODA(seed=1))),
    ]
    if importlib.util.find_spec("pysad") is None:
        print("PySAD is left out: pip install pysad", file=sys.stderr)
    else:
        from pysad import models

        name, low, high = f"PySAD {importlib.metadata.version('pysad')}", rows.min(axis=0), rows.max(axis=0)
        peers += [
            (name, d.HalfSpaceTrees(columns), lambda: of_pysad(models.HalfSpaceTrees(low, high))),
            (name, d.Loda(columns), lambda: of_pysad(models.LODA())),
            (name, d.RsHash(columns), lambda: of_pysad(models.RSHash(low, high))),
            (name, d.Kitnet(columns), lambda: of_pysad(models.KitNet(grace_feature_mapping=500, grace_anomaly_detector=500))),
        ]
    for name, step, peer in peers:
        own, other = scored(step, events)[1], peer()
        yield [f"shuttle, {len(columns)} columns", step.name, f"{own:,.0f}", name, f"{other:,.0f}", f"{own / other:.0f} times"]
    for step, model in (
        (d.PageHinkley("value"), drift.PageHinkley()),
        (d.Adwin("value"), drift.ADWIN()),
        (d.Hddm("value"), drift.binary.HDDMA()),
    ):
        frame = ones.assign(value=(noise > 1).astype("float64")) if step.name == "hddm" else ones
        own, other = scored(step, frame)[1], rate(model.update, frame["value"].head(50_000).tolist())
        name = f"river {river.__version__}"
        yield ["one number", step.name, f"{own:,.0f}", name, f"{other:,.0f}", f"{own / other:.1f} times"]


def table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


NAB = (
    "Rates: NAB, 58 files\n\nThresholds are oracle, as NAB's rules have it. "
    "Published, with look-ahead: ARTime 74.9 / 65.2 / 80.4, CAD-OSE 69.9 / 67.0 / 73.2."
)
SCORED = ["data", "recipe", "AUC / AP", "rows per CPU-s", "others, measured or published"]
SECTIONS: dict[str, tuple[str, list[str], Callable[[], Iterator[list[Any]]]]] = {
    "rates": (
        NAB,
        ["detector", "standard / low FP / low FN", "by the thresholds of other categories", "windows found", "rows per CPU-s"],
        nab.summary,
    ),
    "events": ("Events", SCORED, lambda: judged(of_events())),
    "feedback": ("Feedback", ["data", "labels", "how many", "AUC / AP", "others"], of_feedback),
    "coordination": ("Coordination", SCORED, lambda: judged(of_edges())),
    "drift": ("Drift", ["data", "detector", "found", "others, measured or published"], of_drift),
    "speed": (
        "Speed beside others, in one run",
        ["data", "detector", "govlab, rows per CPU-s", "beside", "its rows per CPU-s", "ratio"],
        of_speed,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"some of {', '.join(SECTIONS)}; then nothing is written")
    only = parser.parse_args().only.split(",")
    if unknown := set(only) - set(SECTIONS):
        parser.error(f"--only={sorted(unknown)[0]}; there are {', '.join(SECTIONS)}")
    if "GOVLAB_DATA" not in os.environ:
        sys.exit("set GOVLAB_DATA to the folder of the data sets (see data/README.md).")
    about = (__doc__ or "").split("    GOVLAB")[0].strip()
    parts = [f"# What the detectors find\n\n{about}\n\nMade by `python benchmarks/detection.py`."]
    for room, (title, head, rows) in SECTIONS.items():
        if room in only:
            parts.append(f"## {title}\n\n{table(head, list(tqdm(rows(), desc=room, leave=False)))}")
    text = "\n\n".join(parts) + "\n"
    print(text)
    if set(only) == set(SECTIONS):
        Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
