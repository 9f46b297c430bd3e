"""The graph of streamz nodes behind a source: kept alive, walked in order, drained."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import streamz.sinks
from streamz import Stream
from streamz.core import sync, thread_state
from streamz.orderedweakset import OrderedSet

from govlab.engines.interrupts import in_turn

if TYPE_CHECKING:
    from govlab.engines.streams import outlets
    from govlab.engines.streams.through import Through
    from govlab.step import Step

__all__ = ["Node", "above", "flush_below", "hold_below", "nodes_below", "on_loop", "roots_above"]

RECENT_ROWS = 20_000
# what dir() shows of streamz: what makes sense with frames as elements; the other methods work, but are not listed
STREAMZ = (
    "accumulate", "buffer", "combine_latest", "connect", "destroy", "disconnect", "downstreams", "filter", "latest", "map", "name",
    "partition", "rate_limit", "sink", "sink_to_list", "sliding_window", "starmap", "timed_window", "to_dataframe", "union",
    "upstreams", "visualize", "zip", "zip_latest",
)  # fmt: skip


class Held(OrderedSet):
    """The downstreams of a node, held; streamz holds them weakly, and a branch that nobody names would be lost."""

    def add(self, node: Stream) -> None:
        super().add(node)
        hold_below(node)


def hold_below(node: Stream) -> None:
    """Let a node hold what hangs below it, and so on down."""
    if not isinstance(node.downstreams, Held):
        held = Held()
        for below in node.downstreams:
            held.add(below)
        node.downstreams = held
        node._emit = partial(_deliver, node)


def _deliver(node: Stream, x: Any, metadata: Any = None) -> list[Any]:
    """Pass an element on to the nodes below, as ``Stream._emit`` does; if one is torn, those after it are owed the element."""
    node.current_value, node.current_metadata = x, metadata
    if metadata:
        node._retain_refs(metadata, len(node.downstreams))
    else:
        metadata = []

    def update(below: Stream) -> Any:
        result = below.update(x, who=node, metadata=metadata)
        node._release_refs(metadata)
        return result

    return in_turn([partial(update, below) for below in list(node.downstreams)])


class Node(Stream):
    """A streamz node that holds what hangs below it.

    ``shown`` names what ``dir()`` lists of a kind of node beside the methods of streamz.
    """

    shown: ClassVar[tuple[str, ...]] = ()

    if TYPE_CHECKING:  # streamz adds these when it runs
        to_kafka = outlets.to_kafka
        to_rabbitmq = outlets.to_rabbitmq

        def through(self, pipeline: Step, **kwargs: Any) -> Through:
            """Run a fresh copy of a pipeline on the frames; see :class:`govlab.engines.streams.through.Through`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._recent: deque[tuple[int, pd.DataFrame]] = deque()
        hold_below(self)

    def __dir__(self) -> list[str]:
        """List what a user needs: of streamz, of this kind of node, and what others have added to streamz (``through``)."""
        added = [n for n, method in vars(Stream).items() if not getattr(method, "__module__", "streamz").startswith("streamz")]
        return sorted({*STREAMZ, *self.shown, *added})

    def remember(self, total: int, frame: pd.DataFrame) -> None:
        """Keep a frame that was emitted, for plots that are made late; ``total`` rows were emitted with it."""
        self._recent.append((total, frame))
        while total - self._recent[0][0] > RECENT_ROWS:
            self._recent.popleft()

    def forget(self, total: int) -> None:
        """Forget the frames after the first ``total`` rows, which are to be emitted again."""
        while self._recent and self._recent[-1][0] > total:
            self._recent.pop()

    def recent(self) -> list[pd.DataFrame]:
        """List the frames emitted last, of about 20,000 rows."""
        return [frame for _, frame in self._recent]


class _Sinks(set[Stream]):
    """The sinks that streamz keeps for ever; not those below our nodes, which hold them, so that both go together."""

    def add(self, node: Stream) -> None:
        if not any(isinstance(root, Node) for root in roots_above(node)):
            super().add(node)

    def remove(self, node: Stream) -> None:
        self.discard(node)


streamz.sinks._global_sinks = _Sinks(streamz.sinks._global_sinks)


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


def on_loop(node: Stream, work: Callable[[], list[Any]]) -> None:
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
