"""A day on a made-up platform, with incidents planted in it: data for tutorials, tests and benchmarks."""

import json
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from govlab.datasets import planted, traffic

_MOMENT = pa.timestamp("us", "UTC")
_TEXT = pa.string()
_EVENTS = pa.schema(
    {
        "time": _MOMENT,
        "arrival": _MOMENT,
        "event_id": _TEXT,
        "kind": _TEXT,
        "actor": _TEXT,
        "target": _TEXT,
        "text": _TEXT,
        "ip": _TEXT,
        "ok": pa.bool_(),
    }
)
_INCIDENTS = pa.schema(
    {
        "incident_id": _TEXT,
        "kind": _TEXT,
        "start": _MOMENT,
        "end": _MOMENT,
        "known_at": _MOMENT,
        "entities": _TEXT,
        "n_events": pa.int64(),
        "description": _TEXT,
    }
)
_LABELS = pa.schema({"event_id": _TEXT, "incident_id": _TEXT, "known_at": _MOMENT})


class Community(NamedTuple):
    """What `community` makes: three frames.

    Attributes
    ----------
    events : DataFrame
        One row a delivery, in order of arrival.
    incidents : DataFrame
        One row a planted incident, by ``start``.
    labels : DataFrame
        One row an event that belongs to an incident, by ``event_id``.
    """

    events: pd.DataFrame
    incidents: pd.DataFrame
    labels: pd.DataFrame


