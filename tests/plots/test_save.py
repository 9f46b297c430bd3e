from html.parser import HTMLParser

import holoviews as hv
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from streamz import Stream

from govlab import plots
from govlab.errors import ArgumentError, MissingExtraError, ServiceError

EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>"


class Loads(HTMLParser):
    def __init__(self):
        super().__init__()
        self.urls, self.title, self.tags = [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.urls += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        if self.tags[-1:] == ["title"]:
            self.title += data.strip()


def test_a_saved_plot_is_one_file_that_loads_nothing_and_shows_its_title_as_text(tmp_path):
    source = Stream()
    source.status = lambda: {"name": EVIL}
    timeline = plots.Timeline(source)
    hv.renderer("bokeh").get_plot(timeline)
    source.emit(pd.DataFrame({"time": pd.to_datetime(["2020-01-01"] * 10, utc=True)}))
    path = plots.save(timeline + plots.Status(source), tmp_path / "plot.html", f"a & b {EVIL}")
    page = path.read_text(encoding="utf-8")
    loads = Loads()
    loads.feed(page)
    assert loads.urls == []
    assert loads.title == f"a & b {EVIL}"
    assert "img" not in loads.tags
    assert "10 events" in page, "saved as it is now, not as it was first drawn"
    assert len(plots.fragment(timeline, bokehjs=False)) < 100_000


BRACES = "{0} {x!r} {} }{ {{a}} {label}"


def drawn(plot):
    return hv.renderer("bokeh").get_plot(plot).state.title.text


def test_braces_in_titles_names_and_errors_are_shown_as_they_are(caplog):
    times = pd.date_range("2026-03-02", periods=4, freq="1min", tz="UTC")
    events = pd.DataFrame({"time": times, BRACES: [1.0, 2.0, 3.0, 4.0], "key": [BRACES, "{"] * 2})
    alerts = pd.DataFrame({"time": times, "entity": [BRACES, "{", "}", "{{"], "severity": BRACES, "reason": BRACES, "score": 1.0})
    assert f"{BRACES} · 4 events · 4 alerts" == drawn(plots.Timeline(events, alerts, title=BRACES))
    assert f"{BRACES} · 4 events · 0 alerts" == drawn(plots.Timeline(events, value=BRACES, by="key", title=BRACES))
    for colour in ("score", "severity"):
        assert f"{BRACES} · 4 alerts · 4 entities" == drawn(plots.AlertRaster(alerts, colour=colour, title=BRACES))
    source = Stream()
    broken = plots.Timeline(source, value="{v}")
    source.emit(events)
    assert "KeyError: '{v}'" in drawn(broken)
    source.status = lambda: {"name": BRACES, "state": BRACES, "last_error": BRACES, "sides": {BRACES: 1}}
    assert BRACES in plots.fragment(plots.Status(source, title=BRACES), bokehjs=False)


def a_plot():
    return plots.Timeline(pd.DataFrame({"time": pd.date_range("2026-03-02", periods=9, freq="1min", tz="UTC")}))


def test_a_plot_saved_as_png_is_a_png_with_the_plot_in_it(tmp_path, chromium):
    picture = plots.save(a_plot(), tmp_path / "plot.PNG", "t").read_bytes()
    assert b"\x89PNG\r\n\x1a\n" == picture[:8]
    with Image.open(tmp_path / "plot.PNG") as image:
        width, height = image.size
        ink = (np.asarray(image.convert("L")) < 128).sum()  # the white of an empty page has none
    assert (2_000, True, True) == (width, 300 < height < 2_000, ink > 1_000)


@pytest.mark.parametrize("name", ["x.svg", "x.pdf", "x.jpg", "x", "png", "x.html.txt"])
def test_a_plot_is_never_written_in_another_format_than_its_name_says(tmp_path, name):
    with pytest.raises(ArgumentError, match=r"expected a name that ends with \.html .* or \.png"):
        plots.save(a_plot(), tmp_path / name, "t")
    assert [] == list(tmp_path.iterdir())


def test_without_chromium_a_png_is_refused_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match="apt-get install chromium"):
        plots.save(a_plot(), tmp_path / "x.png", "t")
    assert [] == list(tmp_path.iterdir())


def test_a_browser_that_ends_at_once_is_an_error_and_leaves_no_file(tmp_path, monkeypatch):
    browser = tmp_path / "chromium"
    browser.write_text("#!/bin/sh\nexit 1\n")
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(ServiceError, match="Chromium"):
        plots.save(a_plot(), tmp_path / "x.png", "t")
    assert not (tmp_path / "x.png").exists()
