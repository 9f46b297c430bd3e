"""A pipeline played over events, with the scores kept beside the alerts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from govlab import frames
from govlab.alerts.budget import Budget
from govlab.errors import ArgumentError
from govlab.frames import POSITION, TIME, from_us, time_us
from govlab.pipeline import Pipeline
from govlab.sources.reader import EndOfStream, Reader
from govlab.sources.replay import ReplayReader
from govlab.step import Step

__all__ = ["DAY_US", "Played", "baseline_scores", "by_scores", "events_of", "play"]

DAY_US = 86_400_000_000
NEVER = np.iinfo("int64").min
_KEPT = ("count", "start", "p", "first_offset", "last_offset")


@dataclass(frozen=True)
class Played:
    """What a pipeline gave.

    Attributes
    ----------
    alerts : DataFrame
        All alerts, with ``told``: the event time that had been reached when it came out. Lateness and merging take theirs.
    scored : DataFrame
        The rows that the alerting steps took: ``time``, ``partition``, ``offset``, ``score``, the entity, and what windows
        have of ``count``, ``start``, ``p``. Without a ``score`` where none comes out before the alerts (as of shards that alert).
    entity : str or None
        The column with the entity.
    alerting : Pipeline
        The steps that made alerts of scores.
    """

    alerts: pd.DataFrame
    scored: pd.DataFrame
    entity: str | None
    alerting: Pipeline


def events_of(source: Any, max_rows: int = 16_384) -> Iterator[pd.DataFrame]:
    """Give the frames of a source: a DataFrame, a list of them, the path of a file, a reader, or what ``from_replay`` gives."""
    reader = getattr(source, "reader", source)
    if isinstance(reader, str | Path):
        reader = ReplayReader(reader)
    if isinstance(reader, pd.DataFrame):
        reader = [reader]
    if not isinstance(reader, Reader):
        if isinstance(reader, Mapping) or not hasattr(reader, "__iter__") or iter(reader) is reader:
            raise ArgumentError(
                f"cannot play {type(source).__name__} more than once: give a DataFrame, a list of them, a path, or a reader."
            )
        offset = 0
        for frame in reader:
            yield frames.event_frame(frame, offset=offset)
            offset += len(frame)
        return
    reader.open(None)
    try:
        while True:
            frame = reader.read(max_rows)
            if len(frame):
                yield frame
            elif getattr(reader, "waits", False):
                raise ArgumentError(f"{source!r} is live and has no end; give a stretch of it (stop=...), or a recording.")
    except EndOfStream:
        return
    finally:
        reader.close()


def play(pipeline: Step, source: Any, per_day: int, progress: bool = False, name: str = "") -> Played:
    """Run a fresh copy; a pipeline that gives no alerts gets a budget of ``per_day``, with a threshold from the past only."""
    whole = pipeline.fresh() if isinstance(pipeline, Pipeline) else Pipeline(pipeline)
    if not whole.gives_alerts:
        whole = Pipeline(*whole.steps, Budget(per_day))
    whole.bind(whole.hash, "", None)
    first = next(i for i, step in enumerate(whole.steps) if step.gives_alerts)
    # where the alerts are made inside of shards, the scores stay there; what a column of that name holds is not theirs
    scored = not hasattr(whole.steps[first], "steps")
    entity = whole.steps[first]._entity_column
    kept, alerts, newest = [], [], NEVER
    for frame in tqdm(events_of(source), desc=name or None, unit=" frames", disable=not progress, delay=1, leave=False):
        reached = np.maximum(np.maximum.accumulate(time_us(frame)), newest)
        newest = int(reached[-1])
        out = whole.process(frame, 0, first)
        kept.append(_kept(out, entity, scored, reached[out.index]))
        made = whole.process(out, first)
        alerts.append(made.assign(told=from_us(reached[made.index]).to_numpy()))
        whole.take_sides()
    out = whole.finish(0, first)
    if len(out):
        kept.append(_kept(out, entity, scored, np.full(len(out), newest)))
        alerts.append(whole.process(out, first).assign(told=pd.Timestamp(newest, unit="us", tz="UTC")))
    alerts.append(whole.finish(first).assign(told=pd.Timestamp(newest, unit="us", tz="UTC")))
    rows = pd.concat([part for part in kept if len(part)] or kept[:1], ignore_index=True)
    return Played(_whole(alerts), rows, entity, Pipeline(*whole.steps[first:]))


def _whole(alerts: list[pd.DataFrame]) -> pd.DataFrame:
    made = frames.concat(alerts).reset_index(drop=True)
    made["told"] = pd.to_datetime(made["told"], utc=True).dt.as_unit("us")
    return made


def _kept(rows: pd.DataFrame, entity: str | None, scored: bool, reached: np.ndarray) -> pd.DataFrame:
    score = ("score",) if scored else ()
    return rows[[c for c in (TIME, *POSITION, *score, *_KEPT, entity) if c is not None and c in rows]].assign(told_us=reached)


def by_scores(played: Played, scores: np.ndarray, alerting: Step | None = None) -> Played:
    """Give what the same alerting steps make of other scores of the same rows."""
    rows = played.scored.drop(columns="p", errors="ignore").assign(score=scores)
    steps = played.alerting if alerting is None else Pipeline(alerting)
    steps = steps.fresh()
    steps.bind(steps.hash, "", played.entity)
    rows = rows.reset_index(drop=True)
    made, told = steps.process(rows), rows["told_us"].to_numpy("int64")
    last = steps.finish().assign(told=pd.Timestamp(int(told.max(initial=0)), unit="us", tz="UTC"))
    alerts = _whole([made.assign(told=from_us(told[made.index]).to_numpy()), last])
    return replace(played, alerts=alerts, scored=rows)


def baseline_scores(played: Played, name: str, seed: int) -> np.ndarray:
    """Score the rows by chance, or by the volume: the count of a window, or how many events of the entity the last hour had."""
    rows = played.scored
    if name == "random":
        return np.random.default_rng(seed).random(len(rows))
    if "count" in rows and "start" in rows:
        return rows["count"].to_numpy("float64", na_value=np.nan)
    times = time_us(rows)
    keys = np.zeros(len(rows), "int64") if played.entity not in rows else pd.factorize(rows[played.entity])[0]
    if keys.max(initial=0) == len(rows) - 1:
        keys[:] = 0  # the entity is the event itself
    order = np.lexsort((np.arange(len(rows)), times, keys))
    number = keys[order].astype("float64") * 2.0**51  # apart by more than all of time
    at = number + (times[order] - times.min())
    volume = np.empty(len(rows))
    volume[order] = np.arange(len(rows)) - np.searchsorted(at, at - 3_600_000_000, "right") + 1
    return volume
