"""Bokeh without a network and without Panel: its scripts as text, its models only."""

from html import unescape
from typing import Any

from bokeh.models import GridBox, GridPlot
from bokeh.models.layouts import FlexBox
from bokeh.models.widgets.markups import Div
from bokeh.resources import Resources


def scripts() -> list[str]:
    """Return the texts of BokehJS, about two megabytes.

    Only the parts that plots use; above all not the one that typesets TeX. And only texts: Bokeh's own rendering adds links
    to the scripts of every extension that has been imported, Panel's among them.
    """
    return list(Resources(mode="inline", components=["bokeh", "bokeh-widgets", "bokeh-tables"]).js_raw)


def standalone(model: Any) -> Any:
    """Replace what HoloViews draws a Div with, a model of Panel's that needs Panel's scripts, by Bokeh's own."""
    if type(model).__module__.startswith("panel."):
        return Div(text=unescape(model.text), disable_math=True, width=model.width, height=model.height)
    if isinstance(model, GridBox | GridPlot):
        model.children = [(standalone(child), *place) for child, *place in model.children]
        # Figures share the width of the page; a column of cards takes what it needs.
        wide = {place[1] for child, *place in model.children if not isinstance(child, Div)}
        columns = {place[1] for _, *place in model.children}
        model.update(sizing_mode="stretch_width", cols={column: "1fr" if column in wide else "auto" for column in columns})
    elif isinstance(model, FlexBox):
        model.children = [standalone(child) for child in model.children]
    return model