def community(
    seed: int = 7,
    start: str | pd.Timestamp = "2026-03-02",
    hours: int = 24,
    users: int = 4000,
    events: int = 60_000,
    incidents: bool = True,
) -> Community:
    """Make a platform's day: members who post, comment, like, follow, report and log in, and five kinds of trouble.

    Parameters
    ----------
    seed : int
        The same seed gives the same frames, on every machine.
    start : str or Timestamp
        First moment, UTC.
    hours : int
        Length; every 24 hours begun hold one incident of each kind.
    users : int
        Accounts, at least 50. Activity is Zipf-like; habits, hours, topics and addresses belong to the account.
    events : int
        Ordinary events, at least 200. Incidents and redeliveries add some, outages take some away.
    incidents : bool
        Whether to plant any.

    Returns
    -------
    Community
        ``events`` has the columns ``time`` (when it happened, datetime64[us, UTC]), ``arrival`` (when it was
        delivered: within 4 s for 99 %, up to 10 minutes later for the rest), ``event_id`` (0.5 % are delivered twice),
        ``kind``, ``actor``, ``target`` (a post or a member; null for logins), ``text`` (posts and comments), ``ip``
        (documentation ranges only) and ``ok`` (false for failed logins); sorted by arrival and event_id.

        ``incidents`` has ``incident_id``, ``kind``, ``start``, ``end``, ``known_at`` (when people knew: later than the
        start, by minutes for an outage and hours for a ring), ``entities`` (a JSON list: members, posts, addresses),
        ``n_events`` (distinct events; 0 for an outage) and ``description``.

        ``labels`` has ``event_id``, ``incident_id`` and ``known_at`` (of the incident, or the event's first arrival if
        that is later).

    Raises
    ------
    ArgumentError
        If a size is too small.

    Examples
    --------
    >>> day = community(seed=1, users=200, events=2_000)
    >>> list(day.incidents["kind"].sort_values())
    ['account_takeover', 'brigade', 'coordinated_likes', 'outage', 'spam_wave']
    >>> day.events["arrival"].is_monotonic_increasing
    True
    """
    for name, value, least in (("hours", hours, 1), ("users", users, 50), ("events", events, 200)):
        if not isinstance(value, (int, np.integer)) or value < least:
            from govlab.errors import ArgumentError

            raise ArgumentError(f"community({name}={value!r}): {name} must be a whole number, {least} or more.")
    begin = pd.Timestamp(start)
    begin = (begin.tz_localize("UTC") if begin.tz is None else begin.tz_convert("UTC")).as_unit("us")
    minutes = int(hours) * 60
    # A stream of its own for each part, so that a change in one leaves the others as they were.
    rng = {part: np.random.default_rng([seed, k]) for k, part in enumerate(("people", "ids", "plan", "traffic", "wire"))}

    people = traffic.accounts(rng["people"], int(users))
    object_ids = (f"post_{k:07d}" for k in rng["ids"].permutation(2 * int(events) + 10_000))
    plans = planted.schedule(rng["plan"], minutes) if incidents else []
    gaps_us = [(begin_us, end_us) for _, kind, begin_us, end_us in plans if kind == "outage"]
    first_minute = begin.hour * 60 + begin.minute
    usual = traffic.ordinary(rng["traffic"], people, object_ids, first_minute, minutes, int(events), gaps_us)

    parts, found = [usual], []
    scale_percent = min(100, int(events) * 24 // int(hours) // 600)
    for plan in plans:
        incident_id, kind, begin_us, end_us = plan
        known_us, entities, happened = planted.known_at_us(rng["plan"], kind, begin_us), ["platform"], None
        if kind != "outage":
            happened, reactions, entities = planted.plant(rng["plan"], people, object_ids, plan, scale_percent, usual)
            begin_us, end_us = int(happened["at_us"].min()), int(happened["at_us"].max())
            parts += [happened] if reactions is None else [happened, reactions]
        n_events = 0 if happened is None else len(happened)
        entities_json = json.dumps(entities)
        found.append((incident_id, kind, begin_us, end_us, known_us, entities_json, n_events, planted.PLANS[kind][2]))
    stream = _deliver(rng["wire"], pd.concat(parts, ignore_index=True))
    return _tables(stream, found, begin.value // 1000)


def _deliver(rng, happened):
    """Give the events numbers in order of time and deliver them: late, twice, in order of arrival."""
    happened = happened.sort_values("at_us", kind="stable", ignore_index=True)
    n = len(happened)
    delay_us = np.minimum(rng.integers(0, 4_000_000, n), rng.integers(0, 4_000_000, n))
    late = rng.integers(0, 1000, n) < 10
    # Cubed, so that most late events are seconds to two minutes late and a few are ten.
    tail_us = 4_000_000 + rng.integers(0, 1000, n) ** 3 * 600 // 1000 + rng.integers(0, 1_000_000, n)
    happened["arrival_us"] = happened["at_us"] + np.where(late, tail_us, delay_us)
    happened["event_id"] = [f"e{k:07d}" for k in range(n)]
    again = happened[rng.integers(0, 1000, n) < 5].copy()
    again["arrival_us"] += rng.integers(1_000_000, 300_000_000, len(again))
    both = pd.concat([happened, again], ignore_index=True)
    return both.sort_values(["arrival_us", "event_id"], ignore_index=True)


def _tables(stream, found, begin_us):
    def moments(offset_us):
        return pa.array(np.asarray(offset_us, dtype=np.int64) + begin_us).cast(_MOMENT)

    def frame(columns, schema):
        # from_pandas: nulls have become NaN in some columns on the way.
        return pa.table(
            [
                c if isinstance(c, pa.Array) else pa.array(c, t, from_pandas=True)
                for c, t in zip(columns, schema.types, strict=True)
            ],
            schema=schema,
        ).to_pandas()

    text_like = [stream[name].to_list() for name in ("event_id", "kind", "actor", "target", "text", "ip", "ok")]
    events = frame([moments(stream["at_us"]), moments(stream["arrival_us"]), *text_like], _EVENTS)

    found = sorted(found, key=lambda row: row[2])
    table = [list(column) for column in zip(*found, strict=True)] or [[] for _ in _INCIDENTS]
    incidents = frame([moments(c) if 2 <= k <= 4 else c for k, c in enumerate(table)], _INCIDENTS)

    known_us = {row[0]: row[4] for row in found}
    marked = stream[stream["incident"].notna()].drop_duplicates("event_id").sort_values("event_id")
    since_us = np.maximum(marked["incident"].map(known_us).to_numpy(np.int64), marked["arrival_us"].to_numpy())
    labels = frame([marked["event_id"].to_list(), marked["incident"].to_list(), moments(since_us)], _LABELS)
    return Community(events, incidents, labels)
