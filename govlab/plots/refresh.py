"""How HoloViews is told that there is something new to draw."""

from typing import Any

import holoviews as hv
import param
from holoviews.core.spaces import get_nested_streams


class Refresh(hv.streams.Stream):
    """Tells HoloViews to draw again; carries nothing, the view has the data."""

    count = param.Integer(default=0)

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self.displays: list[Any] = []  # the widgets that show it

    def transform(self) -> dict[str, int]:
        """Differ from the last time, or HoloViews would answer from its cache."""
        return {"count": self.count + 1}


def present(obj: Any) -> Any:
    """Make `obj` draw its plots as they are now: HoloViews would show again what it drew before."""
    for plot in obj.traverse(lambda node: node, [hv.DynamicMap]) if hasattr(obj, "traverse") else ():
        refreshes = [stream for stream in get_nested_streams(plot) if isinstance(stream, Refresh)]
        for stream in refreshes:
            stream.update()
        if refreshes:
            plot.reset()
    return obj
