"""A plot as a file, or as a piece of one: everything in it, nothing fetched."""

from os import PathLike
from pathlib import Path
from typing import Any

import holoviews as hv
from bokeh.embed import components

from govlab.errors import ArgumentError
from govlab.markup import Markup, page, render
from govlab.plots import theme
from govlab.plots.painter import DRAWING
from govlab.plots.picture import png
from govlab.plots.refresh import present
from govlab.plots.standalone import scripts, standalone

_FRAGMENT = """\
{% for text in scripts %}
<script>
{{ text }}
</script>
{% endfor %}
{{ div }}
{{ script }}
"""


def save(obj: Any, path: str | PathLike[str], title: str) -> Path:
    """Write a plot as it is now to a file: HTML that needs no network and no kernel, or PNG.

    Parameters
    ----------
    obj : HoloViews object
        Any plot of this package or composition of them.
    path : path
        The file to write; replaced when it exists. Its name ends with ``.html`` (or ``.htm``), or with ``.png``; a PNG file is
        drawn by Chromium, which must be on the PATH.
    title : str
        Of the page, as text.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    ArgumentError
        The name ends with something else.
    MissingExtraError, ServiceError
        There is no Chromium for a PNG file, or it does not work.
    """
    target, kind = Path(path), Path(path).suffix.lower()
    if kind not in (".html", ".htm", ".png"):
        raise ArgumentError(
            f"save: a plot cannot be written as {kind or 'a file without an ending'} ({str(target)!r}); expected a name that ends "
            "with .html (needs nothing) or .png (needs Chromium)."
        )
    drawn = page(title, Markup(fragment(obj)), "margin:24px;background:white")
    if kind == ".png":
        target.write_bytes(png(drawn))
    else:
        target.write_text(drawn, encoding="utf-8")
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
    texts = map(Markup, scripts() if bokehjs else [])
    return str(render(_FRAGMENT, scripts=texts, div=Markup(div), script=Markup(script)))  # made and escaped by Bokeh
