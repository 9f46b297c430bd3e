"""How a notebook comes to show the plots: BokehJS inline, nothing fetched from anywhere, no call needed."""

import os
import sys
from typing import Any

import holoviews as hv

from govlab.cells import Cells, running_cell
from govlab.plots import theme
from govlab.plots.painter import DRAWING
from govlab.plots.refresh import Refresh, present
from govlab.plots.standalone import scripts

_loader: tuple[Any, Any] | None = None


def front_end() -> bool:
    """Say whether somebody may be looking.

    A kernel that nbval, nbclient or nbconvert started runs the same code with nobody to send updates to; what tells it from
    one that a notebook server started is the session's name in its environment. ``GOVLAB_PLOTS=live`` or ``=static``
    decides where this guesses wrong.
    """
    wish = os.environ.get("GOVLAB_PLOTS", "")
    if wish:
        return wish == "live"
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not hasattr(shell, "kernel"):
        return False
    return "JPY_SESSION_NAME" in os.environ or "google.colab" in sys.modules or "__vsc_ipynb_file__" in shell.user_ns


def activate(cells: Cells) -> bool:
    """Make this process ready to draw, and the notebook, if there is a front end, ready to show. Return whether there is.

    BokehJS goes into the output of the first cell that plots. When that cell runs again it is put there again: its old
    output is gone, and the page, once reloaded, would have nothing to draw with.
    """
    global _loader
    theme.look()
    if not front_end():
        return False
    cell, run = running_cell()
    if _loader is None:
        for kind in (hv.DynamicMap, hv.Layout, hv.NdLayout, hv.AdjointLayout, hv.GridSpace):
            hv.Store.set_display_hook("html+js", kind, lambda obj: display(obj, cells))
    if _loader is None or (_loader[0] == cell and _loader[1] != run):
        _load()
        _loader = (cell, run)
    return True


def show(obj: Any) -> Any:
    """Show any HoloViews object, at the end of a cell, as it is now; nothing is fetched, and no call is needed before.

    Parameters
    ----------
    obj : HoloViews object
        What holds no live plot of this package; one that does shows itself.

    Returns
    -------
    object
        What the notebook shows; without a front end (a test, nbconvert, a script) the object itself.
    """
    if not activate(Cells()):
        return obj
    from IPython.display import HTML

    from govlab.plots.export import fragment

    return HTML(fragment(obj, bokehjs=False))


def _load() -> None:
    """Put BokehJS into the page, unless it has one."""
    from IPython.display import publish_display_data

    # BokehJS names itself on `this`, which is not the window where JupyterLab runs a script.
    calls = "\n".join(f"(function() {{\n{text}\n}}).call(window);" for text in scripts())
    publish_display_data({"application/javascript": f"if (window.Bokeh === undefined) {{\n{calls}\n}}"})


def display(obj: Any, cells: Cells) -> Any:
    """Display an object with live plots in it as a widget, and everything else as HoloViews would (a HoloViews hook)."""
    from govlab.plots.widget import PlotWidget

    with DRAWING:
        streams = obj.traverse(_streams, [hv.DynamicMap])
        live = {stream for found in streams for stream in found if isinstance(stream, Refresh)}
        if not live:
            default = hv.Store._display_hooks["html+js"].get(hv.core.dimension.LabelledData)
            return default(obj) if default else None
        widget = PlotWidget(hv.renderer("bokeh").get_plot(present(obj)), repr(obj))
        cells.claim(widget)
        for stream in live:
            stream.displays.append(widget)
        return widget._repr_mimebundle_(), {}


def _streams(plot: hv.DynamicMap) -> list[Any]:
    return list(hv.core.spaces.get_nested_streams(plot))
