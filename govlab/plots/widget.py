"""A HoloViews plot as a Jupyter widget, the one way to a page that is open while a cell blocks the kernel.

HoloViews sends its updates over a channel that the page has to open first; the kernel hears of that only between two cells,
so under Run All Cells a plot stands still through the very cell that it was made to watch. A widget's channel is opened by
the kernel. What is lost on it is what is sent before the page has drawn the plot: until the page says that it has, the whole
plot is sent each time, and changes only from then on.
"""

import json
from typing import Any

from bokeh.document import Document
from bokeh.protocol import Protocol
from jupyter_bokeh.widgets import BokehModel

from govlab.plots.painter import DRAWING
from govlab.plots.standalone import standalone


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
        model = standalone(plot.state)
        plot.document = Document()
        plot.document.add_root(model)
        super().__init__(model, combine_events=False, _view_count=0)
        self.observe(self._seen, "_view_count")

    def _document_patched(self, event: Any) -> None:
        if event.setter is not self:
            self._changes.append(event)

    def flush(self) -> None:
        """Send what has changed since the last time."""
        changes, self._changes = self._changes, []
        if not self._view_count:
            self.render_bundle = self._model_to_traits(self._model)
        elif changes:
            message = Protocol().create("PATCH-DOC", changes)
            for part in (message.header_json, message.metadata_json, message.content_json):
                self.send({"msg": "patch", "payload": part})
            for buffer in message.buffers:
                self.send({"msg": "patch", "payload": json.dumps(buffer.ref)})
                self.send({"msg": "patch"}, [buffer.to_bytes()])

    def _seen(self, change: Any) -> None:
        """Give a page that has just opened the plot all of it: it was drawn from what the kernel last sent whole."""
        if change["new"] > change["old"] and change["old"] > 0:
            with DRAWING:
                self._changes = []
                self.render_bundle = self._model_to_traits(self._model)

    def get_state(self, *args: Any, **kwargs: Any) -> Any:
        """Return the state for a page that asks, after a reload for one; the plot in it is the present one."""
        if getattr(self, "_model", None) is not None and not args and not kwargs and self.comm is not None:
            with DRAWING, self.hold_sync():
                self._changes = []
                self.set_trait("render_bundle", self._model_to_traits(self._model))
        return super().get_state(*args, **kwargs)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"text/plain": self._text, "application/vnd.jupyter.widget-view+json": view}

    def close(self) -> None:
        """Take the plot off its streams and the widget off the page."""
        with DRAWING:
            self._plot.cleanup()
            super().close()
