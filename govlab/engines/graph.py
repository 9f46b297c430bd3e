"""The graph of streamz nodes behind a source: kept alive, walked in order, drained."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
from streamz import Stream
from streamz.orderedweakset import OrderedSet

from govlab.engines.engine import Carrier
from govlab.errors import ArgumentError
from govlab.step import Step

__all__ = ["Node", "Through", "drain", "nodes_below", "pipelines_below", "roots_above"]

Listener = Callable[[pd.DataFrame, list[tuple[str, pd.DataFrame]]], None]
log = logging.getLogger("govlab")


class _Held(OrderedSet):
    """The downstreams of a node, held; streamz holds them weakly, and a branch that nobody names would be lost."""

    def add(self, node: Stream) -> None:
        super().add(node)
        if not isinstance(node.downstreams, _Held):
            held = _Held()
            for below in node.downstreams:
                held.add(below)
            node.downstreams = held


class Node(Stream):
    """A streamz node that holds what hangs below it, and that can be muted while a replay is wound back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.downstreams = _Held()
        self.muted = False

    def _emit(self, x: Any, metadata: Any = None) -> Any:
        if not self.muted:
            return super()._emit(x, metadata)
        # only what leads to another pipeline must see the rows again, not the plots and sinks
        results: list[Any] = []
        for below in list(self.downstreams):
            if any(isinstance(node, Through) for node in nodes_below(below)):
                given = below.update(x, who=self, metadata=[])
                results.extend(given if isinstance(given, list) else [given])
        return [result for result in results if result is not None]


class _Sides(dict[str, Stream]):
    """Streams of what is put aside, by name; a name that is not there yet becomes an empty stream."""

    def __missing__(self, side: str) -> Stream:
        self[side] = node = Node()
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
        self.sides = _Sides()
        self.state, self.error = "running", None
        self._listeners: list[Listener] = []
        super().__init__(upstream, **kwargs)
        if not isinstance(upstream, Node):
            # an upstream that is not ours holds us weakly too
            upstream.__dict__.setdefault("_govlab_held", []).append(self)

    def update(self, x: pd.DataFrame, who: Stream | None = None, metadata: Any = None) -> Any:
        """Take a frame and emit what comes out."""
        if self.state == "failed":
            raise self.error  # type: ignore[misc]
        return self._give(lambda: self.carrier.push(x), metadata)

    def finish(self) -> Any:
        """Emit what the steps hold, once, at the end of the stream."""
        if self.state == "running":
            result = self._give(self.carrier.finish, None)
            self.state = "finished"
            return result
        return []

    def _give(self, work: Any, metadata: Any) -> Any:
        try:
            out, sides = work()
        except Exception as error:
            self.state, self.error = "failed", error
            log.error("the pipeline stopped: %s", error)
            raise
        results: list[Any] = []
        if not self.muted:
            for listener in self._listeners:
                listener(out, sides)
            for side, rows in sides:
                results += self.sides[side]._emit(rows)
        return results + (self._emit(out, metadata) if len(out) else [])

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


def roots_above(node: Stream) -> Iterator[Stream]:
    """Give the nodes without upstreams above a node."""
    above = [upstream for upstream in node.upstreams if upstream is not None]
    if not above:
        yield node
    for upstream in above:
        yield from roots_above(upstream)


def drain(*tops: Stream, timeout_s: float = 60.0) -> None:
    """Wait until no node below holds elements in a queue (``buffer``)."""
    end = time.monotonic() + timeout_s
    queues = [node.queue for node in nodes_below(*tops) if hasattr(getattr(node, "queue", None), "qsize")]
    while any(queue.qsize() for queue in queues) and time.monotonic() < end:
        time.sleep(0.005)
