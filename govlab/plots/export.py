"""A plot as a file, or as a piece of one: everything in it, nothing fetched."""

from html import escape
from os import PathLike
from pathlib import Path
from typing import Any

import holoviews as hv
from bokeh.embed import components

from govlab.plots import theme
from govlab.plots.painter import DRAWING
from govlab.plots.refresh import present
from govlab.plots.standalone import scripts, standalone

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body style="margin:24px;background:white">
{body}
</body>
</html>
"""


def save(obj: Any, path: str | PathLike[str], title: str) -> Path:
    """Write a plot as it is now to an HTML file that needs no network and no kernel.

    Parameters
    ----------
    obj : HoloViews object
        Any plot of this package or composition of them.
    path : path
        The file to write; replaced when it exists.
    title : str
        Of the page, as text.

    Returns
    -------
    pathlib.Path
        The file.
    """
    target = Path(path)
    target.write_text(_PAGE.format(title=escape(title), body=fragment(obj)), encoding="utf-8")
    return target


def fragment(obj: Any, bokehjs: bool = True) -> str:
    """Give a plot as it is now as a piece of HTML for a report.

    Parameters
    ----------
    obj : HoloViews object
        Any plot of this package or composition of them.
    bokehjs : bool
        Put BokehJS into the piece, about a megabyte; a report needs it once, in its first.

    Returns
    -------
    str
    """
    theme.look()
    with DRAWING:
        script, div = components(standalone(hv.render(present(obj), backend="bokeh")))
    texts = scripts() if bokehjs else []
    return "\n".join([*(f"<script>\n{text}\n</script>" for text in texts), div, script])
