"""A query in Flink SQL as the first stage gives the alerts of the same windows in the lab."""

import pandas as pd
import pytest

import govlab as gl
from govlab.engines import flink
from govlab.errors import ArgumentError, GovlabError
from govlab.sources.files.replay import ReplayReader

COUNTS = (
    "SELECT window_end, actor, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(`time`), INTERVAL '5' MINUTE)) "
    "GROUP BY window_start, window_end, actor"
)
SCORE = {"by": "actor", "tail": "both"}


@pytest.mark.server
def test_windows_counted_in_the_jvm_give_the_alerts_of_windows_counted_in_the_lab(tmp_path):
    events = gl.datasets.path("community")
    source = flink.sql(COUNTS, events=events, folder=tmp_path, parallelism=2)
    found = gl.Pipeline(gl.detectors.EwmaZ("n", **SCORE), gl.alerts.Threshold(above=2.0)).run(source.reader).rows
    window = gl.features.WindowCount(every="5min", by="actor", lateness="1d")  # to a query that sees all, nothing is late
    expected = (
        gl.Pipeline(window, gl.detectors.EwmaZ("count", **SCORE), gl.alerts.Threshold(above=2.0)).run(ReplayReader(events)).rows
    )
    columns, by = ["entity", "score"], ["entity", "score", "time"]
    left, right = (rows.sort_values(by)[columns].reset_index(drop=True) for rows in (expected, found))
    assert len(left) > 100
    pd.testing.assert_frame_equal(left, right)
    written = (tmp_path / "rows.ndjson").stat().st_mtime_ns
    again = flink.sql(COUNTS, events=events, folder=tmp_path, parallelism=2)
    assert source.reader.origin == again.reader.origin
    assert written == (tmp_path / "rows.ndjson").stat().st_mtime_ns  # it is not run again


@pytest.mark.server
def test_a_query_that_flink_refuses_says_why(tmp_path):
    with pytest.raises(GovlabError, match=r"the query was not run: .*nobody"):
        flink.sql("SELECT nobody FROM events", events=gl.testing.sample_events(10), folder=tmp_path)


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="name the tables"):
        flink.sql("SELECT 1")
    with pytest.raises(ArgumentError, match="is not the name of a table"):
        flink.sql("SELECT 1", folder=tmp_path, **{"a b": gl.testing.sample_events(10)})
