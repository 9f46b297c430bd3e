"""What is given to ``run``: sources, and what sources are made of."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from govlab.engines.streams.source import Source
from govlab.errors import ArgumentError
from govlab.sources.frames import reader_of
from govlab.step import Step

__all__ = ["as_sources"]


def as_sources(given: tuple[Any, ...], made: ExitStack) -> tuple[Source, ...]:
    """Give what can be played; what is made here is closed with ``made``.

    Raises
    ------
    ArgumentError
        Nothing is given, or a pipeline, or one source twice, or what cannot be read.
    """
    if not given:
        raise ArgumentError("run: nothing is given; expected one or more sources, such as gl.from_replay('edits.csv').")
    for one in given:
        if isinstance(one, Step):
            raise ArgumentError(
                f"run: {type(one).__name__} is no source: watch.run(source) runs a pipeline, or source.through(watch) puts it "
                "below a source, and then gl.run(source) runs it."
            )
    if len(set(map(id, given))) < len(given):
        raise ArgumentError("run: a source is given twice.")
    sources = []
    for one in given:
        source = one if isinstance(one, Source) else Source(reader_of(one))
        if source is not one:
            made.callback(source.reader.close)
        sources.append(source)
    return tuple(sources)
