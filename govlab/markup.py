"""HTML that govlab writes: each value is escaped where it is put in, unless it is HTML that was made here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

__all__ = ["Markup", "listing", "page", "preformatted", "render", "table"]

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{{ title }}</title></head>
<body style="{{ style }}">
{{ body }}
</body>
</html>
"""
_LISTING = "<table>{% for name, value in values.items() %}<tr><th>{{ name }}</th><td>{{ value }}</td></tr>{% endfor %}</table>"


@cache
def _compiled(template: str) -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template)


def render(template: str, **values: Any) -> Markup:
    """Fill in a template of Jinja; what is no Markup is escaped."""
    return Markup(_compiled(template).render(values))


def page(title: str, body: Markup, style: str = "font:15px/1.5 system-ui;margin:2em auto;max-width:75em") -> str:
    """Lay out a page that needs no network."""
    return str(render(_PAGE, title=title, body=body, style=style))


def preformatted(text: str) -> str:
    """Show lines as they are."""
    return str(render("<pre>{{ text }}</pre>", text=text))


def listing(values: Mapping[str, Any]) -> str:
    """Show a dict, a row an item."""
    return str(render(_LISTING, values=values))


def table(frame: pd.DataFrame, **options: Any) -> Markup:
    """Show a frame; pandas escapes what is in it, its columns and its index."""
    return Markup(frame.to_html(escape=True, **options))
