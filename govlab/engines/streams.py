"""streamz: readers as sources, pipelines as nodes, and ``run``, which plays sources to the end."""

from __future__ import annotations

import hashlib
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
from tqdm.auto import tqdm

from govlab import frames
from govlab.clock import Clock
from govlab.engines.engine import Engine, Journal, as_reader
from govlab.engines.graph import Through, pipelines_below
from govlab.engines.playback import LIVE_S, Source
from govlab.errors import ArgumentError, SourceError
from govlab.frames import Schema, instant_us
from govlab.pipeline import Result
from govlab.sources.reader import EndOfStream, Reader
from govlab.sources.replay import ReplayReader
from govlab.step import Step
from govlab.summary import Summary

__all__ = ["Source", "Streams", "Through", "from_reader", "from_replay", "run"]


def from_reader(reader: Reader, speed: float | None = None, max_rows: int = 16_384, clock: Clock | None = None) -> Source:
    """Make a streamz source of any reader; see :class:`govlab.engines.playback.Source`."""
    return Source(reader, speed, max_rows, clock)


def from_replay(
    paths: Any,
    schema: Schema | None = None,
    order: str = "event",
    speed: float | None = None,
    start: Any = None,
    stop: Any = None,
    max_rows: int = 16_384,
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


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Let an interrupt from the keyboard (or the stop button) wait until the frame on its way is through."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
    if asked.is_set():
        raise KeyboardInterrupt("interrupted between two frames; run again to go on from here")


def run(
    *sources: Source,
    until: Any = None,
    max_events: int | None = None,
    timeout_s: float | None = None,
    store: Any = None,
    progress: bool | None = None,
    save_every_s: float = 1.0,
) -> Summary:
    """Play sources to the end, or to ``until``, and return when all is drained.

    Parameters
    ----------
    *sources : Source
        Several are merged on one clock: rows go by the clock's time, ties by the order of the sources.
    until : str or Timestamp, optional
        Hold before the first event at or after this time; run again to go on.
    max_events : int, optional
        Hold after so many events of this call.
    timeout_s : float, optional
        Hold after so many seconds.
    store : Store or path, optional
        Keep alerts, dead letters and snapshots there. A run that was killed goes on exactly where it stood when it is
        started again in the same way.
    progress : bool, optional
        Show a progress bar; by default when the run takes longer than a second.
    save_every_s : float
        So often the store is written.

    Returns
    -------
    Summary

    Raises
    ------
    StepError
        A step failed; it has the step's name and the positions of the rows.
    """
    if not sources or not all(isinstance(source, Source) for source in sources):
        raise ArgumentError(f"run: {sources!r}; expected one or more sources, such as gl.from_replay('edits.csv').")
    until_us = None if until is None else instant_us(until, "until")
    began, cpu = time.perf_counter(), time.process_time()
    for source in sources:
        source.stop()
        if source.state == "failed":
            raise SourceError(f"{source.name} has failed ({source.error}); seek() back to before the failure, or make it anew.")
    nodes = pipelines_below(*sources)
    with _journal(store, sources, nodes, save_every_s) as journal:
        try:
            state = _play(sources, until_us, max_events, timeout_s, journal, progress)
        finally:
            for source in sources:
                source.pause()
        dead = sum(len(source.letters) for source in sources) if journal is None else journal.count_letters()
    return _summary(sources, nodes, state, dead, time.perf_counter() - began, time.process_time() - cpu)


def _play(
    sources: tuple[Source, ...], until_us: int | None, max_events: int | None, timeout_s: float | None, journal: Journal | None, progress: bool | None
) -> str:
    live = [source for source in sources if source.state != "finished"]
    for source in live:
        source.state = "running"
    begun_events, began = sum(source.events for source in sources), time.monotonic()
    hold = None
    with (
        _interruptible() as asked,
        tqdm(unit=" events", unit_scale=True, disable=progress is False, delay=0 if progress else 1.0, leave=progress is True) as bar,
    ):
        while live and hold is None:
            done = sum(source.events for source in sources) - begun_events
            bar.update(done - bar.n)
            left = None if max_events is None else max_events - done
            late = timeout_s is not None and time.monotonic() - began > timeout_s
            hold = "paused" if asked.is_set() or late or (left is not None and left <= 0) else _turn(live, until_us, left)
            if journal is not None and journal.due:
                _save(journal, sources)
        bar.update(sum(source.events for source in sources) - begun_events - bar.n)
        if hold is None:
            for source in sources:
                source.end()
        if journal is not None:
            _save(journal, sources, finished=hold is None)
    return hold or "finished"


def _turn(live: list[Source], until_us: int | None, left: int | None) -> str | None:
    """Let the source that is behind give on rows, up to where the next one stands; "paused" when ``until`` is reached."""
    heads: list[tuple[int, int, Source]] = []
    for i, source in enumerate(list(live)):
        try:
            head = source.peek()
        except EndOfStream:
            live.remove(source)
            source.state = "finished"
            continue
        if head is not None:
            heads.append((head, i, source))
    if not heads:
        if live:
            live[0].clock.wait(LIVE_S, threading.Event())
        return None
    heads.sort(key=lambda head: head[:2])
    first, i, source = heads[0]
    if until_us is not None and first >= until_us:
        return "paused"
    before = until_us
    if len(heads) > 1:
        stands = heads[1][0] + (1 if i < heads[1][1] else 0)
        before = stands if before is None else min(before, stands)
    if source.advance(left, before) == 0:
        source.clock.wait(source.idle_s(), threading.Event())
    return None


@contextmanager
def _journal(store: Any, sources: tuple[Source, ...], nodes: list[Through], every_s: float) -> Iterator[Journal | None]:
    """Open the journal of a run, put sources and pipelines where its last snapshot stood, and let them write to it."""
    if store is None:
        yield None
        return
    names = [source.name or f"source {i}" for i, source in enumerate(sources)]
    journal = Journal(store, names, [node.carrier for node in nodes], every_s)
    endings = []
    try:
        if not any(source.events for source in sources) and (snapshot := journal.load()) is not None:
            for name, source in zip(names, sources, strict=True):
                position = snapshot.positions.get(name, {})
                source.open(position, sum(position.values()))
            for node in nodes:
                node.state = "finished" if snapshot.finished else node.state
        for node in nodes:
            if node.carrier.pipeline.gives_alerts:
                endings.append(node.listen(lambda rows, _: journal.add(rows)))
        for source in sources:
            journal.add(letters=source.letters.values())
            endings.append(source.listen_letters(lambda letters: journal.add(letters=letters)))
        yield journal
    finally:
        for end in endings:
            end()
        journal.close()


def _save(journal: Journal, sources: tuple[Source, ...], finished: bool = False) -> None:
    positions = {source.name or f"source {i}": source.position() for i, source in enumerate(sources)}
    journal.save(positions, finished)
    for source in sources:
        source.reader.commit(positions[source.name])


def _summary(sources: tuple[Source, ...], nodes: list[Through], state: str, dead: int, wall_s: float, cpu_s: float) -> Summary:
    summaries = [node.carrier.summary(state, dead, wall_s, cpu_s) for node in nodes]
    if len(summaries) == 1:
        return summaries[0]
    whole = Summary(state=state, events=sum(source.events for source in sources), dead_letters=dead, wall_s=wall_s, cpu_s=cpu_s)
    for one in summaries:
        whole.rows += one.rows
        whole.steps += one.steps
        whole.late += one.late
        whole.held += one.held
        for side, count in one.sides.items():
            whole.sides[side] = whole.sides.get(side, 0) + count
    whole.recipe = hashlib.sha256("".join(one.recipe for one in summaries).encode()).hexdigest()[:16]
    whole.fingerprint = hashlib.sha256("".join(sorted(one.fingerprint for one in summaries)).encode()).hexdigest()
    return whole


class Streams(Engine):
    """Runs a pipeline as a streamz node on a source, to the end."""

    def run(self, pipeline: Step, source: Any, *, speed: float | None = None, max_rows: int = 16_384, clock: Clock | None = None, store: Any = None) -> Result:  # type: ignore[override]
        """Run; parameters as in :func:`from_reader`."""
        playing = from_reader(as_reader(source), speed, max_rows, clock)
        node = playing.through(pipeline)
        rows: list[pd.DataFrame] = []
        sides: dict[str, list[pd.DataFrame]] = {}

        def collect(out: pd.DataFrame, aside: list[tuple[str, pd.DataFrame]]) -> None:
            rows.append(out)
            for side, part in aside:
                sides.setdefault(side, []).append(part)

        node.listen(collect)
        summary = run(playing, store=store, progress=False)
        return Result(frames.concat(rows), {name: frames.concat(parts) for name, parts in sides.items()}, summary)


