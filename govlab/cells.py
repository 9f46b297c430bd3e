"""Which plots and sources belong to which notebook cell, so that running the cell again replaces them.

A plot listens to a stream, and a stream outlives the cell that made it: without this every run of a cell would leave one
more plot behind that is fed, and drawn, for nobody, or one more source that plays in the background. A cell owns what was
made while it ran; its next run closes it, however the cell has been edited. Outside a notebook nothing owns a plot or a
source: it lives as long as somebody holds it.
"""

import weakref
from collections.abc import Callable, Hashable
from typing import Protocol


class Closeable(Protocol):
    """Anything that can be closed, more than once."""

    def close(self) -> None:
        """Let go of the stream."""


def running_cell() -> tuple[Hashable, Hashable]:
    """Name the cell that is running now and this run of it; (None, None) outside a notebook.

    JupyterLab and its kin send the cell's id with its code. A front end that does not is told by the text of the cell.
    """
    try:
        from IPython import get_ipython

        shell = get_ipython()
        parent = shell.get_parent()
        run = parent["header"]["msg_id"]
        # not by the history, which some front ends do not keep: then all cells would be one
        cell = parent.get("metadata", {}).get("cellId") or parent["content"]["code"]
    except (AttributeError, ImportError, KeyError):
        return None, None
    return cell, run


class Cells:
    """What each cell's latest run has made: plots and their displays, or sources.

    Parameters
    ----------
    current : callable
        Returns (cell, run), see `running_cell`.
    """

    def __init__(self, current: Callable[[], tuple[Hashable, Hashable]] = running_cell) -> None:
        self.current = current
        self._owned: dict[Hashable, tuple[Hashable, list[weakref.ref[Closeable]]]] = {}

    def claim(self, made: Closeable) -> None:
        """Let the running cell own `made`, and close what that cell's earlier run had made."""
        cell, run = self.current()
        if cell is None:
            return
        owned_run, owned = self._owned.get(cell, (None, []))
        if owned_run != run:
            for ref in owned:
                if (old := ref()) is not None:
                    old.close()
            owned = []
        self._owned[cell] = (run, [*owned, weakref.ref(made)])
