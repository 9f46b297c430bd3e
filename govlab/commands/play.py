"""``govlab play``: files into a queue, at the speed of their clock or as fast as it goes."""

from __future__ import annotations

import argparse
import time
from typing import Any

from govlab.addresses import Address, access_of, sink_at
from govlab.connectors import options_of
from govlab.errors import ArgumentError
from govlab.frames import Schema
from govlab.sinks.sink import Sink
from govlab.summary import Summary

__all__ = ["play", "run"]


def play(
    paths: Any,
    sink: Sink,
    speed: float | None = None,
    schema: Schema | None = None,
    order: str = "event",
    progress: bool | None = None,
) -> Summary:
    """Play files into a sink, and return when all is confirmed. An interrupt from the keyboard ends it between two frames.

    Parameters
    ----------
    paths, speed, schema, order
        As of :func:`govlab.from_replay`.
    sink : Sink
        Where to; it is closed at the end.
    progress : bool, optional
        Show a progress bar; by default when it takes longer than a second.

    Returns
    -------
    Summary
        ``events`` were delivered in ``wall_s`` seconds; ``state`` is ``"paused"`` if it was interrupted.
    """
    from govlab.engines.streams import from_replay
    from govlab.engines.streams import run as run_sources
    from govlab.engines.streams.outlets import Outlet

    began, cpu, state = time.perf_counter(), time.process_time(), "finished"
    try:
        source = from_replay(paths, schema, order, speed)
        Outlet(source, sink)
        try:
            run_sources(source, progress=progress)
        except KeyboardInterrupt:
            if source.state == "failed":  # a third one, which stops whatever runs
                raise
            state = "paused"
        finally:
            source.reader.close()
    finally:
        sink.close()
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    return Summary(state, source.events, source.events, dead_letters=len(source.letters), wall_s=wall_s, cpu_s=cpu_s)


def run(options: argparse.Namespace) -> int:
    """Do what was asked; gives the exit status."""
    if options.speed is not None and not options.speed > 0:
        raise ArgumentError(f"--speed {options.speed:g}: expected more than zero.")
    address = Address.of(options.to)
    given = {name: getattr(options, name) for name in options_of("writing")}
    sink = sink_at(address, access_of(options, address), key=options.key, format=options.format, **given)
    done = play(options.files, sink, options.speed, order=options.order, progress=not options.quiet)
    stopped = "" if done.state == "finished" else " (interrupted)"
    dead = f", {done.dead_letters:,} records could not be read" if done.dead_letters else ""
    print(f"{done.events:,} rows in {done.wall_s:.1f} s ({done.events / done.wall_s:,.0f} rows/s) into {address}{dead}{stopped}")
    return 0 if done.state == "finished" else 130
