"""Live plots of a stream: what comes in, what was flagged, how the source is doing.

Every plot is a HoloViews object, so it composes (``Timeline(edits) + Status(edits)``, ``Timeline(edits) * hv.VLine(t)``) and
can be restyled with ``.opts``. In a notebook with a front end a plot updates by itself, while a cell runs and after it ended;
without one (a test, nbconvert, a script) it is a plain, silent HoloViews object that draws what has arrived when it is drawn.

Importing this package imports neither HoloViews nor pandas: a pipeline that runs on a server should not pay for a plot.
"""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

if TYPE_CHECKING:
    from govlab.plots.export import fragment as fragment
    from govlab.plots.export import save as save
    from govlab.plots.live import AlertRaster as AlertRaster
    from govlab.plots.live import Status as Status
    from govlab.plots.live import Timeline as Timeline
    from govlab.plots.notebook import show as show
else:
    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        more={
            "AlertRaster": "govlab.plots.live:AlertRaster",
            "Status": "govlab.plots.live:Status",
            "Timeline": "govlab.plots.live:Timeline",
            "fragment": "govlab.plots.export:fragment",
            "save": "govlab.plots.export:save",
            "show": "govlab.plots.notebook:show",
        },
    )
