"""What alerts caught of what is known to have happened."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab.alerts.alert import name_of_entity
from govlab.errors import ArgumentError
from govlab.evaluation.label_columns import how_they_differ
from govlab.evaluation.labels import Labels
from govlab.evaluation.matching import match_incidents
from govlab.frames import require


def caught(alerts: pd.DataFrame, incidents: pd.DataFrame) -> pd.DataFrame:
    """Give, for each incident, whether an alert fell into it, and how long that took.

    Matched as in a backtest: an alert falls into an incident if the incident's time overlaps the window of the alert (``start``
    to ``time``), and, where the incident names entities, if the alert's entity is one of them or ``"all"``; one alert about a
    window catches one incident. All alerts are looked at, each when its time is over. No point adjustment: what is not found is
    not found.

    Parameters
    ----------
    alerts : DataFrame
        With ``start``, ``time`` and ``entity``.
    incidents : DataFrame
        With ``start`` and ``end``, and optionally ``incident_id`` and ``entities`` (a list, or one as JSON text) or ``entity``.

    Returns
    -------
    DataFrame
        A row an incident: ``incident``, ``start``, ``end``, ``caught`` (bool), ``alert`` (time of the one that caught it, else
        NaT), ``delay_s`` (from the start of the incident to that alert, at least 0; NaN where it was missed, never 0), and
        ``alerts`` (how many fell into it).

    Raises
    ------
    SchemaError
        A column is missing.
    ArgumentError
        The incidents are bad, see :meth:`Labels.incidents_of`.

    Examples
    --------
    >>> t = pd.to_datetime(["2026-03-02T10:00Z", "2026-03-02T11:00Z", "2026-03-02T15:00Z"])
    >>> alerts = pd.DataFrame({"start": t[:1], "time": t[:1] + pd.Timedelta("1min"), "entity": "all"})
    >>> caught(alerts, pd.DataFrame({"start": t[[0, 2]], "end": t[[1, 2]]}))[["caught", "delay_s"]].to_numpy().tolist()
    [[True, 60.0], [False, nan]]
    """
    require(alerts, ["start", "time", "entity"], "caught")
    require(incidents, ["start", "end"], "caught")
    table = Labels.incidents_of(incidents).table
    alerts = alerts.sort_values("time", kind="stable").reset_index(drop=True)
    whose = {name for names in table["entities"] for name in names or ()}
    _warn("caught", whose, alerts["entity"].map(name_of_entity))
    told: dict[str, Any] = {"told": alerts["time"], "start": alerts["start"].fillna(alerts["time"]), "looked_at": True}
    _, first, count = match_incidents(alerts.assign(entity=alerts["entity"].map(name_of_entity), **told), table, anybody=True)
    made, found = table[["incident", "start", "end"]].assign(caught=first >= 0), first >= 0
    made["alert"] = alerts["time"].reindex(np.where(found, first, -1)).set_axis(made.index)
    made["delay_s"] = (made["alert"] - made["start"]).dt.total_seconds().clip(lower=0.0)
    return made.assign(alerts=count)


def precision(alerts: pd.DataFrame, labels: Mapping[str, Any] | pd.Series) -> dict[str, float | int | None]:
    """Give how many alerts were right, where the entity of an alert has a label.

    Returns
    -------
    dict
        ``alerts``, ``right``, ``precision`` (right of all alerts), ``recall`` (entities found of all that are labelled 1, each
        once), ``base_rate`` (what alerts at random would get), ``lift`` (precision over base rate). None where it is not defined.

    Raises
    ------
    ArgumentError
        A label is neither 0 nor 1, or an entity has two.

    Examples
    --------
    >>> precision(pd.DataFrame({"entity": ["7", "8"]}), {"7": 1, "8": 0, "9": 0, "10": 0})["lift"]
    2.0
    """
    known = pd.Series(labels)
    if not known.isin([0, 1]).all():
        raise ArgumentError(f"precision: labels must be 0 or 1, one an entity; got {known[~known.isin([0, 1])].iloc[0]!r}.")
    known.index = known.index.map(name_of_entity)
    if known.index.has_duplicates:
        raise ArgumentError(f"precision: entity {known.index[known.index.duplicated()][0]!r} has two labels; give one an entity.")
    entities = alerts["entity"].map(name_of_entity)
    _warn("precision", known.index, entities)
    hits = entities[entities.map(known).fillna(0) == 1]
    right = len(hits)
    total, base = int(known.sum()), float(known.mean()) if len(known) else None
    share = right / len(alerts) if len(alerts) else None
    return {
        "alerts": len(alerts),
        "right": right,
        "precision": share,
        "recall": hits.nunique() / total if total else None,
        "base_rate": base,
        "lift": share / base if share is not None and base else None,
    }


def _warn(who: str, labels: Collection[str], alerts: pd.Series) -> None:
    """Warn where no alert is of an entity with a label, and that seems to be because of how they are written."""
    names = alerts.unique().tolist()
    if not set(labels) & set(names):
        differ = how_they_differ(labels, names)
        if differ:
            warnings.warn(f"{who}: no alert is of an entity that a label names.{differ.replace('events', 'alerts')}", stacklevel=3)
