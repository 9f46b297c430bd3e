"""Live plots of a stream: what comes in, what was flagged, how the source is doing.

Every plot is a HoloViews object, so it composes (``Timeline(edits) + Status(edits)``, ``Timeline(edits) * hv.VLine(t)``) and
can be restyled with ``.opts``. In a notebook with a front end a plot updates by itself, while a cell runs and after it ended;
without one (a test, nbconvert, a script) it is a plain, silent HoloViews object that draws what has arrived when it is drawn.

Importing this package imports neither HoloViews nor pandas: a pipeline that runs on a server should not pay for a plot.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "AlertRaster": "live",
    "Status": "live",
    "Timeline": "live",
    "fragment": "export",
    "save": "export",
    "show": "notebook",
}

__all__ = ["AlertRaster", "Status", "Timeline", "fragment", "save", "show"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)
