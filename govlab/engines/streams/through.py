"""A pipeline as a streamz node."""

from __future__ import annotations

import logging
import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import pandas as pd
from streamz import Stream

from govlab.cells import Cells
from govlab.engines.carrier import Carrier, Out
from govlab.engines.interrupts import Torn, abortable, in_turn
from govlab.engines.streams.graph import Held, Node, above, hold_below, nodes_below, on_loop
from govlab.errors import ArgumentError, SourceError
from govlab.step import Step

__all__ = ["Through", "muted", "pipelines_below", "settle"]

Listener = Callable[[pd.DataFrame, list[tuple[str, pd.DataFrame]]], None]
log = logging.getLogger("govlab")
LOGGED_ROWS = 1_000_000
cells = Cells()  # the nodes that notebook cells made


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

    When a notebook cell runs again, its node takes the place of the one that its earlier run made: with the same pipeline it
    goes on from its state, and plots of the earlier one follow; sinks of the earlier one get no more frames.

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

    shown: ClassVar[tuple[str, ...]] = ("carrier", "error", "sides", "state")

    def __init__(self, upstream: Stream, pipeline: Step, **kwargs: Any) -> None:
        if not isinstance(upstream, Stream):
            raise ArgumentError(f"through: {upstream!r} is not a stream.")
        self.carrier = Carrier(pipeline)
        self.sides = _Sides(self)
        self.state = "running"
        self.error: Exception | None = None
        self.muted = False
        self.place: object = object()  # what marks know the node by
        self._listeners: list[Listener] = []
        # the state at some frame and the frames since, from which a frame that is stopped in the middle can be taken again
        self._base, self._since, self._logged = b"", list[pd.DataFrame](), 0
        super().__init__(upstream, **kwargs)
        for node in above(self):
            hold_below(node)
        self.cell, self.run = cells.current()
        recipe = self.carrier.pipeline.hash
        same = [n for n in upstream.downstreams if isinstance(n, Through) and n is not self and n.carrier.pipeline.hash == recipe]
        for other in same:
            if other.cell is not None and other.cell == self.cell and other.run != self.run:
                self._replace(other)
            else:
                log.warning("through: the same pipeline is on %s already, so each alert comes out of both nodes.", upstream.name)
        cells.claim(self)

    def _replace(self, other: Through) -> None:
        """Take the place of a node with the same pipeline, which an earlier run of the cell has made."""
        for name in ("carrier", "state", "error", "place", "_base", "_since", "_logged", "_recent"):
            setattr(self, name, getattr(other, name))
        for old, new in ((other, self), *((stream, self.sides[side]) for side, stream in other.sides.items())):
            for below in list(old.downstreams):
                if getattr(below, "is_view", False):
                    old.disconnect(below)
                    new.connect(below)

    def close(self) -> None:
        """Take no more frames: the cell that made it runs again."""
        for upstream in list(self.upstreams):
            upstream.disconnect(self)

    def update(self, x: pd.DataFrame, who: Stream | None = None, metadata: Any = None) -> Any:
        """Take a frame and emit what comes out."""
        if self.state == "failed":
            return self._raise()
        return self._give(lambda: self._push(x), partial(self.update, x, who, metadata), metadata)

    def finish(self) -> None:
        """Emit what the steps hold, once, at the end of the stream."""
        if self.state == "running":
            on_loop(self, lambda: self._give(self._end, self.finish, None))

    def _push(self, frame: pd.DataFrame) -> Out:
        found = self.carrier.push(frame)
        self._since.append(frame)
        self._logged += len(frame)
        if self._logged > LOGGED_ROWS:
            self._since = []
        return found

    def _end(self) -> Out:
        found = self.carrier.finish()
        self.state = "finished"
        return found

    def _give(self, work: Any, again: Callable[[], Any], metadata: Any) -> list[Any]:
        try:
            with abortable():
                out, sides = work()
        except KeyboardInterrupt:
            raise Torn(self, again) from None
        except Exception as error:
            self.state, self.error = "failed", error
            if not self.muted:
                log.error("the pipeline stopped: %s", error)
            return self._raise()
        if not self.muted:
            for listener in self._listeners:
                listener(out, sides)
            if len(out) and self.carrier.pipeline.gives_alerts:
                self.remember(self.carrier.counted.rows, out)
        emits: list[Callable[[], Any]] = [partial(self.sides[side]._emit, rows) for side, rows in sides]
        return in_turn([*emits, partial(self._emit, out, metadata)] if len(out) else emits)

    def _raise(self) -> list[Any]:
        """Raise what went wrong; behind a queue nobody would hear it, and the queue stand still: there ``settle`` raises it."""
        if any(hasattr(node, "queue") for node in above(self)):
            return []
        raise self.error  # type: ignore[misc]

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call a function with the rows and the sides that come out, before the nodes below see them; returns how to end that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def snapshot(self) -> bytes:
        """Pickle the state, for ``resume``."""
        self._base = pickle.dumps(self.carrier.__dict__, protocol=pickle.HIGHEST_PROTOCOL)
        self._since, self._logged = [], 0
        return self._base

    def drop_snapshot(self) -> None:
        """Forget a snapshot that is too large to be kept."""
        self._base, self._since, self._logged = b"", [], LOGGED_ROWS + 1

    def resume(self, state: bytes | None) -> None:
        """Go on from a state, or afresh; a failure is forgotten."""
        self._stand(state)
        self._base, self._since, self._logged = state or b"", [], 0
        self.state, self.error = "running", None
        self.forget(self.carrier.counted.rows)

    def _stand(self, state: bytes | None) -> None:
        fresh = {} if state else type(self.carrier)(self.carrier.pipeline).__dict__
        self.carrier.__dict__.update(pickle.loads(state) if state else fresh)

    def restore(self) -> None:
        """Put the state back where it stood before a frame that was stopped in the middle.

        Raises
        ------
        SourceError
            The last snapshot lies too far back.
        """
        if self._logged > LOGGED_ROWS:
            raise SourceError(
                f"a step was stopped in the middle of a frame, and its last snapshot is more than {LOGGED_ROWS:,} rows "
                "old, or too large to be kept; seek() back, or run again from the store."
            )
        since = self._since
        with abortable():
            self._stand(self._base)
            for frame in since:
                self.carrier.push(frame)

    def _repr_html_(self) -> str:
        return self.carrier.summary(self.state)._repr_html_()


Stream.register_api(attribute_name="through")(Through)


def pipelines_below(*tops: Stream) -> list[Through]:
    """List the pipelines below some nodes, in the order of the flow."""
    return [node for node in nodes_below(*tops) if isinstance(node, Through)]


@contextmanager
def muted(top: Stream) -> Iterator[None]:
    """Let what is emitted reach only the pipelines below, and what leads to them: nothing is shown, nobody is told."""
    whole = [(node, node.downstreams) for node in nodes_below(top)]
    for node, downstreams in whole:
        node.downstreams = Held()
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
    end, waiting = time.monotonic() + timeout_s, -1
    while True:
        for node in nodes:
            if isinstance(node, Through) and node.state == "failed":
                raise node.error  # type: ignore[misc]
        if all(not queue.qsize() and queue._getters for queue in queues):
            return
        if (now := sum(queue.qsize() for queue in queues)) != waiting:  # as long as it moves, it may take its time
            end, waiting = time.monotonic() + timeout_s, now
        if time.monotonic() > end:
            raise SourceError(f"a queue below {top.name} has not moved for {timeout_s:g} s; see the log for what stopped it.")
        time.sleep(0.001)
