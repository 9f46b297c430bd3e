"""Which alert found what: one alert about a window finds one thing, however much lies in the window."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab.alerts.alert import name_of_entity
from govlab.errors import ArgumentError
from govlab.frames import POSITION, time_us

__all__ = ["Match", "match_events", "match_incidents"]

Match = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Which alerts are right; of each incident the alert that caught it (-1: none), and how many that were looked at lie in it."""


def match_incidents(alerts: pd.DataFrame, incidents: pd.DataFrame, anybody: bool) -> Match:
    """Match alerts and incidents of the same entity that overlap in time.

    The incident that ends first takes the first alert that is still free; among those of one entity as many are caught as can
    be.

    Parameters
    ----------
    alerts : DataFrame
        ``start``, ``time``, ``told``, ``entity``, ``looked_at``, in the order in which they were told.
    incidents : DataFrame
        ``start``, ``end``, ``entities``.
    anybody : bool
        Whether an alert on ``"all"`` is on every entity.
    """
    start, end = _windows(alerts)
    order = np.argsort(end, kind="stable")
    groups = {name: (rows, end[rows]) for name, rows in _by_name(alerts["entity"], order).items()}
    everyone, longest = (order, end[order]), int((end - start).max(initial=0))
    seen, n = alerts["looked_at"].to_numpy("bool"), len(incidents)
    right, free = np.zeros(len(alerts), "bool"), seen.copy()
    first, count = np.full(n, -1), np.zeros(n, "int64")
    begins, lasts, entities = time_us(incidents, "start"), time_us(incidents, "end"), incidents["entities"].tolist()
    # what starts by an incident's last moment ends no later than the longest window after it
    near = [np.searchsorted(everyone[1], edge) for edge in (begins, lasts + longest + 1)]
    by_end = np.lexsort((begins, lasts))
    for i in by_end[near[0][by_end] < near[1][by_end]].tolist():
        names = dict.fromkeys((*(entities[i] or ()), *(("all",) if anybody else ())))
        inside = order[:0]
        for rows, ends in [everyone] if entities[i] is None else [groups[name] for name in names if name in groups]:
            low, high = np.searchsorted(ends, [begins[i], lasts[i] + longest + 1])
            part = rows[low:high]
            inside = np.append(inside, part[start[part] <= lasts[i]])
        inside.sort()
        right[inside] = True
        count[i] = seen[inside].sum()
        unspent = inside[free[inside]]
        if unspent.size:
            first[i] = unspent[0]
            free[first[i]] = end[first[i]] == start[first[i]]  # a moment lies in all incidents of that moment
    return right, first, count


def match_events(
    alerts: pd.DataFrame,
    positives: pd.DataFrame,
    places: Mapping[tuple[int, int], int],
    names: Iterable[Any] | None,
    anybody: bool,
    closed: bool,
) -> Match:
    """Match alerts and positive events.

    An alert on an event finds that event. One on a window is right if an event of its entity lies in it, and finds one of them:
    the first that was not found yet.

    Parameters
    ----------
    alerts : DataFrame
        As for :func:`match_incidents`, and ``partition``, ``offset``.
    positives : DataFrame
        With ``time``.
    places : mapping
        From a position to the place in ``positives``.
    names : iterable, optional
        The entity of each; None: an alert is on all.
    anybody, closed : bool
        Whether an alert on ``"all"`` is on every entity, and whether the end of a window belongs to it.
    """
    start, end = _windows(alerts)
    # what was cut short at the moment at which it was told has that moment in it
    upto = end + (closed | (time_us(alerts) > end))
    times, seen = time_us(positives), alerts["looked_at"].to_numpy("bool")
    order = np.argsort(times, kind="stable")
    groups = {} if names is None else _by_name(pd.Series(list(map(name_of_entity, names)), dtype="object"), order)
    entity = alerts["entity"].tolist()
    low, high = np.zeros(len(alerts), "int64"), np.zeros(len(alerts), "int64")
    own = {}
    for name, rows in _by_name(alerts["entity"], np.arange(len(alerts))).items():
        own[name] = order if names is None or (name == "all" and anybody) else groups.get(name, order[:0])
        low[rows], high[rows] = (np.searchsorted(times[own[name]], edge[rows]) for edge in (start, upto))
    first, count, right = np.full(len(positives), -1), np.zeros(len(positives), "int64"), high > low
    known: set[int] = set()
    moments = start == end
    at = np.array([places.get(key, -1) for key in zip(*(alerts[c].tolist() for c in POSITION), strict=True)], "int64")
    right[moments] = at[moments] >= 0
    for i in np.flatnonzero(right).tolist():
        if moments[i]:
            hits = at[i : i + 1]
            right[i] = at[i] not in known  # what was delivered twice is one thing to find
            known.update(hits.tolist() if seen[i] else ())
        else:
            hits = own[entity[i]][low[i] : high[i]]
        if seen[i] and right[i]:
            count[hits] += 1
            free = hits[first[hits] < 0]
            first[free[:1]] = i
    return right, first, count


def _windows(alerts: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Give start and end of what alerts are about, up to when they were told: what comes after has not happened yet."""
    start, end, told = time_us(alerts, "start"), time_us(alerts), time_us(alerts, "told")
    odd = np.flatnonzero(start > end)
    if odd.size:
        row = alerts.iloc[odd[0]]
        raise ArgumentError(
            f"an alert on {row['entity']!r} starts at {row['start']}, after its time {row['time']}; give alerts that are about the "
            "time from start to time."
        )
    return np.minimum(start, told), np.minimum(end, told)


def _by_name(names: pd.Series, order: np.ndarray) -> dict[str, np.ndarray]:
    """Give the rows of each name, in an order."""
    codes, known = pd.factorize(names.to_numpy("object")[order])
    inside = order[np.argsort(codes, kind="stable")]
    edges = np.searchsorted(np.sort(codes), np.arange(len(known) + 1))
    return {name: inside[a:b] for name, a, b in zip(known, edges[:-1], edges[1:], strict=True)}
