"""What a user may write: a type checker has nothing to say, and knows each type."""

from typing import assert_type

import pandas as pd

import govlab as gl
from govlab.engines.flink import Job
from govlab.engines.streams.source import Source
from govlab.engines.streams.through import Through
from govlab.evaluation.tuning import Tuning


class Loud(gl.Step):
    above: float = 40.0

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["value"] > self.above]


detector = gl.detectors.EwmaZ("count", by="actor", alpha=0.1)
assert_type(detector, gl.detectors.EwmaZ)
assert_type(detector.alpha, float)
assert_type(detector.fresh(), gl.detectors.EwmaZ)
watch = gl.Pipeline(
    gl.prepare.Deduplicate("event_id", within="1h"),
    gl.features.WindowCount(by="actor", every="1min"),
    gl.Sharded([detector], by="actor", shards=8),
    Loud(above=3.0),
    gl.alerts.Budget(per_day=20),
)
assert_type(watch, gl.Pipeline)

edits = gl.from_replay("edits.csv.gz", speed=3600)
assert_type(edits, Source)
alerts = edits.through(watch)
assert_type(alerts, Through)
assert_type(alerts.through(watch), Through)
assert_type(edits.state, str)
assert_type(edits.step(3), int)
assert_type(gl.run(edits), gl.Summary)
edits.to_kafka("edits", key="actor")
gl.plots.Timeline(edits, alerts)

reader = gl.sources.ReplayReader("edits.csv.gz")
assert_type(watch.run(reader), gl.Result)
assert_type(watch.run(reader).rows, pd.DataFrame)
assert_type(gl.sources.KafkaRange("edits", stop="now", schema=gl.Schema({"time": "timestamp"})), gl.sources.KafkaRange)
labels = gl.evaluation.Labels.incidents_of(pd.DataFrame())
assert_type(gl.backtest(watch, reader, labels, per_day=20), gl.evaluation.Report)
assert_type(gl.tune(lambda **setting: watch, [{"alpha": 0.1}], reader, labels), Tuning)
assert_type(gl.engines.flink.submit(watch, reader), Job)
store: gl.stores.Store = gl.stores.Sqlite("lab.db")
gl.testing.check_step(detector)
