"""Parameters chosen as time goes by."""

import numpy as np
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


def test_a_reader_may_be_tuned_over_in_several_processes(tmp_path):
    events, incidents = history()
    events.drop(columns=["partition", "offset"]).to_parquet(tmp_path / "e.parquet", index=False)
    source = gl.from_replay(tmp_path / "e.parquet")
    source.reader.held = (i for i in range(3))  # as an open file, it cannot be sent to another process
    tuned = gl.tune(watch, GRID, source, incidents, per_day=np.int64(20), jobs=2, progress=False)
    pd.testing.assert_frame_equal(gl.tune(watch, GRID, events, incidents, jobs=1, progress=False).table, tuned.table)


def test_a_failure_on_the_way_names_the_setting():
    with pytest.raises(ArgumentError, match=r"the pipeline failed for \{'column': 'odd'\}: StepError"):
        gl.tune(watch, [{"column": "late"}, {"column": "odd"}], *history(), jobs=1, progress=False)


def test_an_incident_that_began_before_the_events_counts_in_the_first_stretch():
    events, _ = history()
    incidents = pd.DataFrame({"start": TIMES[[0, 700]] - pd.Timedelta(days=2), "end": TIMES[[30, 701]]})
    table = gl.tune(watch, [{"column": "early"}], events, incidents, jobs=1, progress=False).table
    assert [0.5, 1.0, None, None, 0.0] == table.iloc[0, 1:].tolist()


def test_the_setting_for_the_time_after_is_chosen_by_what_is_known_at_the_end():
    events, incidents = history()
    incidents["known_at"] = [TIMES[-1] + pd.Timedelta(days=9) if i < 8 else t for i, t in enumerate(incidents["end"])]
    assert {"column": "late"} == gl.tune(watch, GRID[::-1], events, incidents, jobs=1, progress=False).best


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"jobs": 0}, "jobs=0"),
        ({"grid": {"column": ["early"]}}, "the grid is a list of settings"),
        ({"grid": ["early"]}, "the grid is a list of settings"),
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
