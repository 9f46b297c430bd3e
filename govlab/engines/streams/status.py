"""Looking at a source: its state, and the table that a notebook shows of it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import pandas as pd

from govlab.engines.streams.through import pipelines_below
from govlab.tally import Tally

if TYPE_CHECKING:
    from govlab.engines.streams.source import Source

__all__ = ["status", "table"]


def status(source: Source) -> dict[str, Any]:
    """Give the state of a source as a dict; see :meth:`govlab.engines.streams.source.Source.status`."""
    rate, waiting = source.flow.rate or [(0.0, 0)], source.flow.buffer.rows
    (t0, n0), (t1, n1) = rate[0], rate[-1]
    counted = sum((node.carrier.counted for node in pipelines_below(source)), Tally())
    trouble, lag = source.reader.trouble(), source.reader.lag()
    for partition in waiting["partition"].tolist() if lag else ():
        lag[partition] = lag.get(partition, 0) + 1  # read, but not yet given on
    timed = source.clock.speed is not None and source.clock.running
    behind = source.clock.now_us() - source.event_us if timed and source.event_us is not None else 0
    return {
        "name": source.name,
        "state": source.state,
        "rows": source.events,
        "rows_per_s": (n1 - n0) / (t1 - t0) if t1 > t0 else 0.0,
        "event_time": None if source.event_us is None else pd.Timestamp(source.event_us, unit="us", tz="UTC"),
        "lag_s": max(0, behind) / 1e6,
        "lag": lag,
        "in_flight": len(waiting),
        "dead_letters": len(source.letters),
        "sides": counted.sides,
        "left_out": dict(getattr(source.reader, "left_out", {})),
        "last_error": str(source.error) if source.error is not None else trouble[1] if trouble else None,
    }


def table(rows: dict[str, Any]) -> str:
    """Write a dict as an HTML table."""
    cells = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in rows.items())
    return f"<table>{cells}</table>"
