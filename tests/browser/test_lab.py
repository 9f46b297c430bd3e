"""Plots in a real JupyterLab: they live on after their cell, run nothing that a stranger wrote, and ask nobody for anything."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"

SOURCE = f"""
import threading, time
import pandas as pd
from streamz import Stream
from govlab import plots
EVIL = {EVIL!r}
events, alerts = Stream(), Stream()
started = pd.Timestamp("2020-01-01", tz="UTC")
sent = 0
def status():
    return dict(name="edits " + EVIL, state="running", rows=sent, rows_per_s=10.0, event_time=started, lag_s=0.2,
                dead_letters=1, sides={{"late": 3, EVIL: 1}}, last_error=EVIL)
events.status = status
def push(count=1):
    global sent
    for _ in range(count):
        time = started + pd.Timedelta(minutes=sent)
        rows = 20 + (sent * 7) % 11
        entity = f"user{{sent % 4}} " + EVIL
        events.emit(pd.DataFrame({{"time": pd.DatetimeIndex([time] * rows).as_unit("us"), "actor": entity,
                                  "size": float(sent % 9)}}))
        if sent % 6 == 0:
            alerts.emit(pd.DataFrame({{"id": [str(sent)], "time": pd.DatetimeIndex([time]).as_unit("us"), "entity": entity,
                                      "detector": "d", "score": 0.1 + sent % 5, "severity": "high", "reason": EVIL}}))
        sent += 1
"""
PLOT = """
curves = plots.Timeline(events, value="size", by="actor")
(plots.Timeline(events, alerts) + plots.Status(events) + plots.AlertRaster(alerts) + curves).cols(2)
"""
BLOCK = """
for _ in range(120):
    push(); time.sleep(0.05)
"""
THREAD = """
def background():
    while True:
        push(); time.sleep(0.1)
threading.Thread(target=background, daemon=True).start()
"""

# Where on the screen the n-th alert of a plot in view is.
MARK = """n => {
    const doc = Bokeh.documents.findLast(doc => doc.roots().length)
    const walk = view => [view, ...[...(view.children?.() ?? [])].flatMap(walk)]
    const all = [...(doc.views_manager?.roots ?? [])].flatMap(walk)
    const views = all.filter(view => view.model.type == 'GlyphRenderer' && view.model.data_source.data.reason?.length)
    const places = views.map(view => {
        const corner = view.parent.canvas_view.el.getBoundingClientRect()
        const i = n % (view.glyph?.sx?.length ?? 1)  // a plot that is just being built has no places yet
        return [corner.x + view.glyph?.sx?.[i], corner.y + view.glyph?.sy?.[i]]
    })
    return places.find(([x, y]) => x && y && document.elementFromPoint(x, y)?.closest('.jp-OutputArea')) ?? null
}"""


@pytest.fixture
def live(open_notebook, write_notebook):
    """Open a notebook whose last cell leaves a thread behind that keeps pushing."""
    return open_notebook(write_notebook("live", SOURCE, PLOT, BLOCK, THREAD))


def test_plots_follow_the_stream_escape_what_it_says_and_fetch_nothing(live, page):
    live.menu("Run", "Run All Cells")
    live.wait("() => window.Bokeh && Bokeh.documents.some(doc => doc.roots().length)")
    while_blocked = live.moving()
    live._ended(60)
    after = live.moving()
    _hover(live, page)
    if picture := os.environ.get("GOVLAB_SCREENSHOTS"):
        live.screenshot(Path(picture) / "live.png")

    assert while_blocked, "the plot must move while a cell blocks the kernel"
    assert after, "the plot must move after all cells have ended"
    assert live.errors() == []
    assert page.traffic.errors == []
    assert page.evaluate("() => window.pwned === undefined")
    assert page.traffic.outside == []

    live.run_cell(1)
    page.wait_for_timeout(1000)
    moving = live.moving()
    assert len(moving) == 1, "one run's plot must be live, not two"
    assert page.locator(".bk-GridPlot").count() == 1
    assert page.evaluate("() => window.pwned === undefined")
    assert page.traffic.outside == []

    live.save()
    page.reload()
    live.ready()
    live.wait("() => window.Bokeh && Bokeh.documents.some(doc => doc.roots().length)")
    assert live.moving(), "a page that is opened again must show the present and go on"
    assert page.traffic.errors == []
    assert page.traffic.outside == []


def test_the_tour_runs_in_a_lab_and_its_last_plot_goes_on(open_notebook, page):
    tour = open_notebook(ROOT / "notebooks" / "00_tour.ipynb")
    tour.run_all(timeout_s=120)
    assert tour.moving(), "the live plot must move after all cells have ended"
    if picture := os.environ.get("GOVLAB_SCREENSHOTS"):  # the README's, once there is something to see
        page.wait_for_timeout(4_000)
        tour.screenshot(Path(picture) / "tour.png")
    assert page.traffic.errors == []
    assert page.traffic.outside == []


def _hover(notebook, page) -> None:
    """Point at alerts until a tooltip shows, so that what a stranger wrote is really in the page."""
    notebook.scroll_to(1)
    words = page.locator(".bk-tooltip-row-value", has_text="<script>")  # as text: as markup it would not be found by it
    for number in range(60):  # the plot is alive: a mark may have moved on, or its tooltip gone, before it is looked at
        if place := page.evaluate(MARK, number):
            page.mouse.move(*place)
        page.wait_for_timeout(50)
        if words.count():
            return
    raise AssertionError("no tooltip shows what the alert said")
