import logging
import threading

import holoviews as hv
import numpy as np
import pandas as pd
import pytest
from bokeh.models import ColumnDataSource
from streamz import Stream

from govlab import plots
from govlab.cells import Cells
from govlab.plots.painter import Painter
from govlab.plots.untrusted import plain
from govlab.plots.view import Session

START = pd.Timestamp("2020-01-01", tz="UTC")
EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Display:
    """Stands for a page: remembers what it was shown, and when."""

    def __init__(self, plot, clock):
        self.drawn = hv.renderer("bokeh").get_plot(plot)
        self.comm, self.clock, self.shown = object(), clock, []
        plot.streams[0].displays.append(self)

    def flush(self):
        self.shown.append((self.clock.now, self.title))
        return True

    @property
    def title(self):
        return self.drawn.state.title.text


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def session(monkeypatch, clock):
    """A session with a front end, a cell to run in and no thread: the test is the painter's clock."""
    place = {"cell": "a", "run": 1}
    cells = Cells(lambda: (place["cell"], place["run"]))
    made = Session(cells, Painter(clock, threaded=False), live=True)
    made.place = place
    monkeypatch.setattr(Session, "current", made)
    return made


def events(minute=0, rows=10, **columns):
    times = pd.DatetimeIndex([START + pd.Timedelta(minutes=minute)] * rows).as_unit("us")
    return pd.DataFrame({"time": times, **columns})


def alert(name, minute=0, entity="someone", **columns):
    return events(minute, 1, id=[name], entity=[entity], detector=["d"], score=[1.0], **columns)


def elements(plot):
    return {element.group: element for element in plot[()]}


def view(plot):
    return plot.callback.callable.__self__


def test_events_are_counted_in_buckets_of_event_time_and_quiet_ones_are_zero(session):
    stream = Stream()
    plot = plots.Timeline(stream, every="1min")
    for minute in (0, 0, 1, 5, 7):
        stream.emit(events(minute))
    curve = elements(plot)["GovlabCurve"]
    assert list(curve.dimension_values("measure")) == [20, 10, 0, 0, 10, 0, 10]
    assert list(elements(plot)["GovlabNow"].dimension_values("measure")) == [10]


def test_a_column_is_plotted_with_a_curve_for_each_of_a_few_keys(session):
    frame = events(0, 8, value=np.arange(8.0), actor=list("abcdabcd"))
    plot = plots.Timeline(frame, value="value", by="actor", keys=3)
    curves = [element for element in plot[()] if element.group == "GovlabCurve"]
    assert [curve.label for curve in curves] == ["a", "b", "c"]
    assert list(curves[1].dimension_values("measure")) == [1, 5]
    assert "2 of other keys" in hv.render(plot).title.text


def test_an_event_that_is_replayed_after_seeking_back_is_plotted_once(session):
    stream = Stream()
    plot = plots.Timeline(stream)
    for start in (0, 10, 5, 10, 20):
        frame = events(0, 10, offset=np.arange(start, start + 10), partition=np.int32(1))
        stream.emit(frame)
    stream.emit(events(0, 5, offset=np.arange(5), partition=np.int32(2)))
    assert view(plot).counts.total == 35


