"""What detection.py reads: events with the columns a detector may see, and an error stream that drifts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

import govlab as gl

Frame = pd.DataFrame


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
