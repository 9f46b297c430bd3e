"""How plots look."""

from typing import Any

import holoviews as hv
import holoviews.plotting.bokeh  # registers the back end that everything here draws with
from holoviews import opts

# Okabe and Ito's colours, told apart with every common kind of colour blindness; black and yellow are left out, the one
# for being the colour of text and the other for being pale on white. https://jfly.uni-koeln.de/color/
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
EVENTS, ALERTS = COLOURS[0], COLOURS[5]
INK, FAINT, GRID = "#2f3640", "#6b7480", "#e6e9ed"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
SEVERITIES = {"low": COLOURS[4], "medium": COLOURS[1], "high": COLOURS[5], "critical": "#7a0177"}

_done: list[str] = []


def style(plot: Any, element: Any) -> None:
    """Give a Bokeh figure its quiet frame: what is drawn in it should be the loudest thing (a HoloViews hook)."""
    figure = plot.handles["plot"]
    figure.update(outline_line_color=None, background_fill_color="white", border_fill_color="white")
    figure.title.update(text_font=FONT, text_font_size="13px", text_font_style="bold", text_color=INK)
    figure.xgrid.grid_line_color = None
    figure.ygrid.grid_line_color = GRID
    for axis in figure.xaxis:
        axis.ticker.desired_num_ticks = 5  # stamps are long, and in a row of plots there is little room
    for axis in (*figure.xaxis, *figure.yaxis):
        axis.update(
            axis_line_color=GRID,
            major_tick_line_color=GRID,
            minor_tick_line_color=None,
            axis_label_text_font=FONT,
            axis_label_text_font_style="normal",
            axis_label_text_font_size="12px",
            axis_label_text_color=FAINT,
            major_label_text_font=FONT,
            major_label_text_font_size="11px",
            major_label_text_color=FAINT,
        )
    figure.toolbar.logo = None
    for legend in figure.legend:
        legend.update(
            border_line_color=None,
            background_fill_color=None,
            margin=0,
            padding=2,
            label_text_font=FONT,
            label_text_color=INK,
        )
        legend.label_text_font_size = "11px"


def look() -> None:
    """Register, once, the looks of govlab's own groups of elements; plots made by others keep theirs."""
    if _done:
        return
    _done.append("look")
    hv.Store.set_current_backend("bokeh")
    frame = {
        "responsive": True,
        "min_width": 380,
        "hooks": [style],
        "xlabel": "event time (UTC)",
        "padding": (0.02, 0.12),
    }
    frame |= {"show_grid": True, "toolbar": "above", "default_tools": ["xpan", "xwheel_zoom", "box_zoom", "reset"]}
    frame |= {"active_tools": ["xpan"], "framewise": True}  # framewise: the axes follow what arrives
    stamp = ("time", "@time{%F %T}")
    hover = {"hover_formatters": {"@time": "datetime"}}
    alert_tips = [stamp, *((name, f"@{name}") for name in ("entity", "detector", "severity", "reason"))]
    alert_tips.append(("score", "@score{0.000}"))
    marker = {"marker": "inverted_triangle", "size": 11, "color": ALERTS, "line_color": "white", "tools": ["hover"]}
    raster = frame | hover | {"tools": ["hover"], "hover_tooltips": alert_tips, "ylabel": "entity, newest on top"}
    raster |= {"height": 420, "size": 11, "marker": "square", "line_color": "white", "padding": 0.04}
    hv.opts.defaults(
        opts.Curve("GovlabCurve", height=320, line_width=2, color=EVENTS, muted_alpha=0.1, **frame),
        opts.Scatter("GovlabNow", height=320, size=8, color="white", line_color=EVENTS, line_width=2, **frame),
        opts.Scatter("GovlabAlerts", height=320, hover_tooltips=alert_tips, **marker, **hover, **frame),
        opts.Overlay("GovlabTimeline", legend_position="top", responsive=True, min_width=380, height=320),
        opts.Points("GovlabScore", color="score", cmap="cividis_r", colorbar=True, **raster),
        opts.Points("GovlabSeverity", color="severity", cmap=SEVERITIES, legend_position="top", **raster),
        backend="bokeh",
    )
