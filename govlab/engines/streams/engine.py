"""Readers and files as sources, and the engine that runs a pipeline on one to the end."""

from __future__ import annotations

from typing import Any

from govlab.arguments import fitting
from govlab.clock import Clock
from govlab.engines.engine import Engine, Output
from govlab.engines.journal import opened
from govlab.engines.streams.running import run
from govlab.engines.streams.source import Source
from govlab.frames import Schema
from govlab.pipeline import Result
from govlab.sources.files.replay import ReplayReader
from govlab.sources.frames import reader_of
from govlab.step import Step

__all__ = ["Streams", "from_reader", "from_replay"]


@fitting
def from_reader(reader: Any, speed: float | None = None, max_rows: int = 65_536, clock: Clock | None = None) -> Source:
    """Make a streamz source of any reader, or of whatever :func:`govlab.sources.reader_of` makes one of.

    The other parameters are those of :class:`govlab.engines.streams.source.Source`.
    """
    return Source(reader_of(reader), speed, max_rows, clock)


@fitting
def from_replay(
    paths: Any,
    schema: Schema | None = None,
    order: str = "event",
    speed: float | None = None,
    start: Any = None,
    stop: Any = None,
    max_rows: int = 65_536,
    look_ahead: int = 65_536,
    clock: Clock | None = None,
) -> Source:
    """Replay files as a streamz source whose elements are event frames.

    Parameters
    ----------
    paths : str or list of str
        Files, folders, patterns or fsspec URLs: CSV, ndjson or Parquet, plain, ``.gz`` or ``.zst``. Several are merged on
        one clock.
    schema : Schema, optional
        Guessed where it is not given.
    order : {"event", "arrival"}
        By the time of the events, or as they arrived (late ones late).
    speed : float, optional
        Seconds of event time in a second (3600 = an hour a second); by default as fast as it goes.
    start, stop : str or Timestamp, optional
        Only this stretch of the clock, ``start`` included.
    max_rows : int
        Rows a frame at most. No answer depends on it.
    look_ahead : int
        So many rows a file may be out of order with ``order="event"``.
    clock : Clock, optional
        The clock under the replay.

    Returns
    -------
    Source
        ``.through(pipeline)`` runs a pipeline on it; ``.pause() .resume() .step(n) .seek(t) .run_until(t | "alert")`` play it.

    Examples
    --------
    >>> import govlab as gl
    >>> edits = gl.from_replay(gl.datasets.path("wiki_edits"), stop="2015-02-02")
    >>> seen = edits.map(len).sink_to_list()
    >>> gl.run(edits).events == sum(seen)
    True
    """
    return Source(ReplayReader(paths, schema, order, start, stop, look_ahead), speed, max_rows, clock)


class Streams(Engine):
    """Runs a pipeline as a streamz node on a source, to the end."""

    @fitting
    def run(  # type: ignore[override]
        self,
        pipeline: Step,
        source: Any,
        *,
        speed: float | None = None,
        max_rows: int = 65_536,
        clock: Clock | None = None,
        store: Any = None,
    ) -> Result:
        """Run; parameters as in :func:`from_reader`."""
        playing = from_reader(source, speed, max_rows, clock)
        node = playing.through(pipeline)
        output = Output()
        node.listen(output.add)
        if store is None:
            return output.result(run(playing, progress=False))
        with opened(store) as kept:
            summary = run(playing, store=kept, progress=False)
            journal = playing.flow.journal
            alerts = kept.alerts(journal.run) if journal is not None and node.carrier.pipeline.gives_alerts else None
            return output.result(summary, alerts)
