"""Choose parameters as time goes by: from what was known then, judged on what came next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from govlab.arguments import fitting
from govlab.errors import ArgumentError
from govlab.evaluation.intervals import ratio
from govlab.evaluation.judging import check_per_day, judge
from govlab.evaluation.labels import Labels
from govlab.evaluation.playing import Played, events_of, history_of, play
from govlab.evaluation.truth import Truth
from govlab.frames import time_us
from govlab.markup import render, table
from govlab.sources.files.replay import ReplayReader
from govlab.step import Step

__all__ = ["Tuning", "tune"]

OBJECTIVES = ("recall", "precision")


@dataclass(frozen=True, repr=False)
class Tuning:
    """What a walk through time found.

    Attributes
    ----------
    table : DataFrame
        A row a setting (``setting``), and in ``all`` and ``1``, ``2``, ... the objective over all of history and in each stretch.
    walk : DataFrame
        A row a stretch but the first: when it begins, the setting that what was known then would have chosen (``chosen``), what
        that promised (``past``), what came (``found``), and the best that any setting had there (``best``; only hindsight has it).
    best : mapping
        The setting that all of history would choose, by what was known at its end, for the time after it.
    """

    table: pd.DataFrame
    walk: pd.DataFrame
    best: Mapping[str, Any]

    def _repr_html_(self) -> str:
        walk = table(self.walk, border=0, float_format=_short)
        return str(render("<p>best: {{ best }}</p>{{ walk }}", best=self.best, walk=walk))

    def __repr__(self) -> str:
        return f"Tuning(best={self.best})\n{self.walk.to_string(float_format=_short)}"


@fitting
def tune(
    factory: Callable[..., Step],
    grid: Iterable[Mapping[str, Any]],
    source: Any,
    labels: Labels | pd.DataFrame,
    per_day: int = 20,
    *,
    objective: str = "recall",
    stretches: int = 4,
    unknown: str = "error",
    jobs: int = -1,
    progress: bool = True,
) -> Tuning:
    """Choose parameters by walking forward in time: each stretch is judged with what the time before it would have chosen.

    A setting runs once over all of history, as nothing in a pipeline looks ahead; only which setting is taken when is decided
    stretch by stretch, from the labels that were known by then (``known_at``; labels without it count as known at once).

    Parameters
    ----------
    factory : callable
        ``factory(**parameters) -> Pipeline``.
    grid : iterable of dict
        The settings, such as ``sklearn.model_selection.ParameterGrid({"alpha": [0.1, 0.3]})``.
    source, labels, per_day, unknown
        As of :func:`govlab.backtest`.
    objective : {"recall", "precision"}
        Of what a person with ``per_day`` alerts a day sees; ties go to the other one, then to the setting that comes first.
    stretches : int
        Into how many parts of equal length history is cut, at least 2.
    jobs : int
        Processes at once; -1: one a core.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Tuning

    Raises
    ------
    ArgumentError
        There is no setting, or an argument is out of its range; or what :func:`govlab.backtest` raises.

    Examples
    --------
    >>> import govlab as gl
    >>> times = pd.date_range("2026-03-02", periods=800, freq="1h", tz="UTC")
    >>> events = gl.event_frame({"time": times, "value": [9.0 if i % 100 == 50 else 0.0 for i in range(800)]})
    >>> incidents = pd.DataFrame({"start": times[50::100], "end": times[52::100]})
    >>> def watch(above):
    ...     return gl.Pipeline(gl.detectors.Volume("value"), gl.alerts.Threshold(above))
    >>> gl.tune(watch, [{"above": 20}, {"above": 5}], events, incidents, jobs=1, progress=False).best
    {'above': 5}
    """
    settings = list(grid)
    if isinstance(grid, Mapping) or not all(isinstance(one, Mapping) for one in settings):
        raise ArgumentError("tune: the grid is a list of settings, such as [{'alpha': 0.1}, {'alpha': 0.3}], or a ParameterGrid.")
    settings = [dict(one) for one in settings]
    if not settings:
        raise ArgumentError("tune: the grid is empty; give settings, such as [{'alpha': 0.1}, {'alpha': 0.3}].")
    check_per_day(per_day)
    if objective not in OBJECTIVES:
        raise ArgumentError(f"tune: objective={objective!r}; expected one of {', '.join(map(repr, OBJECTIVES))}.")
    if isinstance(stretches, bool) or not isinstance(stretches, int) or stretches < 2:
        raise ArgumentError(f"tune: stretches={stretches!r}; expected a whole number of at least 2.")
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs == 0:
        raise ArgumentError(f"tune: jobs={jobs!r}; expected how many processes, or -1 for one a core.")
    from joblib import Parallel, delayed

    # a reader may hold what does not travel between processes, so it is read here; files are read there
    reader = history_of(source)
    paths = isinstance(reader, ReplayReader) and reader is not source and not hasattr(source, "reader")
    source = source if paths else list(events_of(reader))
    truth = Truth.of(Labels.of(labels), events_of(source), unknown)
    work = (delayed(_played)(factory, one, source, per_day) for one in settings)
    run = Parallel(n_jobs=jobs, return_as="generator")(work)
    played = list(tqdm(run, total=len(settings), desc="settings", disable=not progress, leave=False))
    edges = np.linspace(truth.first_us, truth.last_us + 1, stretches + 1).astype("int64")
    scores = [[_score(one, truth, per_day, edges[i], edges[i + 1]) for i in range(stretches)] for one in played]
    at = OBJECTIVES.index(objective)
    rows = []
    for i in range(1, stretches):
        past = [_score(one, truth, per_day, edges[0], edges[i], by=edges[i]) for one in played]
        chosen = _best(past, at)
        rows.append(
            {
                "stretch": i + 1,
                "start": pd.Timestamp(int(edges[i]), unit="us", tz="UTC"),
                "chosen": settings[chosen],
                "past": past[chosen][at],
                "found": scores[chosen][i][at],
                "best": max((score for s in scores if (score := s[i][at]) is not None), default=None),
            }
        )
    whole = [_score(one, truth, per_day, edges[0], edges[-1]) for one in played]
    table = pd.DataFrame({"setting": settings, "all": pd.Series([w[at] for w in whole], dtype="object")})
    for i in range(stretches):
        table[str(i + 1)] = pd.Series([s[i][at] for s in scores], dtype="object")
    # of objects, so that None stays None
    walk = pd.DataFrame({key: pd.Series([row[key] for row in rows], dtype="object") for key in rows[0]})
    walk = walk.astype({"stretch": "int64"}).assign(start=pd.to_datetime(walk["start"], utc=True)).set_index("stretch")
    last = [_score(one, truth, per_day, edges[0], edges[-1], by=edges[-1]) for one in played]
    return Tuning(table, walk, settings[_best(last, at)])


def _played(factory: Callable[..., Step], setting: dict[str, Any], source: Any, per_day: int) -> Played:
    try:
        made = factory(**setting)
    except Exception as error:
        raise ArgumentError(f"tune: the factory failed for {setting}: {type(error).__name__}: {error}") from error
    try:
        played = play(made, source, per_day)
    except Exception as error:
        raise ArgumentError(f"tune: the pipeline failed for {setting}: {type(error).__name__}: {error}") from error
    return replace(played, scored=played.scored.iloc[:0])  # only the alerts are judged, and travel between processes


def _score(
    played: Played, truth: Truth, per_day: int, begin: int, end: int, by: int | None = None
) -> tuple[float | None, float | None]:
    """Give recall and precision of what begins in a stretch, by all labels or by those that were known by a time."""
    if by is not None:
        at = truth.incidents["known_at"].fillna(truth.incidents["start"])
        known = (at < pd.Timestamp(int(by), unit="us", tz="UTC")).to_numpy()
        positives = None if truth.positives is None else truth.positives[known].reset_index(drop=True)
        # what came out later had not been seen either
        played = replace(played, alerts=played.alerts[time_us(played.alerts, "told") < by])
        number = np.cumsum(known) - 1
        places = {at: int(number[i]) for at, i in truth.places.items() if known[i]}
        truth = replace(truth, incidents=truth.incidents[known].reset_index(drop=True), positives=positives, places=places)
        if not known.any():
            return None, None
    judged = judge(played, truth, per_day)
    # what began before the events belongs to the first stretch
    start, alerts = np.maximum(time_us(judged.incidents, "start"), truth.first_us), judged.alerts[judged.alerts["looked_at"]]
    caught = judged.incidents["caught"].to_numpy("float64")[(start >= begin) & (start < end)]
    when = time_us(alerts, "told")
    right = alerts["right"].to_numpy("float64")[(when >= begin) & (when < end)]
    return ratio(caught, np.ones(caught.size)), ratio(right, np.ones(right.size))


def _short(value: float) -> str:
    return f"{value:.3f}"


def _best(scores: list[tuple[float | None, float | None]], at: int) -> int:
    def rank(i: int) -> tuple[float, float]:
        first, second = scores[i][at], scores[i][1 - at]
        return (-1.0 if first is None else first, -1.0 if second is None else second)

    return max(range(len(scores)), key=rank)
