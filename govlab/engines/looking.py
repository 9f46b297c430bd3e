"""Looking at a source: its state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from govlab.engines.through import pipelines_below

if TYPE_CHECKING:
    from govlab.engines.feed import Feed

__all__ = ["status"]


def status(source: Feed) -> dict[str, Any]:
    """Give the state of a source as a dict; see :meth:`govlab.engines.playback.Source.status`."""
    (t0, n0), (t1, n1) = (source.rate[0], source.rate[-1]) if source.rate else ((0.0, 0), (0.0, 0))
    sides: dict[str, int] = {}
    for node in pipelines_below(source):
        for side, count in node.carrier.sides.items():
            sides[side] = sides.get(side, 0) + count
    trouble, lag = source.reader.trouble(), source.reader.lag()
    for partition in source._pending["partition"].tolist() if lag else ():
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
        "in_flight": len(source._pending),
        "dead_letters": len(source.letters),
        "sides": sides,
        "left_out": dict(getattr(source.reader, "left_out", {})),
        "last_error": str(source.error) if source.error is not None else trouble[1] if trouble else None,
    }
