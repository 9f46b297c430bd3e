"""The live plots: what comes in, what was flagged, how the source is doing."""

import re
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd

from govlab.plots import theme
from govlab.plots.buffers import Alerts, Counts, Once, Values, utc
from govlab.plots.card import Card, card
from govlab.plots.untrusted import heading, plain
from govlab.plots.view import View

TIPS = ["entity", "detector", "severity", "reason", "score"]


def Timeline(  # noqa: N802 - it reads like the HoloViews elements beside it
    events: Any,
    alerts: Any = None,
    value: str | None = None,
    every: str = "1min",
    rows: int = 5_000,
    by: str | None = None,
    keys: int = 6,
    title: str = "",
) -> hv.DynamicMap:
    """Plot a stream against event time, with its alerts on top.

    Parameters
    ----------
    events : streamz.Stream or pandas.DataFrame
        Event frames; the column `time` (datetime64, UTC) is required. With `partition` and `offset` an event is plotted once,
        although a replay that seeks back delivers it again.
    alerts : streamz.Stream or pandas.DataFrame, optional
        Alert frames, drawn as markers on the curve; hover shows time, entity, detector, severity, reason and score.
    value : str, optional
        The numeric column to plot. Without it the events are counted.
    every : str
        Width of the buckets in which events are counted. The last bucket, still filling, is an open circle.
    rows : int
        Buckets or values kept, and alerts kept: memory is bounded by it.
    by : str, optional
        With `value`: one curve for each of the first `keys` keys of this column; the title says how many rows had others.
    keys : int
        Curves at most.
    title : str
        Words in front of the counts in the title.

    Returns
    -------
    holoviews.DynamicMap
        Of an Overlay. Updates by itself in a notebook, at most five times a second and always to the last state; when its
        cell runs again it stops and the new one takes its place.

    Raises
    ------
    TypeError
        When `events` or `alerts` is neither a stream nor a frame.
    ValueError
        When `every` is no length of time, or `by` comes without `value`.
    """
    if by is not None and value is None:
        raise ValueError(f"by={by!r} needs value=, the column to plot; events are counted over all keys")
    view = _Timeline(value, every, rows, by, keys, title)
    view.listen(events, view.take_events)
    if alerts is not None:
        view.listen(alerts, view.take_alerts)
    return view.plot()


def AlertRaster(  # noqa: N802 - it reads like the HoloViews elements beside it
    alerts: Any, rows: int = 2_000, entities: int = 40, colour: str = "score", title: str = ""
) -> hv.DynamicMap:
    """Plot alerts as marks, one line an entity, against event time: who was flagged, when, together with whom.

    Parameters
    ----------
    alerts : streamz.Stream or pandas.DataFrame
        Alert frames.
    rows : int
        Alerts kept.
    entities : int
        Lines at most: the entities that were flagged last.
    colour : {"score", "severity"}
        What the colour of a mark says.
    title : str
        Words in front of the counts in the title.

    Returns
    -------
    holoviews.DynamicMap
        Of Points.

    Raises
    ------
    ValueError
        When `colour` is something else.
    """
    if colour not in ("score", "severity"):
        raise ValueError(f"colour={colour!r} is not known; give 'score' or 'severity'")
    view = _Raster(rows, entities, colour, title)
    view.listen(alerts, view.take_alerts)
    return view.plot()


def Status(source: Any, title: str = "") -> hv.DynamicMap:  # noqa: N802 - as above
    """Show how a source is doing: state, rate, rows, event time, lag, late rows, dead letters, last error.

    Parameters
    ----------
    source : streamz.Stream
        With a method `status() -> dict`. Asked when a frame passes, and once a second, since a source that stalls or fails
        sends no frame to say so.
    title : str
        Heading, the source's name by default.

    Returns
    -------
    holoviews.DynamicMap
        Of a Card, HTML beside the other plots; it composes with ``+``.

    Raises
    ------
    TypeError
        When the source cannot say how it is.
    """
    if not callable(getattr(source, "status", None)):
        raise TypeError(f"a {type(source).__name__} has no status(); give a govlab source")
    view = _Status(source, title)
    view.listen(source, view.take_frame)
    return view.plot()


