"""What alerts caught of what is known to have happened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab.errors import ArgumentError
from govlab.frames import require


def caught(alerts: pd.DataFrame, incidents: pd.DataFrame) -> pd.DataFrame:
    """Give, for each incident, whether an alert fell into it, and how long that took.

    An alert falls into an incident if the incident's time overlaps the window of the alert (``start`` to ``time``), and,
    where the incident names entities, if the alert's entity is one of them or ``"all"``. No point adjustment: what is not
    found is not found.

    Parameters
    ----------
    alerts : DataFrame
        With ``start``, ``time`` and ``entity``.
    incidents : DataFrame
        With ``start`` and ``end``, and optionally ``incident_id`` and ``entities`` (a list, or one as JSON text).

    Returns
    -------
    DataFrame
        A row an incident: ``incident``, ``start``, ``end``, ``caught`` (bool), ``alert`` (time of the first, else NaT),
        ``delay_s`` (from the start of the incident to the first alert, at least 0; NaN where it was missed, never 0), and
        ``alerts`` (how many fell into it).

    Examples
    --------
    >>> t = pd.to_datetime(["2026-03-02T10:00Z", "2026-03-02T11:00Z", "2026-03-02T15:00Z"])
    >>> alerts = pd.DataFrame({"start": t[:1], "time": t[:1] + pd.Timedelta("1min"), "entity": "all"})
    >>> caught(alerts, pd.DataFrame({"start": t[[0, 2]], "end": t[[1, 2]]}))[["caught", "delay_s"]].to_numpy().tolist()
    [[True, 60.0], [False, nan]]
    """
    require(alerts, ["start", "time", "entity"], "caught")
    require(incidents, ["start", "end"], "caught")
    rows = []
    for i, incident in enumerate(incidents.to_dict("records")):
        inside = (alerts["start"] <= incident["end"]) & (alerts["time"] >= incident["start"])
        entities = incident.get("entities")
        if isinstance(entities, str):
            entities = json.loads(entities)
        if entities is not None and "platform" not in entities:
            inside &= alerts["entity"].isin([*map(str, entities), "all"])
        times = alerts.loc[inside, "time"]
        first = times.min() if len(times) else pd.NaT
        delay = max(0.0, (first - incident["start"]).total_seconds()) if len(times) else np.nan
        rows.append(
            (incident.get("incident_id", i), incident["start"], incident["end"], bool(len(times)), first, delay, len(times))
        )
    return pd.DataFrame(rows, columns=["incident", "start", "end", "caught", "alert", "delay_s", "alerts"])


def precision(alerts: pd.DataFrame, labels: Mapping[str, Any] | pd.Series) -> dict[str, float | int | None]:
    """Give how many alerts were right, where the entity of an alert has a label.

    Returns
    -------
    dict
        ``alerts``, ``right``, ``precision`` (right of all alerts), ``recall`` (right of all that is labelled 1), ``base_rate``
        (what alerts at random would get), ``lift`` (precision over base rate). None where it is not defined.

    Examples
    --------
    >>> precision(pd.DataFrame({"entity": ["7", "8"]}), {"7": 1, "8": 0, "9": 0, "10": 0})["lift"]
    2.0
    """
    known = pd.Series(labels)
    if not known.isin([0, 1]).all():
        raise ArgumentError(f"precision: labels must be 0 or 1, one an entity; got {known[~known.isin([0, 1])].iloc[0]!r}.")
    known.index = known.index.map(str)
    right = int(known.reindex(alerts["entity"].astype(str)).fillna(0).sum())
    total, base = int(known.sum()), float(known.mean()) if len(known) else None
    share = right / len(alerts) if len(alerts) else None
    return {
        "alerts": len(alerts),
        "right": right,
        "precision": share,
        "recall": right / total if total else None,
        "base_rate": base,
        "lift": share / base if share is not None and base else None,
    }
