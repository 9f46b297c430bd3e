"""What a backtest found, as tables and pictures in a notebook, as HTML and JSON outside."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from govlab.errors import ArgumentError
from govlab.evaluation import wording
from govlab.markup import Markup, page, render, table
from govlab.spreadsheet import save

__all__ = ["Report"]

_SHOWN = {
    "caught": "caught",
    "recall": "recall",
    "precision": "precision",
    "alerts_a_day": "alerts a day",
    "false_alarms_a_day": "false alarms a quiet day",
    "median_delay_s": "half found after",
    "auc_roc": "AUC-ROC",
    "auc_pr": "AUC-PR",
}
_TABLES = (
    "<div class='govlab-report'>"
    "<style>.govlab-report td,.govlab-report th{padding:.15em .7em;text-align:right}.govlab-report caption{text-align:left}</style>"
    "<p>{{ report.title }}</p>{{ shown }}"
    "{% if differences is not none %}<p>Beside {{ first }}:</p>{{ differences }}{% endif %}</div>"
)
_PAGE = """\
<h1>Backtest</h1>
{{ tables }}
{{ plot }}
<h2>Who caught what</h2>
<div class='govlab-report'>{{ caught }}</div>
"""


@dataclass(frozen=True, repr=False)
class Report:
    """What pipelines and baselines were worth over a stretch of history.

    Attributes
    ----------
    table : DataFrame
        A row a pipeline and a baseline. ``incidents``; ``caught``; ``alerts`` (all); ``recall`` (incidents caught, or positive
        events alerted on); ``precision`` (right of the alerts looked at; of an event without a label nothing is known, so an
        alert on it is not right); ``alerts_a_day`` (looked at); ``false_alarms_a_day`` (on time, or days, without any incident);
        each with its 95 % ``..._interval``; ``median_delay_s`` (from the start, or the first event where that is later, until the
        alert came out; what is missed never counts as found); ``auc_roc``, ``auc_pr`` and ``scored`` (the share of rows with a
        score) where labels are of single events; ``oracle``, whether its threshold was chosen on the labels. None where something
        is not defined, and where days or incidents are too few or too much alike for an interval.
    differences : DataFrame
        Each further pipeline beside the first: how many incidents were ``gained`` and ``lost``, which (``..._incidents``), and of
        which entities (``..._entities``), and differences with paired intervals; ``oracle`` as above.
    incidents : DataFrame
        Who caught what: an incident a row, with its entities.
    curves : dict of str to DataFrame
        The share of incidents not yet detected, by time (Kaplan-Meier), with its 95 % interval.
    days : dict of str to DataFrame
        Day by day, quiet and empty days included: alerts, precision, what was caught of what began in it, and more.
    alerts : dict of str to DataFrame
        All alerts, with ``looked_at`` and ``right``.
    per_day : int
        The budget.
    oracle : bool
        Whether thresholds were chosen on the labels.
    by_event : bool
        Whether the labels are of single events.
    span : (Timestamp, Timestamp)
        First and last event.
    """

    table: pd.DataFrame
    differences: pd.DataFrame
    incidents: pd.DataFrame
    curves: Mapping[str, pd.DataFrame]
    days: Mapping[str, pd.DataFrame]
    alerts: Mapping[str, pd.DataFrame]
    per_day: int
    oracle: bool
    by_event: bool
    span: tuple[pd.Timestamp, pd.Timestamp]

    @property
    def title(self) -> str:
        """One line that says what was judged."""
        days = len(next(iter(self.days.values())))
        one = len(self.incidents) == 1
        what = f"{len(self.incidents):,} {'positive event' if self.by_event else 'incident'}{'' if one else 's'}"
        oracle = " ORACLE: the thresholds were chosen on these labels, which no detector knows." if self.oracle else ""
        return (
            f"{what} in {days:,} day{'s' * (days != 1)}, {self.per_day} alert{'s' * (self.per_day != 1)} a day looked at.{oracle}"
        )

    def shown(self) -> pd.DataFrame:
        """Give the table as text, with intervals beside the figures, as a person wants to read it."""
        out = {}
        for key, title in _SHOWN.items():
            column = self.table[key]
            if key == "caught":
                texts = [f"{wording.number(value)}/{n:,.0f}" for value, n in zip(column, self.table["incidents"], strict=True)]
            elif key == "median_delay_s":
                texts = [wording.duration(value) for value in column]
            else:
                between = self.table[f"{key}_interval"] if f"{key}_interval" in self.table else [None] * len(column)
                texts = [wording.figure(value, interval) for value, interval in zip(column, between, strict=True)]
            if any(text != "-" for text in texts):
                out[title] = texts
        return pd.DataFrame(out, index=list(map(self._marked, self.table.index)))

    def _marked(self, name: Any) -> str:
        return f"{name} (oracle)" if self.table.loc[name, "oracle"] else str(name)

    def text(self) -> str:
        """Say it in lines."""
        parts = [self.title, self.shown().to_string()]
        if len(self.differences):
            parts.append(f"beside {next(iter(self.curves))!r}:\n" + self._differences().to_string())
        return "\n\n".join(parts)

    def _differences(self) -> pd.DataFrame:
        rows = {}
        for name, row in self.differences.iterrows():
            rows[self._marked(name)] = {key: wording.named(row[key], row[f"{key}_incidents"]) for key in ("gained", "lost")} | {
                _SHOWN[key]: wording.figure(row[key], row[f"{key}_interval"], "+")
                for key in ("recall", "precision", "alerts_a_day", "false_alarms_a_day")
            }
        return pd.DataFrame(rows).T

    def _repr_html_(self) -> str:
        return str(self._tables())

    def _tables(self) -> Markup:
        differences = table(self._differences(), border=0) if len(self.differences) else None
        shown, first = table(self.shown(), border=0), repr(next(iter(self.curves)))
        return render(_TABLES, report=self, shown=shown, first=first, differences=differences)

    def __repr__(self) -> str:
        return f"Report({', '.join(self.curves)}: {self.title})"

    def plot(self) -> Any:
        """Draw how fast incidents are found and what a person saw day by day, by the first pipeline (a HoloViews layout).

        Of labels of single events what was seen by the first two pipelines: there is no time to be found in.
        """
        import holoviews as hv

        from govlab.plots import theme
        from govlab.plots.untrusted import plain

        theme.look()
        colours = dict(zip(self.curves, theme.COLOURS * (1 + len(self.curves) // len(theme.COLOURS)), strict=False))
        mark = " (oracle)" if self.oracle else ""
        per, name = wording.unit(max((float(curve["after_s"].iloc[-1]) for curve in self.curves.values()), default=0.0))
        lines, bands = [], []
        for label, curve in self.curves.items():
            dims, colour = (f"after ({name})", "not yet found"), colours[label]
            line = hv.Curve((curve["after_s"] / per, curve["undetected"]), *dims, label=f"{plain(label, 40)}{mark}")
            lines.append(line.opts(color=colour, interpolation="steps-post", ylim=(-0.02, 1.02)))
            # a band has no steps of its own: each value holds until the next one
            after, low, high = (np.repeat(curve[key], 2) for key in ("after_s", "undetected_low", "undetected_high"))
            band = hv.Area((after[1:] / per, low[:-1], high[:-1]), dims[0], [dims[1], "at most"])
            bands.append(band.opts(color=colour, alpha=0.12, line_alpha=0.0))
        found = hv.Overlay([*bands, *lines]).opts(
            title=f"Incidents not yet found{mark}", legend_position="top_right", width=420, height=280
        )
        seen = [self._seen(name, mark) for name in list(self.days)[:2]]
        return hv.Layout(seen if self.by_event else [found, *seen[:1]]).opts(shared_axes=False)

    def _seen(self, name: str, mark: str) -> Any:
        """Draw the alerts of a pipeline that were looked at, right and wrong, by day or by week."""
        import holoviews as hv

        from govlab.plots import theme
        from govlab.plots.untrusted import heading, plain

        days, unit = self.days[name], "day"
        if len(days) > 40:
            unit, monday = "week", days["day"] - pd.to_timedelta(days["day"].dt.dayofweek, unit="D")
            days = days.groupby(monday)[["right", "looked_at"]].sum().reset_index()
        stacked = days.assign(wrong=days["looked_at"] - days["right"], day=days["day"].dt.strftime("%Y-%m-%d"))
        return hv.Bars(stacked.melt("day", ["right", "wrong"], "alerts", "n"), ["day", "alerts"], "n").opts(
            stacked=True, cmap={"right": theme.COLOURS[2], "wrong": theme.COLOURS[5]}, xrotation=60, width=420, height=280,
            title=heading(f"Alerts looked at, {plain(name, 40)}{mark}"), xlabel="", ylabel=f"a {unit}", line_color=None,
            xaxis="bottom" if unit == "day" else None,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Give all of it as plain values, None where something is not defined."""
        return {
            "title": self.title,
            "per_day": self.per_day,
            "oracle": self.oracle,
            "labels": "events" if self.by_event else "incidents",
            "first": self.span[0].isoformat(),
            "last": self.span[1].isoformat(),
            "table": [{"name": name, **_plain(row)} for name, row in self.table.iterrows()],
            "differences": [{"name": name, **_plain(row)} for name, row in self.differences.iterrows()],
            "incidents": [_plain(row) for _, row in self.incidents.iterrows()],
            "curves": {name: {key: list(map(_value, curve[key])) for key in curve} for name, curve in self.curves.items()},
            "days": {name: [_plain(row) for _, row in days.iterrows()] for name, days in self.days.items()},
        }

    def save(self, path: str | PathLike[str]) -> Path:
        """Write it to a file: an HTML page that needs no network, JSON, or the table of incidents as CSV.

        Parameters
        ----------
        path : path
            Its name ends with ``.html``, ``.json`` or ``.csv`` (where a text that a spreadsheet would run is made inert).

        Returns
        -------
        pathlib.Path

        Raises
        ------
        ArgumentError
            The name ends with something else.
        """
        target, kind = Path(path), Path(path).suffix.lower()
        if kind not in (".html", ".htm", ".json", ".csv"):
            raise ArgumentError(f"save: {str(target)!r}; expected a name that ends with .html, .json or .csv.")
        if kind == ".csv":
            marked = {f"{n}: {key}": f"{self._marked(n)}: {key}" for n in self.curves for key in ("caught", "delay_s", "alerts")}
            return save(self.incidents.rename(columns=marked), target)
        if kind == ".json":
            target.write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False), encoding="utf-8")
            return target
        from govlab.plots import fragment

        told = self.incidents.drop(columns="entities") if self.by_event else self.incidents
        caught = pd.DataFrame({str(name).replace("delay_s", "found after"): wording.column(v) for name, v in told.items()})
        parts = {"tables": self._tables(), "plot": Markup(fragment(self.plot())), "caught": table(caught, index=False, border=0)}
        target.write_text(page("govlab backtest", render(_PAGE, **parts)), encoding="utf-8")
        return target


def _plain(row: pd.Series) -> dict[str, Any]:
    return {str(key): _value(value) for key, value in row.items()}


def _value(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_value(one) for one in value]
    if isinstance(value, pd.Timestamp) or value is pd.NaT:
        return value.isoformat() if isinstance(value, pd.Timestamp) else None
    plain = value.item() if isinstance(value, np.generic) else value
    if not isinstance(plain, str | int | float | bool | None):
        return str(plain)
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
