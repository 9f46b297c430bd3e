"""What the detectors find on public data, in stream order, beside published figures; and how fast they are beside river.

Each row is scored before it is learned; recipes are the defaults unless they are written out; nothing here was tuned to these sets.
AUC and AP are those of scikit-learn, with a row that has no score yet as the lowest. Rates are rows per CPU-second, compiled.

    GOVLAB_DATA=folder python benchmarks/detection.py                 # 6 minutes; writes benchmarks/detection.md
    GOVLAB_DATA=folder python benchmarks/detection.py --only drift    # rates, events, feedback, coordination, drift, speed; prints only
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

import govlab as gl
from govlab.evaluation import change_point_f1, covering
from govlab.frames import from_us

Frame = pd.DataFrame
ROOMS = ("rates", "events", "feedback", "coordination", "drift", "speed")
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


def logs(events: Frame, columns: list[str]) -> Frame:
    """Give columns with long tails as signed logarithms."""
    values = events[columns].astype("float64").fillna(0.0)
    return events.assign(**{c: np.sign(values[c]) * np.log1p(values[c].abs()) for c in columns})


def payments(n: int = 300_000) -> tuple[Frame, list[str], np.ndarray]:
    """Give card payments with what can be said of each from those before it."""
    data = gl.datasets.load("card_sim")
    events, fraud = data.frame.head(n).copy(), data.labels["fraud"].to_numpy()[:n]
    seconds = events["time"].astype("int64") / 1e6
    made = {"amount": np.log1p(events["amount_cents"]), "hour": events["time"].dt.hour.astype("float64")}
    for who in ("customer", "terminal"):
        group = events.groupby(who)
        made[f"{who}_count"] = np.log1p(group.cumcount())
        made[f"{who}_gap"] = np.log1p(seconds.groupby(events[who]).diff().fillna(1e6))
        mean = (group["amount_cents"].cumsum() - events["amount_cents"]) / group.cumcount().clip(lower=1)
        made[f"{who}_ratio"] = np.log((events["amount_cents"] + 100) / (mean + 100))
    return events.assign(**made), list(made), fraud


def of_rates() -> Iterator[list[Any]]:
    """Score all of NAB; the other detectors of one metric are in nab.py."""
    import nab

    values, windows = nab.corpus(None)
    rows = sum(v.size for v in values.values())
    for name in ("fused: cad_ose, conformal_knn", "cad_ose", "fuzzy_art", "conformal_knn", "random"):
        nab.DETECTORS[name](np.zeros(1_000))  # compiling is not scoring
        began = time.process_time()
        scores = {file: nab.DETECTORS[name](v) for file, v in values.items()}
        cpu = time.process_time() - began
        found = [nab.nab_score(scores, windows, profile) for profile in nab.PROFILES]
        others = [nab.by_others(scores, windows, profile) for profile in nab.PROFILES]
        yield [
            name,
            " / ".join(f"{result.score:.1f}" for result in found),
            " / ".join(f"{score:.1f}" for score in others),
            f"{found[0].found} of {found[0].windows}",
            f"{rows / cpu:,.0f}",
        ]


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


def event_sets() -> Iterator[tuple[str, Frame, list[str], np.ndarray, str]]:
    edits = gl.datasets.load("wiki_edits")
    columns = [c for c in edits.frame.columns if c not in ("time", "rev_id", "time_exact")]
    reverted = edits.labels["reverted"].to_numpy()
    yield "wiki_reverts, logarithms", logs(edits.frame, columns), columns, reverted, "HST .686/.107, Isolation Forest .686/.103"
    for name, told in (
        ("shuttle", "RSHash .992/.940, Isolation Forest .996/.974"),
        ("http", "KitNet 1.000/.850, LODA .998/.500, HST .264/.004"),
    ):
        data = gl.datasets.load(name)
        columns = [c for c in data.frame.columns if c != "time"]
        yield name, data.frame, columns, data.labels["anomalous"].to_numpy(), told
    events, columns, fraud = payments()
    yield "card_sim, 300,000", events, columns, fraud, "ECOD .690/.093, histogram .678/.142"


def of_events() -> Iterator[tuple[Any, ...]]:
    d = gl.detectors
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
            d.HalfSpaceTrees(columns, guard=0.01),
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


def errors_of_bayes(restart: Callable[[float], bool]) -> tuple[list[int], np.ndarray]:
    """Classify SEA by a Gaussian naive Bayes that begins anew at each alarm; gives the alarms and the errors."""
    data = gl.datasets.load("sea")
    x, y = data.frame[["x0", "x1", "x2"]].to_numpy(), data.labels["label"].to_numpy()
    alarms, wrong = [], np.zeros(len(y))
    n, mean, square = np.zeros(2), np.zeros((2, 3)), np.ones((2, 3))
    for i in range(len(y)):
        if n.min() > 1:
            variance = square / n[:, None] + 1e-9
            fit = np.log(n) - 0.5 * (np.log(variance) + (x[i] - mean) ** 2 / variance).sum(axis=1)
            wrong[i] = float(fit.argmax() != y[i])
        c = y[i]
        n[c] += 1
        off = x[i] - mean[c]
        mean[c] += off / n[c]
        square[c] += off * (x[i] - mean[c])
        if restart(wrong[i]):
            alarms.append(i)
            n, mean, square = np.zeros(2), np.zeros((2, 3)), np.ones((2, 3))
    return alarms, wrong


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
        yield ["SEA, errors", name, f"{len(found)} of 3 found, median delay {median}, {len(alarms) - len(found)} others", "", told]
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
        "",
        "of 31 series: online .673/.750, zero .568/.663",
    ]


def of_speed() -> Iterator[list[Any]]:
    """Run govlab and river over the same rows, each learning and scoring."""
    from river import anomaly, drift

    data = gl.datasets.load("shuttle").frame
    columns = [c for c in data.columns if c != "time"]
    events, few = gl.event_frame(data), 4_000
    dicts = data[columns].head(few).to_dict("records")
    noise = np.random.default_rng(0).normal(size=200_000)
    ones = gl.event_frame({"time": from_us(np.full(200_000, START_US)), "value": noise})

    def rate(learn: Callable[[Any], Any], rows: list[Any]) -> float:
        began = time.process_time()
        for row in rows:
            learn(row)
        return len(rows) / (time.process_time() - began)

    def anomalies(model: Any) -> Callable[[Any], Any]:
        return lambda x: (model.score_one(x), model.learn_one(x))

    d = gl.detectors
    for step, model in (
        (d.HalfSpaceTrees(columns), anomaly.HalfSpaceTrees(25, 8, 250, seed=1)),
        (d.Loda(columns), anomaly.LODA(seed=1)),
    ):
        own, other = scored(step, events)[1], rate(anomalies(model), dicts)
        yield [f"shuttle, {len(columns)} columns", step.name, f"{own:,.0f}", f"{other:,.0f}", f"{own / other:.0f} times"]
    for step, model in (
        (d.PageHinkley("value"), drift.PageHinkley()),
        (d.Adwin("value"), drift.ADWIN()),
        (d.Hddm("value"), drift.binary.HDDMA()),
    ):
        frame = ones.assign(value=(noise > 1).astype("float64")) if step.name == "hddm" else ones
        own = scored(step, frame)[1]
        other = rate(model.update, frame["value"].head(50_000).tolist())
        yield ["one number", step.name, f"{own:,.0f}", f"{other:,.0f}", f"{own / other:.0f} times"]


def short(step: gl.Step) -> str:
    from govlab.pipeline import short as written

    text = written(step)
    return (
        text
        if len(text) < 60
        else f"{text.partition('(')[0]}({', '.join(p for p in text.split(', ') if '=' in p)}".rstrip(")") + ")"
    )


def table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(ROOMS), help=f"some of {', '.join(ROOMS)}; then nothing is written")
    only = parser.parse_args().only.split(",")
    if unknown := set(only) - set(ROOMS):
        parser.error(f"--only={sorted(unknown)[0]}; there are {', '.join(ROOMS)}")
    if "GOVLAB_DATA" not in os.environ:
        sys.exit("set GOVLAB_DATA to the folder of the data sets (see data/README.md).")
    parts = [
        f"# What the detectors find\n\n{(__doc__ or '').split('    GOVLAB')[0].strip()}\n\nMade by `python benchmarks/detection.py`."
    ]
    if "rates" in only:
        head = [
            "detector",
            "standard / low FP / low FN",
            "by the thresholds of other categories",
            "windows found",
            "rows per CPU-s",
        ]
        told = "Thresholds are oracle, as NAB's rules have it. Published, with look-ahead: ARTime 74.9 / 65.2 / 80.4, CAD-OSE 69.9 / 67.0 / 73.2."
        parts.append(f"## Rates: NAB, 58 files\n\n{told}\n\n{table(head, list(of_rates()))}")
    for room, sets in (("events", of_events), ("coordination", of_edges)):
        if room == "coordination" and "feedback" in only:
            head = ["data", "labels", "how many", "AUC / AP", "others"]
            parts.append(f"## Feedback\n\n{table(head, list(of_feedback()))}")
        if room not in only:
            continue
        rows = []
        for name, step, events, label, which, told in tqdm(sets(), desc=room, leave=False):
            score, rate = scored(step, events)
            roc, ap = marks(label, score) if which is None else marks(label[which], score[which])
            rows.append([name, f"`{short(step)}`", f"{roc:.3f} / {ap:.3f}", f"{rate:,.0f}", told])
        parts.append(
            f"## {room.capitalize()}\n\n{table(['data', 'recipe', 'AUC / AP', 'rows per CPU-s', 'others, measured or published'], rows)}"
        )
    if "drift" in only:
        parts.append(f"## Drift\n\n{table(['data', 'detector', 'found', '', 'others, measured or published'], list(of_drift()))}")
    if "speed" in only:
        head = ["data", "detector", "govlab, rows per CPU-s", "river", "ratio"]
        parts.append(f"## Speed beside river {__import__('river').__version__}, in one run\n\n{table(head, list(of_speed()))}")
    text = "\n\n".join(parts) + "\n"
    print(text)
    if set(only) == set(ROOMS):
        Path(__file__).with_suffix(".md").write_text(text)


if __name__ == "__main__":
    main()