class _Timeline(View):
    def __init__(self, value: str | None, every: str, rows: int, by: str | None, keys: int, title: str) -> None:
        self.value, self.every, self.by, self.title = value, every, by, title
        self.counts, self.values, self.alerts = Counts(every, rows), Values(rows, keys), Alerts(rows)
        self.measure = plain(value, 40) if value else f"events per {_spaced(every)}"
        self.once = Once()
        self.limits = {} if value else {"ylim": (0, None)}  # a count means little without its zero
        super().__init__()

    def take_events(self, frame: pd.DataFrame) -> None:
        frame = self.once(frame)
        if self.value is None:
            self.counts.add(utc(frame["time"]))
        else:
            self.values.add(utc(frame["time"]), frame[self.value], frame[self.by] if self.by else None)

    def take_alerts(self, frame: pd.DataFrame) -> None:
        self.alerts.add(frame)

    def render(self) -> hv.Overlay:
        curves = {"": self.counts.curve()} if self.value is None else self.values.curves()
        total = self.counts.total + self.values.total
        words = [self.title] if self.title else []
        words += [f"{total:,} events", f"{self.alerts.total:,} alerts"] if total else ["waiting for the first events"]
        if self.values.ignored:
            words.append(f"{self.values.ignored:,} of other keys not drawn")
        if apart := self.counts.apart + self.values.apart:
            words.append(f"{apart:,} far from all others in time not drawn")
        if trouble := self.trouble():
            words.append(trouble)
        return self.compose(curves, self.alerts.table(), " · ".join(words))

    def blank(self) -> hv.Overlay:
        return self.compose({}, Alerts(1).table(), self.trouble())

    def compose(self, curves: dict[str, Any], alerts: pd.DataFrame, title: str) -> hv.Overlay:
        empty = (np.empty(0, dtype="datetime64[us]"), np.empty(0))
        measure = hv.Dimension("measure", label=self.measure)
        parts, now = [], empty
        for number, (key, (times, values)) in enumerate(curves.items() or [("", empty)]):
            if self.value is None and len(times):
                now = (times[-1:], values[-1:])
            curve = hv.Curve((times, values), "time", measure, group="GovlabCurve", label=key)
            parts.append(
                curve.opts(
                    title=heading(title), color=theme.COLOURS[number % len(theme.COLOURS)], ylabel=self.measure, **self.limits
                )
            )
        parts.append(hv.Scatter(now, "time", measure, group="GovlabNow"))
        if starts := [times[0] for times, _ in curves.values() if len(times)]:
            alerts = alerts[alerts["time"] >= min(starts)]  # what was flagged before is off the left edge, like its events
        heights = [_height(curves, *alert) for alert in zip(alerts["time"], alerts["entity"], strict=True)]
        placed = alerts.assign(measure=np.array(heights, dtype=np.float64))
        marks = hv.Scatter(placed, "time", [measure, *TIPS], group="GovlabAlerts")
        parts.append(marks.opts(size=11 if len(placed) < 100 else 6))  # many would hide the curve that they lie on
        return hv.Overlay(parts, group="GovlabTimeline")


def _spaced(every: str) -> str:
    """Write an offset as words: "5min" as "5 min", "1d" as "day"."""
    number, unit = re.fullmatch(r"\s*([\d.]*)\s*(.*?)\s*", every).groups()  # type: ignore[union-attr]
    if number in ("", "1"):
        return {"s": "second", "min": "minute", "h": "hour", "D": "day", "d": "day"}.get(unit, unit)
    return f"{number} {unit}"


def _height(curves: dict[str, Any], time: pd.Timestamp, entity: str) -> float:
    """Put an alert on the curve of its entity, on the only curve, or on the highest there is at that time."""
    at = np.datetime64(time, "us").astype(np.int64)
    key = plain(entity, 24)  # as curves are named
    chosen = [curves[key]] if key in curves else list(curves.values())
    heights = [np.interp(at, t.astype(np.int64), v) for t, v in chosen if len(t)]
    return float(np.nanmax(heights)) if heights and not np.all(np.isnan(heights)) else 0.0


class _Raster(View):
    def __init__(self, rows: int, entities: int, colour: str, title: str) -> None:
        self.entities, self.title, self.group = entities, title, f"Govlab{colour.capitalize()}"
        self.alerts = Alerts(rows)
        super().__init__()

    def take_alerts(self, frame: pd.DataFrame) -> None:
        self.alerts.add(frame)

    def render(self) -> hv.Points:
        table = self.alerts.table()
        latest = table["entity"].drop_duplicates(keep="last").iloc[-self.entities :]
        table = table[table["entity"].isin(latest)]
        words = [self.title] if self.title else []
        words += [f"{self.alerts.total:,} alerts", f"{len(latest):,} entities"]
        if trouble := self.trouble():
            words.append(trouble)
        return self.points(table, list(latest), " · ".join(words))

    def blank(self) -> hv.Points:
        return self.points(Alerts(1).table(), [], self.trouble())

    def points(self, table: pd.DataFrame, lines: list[str], title: str) -> hv.Points:
        # Numbered lines with names for ticks and not HoloViews's axis of names: that one is chosen at the first drawing
        # only, which here has no names yet.
        table = table.assign(line=table["entity"].map({entity: place for place, entity in enumerate(lines)}).astype("float64"))
        ticks = [(place, plain(entity, 28)) for place, entity in enumerate(lines)] or [(0, "")]
        points = hv.Points(table, ["time", "line"], TIPS, group=self.group)
        return points.opts(title=heading(title), yticks=ticks, ylim=(-0.7, max(len(lines), 5) - 0.3))


class _Status(View):
    poll_s = 1.0

    def __init__(self, source: Any, title: str) -> None:
        self.source, self.title = source, title
        super().__init__()

    def take_frame(self, frame: Any) -> None:
        """Need nothing of the frame: that one came is the news."""

    def render(self) -> Card:
        return Card(card(self.source.status(), self.title, self.trouble()))

    def blank(self) -> Card:
        return Card(card({"name": "status", "state": "unknown"}, self.title, self.trouble()))
