"""The status of a source as a small card of HTML, every word of it escaped."""

from collections.abc import Mapping
from typing import Any

import holoviews as hv
import pandas as pd
from bokeh.models.widgets.markups import Div
from holoviews.plotting.bokeh.annotation import DivPlot

from govlab.markup import render
from govlab.plots.theme import COLOURS, FAINT, FONT, GRID, INK
from govlab.plots.untrusted import plain

STATES = {
    "running": COLOURS[2], "paused": COLOURS[1], "reconnecting": COLOURS[5], "stalled": COLOURS[5],
    "waiting": COLOURS[1], "sharing": COLOURS[5], "failed": COLOURS[5], "finished": COLOURS[0], "idle": FAINT,
}  # fmt: skip

_CARD = """\
<div style="font-family:{{ font }};font-size:13px;color:{{ ink }};background:white;width:262px;box-sizing:border-box;\
border:1px solid {{ grid }};border-radius:8px;padding:10px 14px">
<div style="display:flex;justify-content:space-between;align-items:center;gap:8px;padding-bottom:7px">
<b style="overflow-wrap:anywhere;min-width:0;font-size:12px">{{ title }}</b>
<span style="background:{{ shade }};color:white;border-radius:9px;padding:1px 9px;font-size:11px">{{ state }}</span>
</div>
<table style="width:100%;border-collapse:collapse;font-size:13px">
{% for name, text in lines %}
<tr style="border-top:1px solid {{ grid }}">
<td style="color:{{ faint }};padding:5px 8px 5px 0;overflow-wrap:anywhere">{{ name }}</td>
<td style="text-align:right;white-space:nowrap;padding:5px 0;font-variant-numeric:tabular-nums">{{ text }}</td>
</tr>
{% endfor %}
</table>
{% for text in troubles %}
<div style="color:{{ alarm }};font-size:12px;padding-top:6px;overflow-wrap:anywhere">{{ text }}</div>
{% endfor %}
</div>
"""


class Card(hv.Div):
    """A piece of HTML whose text has been escaped by who made it."""


class CardPlot(DivPlot):
    """Draws a card with Bokeh's own Div, on which HTML means the same at every update.

    HoloViews's plot of a Div hands its HTML escaped to a model of Panel's that undoes one escaping, but forgets the first
    half when it updates: from the second drawing on, escaped text would come to life.
    """

    def initialize_plot(self, ranges: Any = None, plot: Any = None, plots: Any = None, source: Any = None) -> Div:
        """Draw for the first time."""
        self.current_frame, self.current_key = self.hmap.last, self.keys[-1]
        self.handles["plot"] = Div(text=self.current_frame.data, disable_math=True, width=280)
        self.drawn = True
        return self.handles["plot"]

    def update_frame(self, key: Any, ranges: Any = None, plot: Any = None) -> None:
        """Draw again."""
        self.handles["plot"].text = self._get_frame(key).data


hv.Store.register({Card: CardPlot}, "bokeh")


def card(status: Mapping[str, Any], title: str = "", trouble: str = "") -> str:
    """Lay a source's status out as HTML.

    Parameters
    ----------
    status : mapping
        Keys name, state, rows, rows_per_s, event_time, lag_s, lag (rows that wait, by partition), dead_letters, sides,
        last_error; a missing one shows as "–".
    title : str
        Heading instead of the name.
    trouble : str
        What went wrong with the plot itself.

    Returns
    -------
    str
    """
    state = plain(status.get("state"), 20) or "unknown"
    sides = status.get("sides") or {}
    lines = [
        ("rate", _number(status.get("rows_per_s"), "rows/s")),
        ("rows", _number(status.get("rows"))),
        ("time (UTC)", _time(status.get("event_time"))),
        ("lag", span(status.get("lag_s"))),
        *_waiting(status.get("lag") or {}),
        ("late", _number(sides.get("late", 0), "rows")),
        ("dead letters", _number(status.get("dead_letters"))),
        *((plain(name, 24), _number(count, "rows")) for name, count in list(sides.items())[:6] if name != "late"),
    ]
    return str(
        render(
            _CARD,
            title=plain(title or status.get("name"), 60),
            state=state,
            lines=lines,
            troubles=[plain(text) for text in (status.get("last_error"), trouble) if text],
            font=FONT, ink=INK, faint=FAINT, grid=GRID, shade=STATES.get(state, FAINT), alarm=COLOURS[5],
        )
    )  # fmt: skip


def span(seconds: Any) -> str:
    """Say a number of seconds in the unit that a person would use.

    Examples
    --------
    >>> span(0.042), span(75), span(7_200), span(None)
    ('42 ms', '75.0 s', '2.0 h', '–')
    """
    if seconds is None or pd.isna(seconds):
        return "–"
    size = abs(seconds)
    steps = ((1, 0.001, "{:.0f} ms"), (100, 1, "{:.1f} s"), (6_000, 60, "{:.1f} min"), (172_800, 3_600, "{:.1f} h"))
    for limit, unit, text in steps:
        if size < limit:
            return text.format(seconds / unit)
    return f"{seconds / 86_400:,.1f} days"


def _waiting(lag: Mapping[int, int]) -> list[tuple[str, str]]:
    """Say how many records of a queue wait, and in which partition the most."""
    if not lag:
        return []
    most = max(lag, key=lambda partition: lag[partition])
    worst = [(f"most in partition {most}", _number(lag[most], "rows"))] if len(lag) > 1 and lag[most] else []
    return [("waiting", _number(sum(lag.values()), "rows")), *worst]


def _number(value: Any, unit: str = "") -> str:
    if value is None or pd.isna(value):
        return "–"
    return f"{value:,.0f} {unit}".strip()


def _time(value: Any) -> str:
    if value is None or pd.isna(value):
        return "–"
    return f"{pd.Timestamp(value):%Y-%m-%d %H:%M:%S}"
