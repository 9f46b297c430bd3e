"""Read the files of each original data set: one function a set, ``(folder) -> (frames, labels)``.

Labels never stand in the frames, so that none becomes a feature by oversight.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from govlab.datasets import wiki_edits as _wiki_edits

Read = tuple[dict[str, pd.DataFrame], pd.DataFrame | None]


def _moments(first, offsets, unit="s"):
    """``first`` plus whole ``offsets``, as an index of datetime64[us, UTC]."""
    offsets_us = np.asarray(offsets, dtype=np.int64) * {"s": 1_000_000, "min": 60_000_000, "30min": 1_800_000_000}[unit]
    begin_us = pd.Timestamp(first, tz="UTC").value // 1000
    return pd.DatetimeIndex((offsets_us + begin_us).view("datetime64[us]"), tz="UTC")


def _parsed(text, **how):
    return pd.to_datetime(text, utc=True, **how).astype("datetime64[us, UTC]")


def bitcoin_otc(folder: Path) -> Read:
    """Read trust ratings; the file's u is who was RATED."""
    edges = pd.read_csv(folder / "bitcoin_otc/edges.csv.gz")
    # The file counts from its first rating, which the original list at SNAP dates 1289241911.728.
    time = _moments("2010-11-08T18:45:11", edges["ts"])
    frame = pd.DataFrame({"time": time, "rater": edges["i"], "rated": edges["u"]})
    return {"bitcoin_otc": frame}, edges[["label"]].rename(columns={"label": "abnormal"})


def card_sim(folder: Path) -> Read:
    """Read simulated card payments."""
    with np.load(folder / "card_sim/tx.npz", allow_pickle=False) as stored:
        frame = pd.DataFrame({name: stored[name] for name in ("customer", "terminal", "amount_cents")})
        frame.insert(0, "time", _moments("2018-04-01", stored["t"]))
        return {"card_sim": frame}, pd.DataFrame({name: stored[name] for name in ("fraud", "scenario")})


def darpa(folder: Path) -> Read:
    """Read network connections with attacks."""
    with np.load(folder / "darpa/darpa.npz", allow_pickle=False) as stored:
        columns = {"tick": stored["tick"], "source": stored["u"], "destination": stored["v"]}
        frame = pd.DataFrame({"time": _moments("1998-06-01", stored["minute"], "min"), **columns})
        attack = pd.Categorical.from_codes(stored["attack"], stored["attack_names"].tolist())
        return {"darpa": frame}, pd.DataFrame({"anomalous": stored["label"], "attack": attack})


def _drift(path, label, first, unit):
    frame = pd.read_csv(path)
    labels = frame[["label"]].rename(columns={"label": label})
    frame = frame.drop(columns="label")
    frame.insert(0, "time", _moments(first, np.arange(len(frame)), unit))
    return frame, labels


def elec2(folder: Path) -> Read:
    """Read electricity prices, half-hourly."""
    frame, labels = _drift(folder / "drift/elec2.csv.gz", "down", "1996-05-07", "30min")
    return {"elec2": frame}, labels


def sea(folder: Path) -> Read:
    """Read points under a rule that changes three times."""
    frame, labels = _drift(folder / "drift/sea.csv.gz", "label", "2000-01-01", "s")
    return {"sea": frame}, labels


def _odds(path):
    with np.load(path, allow_pickle=False) as stored:
        x, y = stored["X"], stored["y"]
    frame = pd.DataFrame({f"x{k}": x[:, k] for k in range(x.shape[1])})
    frame.insert(0, "time", _moments("2000-01-01", np.arange(len(frame))))
    return frame, pd.DataFrame({"anomalous": y})


def http(folder: Path) -> Read:
    """Read web connections of KDD Cup 1999, in their original order."""
    frame, labels = _odds(folder / "kdd_odds/http.npz")
    return {"http": frame}, labels


def shuttle(folder: Path) -> Read:
    """Read sensor readings of a space shuttle."""
    frame, labels = _odds(folder / "kdd_odds/shuttle.npz")
    return {"shuttle": frame}, labels


def nab_series(path):
    """Read one series, its timestamps taken as UTC."""
    frame = pd.read_csv(path).rename(columns={"timestamp": "time"})
    return frame.assign(time=_parsed(frame["time"]))


def nab_windows(windows):
    """Make the label frame of ``{series: [[start, end], ...]}``; keys may be paths of series."""
    rows = [(Path(key).stem, *ends) for key, found in sorted(windows.items()) for ends in found]
    labels = pd.DataFrame(rows, columns=["series", "start", "end"])
    return labels.assign(start=_parsed(labels["start"]), end=_parsed(labels["end"]))


def nab(folder: Path) -> Read:
    """Read all series of the Numenta Anomaly Benchmark and their windows."""
    windows = json.loads((folder / "nab/labels/combined_windows.json").read_text())
    frames = {Path(key).stem: nab_series(folder / "nab/data" / key) for key in sorted(windows)}
    return frames, nab_windows(windows)


def _tcpd_series(told):
    values = {one["label"]: pd.Series(one["raw"], dtype="float64") for one in told["series"]}
    shown = told["time"].get("raw")
    if shown is None:
        time = _moments("2000-01-01", told["time"]["index"])
    else:
        time = _parsed(pd.Series(shown), format=told["time"]["format"])
    return pd.DataFrame({"time": time, **values})


def tcpd(folder: Path) -> Read:
    """Read series with the change points that each annotator saw."""
    stored = {path.stem: json.loads(path.read_text()) for path in sorted((folder / "tcpd").glob("*.json"))}
    seen = stored.pop("annotations")
    frames = {name: _tcpd_series(told) for name, told in stored.items()}
    rows = [
        (name, annotator, position)
        for name in frames
        for annotator, positions in sorted(seen.get(name, {}).items(), key=lambda item: int(item[0]))
        for position in (positions or [None])
    ]
    labels = pd.DataFrame(rows, columns=["series", "annotator", "position"])
    return frames, labels.astype({"position": "Int64"})


def uci_edges(folder: Path) -> Read:
    """Read messages between students."""
    edges = pd.read_csv(folder / "uci_edges/edges.csv.gz")
    time = _moments("1970-01-01", edges["ts"])
    return {"uci_edges": pd.DataFrame({"time": time, "sender": edges["u"], "receiver": edges["v"], "weight": edges["w"]})}, None


def wiki_edits(folder: Path) -> Read:
    """Read Wikipedia edits, their times worked out."""
    edits, labels = _wiki_edits.edits_and_labels(pd.read_csv(folder / "wiki_reverts/enwiki_reverted_2015.csv.gz"))
    return {"wiki_edits": edits}, labels


def youtube_spam(folder: Path) -> Read:
    """Read dated comments in order of time."""
    dated = pd.read_csv(folder / "youtube_spam/comments.csv.gz").dropna(subset="date")
    dated = dated.assign(time=_parsed(dated["date"], format="ISO8601"))
    dated = dated.sort_values("time", kind="stable", ignore_index=True).rename(columns={"content": "text", "label": "spam"})
    return {"youtube_spam": dated[["time", "video", "comment_id", "author", "text"]]}, dated[["comment_id", "spam"]]