def test_alerts_lie_on_the_curve_and_a_redelivered_one_is_drawn_once(session):
    stream, alerts = Stream(), Stream()
    plot = plots.Timeline(stream, alerts)
    for minute in range(4):
        stream.emit(events(minute, 10 + minute))
    for _ in range(3):
        alerts.emit(alert("x", 2, reason=["too many"]))
    marks = elements(plot)["GovlabAlerts"]
    assert list(marks.dimension_values("measure")) == [12]
    assert list(marks.dimension_values("reason")) == ["too many"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_times_of_any_unit_and_zone_are_drawn_in_utc(session, unit, zone):
    times = pd.DatetimeIndex([START] * 3 + [START + pd.Timedelta("1min")]).as_unit(unit)
    frame = pd.DataFrame({"time": times.tz_convert(zone)})
    curve = elements(plots.Timeline(frame))["GovlabCurve"]
    assert list(curve.dimension_values("time")) == [
        np.datetime64("2020-01-01T00:00", "us"),
        np.datetime64("2020-01-01T00:01", "us"),
    ]


def test_memory_is_bounded_however_much_passes(session):
    stream, alerts = Stream(), Stream()
    counts = plots.Timeline(stream, alerts, rows=50)
    values = plots.Timeline(stream, value="value", rows=50)
    raster = plots.AlertRaster(alerts, rows=50, entities=7)
    for minute in range(300):
        stream.emit(events(minute, 3, value=1.0))
        alerts.emit(alert(str(minute), minute, f"user {minute}"))
    assert len(view(counts).counts) == len(view(counts).alerts) == len(view(values).values) == 50
    assert len(raster[()]) == 7
    assert view(counts).counts.total == 900


def test_a_plot_is_pushed_at_most_five_times_a_second_and_its_last_state_always(session, clock):
    stream = Stream()
    plot = plots.Timeline(stream)
    display = Display(plot, clock)
    for step in range(100):  # two seconds, a frame every 20 ms
        clock.now = 100 + step * 0.02
        stream.emit(events(step))
        session.painter.tick()
    assert 8 <= len(display.shown) <= 10
    assert min(np.diff([when for when, _ in display.shown])) >= 0.2 - 1e-9
    assert display.title != "1,000 events · 0 alerts"
    clock.now += session.painter.tick()  # the stream is quiet from here on
    session.painter.tick()
    assert display.title == "1,000 events · 0 alerts"
    assert session.painter.tick() is None


def test_a_plot_that_nobody_has_displayed_is_pushed_once_somebody_does(session, clock):
    stream = Stream()
    plot = plots.Timeline(stream)
    stream.emit(events())
    wait = session.painter.tick()
    assert wait > 0
    display = Display(plot, clock)
    clock.now += wait
    session.painter.tick()
    assert len(display.shown) == 1


def test_a_cell_that_runs_again_replaces_its_plots_and_leaves_those_of_others(session):
    stream = Stream()
    session.place.update(cell="other")
    kept = plots.Timeline(stream)
    session.place.update(cell="a")
    first = [plots.Timeline(stream), plots.Timeline(stream, every="1h")]
    assert len(stream.downstreams) == 3, "two plots in one run are both wanted"
    session.place.update(run=2)
    second = plots.Timeline(stream)
    assert len(stream.downstreams) == 2
    stream.emit(events())
    assert [view(plot).counts.total for plot in (kept, *first, second)] == [10, 0, 0, 10]


def test_a_plot_that_nobody_holds_lets_go_of_the_stream(session):
    import gc

    stream = Stream()
    plots.Timeline(stream)
    gc.collect()
    stream.emit(events())
    assert len(stream.downstreams) == 0


def test_a_frame_that_cannot_be_plotted_is_logged_once_and_shown_and_the_stream_goes_on(session, caplog):
    stream = Stream()
    plot, rows = plots.Timeline(stream), stream.sink_to_list()
    with caplog.at_level(logging.ERROR, "govlab.plots"):
        for _ in range(3):
            stream.emit(pd.DataFrame({"when": [1]}))
    stream.emit(events())
    title = hv.render(plot).title.text
    assert len(rows) == 4
    assert len(caplog.records) == 1
    assert "10 events" in title
    assert "KeyError: 'time' (3 times)" in title


def test_a_drawing_that_fails_is_shown_in_the_title(session, monkeypatch):
    plot = plots.Timeline(Stream())
    monkeypatch.setattr(view(plot), "render", lambda: 1 / 0)
    assert "ZeroDivisionError" in hv.render(plot).title.text


def test_what_strangers_write_is_text(session):
    source, alerts = Stream(), Stream()
    source.status = lambda: {"name": EVIL, "state": EVIL, "last_error": EVIL, "sides": {EVIL: 1}}
    status, raster = plots.Status(source), plots.AlertRaster(alerts)
    alerts.emit(alert("x", entity=EVIL, reason=[EVIL + "$$x$$"], severity=[EVIL]))
    drawn = hv.renderer("bokeh").get_plot(status)
    for _ in range(3):  # an update must escape as much as the first drawing does
        status.streams[0].event()
        assert "<script" not in drawn.state.text
        assert "<img" not in drawn.state.text
        assert "&lt;script&gt;" in drawn.state.text
    reasons = [s.data["reason"] for s in hv.render(raster).select({"type": ColumnDataSource}) if "reason" in s.data]
    assert "$$" not in reasons[0][0]
    assert plain("a\u202eb\ud800c\nd") == "a b c d"


def test_status_asks_again_although_no_frame_comes(session, clock):
    source = Stream()
    state = {"state": "running"}
    source.status = lambda: dict(state)
    status = plots.Status(source)
    drawn = hv.renderer("bokeh").get_plot(status)
    status.streams[0].displays.append(type("Page", (), {"comm": True, "flush": lambda self: True})())
    session.painter.tick()
    state["state"] = "failed"
    clock.now += session.painter.tick() + 1e-6
    session.painter.tick()
    assert "failed" in drawn.state.text


def test_plots_compose_and_stay_live(session):
    stream, alerts = Stream(), Stream()
    stream.status = lambda: {"rows": 1}
    timeline, raster, status = plots.Timeline(stream, alerts), plots.AlertRaster(alerts), plots.Status(stream)
    line = timeline * hv.VLine(START.tz_localize(None))
    both = timeline + status + raster
    drawn = [hv.renderer("bokeh").get_plot(obj) for obj in (line, both)]
    stream.emit(events())
    alerts.emit(alert("x"))
    timeline.streams[0].event()
    assert drawn[0].state.title.text == "10 events · 1 alerts"
    assert isinstance(both, hv.Layout)


def test_without_a_front_end_a_plot_is_the_same_text_every_time_and_starts_no_thread():
    stream = Stream()
    texts = {repr(plots.Timeline(stream)) for _ in range(3)}
    stream.emit(events())
    assert texts == {":DynamicMap   []"}
    assert "govlab-plots" not in {thread.name for thread in threading.enumerate()}


def test_the_painters_thread_pushes_and_ends_with_its_last_plot(monkeypatch):
    monkeypatch.setattr(Session, "current", Session(Cells(lambda: (None, None)), Painter(gap_s=0.01), live=True))
    stream, shown = Stream(), threading.Event()
    plot = plots.Timeline(stream)
    hv.renderer("bokeh").get_plot(plot)
    plot.streams[0].displays.append(type("Page", (), {"comm": True, "flush": lambda self: shown.set() or True})())
    stream.emit(events())
    assert shown.wait(300)
    thread = Session.current.painter._thread
    view(plot).close()
    thread.join(300)
    assert not thread.is_alive()


@pytest.mark.parametrize("call", [lambda: plots.Timeline([1]), lambda: plots.AlertRaster(3), lambda: plots.Status(Stream())])
def test_what_cannot_be_plotted_is_named(session, call):
    with pytest.raises(TypeError, match="give a"):
        call()


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: plots.Timeline(Stream(), by="actor"), "value="),
        (lambda: plots.Timeline(Stream(), every="0s"), "every"),
        (lambda: plots.AlertRaster(Stream(), colour="pink"), "pink"),
    ],
)
def test_an_argument_that_means_nothing_is_named(session, call, word):
    with pytest.raises(ValueError, match=word):
        call()


