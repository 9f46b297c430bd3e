from html.parser import HTMLParser

import holoviews as hv
import pandas as pd
from streamz import Stream

from govlab import plots

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
