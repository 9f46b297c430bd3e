"""``run``: plays sources to the end, merged on one clock, and keeps what comes of it in a store."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from streamz.core import union
from tqdm.auto import tqdm

from govlab.arguments import fitting
from govlab.engines.interrupts import interruptible
from govlab.engines.journal import Journal
from govlab.engines.streams.buffer import BEGINNING
from govlab.engines.streams.given import as_sources
from govlab.engines.streams.graph import Node, flush_below
from govlab.engines.streams.group import GroupJournal, shares
from govlab.engines.streams.source import Source
from govlab.engines.streams.through import Through, pipelines_below
from govlab.errors import ArgumentError, StoreError, TakenOverError
from govlab.frames import instant_us
from govlab.sources.reader import EndOfStream, SharedReader
from govlab.summary import Summary
from govlab.tally import Tally

__all__ = ["run"]


@fitting
def run(
    *sources: Any,
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
        Several are merged on one clock: rows go by the clock's time, ties by the order of the sources. What is no source yet
        (a path, a table, a reader, see :func:`govlab.sources.reader_of`) is made one. Nothing is below it, so no
        pipeline runs on it: its events are read to the end, and the summary says how many there are and what cannot be read.
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
    if max_events is not None and max_events < 0:
        raise ArgumentError(f"run: max_events={max_events!r}; expected zero or more.")
    until_us = None if until is None else instant_us(until, "until")
    began, cpu = time.perf_counter(), time.process_time()
    with ExitStack() as made:
        playing = as_sources(sources, made)
        for source in playing:
            source.stop()
            source.refuse_failed()
        nodes = pipelines_below(*playing)
        with _journal(store, playing, nodes, save_every_s) as journal:
            try:
                state = _play(playing, until_us, max_events, timeout_s, journal, progress)
            finally:
                for source in playing:
                    source.pause()
            reasons = sum((Counter(source.letters.reasons()) for source in playing), Counter[str]())
            dead = reasons.total() if journal is None else journal.count_letters()
            if journal is not None and dead > reasons.total():  # some are of before the run was taken up
                reasons = Counter(journal.letter_reasons())
        return _summary(playing, nodes, state, dead, reasons, time.perf_counter() - began, time.process_time() - cpu)


def _play(
    sources: tuple[Source, ...],
    until_us: int | None,
    max_events: int | None,
    timeout_s: float | None,
    journal: Journal | None,
    progress: bool | None,
) -> str:
    live = [source for source in sources if source.state != "finished"]
    for source in live:
        source.begin()
    begun_events, began = sum(source.events for source in sources), time.monotonic()
    hold = None
    shown = progress or (progress is None and not os.environ.get("TQDM_DISABLE"))
    with (
        interruptible() as asked,
        tqdm(unit=" events", unit_scale=True, disable=not shown, delay=0 if progress else 1.0, leave=progress is True) as bar,
    ):
        for source in live if not asked else ():
            source.flow.mend()  # what an earlier interrupt has left, before anything is saved
        while live and hold is None:
            done = sum(source.events for source in sources) - begun_events
            bar.update(done - bar.n)
            left = None if max_events is None else max_events - done
            late = timeout_s is not None and time.monotonic() - began > timeout_s
            if asked or late or not all(source.playing for source in live) or (left is not None and left <= 0):
                hold = "paused"
                break
            with ExitStack() as locks:  # a step() or seek() from another thread waits for the frame on its way
                for source in live:
                    locks.enter_context(source.lock)
                hold = _turn(live, until_us, left)
            if journal is not None and (journal.due or any(source.reader.wants_commit for source in live)):
                _save(journal, sources)
        bar.update(sum(source.events for source in sources) - begun_events - bar.n)
        if hold is None:
            for source in sources:
                source.end()
        if journal is not None:
            _save(journal, sources, finished=hold is None)
        elif hold is not None:
            for source in sources:
                source.flow.acknowledge()  # what is given so far is delivered; nobody knows when it goes on
    return hold or "finished"


def _turn(live: list[Source], until_us: int | None, left: int | None) -> str | None:
    """Let the source that is behind give on rows, up to where the next one stands; "paused" when ``until`` is reached."""
    heads: list[tuple[int, int, Source]] = []
    for i, source in enumerate(list(live)):
        try:
            head = source.flow.peek()
        except EndOfStream:
            live.remove(source)
            source.run_out()
            continue
        if head is not None:
            heads.append((head, i, source))
    if not heads:
        if live:
            live[0].clock.wait(min(source.flow.idle_s() for source in live), threading.Event())
        return None
    heads.sort(key=lambda head: head[:2])
    first, i, source = heads[0]
    if until_us is not None and first >= until_us:
        return "paused"
    before = until_us
    if len(heads) > 1:
        stands = heads[1][0] + (1 if i < heads[1][1] else 0)
        before = stands if before is None else min(before, stands)
    if source.flow.advance(left, before) == 0:
        source.clock.wait(source.flow.idle_s(), threading.Event())
    return None


@contextmanager
def _journal(store: Any, sources: tuple[Source, ...], nodes: list[Through], every_s: float) -> Iterator[Journal | None]:
    """Open the journal of a run, put sources and pipelines where its last snapshot stood, and let them write to it."""
    if store is None:
        yield None
        return
    readers = [source.reader for source in sources]
    shared = len(sources) == 1 and shares(readers[0], nodes)
    for reader in () if shared else readers:
        if isinstance(reader, SharedReader):
            reader.alone = True  # steps span partitions, so another member of its group may have none
    journal = _shared(store, sources[0], nodes, every_s) if shared else Journal(store, readers, [n.carrier for n in nodes], every_s)
    endings = []
    try:
        with interruptible():  # it waits until all stand where the snapshot stood; a second one stops a reader that is being opened
            _whole(journal, sources, nodes)
            if all(source.flow.untouched for source in sources):
                _resume(journal, sources, nodes, shared)
            for node in nodes:
                if node.carrier.pipeline.gives_alerts:
                    endings.append(node.listen(lambda rows, _: journal.add(rows)))
            for source in sources:
                source.flow.stored = True
                for page in source.letters.pages():
                    journal.bury(page)
                endings.append(source.dead.listen(journal.bury))
            earlier = sources[0].flow.journal
            for alerts in earlier.unsaved() if earlier is not None and earlier.run == journal.run and not shared else ():
                journal.add(alerts)
            for source in sources:  # whatever stops this run, the next one of the same goes on from there
                source.flow.journal = journal
        yield journal
    except TakenOverError:
        for source in sources:
            source.flow.journal = None
        raise
    finally:
        for source in sources:
            source.flow.stored = False
        for end in endings:
            end()
        journal.close()


def _resume(journal: Journal, sources: tuple[Source, ...], nodes: list[Through], shared: bool) -> None:
    """Put sources and pipelines where the last snapshot stood; members of a group do so for each partition that they get."""
    try:
        for source in sources:
            if not source.reader.waits:
                source.flow.open()  # with fresh pipelines: a mark of the beginning, to which one can seek
        stood = None if shared else journal.load()
        if stood is None:
            return
        for source, position, events in zip(sources, stood.positions, stood.events, strict=True):
            source.flow.open(position, events)
            if source.reader.waits:
                source.flow.mark(BEGINNING)  # what lies before cannot be played by a live source
    except KeyboardInterrupt:
        for source in sources:
            source.flow.events = 0  # the next run begins with the snapshot again
        raise
    for node in nodes:
        node.snapshot()
        node.state = "finished" if stood.finished else node.state  # it stays finished, whatever this call asks for
    for source in sources if stood.finished else ():
        source.run_out()


def _shared(store: Any, source: Source, nodes: list[Through], every_s: float) -> GroupJournal:
    """Give the journal of a member of a group; it is one for all runs over a source, since partitions are assigned but once."""
    known = source.shared
    if known is None or [node.carrier for node in nodes] != known.carriers:
        known = source.shared = GroupJournal(store, source.reader, nodes, every_s)
    else:
        known.reopen(store)
    return known


def _whole(journal: Journal, sources: tuple[Source, ...], nodes: list[Through]) -> None:
    """Refuse a store that would not hold the whole run."""
    for source in sources:
        if source.events and (source.flow.journal is None or source.flow.journal.run != journal.run):
            raise StoreError(
                f"{source.name} has already given {source.events:,} events that are not in the store; make the source anew, "
                "and play it with run(..., store=...) from its first event."
            )
    for node in nodes:
        for above in node.upstreams:
            if not isinstance(above, Node | union):  # which keep nothing back and change nothing
                raise StoreError(
                    f"between the source and a pipeline stands {type(above).__name__!r}, a node that a store does not know; "
                    "make it a step of the pipeline, or run without a store."
                )


def _save(journal: Journal, sources: tuple[Source, ...], finished: bool = False) -> None:
    positions = [source.position() for source in sources]
    flush_below(*sources)
    journal.save(positions, finished, [source.events for source in sources])
    for source, position in zip(sources, positions, strict=True):
        source.reader.commit(position)


def _summary(
    sources: tuple[Source, ...], nodes: list[Through], state: str, dead: int, reasons: Counter[str], wall_s: float, cpu_s: float
) -> Summary:
    common = dict(reasons.most_common(5))
    if len(nodes) == 1:
        return nodes[0].carrier.summary(state, dead, wall_s, cpu_s, common)
    whole = Tally()
    for node in nodes:
        whole += node.carrier.tally().behind(len(whole.steps))
    whole.events = sum(source.events for source in sources)
    parts = [node.carrier.summary(state) for node in nodes]
    return replace(
        whole.summary(state, {}, dead, wall_s, cpu_s, common),
        recipe=_hash(one.recipe for one in parts)[:16],
        fingerprint=_hash(sorted(one.fingerprint for one in parts)),
    )


def _hash(texts: Iterable[str]) -> str:
    whole = "".join(texts)
    return hashlib.sha256(whole.encode()).hexdigest() if whole else ""