def test_a_plot_that_is_made_late_shows_what_was_there(session):
    import govlab as gl

    source = gl.from_replay(gl.datasets.path("wiki_edits"), stop="2015-02-10")
    alerts = source.through(gl.Pipeline(gl.alerts.Threshold(400, score="words_removed")))
    whole = alerts.map(len).sink_to_list()
    gl.run(source, progress=False)
    late = plots.Timeline(source, alerts, every="6h")
    title = hv.renderer("bokeh").get_plot(late).state.title.text
    assert sum(whole) > 0
    assert f"{sum(whole):,} alerts" in title
    assert f"{source.events:,} events" in title


@pytest.mark.parametrize("wrong", ["1970-01-01", "2099-01-01"])
@pytest.mark.parametrize("value", [None, "value"])
def test_one_event_whose_clock_is_wrong_does_not_stretch_the_plot_and_the_title_says_so(session, wrong, value):
    frame = pd.concat([events(minute, 3, value=1.0) for minute in range(100)], ignore_index=True)
    frame.loc[150, "time"] = pd.Timestamp(wrong, tz="UTC")
    curve = elements(plots.Timeline(frame, value=value, every="1min"))["GovlabCurve"]
    assert (START.tz_localize(None), START.tz_localize(None) + pd.Timedelta("99min")) == curve.range("time")
    assert "1 far from all others in time not drawn" in curve.opts.get("plot").kwargs["title"]
