"""What strangers write is text wherever govlab writes HTML: no tag of theirs is one."""

import dataclasses
from html.parser import HTMLParser

import pandas as pd
import pytest

import govlab as gl
from govlab import markup
from govlab.engines.flink.job import JobStatus
from govlab.evaluation.tuning import Tuning
from govlab.pipeline import Result
from govlab.plots.card import card
from govlab.summary import Summary

EVIL = "<script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'>\"&"
OURS = ["body", "div", "h1", "head", "html", "meta", "p", "pre", "style", "table", "tbody", "td", "th", "thead", "title", "tr"]


class Reader(HTMLParser):
    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.text = set(), ""
        self.feed(str(page))

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert EVIL not in [value for _, value in attrs]

    def handle_data(self, data):
        self.text += data


def evil(cls):
    """Fill each field of a dataclass with what a stranger wrote, as far as its type allows."""
    by_type = {
        "str": EVIL, "str | None": EVIL, "list[str] | None": [EVIL, EVIL], "dict[str, int]": {EVIL: 1}, "dict[str, float]": {EVIL: 1.0},
        "int": 7, "int | None": 7, "float": 7.0, "float | None": 7.0,
    }  # fmt: skip
    special = {
        "steps": [{"step": EVIL, "taken": 1, "given": 1, "aside": 1}],
        "scored": [{"step": EVIL, "scored": 1, "rows": 2, "unscored": {EVIL: 1}, "highest": [1.0]}],
    }
    return cls(**{one.name: special.get(one.name) or by_type[one.type] for one in dataclasses.fields(cls)})


def rows():
    return pd.DataFrame({EVIL: [EVIL, 1.0]}, index=pd.Index([EVIL, "b"], name=EVIL))


STATUS = {
    "name": EVIL, "state": EVIL, "last_error": EVIL, "sides": {EVIL: 1}, "lag": {0: 5, 1: 2}, "rows": 3, "event_time": "2026-03-02", "lag_s": 1.0
}  # fmt: skip
WRITTEN = {
    "a frame": lambda: markup.table(rows()),
    "a dict": lambda: markup.listing({EVIL: EVIL, "b": [EVIL]}),
    "lines": lambda: markup.preformatted(EVIL),
    "a page": lambda: markup.page(EVIL, markup.render("<p>{{ text }}</p>", text=EVIL)),
    "a summary": lambda: evil(Summary)._repr_html_(),
    "a result": lambda: Result(rows(), {EVIL: rows()}, evil(Summary))._repr_html_(),
    "a status of a job": lambda: evil(JobStatus)._repr_html_(),
    "a tuning": lambda: Tuning(rows(), rows(), {EVIL: EVIL})._repr_html_(),
    "a card": lambda: card(STATUS, trouble=EVIL),
    "a card with a title": lambda: card(STATUS, title=EVIL),
}


@pytest.mark.parametrize("what", list(WRITTEN))
def test_what_strangers_write_is_shown_as_text(what):
    read = Reader(WRITTEN[what]())
    assert read.tags <= {*OURS, "b", "span"}
    assert "<script>window" in read.text, "it is shown"


def test_what_strangers_write_into_events_and_incidents_is_text_in_a_report(tmp_path):
    times = pd.date_range("2026-03-02", periods=72, freq="1h", tz="UTC")
    events = gl.event_frame({"time": times, "actor": EVIL, "value": [9.0 if i == 10 else 0.0 for i in range(72)]})
    known = pd.DataFrame({
        "start": times[[10, 40]], "end": times[[12, 42]], "entities": [[EVIL], [EVIL]], "kind": EVIL, "description": EVIL, "note": EVIL
    })  # fmt: skip
    watch = gl.Pipeline(gl.detectors.Volume("value"), gl.alerts.Threshold(5, entity="actor"))
    report = gl.compare({EVIL: watch, "b" + EVIL: watch}, events, known)
    read = Reader(report._repr_html_())
    assert read.tags <= {*OURS}
    assert EVIL in read.text
    page = report.save(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>window.pwned" not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_only_what_was_made_here_is_taken_as_it_is():
    inner = markup.render("<b>{{ text }}</b>", text="<i>")
    assert "<p><b>&lt;i&gt;</b></p>" == markup.render("<p>{{ inner }}</p>", inner=inner)
    assert "<p>&lt;b&gt;</p>" == markup.render("<p>{{ inner }}</p>", inner="<b>")
    with pytest.raises(Exception, match="'text' is undefined"):
        markup.render("{{ text }}")


def test_what_a_notebook_is_given_is_a_plain_text_that_may_be_joined_to_others():
    for made in (WRITTEN["a summary"], WRITTEN["a result"], WRITTEN["a tuning"], WRITTEN["a card"]):
        assert type(made()) is str


def test_no_module_escapes_by_hand():
    root = next(iter(gl.__path__))
    code = {path: path.read_text() for path in __import__("pathlib").Path(root).rglob("*.py")}
    assert [] == [str(path) for path, text in code.items() if "html.escape" in text or "import escape" in text]
    assert ["markup.py"] == [path.name for path, text in code.items() if ".to_html(" in text]
