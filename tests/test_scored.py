"""What a run says of itself when nothing, or little, was found."""

import pytest

import govlab as gl
from govlab.testing import sample_events

EVENTS = sample_events(600)


def both(watch, events=EVENTS):
    """The summary of a plain loop, and of streamz."""
    source = gl.from_reader(gl.sources.FrameReader(events))
    source.through(watch)
    return watch.run(events).summary, gl.run(source, progress=False)


def test_a_summary_says_how_many_rows_had_a_score_and_why_the_others_had_none():
    few = EVENTS.assign(value=EVENTS["value"].where(EVENTS.index % 10 != 0))
    watch = gl.Pipeline(gl.detectors.EwmaZ("value", by="actor", warm=3), gl.alerts.Threshold(1e9))
    for summary in both(watch, few):
        [one] = summary.scored
        scores = gl.Pipeline(gl.detectors.EwmaZ("value", by="actor", warm=3)).run(few).rows["score"]
        assert (len(few), scores.notna().sum()) == (one["rows"], one["scored"])
        assert few["value"].isna().sum() == one["unscored"]["without a value in 'value'"]
        assert len(few) == one["scored"] + sum(one["unscored"].values())
        assert sorted(scores.dropna())[:-6:-1] == one["highest"]
        assert "while warming up (warm=3 of each 'actor')" in str(summary)
        assert "a row alerts from 1e+09 on" in summary.explain()


def test_nothing_scored_is_said_with_what_to_do():
    result = gl.Pipeline(gl.detectors.EwmaZ("value", warm=10_000), gl.alerts.Threshold(3)).run(EVENTS)
    assert "no row had a score, so nothing could alert" in result.explain()


def test_detectors_in_shards_are_counted_together():
    watch = gl.Pipeline(gl.Sharded([gl.detectors.EwmaZ("value", by="actor")], by="actor", shards=4))
    whole = gl.Pipeline(gl.detectors.EwmaZ("value", by="actor")).run(EVENTS).summary
    assert whole.scored == watch.run(EVENTS).summary.scored


@pytest.mark.parametrize("max_rows", [1, 7, 600])
def test_what_a_summary_says_does_not_depend_on_the_frames(max_rows):
    watch = gl.Pipeline(gl.detectors.EwmaZ("value", by="actor"), gl.alerts.Budget(per_day=5, warm="1min"))
    expected, actual = watch.run(EVENTS).summary, watch.run(EVENTS, max_rows=max_rows).summary
    assert (expected.scored, expected.thresholds) == (actual.scored, actual.thresholds)


def test_a_source_of_which_nothing_could_be_read_is_not_finished(tmp_path):
    good = '{"time": "2026-03-02T00:00:00Z", "value": 1}\n'
    (tmp_path / "a.ndjson").write_text(good)
    schema = gl.Schema({"time": "timestamp", "value": "float64"})
    source = gl.from_replay(str(tmp_path / "a.ndjson"), schema)
    (tmp_path / "a.ndjson").write_text('{"time": "x", "value": 1}\n' * 7)  # it changed since it was looked at
    source.through(gl.Pipeline(gl.detectors.EwmaZ("value")))
    summary = gl.run(source, progress=False)
    assert ("unreadable", 0, 7) == (summary.state, summary.events, summary.dead_letters)
    assert "dead letters: 7 (7 times: 'time' is no time" in str(summary)


def test_a_source_without_a_row_is_empty():
    watch = gl.Pipeline(gl.detectors.EwmaZ("value"))
    for summary in both(watch, EVENTS[:0]):
        assert "empty" == summary.state
        assert "there was no record to read" in str(summary)
