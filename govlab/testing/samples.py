"""Events with all that goes wrong in them: late, twice, missing, extreme."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from govlab.frames import event_frame, from_us
from govlab.sources.frames import whole

START_US = 1_772_409_600_000_000  # 2026-03-02T00:00:00Z, a Monday


def sample_events(rows: int = 400, seed: int = 0, entities: int = 12, span_s: float = 7_200.0, names: str = "u") -> pd.DataFrame:
    """Make events in order of arrival, with late ones, ids that come twice, missing values, and columns of alerts and labels.

    Parameters
    ----------
    rows, entities : int
        How many events, of how many actors (called ``names`` and a number).
    seed : int
        Another seed gives other events.
    span_s : float
        Seconds of event time.

    Examples
    --------
    >>> sample_events(3)["actor"].to_list() == sample_events(3)["actor"].to_list()
    True
    """
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, span_s * 1e6, rows)).astype("int64")
    late = rng.random(rows) < 0.1
    times[late] -= rng.integers(0, 200_000_000, rows)[late]
    times = np.round(times, -6)  # whole seconds, so that there are ties
    actor = rng.zipf(1.5, rows) % entities
    value = rng.normal(10, 3, rows)
    value[rng.random(rows) < 0.02] = np.nan
    value[rng.random(rows) < 0.01] = 1e6
    ids = np.arange(rows)
    again = rng.random(rows) < 0.05
    ids[again] = np.maximum(ids[again] - rng.integers(1, 20, int(again.sum())), 0)
    frame = pd.DataFrame(
        {
            "time": from_us(START_US + np.maximum(times, 0)),
            "event_id": [f"{names}e{i}" for i in ids],
            "actor": [f"{names}{a}" if a else None for a in actor],
            "kind": rng.choice(["post", "like", "report"], rows),
            "value": value,
            "count": rng.poisson(4, rows),
            "words": rng.gamma(2.0, 20.0, rows),
            "score": np.where(rng.random(rows) < 0.05, np.nan, rng.exponential(1.0, rows)),
            "id": [f"{names}a{i}" for i in range(rows)],
            "entity": [f"{names}{a}" for a in actor],
            "reason": "sample",
            "target": [f"{names}t{t}" if t else None for t in rng.integers(0, 50, rows)],
        }
    )
    frame["start"] = frame["time"]
    # an id that came before may as well be that of a label
    frame["label"] = np.where(again, (rng.random(rows) < 0.3).astype("float64"), np.nan)
    return event_frame(frame)


def sampled(frame: Any) -> pd.DataFrame:
    """Give what a check is to run on: an event frame as it is, the events of another source, or without one the samples."""
    return sample_events() if frame is None else frame if isinstance(frame, pd.DataFrame) else whole(frame)


def calm_events(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Make events of one actor, a minute apart, in which nothing happens: no gap, no missing and no extreme value.

    Examples
    --------
    >>> calm_events(3)["actor"].to_list()
    ['ann', 'ann', 'ann']
    """
    rng = np.random.default_rng(seed)
    times = from_us(START_US + np.arange(rows, dtype="int64") * 60_000_000)
    return sample_events(rows, seed).assign(
        time=times, start=times, event_id=[f"e{i}" for i in range(rows)], actor="ann", entity="ann", target="t1", kind="post",
        value=rng.normal(10, 3, rows), count=rng.poisson(4, rows).astype("float64"), words=rng.gamma(2.0, 20.0, rows),
        score=rng.exponential(1.0, rows), label=np.nan,
    )  # fmt: skip
