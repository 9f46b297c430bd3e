"""A HoloViews plot as a Jupyter widget, the one way to a page that is open while a cell blocks the kernel.

HoloViews sends its updates over a channel that the page has to open first; the kernel hears of that only between two cells,
so under Run All Cells a plot stands still through the very cell that it was made to watch. A widget's channel is opened by
the kernel. What is lost on it is what is sent before the page has drawn the plot: until the page says that it has, the whole
plot is sent each time, and changes only from then on.
"""

import json
import time
from typing import Any

from bokeh.document import Document
from bokeh.protocol import Protocol
from jupyter_bokeh.widgets import BokehModel

from govlab.plots.painter import DRAWING
from govlab.plots.standalone import standalone

# How often a plot is sent whole to a page that has not said yet that it draws it, and for how long: some front ends never
# do, and a page that is slow in drawing is given all of it when it says so.
WHOLE_S, GIVE_UP_S = 1.0, 15.0

# Properties that hold the parts of a figure. A part that comes later, the curve of a new key with its legend, is changed
# within the update that adds it, and BokehJS stumbles over a change to what it has not built yet.
PARTS = {"above", "below", "center", "children", "left", "renderers", "right"}


class PlotWidget(BokehModel):
    """Shows one HoloViews plot and sends its changes, one message an update.

    Parameters
    ----------
    plot : holoviews.plotting.bokeh.BokehPlot
        Drawn, with its streams subscribed.
    text : str
        What stands for it where widgets cannot be shown.
    """

    def __init__(self, plot: Any, text: str) -> None:
        self._plot, self._text = plot, text
        self._changes: list[Any] = []
        self._shown_s = self._whole_s = time.monotonic()
        model = standalone(plot.state)
        plot.document = Document()
        plot.document.add_root(model)
        super().__init__(model, combine_events=False, _view_count=0)
        self.observe(self._seen, "_view_count")

    def _document_patched(self, event: Any) -> None:
        if event.setter is not self:
            self._changes.append(event)

    def flush(self) -> bool:
        """Send what has changed since the last time; return False when that has to wait."""
        now = time.monotonic()
        if not self._view_count and now - self._shown_s < GIVE_UP_S:
            if now - self._whole_s < WHOLE_S:
                return False
            self._send_whole()
            return True
        changes, self._changes = self._changes, []
        if any(getattr(change, "attr", "") in PARTS for change in changes):
            self._send_whole()
        elif changes:
            message = Protocol().create("PATCH-DOC", changes)
            for part in (message.header_json, message.metadata_json, message.content_json):
                self.send({"msg": "patch", "payload": part})
            for buffer in message.buffers:
                self.send({"msg": "patch", "payload": json.dumps(buffer.ref)})
                self.send({"msg": "patch"}, [buffer.to_bytes()])
        return True

    def _send_whole(self) -> None:
        self._whole_s, self._changes = time.monotonic(), []
        self.render_bundle = self._model_to_traits(self._model)

    def _seen(self, change: Any) -> None:
        """Give a page that has just opened the plot all of it: it has drawn what was last sent whole."""
        if change["new"] > change["old"]:
            with DRAWING:
                if change["old"] > 0 or time.monotonic() - self._shown_s >= GIVE_UP_S:
                    self._send_whole()

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> Any:
        """Return the state for a page that asks, after a reload for one; the plot in it is the present one."""
        if key is None and self.comm is not None:
            with DRAWING:
                self._send_whole()
        return super().get_state(key=key, drop_defaults=drop_defaults)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"text/plain": self._text, "application/vnd.jupyter.widget-view+json": view}

    def close(self) -> None:
        """Take the plot off its streams and the widget off the page."""
        with DRAWING:
            self._plot.cleanup()
            super().close()
