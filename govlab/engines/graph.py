"""The graph of streamz nodes behind a source: kept alive, walked in order, muted, drained."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
from streamz import Stream
from streamz.core import sync, thread_state
from streamz.orderedweakset import OrderedSet

from govlab.engines.engine import Carrier
from govlab.errors import ArgumentError, SourceError
from govlab.step import Step

__all__ = [
    "Node",
    "Through",
    "above",
    "flush_below",
    "hold_below",
    "muted",
    "nodes_below",
    "pipelines_below",
    "roots_above",
    "settle",
]

Listener = Callable[[pd.DataFrame, list[tuple[str, pd.DataFrame]]], None]
log = logging.getLogger("govlab")


class _Held(OrderedSet):
    """The downstreams of a node, held; streamz holds them weakly, and a branch that nobody names would be lost."""

    def add(self, node: Stream) -> None:
        super().add(node)
        hold_below(node)


def hold_below(node: Stream) -> None:
    """Let a node hold what hangs below it, and so on down."""
    if not isinstance(node.downstreams, _Held):
        held = _Held()
        for below in node.downstreams:
            held.add(below)
        node.downstreams = held


class Node(Stream):
    """A streamz node that holds what hangs below it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hold_below(self)


class _Sides(dict[str, Stream]):
    """Streams of what is put aside, by name; a name that is not there yet becomes an empty stream."""

    def __init__(self, owner: Through) -> None:
        self.owner = owner

    def __missing__(self, side: str) -> Stream:
        self[side] = node = Node()
        # known from below, but not among the downstreams, which get the rows themselves
        node.upstreams.append(self.owner)
        return node


class Through(Node):
    """A pipeline as a node: ``stream.through(pipeline)``.

    Parameters
    ----------
    upstream : Stream
        Any streamz stream whose elements are event frames.
    pipeline : Pipeline or Step
        A fresh copy of it runs here.

    Attributes
    ----------
    sides : mapping of str to Stream
        What the steps put aside: ``sides["late"]`` and so on.
    state : str
        ``"running"``, ``"failed"`` (then ``error`` says why) or ``"finished"``.
    """

    def __init__(self, upstream: Stream, pipeline: Step, **kwargs: Any) -> None:
        if not isinstance(upstream, Stream):
            raise ArgumentError(f"through: {upstream!r} is not a stream.")
        self.carrier = Carrier(pipeline)
        self.sides = _Sides(self)
        self.state, self.error = "running", None
        self.muted = False
        self._listeners: list[Listener] = []
        super().__init__(upstream, **kwargs)
        for node in above(self):
            hold_below(node)

    def update(self, x: pd.DataFrame, who: Stream | None = None, metadata: Any = None) -> Any:
        """Take a frame and emit what comes out."""
        if self.state == "failed":
            return self._tell()
        return self._give(lambda: self.carrier.push(x), metadata)

    def finish(self) -> None:
        """Emit what the steps hold, once, at the end of the stream."""
        if self.state == "running":
            _on_loop(self, lambda: self._give(self.carrier.finish, None))
            self.state = "finished" if self.state == "running" else self.state

    def _give(self, work: Any, metadata: Any) -> list[Any]:
        try:
            out, sides = work()
        except Exception as error:
            self.state, self.error = "failed", error
            if not self.muted:
                log.error("the pipeline stopped: %s", error)
            return self._tell()
        if not self.muted:
            for listener in self._listeners:
                listener(out, sides)
        results = [result for side, rows in sides for result in self.sides[side]._emit(rows)]
        return results + (self._emit(out, metadata) if len(out) else [])

    def _tell(self) -> list[Any]:
        """Raise what went wrong; but behind a queue nobody would hear it, and the queue stand still: there ``settle`` raises it."""
        if any(hasattr(node, "queue") for node in above(self)):
            return []
        raise self.error  # type: ignore[misc]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call a function with the rows and the sides that come out, before the nodes below see them; gives how to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def put_down(self) -> dict[str, Any]:
        """Give the state that ``take_up`` takes."""
        return self.carrier.__dict__

    def take_up(self, state: dict[str, Any]) -> None:
        """Go on from a state; a failure is forgotten."""
        self.carrier.__dict__.update(state)
        self.state, self.error = "running", None

    def _repr_html_(self) -> str:
        return self.carrier.summary(self.state)._repr_html_()


Stream.register_api(attribute_name="through")(Through)


def nodes_below(*tops: Stream) -> list[Stream]:
    """List the nodes below some nodes, and these, each before all that hang below it."""
    order: dict[Stream, None] = {}

    def visit(node: Stream) -> None:
        if node not in order:
            for below in list(node.downstreams):
                visit(below)
            for side in getattr(node, "sides", {}).values():
                visit(side)
            order[node] = None

    for top in reversed(tops):
        visit(top)
    return list(reversed(order))


def pipelines_below(*tops: Stream) -> list[Through]:
    """List the pipelines below some nodes, in the order of the flow."""
    return [node for node in nodes_below(*tops) if isinstance(node, Through)]


def flush_below(*tops: Stream) -> None:
    """Wait until the sinks below have delivered all that they took."""
    for node in nodes_below(*tops):
        if hasattr(node, "flush"):
            node.flush()


def roots_above(node: Stream) -> Iterator[Stream]:
    """Give the nodes without upstreams above a node."""
    yield from (root for root in (node, *above(node)) if not any(root.upstreams))


def above(node: Stream) -> list[Stream]:
    """List the nodes above a node."""
    found: dict[Stream, None] = {}
    todo = [node]
    while todo:
        for upstream in todo.pop().upstreams:
            if upstream is not None and upstream not in found:
                found[upstream] = None
                todo.append(upstream)
    return list(found)


@contextmanager
def muted(top: Stream) -> Iterator[None]:
    """Let what is emitted reach only the pipelines below, and what leads to them: nothing is shown, nobody is told."""
    whole = [(node, node.downstreams) for node in nodes_below(top)]
    for node, downstreams in whole:
        node.downstreams = _Held()
        for below in downstreams:
            if pipelines_below(below):
                node.downstreams.add(below)
    try:
        for node in pipelines_below(top):
            node.muted = True
        yield
    finally:
        for node, downstreams in whole:
            node.downstreams = downstreams
            if isinstance(node, Through):
                node.muted = False


def _on_loop(node: Stream, work: Callable[[], list[Any]]) -> None:
    """Do something that emits, on the event loop of the graph if it has one, as ``emit`` does."""
    if node.loop is None:
        work()
        return

    async def call() -> None:
        thread_state.asynchronous = True
        try:
            await asyncio.gather(*work())
        finally:
            del thread_state.asynchronous

    sync(node.loop, call)


def settle(top: Stream, timeout_s: float = 60.0) -> None:
    """Wait until all that was emitted is through the queues below (``buffer``); raise what went wrong behind one.

    Raises
    ------
    SourceError
        A queue does not move any more.
    """
    if top.loop is None:
        return
    nodes = nodes_below(top)
    # a node that waits for its next element has worked off the one before
    queues = [node.queue for node in nodes if hasattr(getattr(node, "queue", None), "_getters")]
    end = time.monotonic() + timeout_s
    while True:
        for node in nodes:
            if isinstance(node, Through) and node.state == "failed":
                raise node.error  # type: ignore[misc]
        if all(not queue.qsize() and queue._getters for queue in queues):
            return
        if time.monotonic() > end:
            raise SourceError(f"a queue below {top.name} has not moved for {timeout_s:g} s; see the log for what stopped it.")
        time.sleep(0.001)
