"""The plain loop: the reference to which all other engines are held."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from tqdm.auto import tqdm

from govlab.arguments import fitting
from govlab.engines.carrier import Carrier
from govlab.engines.engine import Engine, Output
from govlab.engines.interrupts import Stride, abortable, interruptible
from govlab.engines.journal import Journal
from govlab.errors import ArgumentError
from govlab.pipeline import Result
from govlab.sources.frames import reader_of
from govlab.sources.reader import EndOfStream, Reader
from govlab.step import Step

__all__ = ["Local"]


class Local(Engine):
    """Runs a pipeline over frames or a reader in a plain loop.

    Examples
    --------
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 3, "value": [1.0, 1.0, 4.0]})
    >>> gl.Pipeline(gl.detectors.Always()).run(events).rows["score"].to_list()
    [1.0, 1.0, 1.0]
    """

    @fitting
    def run(  # type: ignore[override]
        self,
        pipeline: Step,
        source: Any,
        *,
        max_rows: int = 65_536,
        max_events: int | None = None,
        store: Any = None,
        progress: bool = False,
    ) -> Result:
        """Run to the end of the source.

        Parameters
        ----------
        pipeline : Step
            A pipeline or a step; a fresh copy is run.
        source : path, table, iterable of them, Reader or Source
            What to run over, as of :func:`govlab.sources.reader_of`: files by their paths, tables at hand (pandas, polars,
            pyarrow), a reader, or the events of a source such as ``gl.from_replay(...)`` from their start; the source itself
            is not moved.
        max_rows : int
            Rows a frame; the result does not depend on it.
        max_events : int, optional
            Stop after so many rows (what is held stays held).
        store : Store or path, optional
            Keep alerts, dead letters and snapshots there; a run that was killed goes on where it stood.
        progress : bool
            Show a progress bar.
        """
        if max_rows < 1:
            raise ArgumentError(f"max_rows={max_rows!r}; expected at least 1.")
        began, cpu = time.perf_counter(), time.process_time()
        carrier, reader = Carrier(pipeline), reader_of(source)
        journal = Journal(store, [reader], [carrier]) if store is not None else None
        output, alerts, reasons, state = Output(), None, Counter[str](), "paused"
        try:
            stood = journal.load() if journal else None
            if stood and stood.finished:
                state = "finished"  # whatever this call asks for
            else:
                reader.open(stood.positions[0] if stood else None)
            stride = Stride(max_rows)
            with (
                tqdm(unit=" events", unit_scale=True, disable=not progress, delay=0.5) as bar,
                interruptible() as asked,
            ):
                while state == "paused" and not asked and (max_events is None or carrier.counted.events < max_events):
                    try:
                        left = stride.rows if max_events is None else max_events - carrier.counted.events
                        frame = reader.read(min(stride.rows, left))
                        pushed = time.perf_counter()
                        with abortable():
                            out, aside = carrier.push(frame)
                        stride.took(len(frame), time.perf_counter() - pushed)
                        bar.update(len(frame))
                    except EndOfStream:
                        out, aside = carrier.finish()
                        state = "finished"
                    output.add(out, aside)
                    letters = reader.take_dead_letters()
                    reasons.update(letter.reason for letter in letters)
                    if journal:
                        journal.bury(letters)
                        journal.add(out if carrier.pipeline.gives_alerts else None)
                        if (journal.due or reader.wants_commit) and state == "paused":
                            _save(journal, reader)
                if journal and asked:
                    _save(journal, reader, state == "finished")
            dead = reasons.total()
            if journal:
                if not (stood and stood.finished):
                    _save(journal, reader, state == "finished")
                alerts = journal.store.alerts(journal.run) if carrier.pipeline.gives_alerts else None
                dead = journal.count_letters()
                if dead > reasons.total():  # some are of before the run was taken up
                    reasons = Counter(journal.letter_reasons())
        finally:
            reader.close()
            if journal:
                journal.close()
        summary = carrier.summary(state, dead, time.perf_counter() - began, time.process_time() - cpu, dict(reasons.most_common(5)))
        return output.result(summary, alerts)


def _save(journal: Journal, reader: Reader, finished: bool = False) -> None:
    position = reader.position()
    journal.save([position], finished)
    reader.commit(position)
