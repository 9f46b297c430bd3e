"""Parameters chosen as time goes by."""

import pandas as pd
import pytest

import govlab as gl
from govlab.errors import ArgumentError

TIMES = pd.date_range("2026-03-02", periods=800, freq="1h", tz="UTC")


def watch(column):
    return gl.Pipeline(gl.detectors.Volume(column), gl.alerts.Threshold(5))


def history():
    """Of two signals, one shows every incident of the first half, the other every one of the second."""
    at = [i for i in range(800) if i % 50 == 25]
    early = [9.0 if i in at and i < 400 else 0.0 for i in range(800)]
    late = [9.0 if i in at and i >= 400 else 0.0 for i in range(800)]
    events = gl.event_frame({"time": TIMES, "early": early, "late": late})
    return events, pd.DataFrame({"start": TIMES[at], "end": TIMES[[i + 1 for i in at]]})


GRID = [{"column": "late"}, {"column": "early"}]


def test_each_stretch_is_judged_with_what_the_time_before_it_would_have_chosen():
    walk = gl.tune(watch, GRID, *history(), stretches=4, jobs=1, progress=False).walk
    assert ["early", "early", "early"] == [one["column"] for one in walk["chosen"]]
    assert [1.0, 1.0, 2 / 3] == pytest.approx(walk["past"].tolist())
    assert [1.0, 0.0, 0.0] == walk["found"].tolist()
    assert [1.0, 1.0, 1.0] == walk["best"].tolist()


def test_labels_that_came_later_choose_nothing():
    events, incidents = history()
    incidents["known_at"] = TIMES[-1]
    walk = gl.tune(watch, GRID, events, incidents, stretches=4, jobs=1, progress=False).walk
    assert [{"column": "late"}] * 3 == walk["chosen"].tolist()  # nothing was known, so the first
    assert [None] * 3 == walk["past"].tolist()


def test_an_alert_that_came_after_the_choice_was_not_seen_by_it():
    events, _ = history()
    incident = pd.DataFrame({"start": TIMES[[60]], "end": TIMES[[790]], "known_at": TIMES[[65]]})
    grid = [{"column": "zero"}, {"column": "late"}]
    walk = gl.tune(watch, grid, events.assign(zero=0.0), incident, stretches=4, jobs=1, progress=False).walk
    assert ["zero", "zero", "late"] == [one["column"] for one in walk["chosen"]]


def test_processes_say_the_same_as_one():
    one, two = (gl.tune(watch, GRID, *history(), jobs=jobs, progress=False) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one.table, two.table)
    pd.testing.assert_frame_equal(one.walk, two.walk)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"per_day": 0}, "per_day=0"),
        ({"grid": [{"column": 7, "odd": 1}]}, "factory failed for"),
        ({"grid": []}, "the grid is empty"),
        ({"objective": "f1"}, "objective='f1'"),
        ({"stretches": 1}, "stretches=1"),
    ],
)
def test_mistakes_say_what_is_expected(options, said):
    with pytest.raises(ArgumentError, match=said):
        gl.tune(**{"factory": watch, "grid": GRID, "source": history()[0], "labels": history()[1], "jobs": 1} | options)
