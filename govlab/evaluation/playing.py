"""A pipeline played over events, with the scores kept beside the alerts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from govlab import frames
from govlab.alerts.alert import name_of_entity
from govlab.alerts.budget import Budget
from govlab.alerts.threshold import Threshold
from govlab.errors import ArgumentError
from govlab.event_clock import AHEAD_US, EventClock
from govlab.frames import POSITION, TIME, from_us, time_us
from govlab.pipeline import Pipeline
from govlab.sources.frames import FrameReader, reader_of
from govlab.sources.reader import EndOfStream, Reader
from govlab.step import Setting, Step

__all__ = ["DAY_US", "NEVER", "Played", "above", "alerts_on", "by_scores", "events_of", "history_of", "label_rows", "play"]

DAY_US = 86_400_000_000
NEVER = np.iinfo("int64").min
_KEPT = ("count", "start", "first_offset", "last_offset")


@dataclass(frozen=True)
class Played:
    """What a pipeline gave.

    Attributes
    ----------
    alerts : DataFrame
        Alerts, with ``told``: the event time that had been reached when it came out. Lateness and merging take theirs.
    scored : DataFrame
        The rows that the alerting steps took, without those of labels: ``time``, ``partition``, ``offset``, ``score`` (what the
        first of these steps goes by; of ``p`` the negative), the entity, and what windows have of ``count`` and ``start``.
        Without a ``score`` where none comes out before the alerts (as of shards that alert).
    entity : str or None
        The column with the entity.
    alerting : Pipeline
        The steps that made alerts of scores.
    passed : int
        How many rows the first of these steps alerted on.
    cut : int
        How many further alerts there are, which nobody looks at.
    windows : bool
        Whether the rows are windows and not events.
    """

    alerts: pd.DataFrame
    scored: pd.DataFrame
    entity: str | None
    alerting: Pipeline
    passed: int = 0
    cut: int = 0
    windows: bool = False


def history_of(source: Any) -> Reader:
    """Make a reader that can be read from the start more than once, of whatever :func:`govlab.sources.reader_of` takes."""
    reader = reader_of(source)
    if isinstance(reader, FrameReader) and reader.once:
        raise ArgumentError(
            f"cannot play {type(source).__name__} more than once, and history is read several times: give list(frames), or files."
        )
    return reader


def events_of(source: Any, max_rows: int = 16_384) -> Iterator[pd.DataFrame]:
    """Give the frames of a source that ends, from its start: of whatever :func:`govlab.sources.reader_of` takes."""
    reader = reader_of(source)
    reader.open(None)
    try:
        while True:
            frame = reader.read(max_rows)
            if len(frame):
                yield frame
            elif reader.waits:
                raise ArgumentError(f"{reader.name} is live and has no end; give a range of it (stop=...), or a recording.")
    except EndOfStream:
        return
    finally:
        reader.close()


def play(pipeline: Step, source: Any, per_day: int, progress: bool = False, name: str = "") -> Played:
    """Run a fresh copy; a pipeline that gives no alerts gets a budget of ``per_day``, with a threshold from the past only."""
    whole = pipeline.fresh() if isinstance(pipeline, Pipeline) else Pipeline(pipeline)
    if not whole.gives_alerts:
        whole = Pipeline(*whole.steps, Budget(per_day), ahead=whole.ahead)
    whole.bind(Setting(whole.hash))
    first = next(i for i, step in enumerate(whole.steps) if step.gives_alerts)
    alerting = whole.steps[first]
    entity = alerting._setting.entity
    kept, alerts, newest, passed = [], [], NEVER, 0
    clock = EventClock(AHEAD_US)
    for frame in tqdm(events_of(source), desc=name or None, unit=" frames", disable=not progress, delay=1, leave=False):
        # a label that becomes known is nothing that happened
        times = np.where(label_rows(frame), NEVER, time_us(frame))
        reached = np.maximum(_reached(clock, times), newest)
        newest = int(reached[-1]) if len(reached) else newest
        out = whole.process(frame, None, first)
        made = whole.process(out, first, first + 1)
        passed += len(made)
        made = whole.process(made, first + 1)
        kept.append(_kept(out, entity, alerting, reached[out.index]))
        alerts.append(made.assign(told=from_us(reached[made.index]).to_numpy()))
        whole.take_sides()
    out = whole.finish(None, first)
    if len(out):
        made = whole.process(out, first, first + 1)
        passed += len(made)
        kept.append(_kept(out, entity, alerting, np.full(len(out), newest)))
        alerts.append(whole.process(made, first + 1).assign(told=pd.Timestamp(newest, unit="us", tz="UTC")))
    alerts.append(whole.finish(first).assign(told=pd.Timestamp(newest, unit="us", tz="UTC")))
    rows = pd.concat([part for part in kept if len(part)] or kept[:1], ignore_index=True)
    windows = "start" in rows and bool((rows["start"] < rows[TIME]).any())
    return Played(_whole(alerts), rows, entity, Pipeline(*whole.steps[first:]).inside(), passed, windows=windows)


def _reached(clock: EventClock, times: np.ndarray) -> np.ndarray:
    """Give how far event time had come at each row; a row whose clock is ahead moves nothing."""
    newest = np.zeros(len(times), "int64")
    clock.take(times, newest=newest)
    return np.maximum.accumulate(np.where(newest == 0, times, newest))


def label_rows(frame: pd.DataFrame) -> np.ndarray:
    """Say which rows are labels that became known (see :func:`govlab.evaluation.with_labels`)."""
    return frame["partition"].to_numpy() < 0


def _whole(alerts: list[pd.DataFrame]) -> pd.DataFrame:
    made = frames.concat(alerts).reset_index(drop=True)
    made["told"] = pd.to_datetime(made["told"], utc=True).dt.as_unit("us")
    return made


def _kept(rows: pd.DataFrame, entity: str | None, alerting: Step, reached: np.ndarray) -> pd.DataFrame:
    kept = rows[[c for c in (TIME, *POSITION, *_KEPT, entity) if c is not None and c in rows]].assign(told_us=reached)
    score = alerting.alerts_by()
    if score is not None and score in rows:
        values = frames.numbers(rows, score)
        kept["score"] = -values if score == "p" else values
    window = (rows["start"] < rows[TIME]).to_numpy() if "start" in rows else False  # of rows of several partitions, -1
    return kept[~label_rows(rows) | window]


def by_scores(played: Played, scores: np.ndarray, alerting: Step) -> Played:
    """Give what alerting steps make of other scores of the same rows."""
    rows = played.scored.assign(score=scores).reset_index(drop=True)
    steps = (alerting if isinstance(alerting, Pipeline) else Pipeline(alerting)).inside()  # the rows have passed its guard
    steps.bind(Setting(steps.hash, entity=played.entity))
    made, told = steps.process(rows), rows["told_us"].to_numpy("int64")
    last = steps.finish().assign(told=pd.Timestamp(int(told.max(initial=0)), unit="us", tz="UTC"))
    alerts = _whole([made.assign(told=from_us(told[made.index]).to_numpy()), last])
    return replace(played, alerts=alerts, scored=rows)


def above(played: Played, scores: np.ndarray, threshold: float, per_day: int) -> Played:
    """Give the alerts of a threshold on scores, with the steps that came after the pipeline's own.

    Without such steps only those that a person looks at, and of them only what they are judged by: most are never looked at.
    """
    passed, rest = np.flatnonzero(scores >= threshold), played.alerting.steps[1:]
    if rest:
        some = replace(played, scored=played.scored.iloc[passed])
        return by_scores(some, scores[passed], Pipeline(Threshold(threshold), *rest).inside())
    told = played.scored["told_us"].to_numpy("int64")[passed]
    order = np.lexsort((time_us(played.scored)[passed], told))
    day = told[order] // DAY_US
    seen = np.sort(passed[order[np.arange(day.size) - np.searchsorted(day, day) < per_day]])
    return replace(played, alerts=alerts_on(played, seen), cut=passed.size - seen.size)


def alerts_on(played: Played, rows: np.ndarray) -> pd.DataFrame:
    """Give alerts on rows, with no more than they are judged by."""
    some = played.scored.iloc[rows].reset_index(drop=True)
    entity = [name_of_entity(v) for v in some[played.entity].tolist()] if played.entity in some else "all"
    start = some["start" if "start" in some else TIME]
    return some[[TIME, *POSITION]].assign(start=start, told=from_us(some["told_us"].to_numpy("int64")), entity=entity)
