"""Playing a source by hand: stepped, run to a time or an alert, wound to a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pandas as pd

from govlab.engines.interrupts import interruptible
from govlab.engines.streams.flow import LIVE_ROWS, LIVE_S
from govlab.engines.streams.graph import roots_above
from govlab.engines.streams.marks import Mark
from govlab.engines.streams.through import muted, pipelines_below, settle
from govlab.errors import ArgumentError, SourceError
from govlab.frames import instant_us
from govlab.sources.reader import EndOfStream

if TYPE_CHECKING:
    from govlab.engines.streams.source import Source

__all__ = ["run_until", "seek", "step"]


def step(source: Source, n: int) -> int:
    """Emit the next ``n`` events, whatever their time, and hold; gives how many there were."""
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ArgumentError(f"step: n={n!r}; expected a whole number of at least 1.")
    given = 0
    with source.lock, interruptible() as asked:
        source.hold()
        try:
            while given < n and not asked:
                given += source.flow.pull(n - given) or 0
            source.flow.deliver()
        except EndOfStream:
            source.end()
    return given


def run_until(source: Source, goal: Any) -> pd.Timestamp | None:
    """Run until a time (exclusive), or until the first alert with ``"alert"``, and hold; gives the time of the last event."""
    goal_us = None if isinstance(goal, str) and goal == "alert" else instant_us(goal, "run_until")
    with source.lock, interruptible() as asked:
        source.hold()
        try:
            while not asked:
                if _to_alert(source) if goal_us is None else source.flow.pull(before_us=goal_us) is None:
                    break
            source.flow.deliver()
        except EndOfStream:
            source.end()
            return None
        return None if source.event_us is None else pd.Timestamp(source.event_us, unit="us", tz="UTC")


def _to_alert(source: Source) -> bool:
    """Emit the next rows, up to the one at which an alert comes out; tells whether one did."""
    flow = source.flow
    if flow.peek() is None:
        flow.clock.wait(LIVE_S, threading.Event())
        return False
    piece = flow.buffer.rows.iloc[: min(LIVE_ROWS, flow.stride.rows)]
    rows = _rows_to_alert(source, piece)
    flow.give(rows or len(piece))
    return rows is not None


def _rows_to_alert(source: Source, piece: pd.DataFrame) -> int | None:
    """Count the rows of a piece up to the one at which an alert comes out (or a step fails); None if there is none.

    Found by halving, on the side: the pipelines below are put back where they stood.
    """
    watched = [node for node in pipelines_below(source) if node.carrier.pipeline.gives_alerts]
    if not watched:
        raise ArgumentError("run_until('alert'): no pipeline below this source gives alerts; end one with a step of gl.alerts.")
    mark = Mark.of(source, 0, {}, 0)
    before = sum(node.carrier.counted.rows for node in watched)

    def ends(rows: int) -> bool:
        with muted(source):
            try:
                source.emit(piece.iloc[:rows].reset_index(drop=True))
                settle(source)
                return sum(node.carrier.counted.rows for node in watched) > before
            except Exception:  # comes again, and is told of, when the rows are given
                return True
            finally:
                mark.resume(source)

    if not ends(len(piece)):
        return None
    low, high = 0, len(piece)  # nothing with ``low`` rows, an alert with ``high``
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if ends(middle) else (middle, high)
    return high


def seek(source: Source, moment: Any) -> pd.Timestamp | None:
    """Put a source and all pipelines below where they were at a time, or will be, and hold."""
    goal_us = instant_us(moment, "seek")
    with source.lock:
        source.pause()
        if not source.flow.buffer.opened:
            source.flow.open()
        at_us, state = source.event_us, source.state
        if state not in ("failed", "finished") and (not source.events or (at_us is not None and at_us < goal_us)):
            return run_until(source, moment)
        if state == "finished" and at_us is not None and at_us < goal_us:
            return None  # that is behind the end, where it stands
        roots = {root for node in pipelines_below(source) for root in roots_above(node)}
        if any(isinstance(root, type(source)) and root is not source for root in roots):
            raise SourceError(
                f"{source.name} cannot be wound back alone: a pipeline below has another source too. Replay both as one."
            )
        with interruptible():
            source.flow.rewind(goal_us)
        return pd.Timestamp(goal_us, unit="us", tz="UTC")
