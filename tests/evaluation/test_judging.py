"""Which alert found what, on histories tiny enough to go through by hand."""

import numpy as np
import pandas as pd
import pytest

import govlab as gl
from govlab.alerts.alert import no_alerts
from govlab.errors import ArgumentError

DAY = 1_440
LOUD = gl.Pipeline(gl.detectors.Volume("value"), gl.alerts.Threshold(5))


def at(*minutes):
    return pd.Timestamp("2026-03-02", tz="UTC") + pd.to_timedelta(list(minutes), "min")


def history(*loud, days=3, every=60):
    """An event an hour with value 0, and loud ones (minute, value)."""
    minutes = sorted([(m, 0.0) for m in range(0, days * DAY, every)] + list(loud))
    times, values = at(*(m for m, _ in minutes)), [v for _, v in minutes]
    return gl.event_frame({"time": times, "value": values, "id": [f"e{m}" for m, _ in minutes]})


def incidents(*rows, **more):
    return pd.DataFrame({"start": at(*(a for a, _ in rows)), "end": at(*(b for _, b in rows)), **more})


def listed(*minutes):
    return pd.DataFrame({"id": [f"e{m}" for m in minutes]})


def judged(watch, events, labels, **options):
    report = gl.backtest(watch, events, labels, **options)
    return report.table.loc["pipeline"], report.alerts["pipeline"], report


class Shifted(gl.Step):
    """Moves the times of alerts by so many minutes."""

    start_by: int = 0
    time_by: int = 0
    gives_alerts = True

    def process(self, frame):
        if not len(frame):
            return no_alerts()
        start, time = (frame["time"] + pd.Timedelta(minutes=by) for by in (self.start_by, self.time_by))
        return frame.assign(start=start.dt.as_unit("us"), time=time.dt.as_unit("us"))


def test_one_merged_alert_over_many_positive_events_finds_the_first_of_them():
    positive = list(range(60, 20 * 60, 60))
    everything = gl.Pipeline(gl.detectors.Volume("value"), gl.alerts.Threshold(-1), gl.alerts.Merge("2d"))
    told, _, report = judged(everything, history(), listed(*positive), per_day=1)
    assert (1, 1, 1 / 19, 1.0) == tuple(told[["alerts", "caught", "recall", "precision"]])
    assert [True] + [False] * 18 == report.incidents["pipeline: caught"].tolist()


def test_one_window_over_many_positive_events_finds_one_of_them():
    daily = gl.Pipeline(gl.features.WindowCount(every="1d"), gl.detectors.Volume("count"), gl.alerts.Threshold(1))
    told, alerts, _ = judged(daily, history(), listed(*range(0, DAY, 60)), per_day=5)
    assert (3, 1, [True, False, False]) == (told["alerts"], told["caught"], alerts["right"].tolist())


def test_windows_that_overlap_find_one_event_each_as_long_as_there_are_any():
    sliding = gl.Pipeline(gl.features.WindowCount(every="1h", size="3h"), gl.detectors.Volume("count"), gl.alerts.Threshold(3))
    assert 2 == judged(sliding, history(days=1), listed(300, 360), per_day=50)[0]["caught"]


def test_a_merged_alert_has_its_own_last_event_in_it():
    merged = gl.Pipeline(*LOUD.steps, gl.alerts.Merge("30min"))
    told, alerts, _ = judged(merged, history((605, 9), (610, 9)), listed(610), per_day=5)
    assert (1, 1.0, [True]) == (told["caught"], told["precision"], alerts["right"].tolist())


def test_a_merged_alert_out_of_shards_has_its_own_last_event_in_it():
    watch = gl.Pipeline(gl.Sharded([*LOUD.steps, gl.alerts.Merge("30min")], by="kind", shards=2))
    events = history((605, 9), (610, 9)).assign(kind="x")
    assert 1 == judged(watch, events, listed(610), per_day=5)[0]["caught"]


def test_an_alert_whose_start_is_missing_is_about_its_time():
    events = history((610, 9), (710, 9))
    events["start"] = events["time"].where(events["value"] == 0)
    told, alerts, _ = judged(LOUD, events, incidents((100, 200), (650, 720)))
    assert (1, [False, True]) == (told["caught"], alerts["right"].tolist())
    assert 1.0 == judged(LOUD, events, listed(610, 710))[0]["auc_roc"]


def test_rows_of_labels_are_nothing_that_happened():
    events = history((615, 9), days=1)
    verdicts = pd.DataFrame({"id": ["e615", "e60"], "label": [1, 0], "known_at": at(620, 5 * DAY)})
    stream = gl.evaluation.with_labels(events, verdicts, id="id")
    everything = gl.Pipeline(gl.detectors.Always(), gl.alerts.Threshold(0.5))
    _, alerts, report = judged(everything, stream, gl.evaluation.Labels.of(verdicts), per_day=50)
    plain = gl.backtest(everything, events, gl.evaluation.Labels.of(verdicts), per_day=50)
    assert plain.span == report.span
    assert 1 == alerts["right"].sum()
    assert not alerts["right"][alerts["partition"] < 0].any()
    pd.testing.assert_frame_equal(plain.table.iloc[1:], report.table.iloc[1:])
    inside = judged(everything, stream, incidents((610, 640)), per_day=50)[1]
    assert not inside["right"][inside["partition"] < 0].any()


def test_the_day_of_an_alert_is_that_in_which_it_was_told_for_the_budget_and_the_table():
    patient = gl.Pipeline(gl.features.WindowCount(every="1h", value="value", lateness="5h"), gl.alerts.Threshold(5, score="sum"))
    # the first window is told at 03:00 on the second day, so it and the second take the two places of that day
    events = history((21 * 60 + 5, 9), (DAY + 65, 9), (DAY + 425, 9))
    told, alerts, report = judged(patient, events, incidents((DAY + 420, DAY + 430)), per_day=2)
    assert [True, True, False] == alerts["looked_at"].tolist()
    assert [0, 3, 0] == report.days["pipeline"]["alerts"].tolist()
    assert [0, 2, 0] == report.days["pipeline"]["looked_at"].tolist()
    assert 0 == told["caught"]


def test_an_event_that_is_delivered_again_is_found_if_nobody_saw_the_first_alert():
    events = history((600, 9), (615, 9), (DAY + 616, 9))
    events.loc[events["id"] == f"e{DAY + 616}", "id"] = "e615"
    told, alerts, _ = judged(LOUD, events, listed(615), per_day=1)
    assert [(True, False), (False, True), (True, True)] == list(zip(alerts["looked_at"], alerts["right"], strict=True))
    assert 1 == told["caught"]


def test_an_alert_about_the_future_is_about_no_more_than_what_has_happened():
    events = history((600, 9))
    ahead = gl.Pipeline(*LOUD.steps, Shifted(0, DAY))
    told, alerts, _ = judged(ahead, events, incidents((700, 800)), per_day=5)
    assert (0, [False]) == (told["caught"], alerts["right"].tolist())


def test_an_alert_that_starts_after_its_time_is_refused():
    with pytest.raises(ArgumentError, match="after its time"):
        gl.backtest(gl.Pipeline(*LOUD.steps, Shifted(5, 0)), history((600, 9)), incidents((600, 700)))


def test_as_many_incidents_are_caught_as_there_are_alerts_for_them():
    hourly = gl.Pipeline(gl.features.WindowCount(every="1h", value="value"), gl.alerts.Threshold(5, score="sum"))
    # 10:05 to 11:10 lies in both windows, 10:40 to 10:50 in the first only
    told = judged(
        hourly, history((645, 9), (665, 9)), incidents((605, 670), (640, 650), entities=[["all"], ["platform"]]), unknown="ignore"
    )[0]
    assert 1 == told["incidents"]
    told = judged(hourly, history((645, 9), (665, 9)).assign(kind="x"), incidents((605, 670), (640, 650), entities=[["x"], None]))[
        0
    ]
    assert 2 == told["caught"]


def test_the_delay_of_an_incident_that_began_before_the_stream_counts_from_its_first_event():
    told = judged(LOUD, history((30, 9)), incidents((-3 * DAY, 100)))[0]
    assert (1, 1_800.0) == (told["caught"], told["median_delay_s"])


def test_the_same_time_gives_the_same_false_alarms_a_day_wherever_midnight_falls():
    def two_hours(begin):
        minutes = range(begin, begin + 120, 10)
        events = gl.event_frame({"time": at(*minutes), "value": [9.0 if m == begin + 60 else 0.0 for m in minutes]})
        return judged(LOUD, events, incidents((begin, begin + 5)))[0]["false_alarms_a_day"]

    assert pytest.approx(two_hours(600), rel=1e-9) == two_hours(DAY - 60)


def test_a_day_says_what_was_caught_of_what_began_in_it():
    _, _, report = judged(LOUD, history((615, 9), (620, 9), (3000, 9)), incidents((600, 660), (700, 710), (1500, 1560)))
    days = report.days["pipeline"]
    assert [2, 1, 0] == days["began"].tolist()
    assert [1, 0, 0] == days["caught"].tolist()
    assert [0.5, 0.0, None] == days["recall"].tolist()
    assert [1.0, None, 0.0] == days["precision"].tolist()


def test_ranks_are_those_of_the_column_that_alerts_go_by():
    events = history((615, 9)).assign(score=0.0, p=lambda t: np.where(t["value"] > 5, 0.001, 0.5))
    for threshold in (gl.alerts.Threshold(5, score="value"), gl.alerts.Threshold(p_below=0.01)):
        for oracle in (False, True):
            told, _, report = judged(gl.Pipeline(threshold), events, listed(615), oracle=oracle)
            assert (1.0, 1, 1) == (told["auc_roc"], told["caught"], len(report.alerts["pipeline"]))


def test_an_oracle_is_the_best_of_all_thresholds_however_many_there_are():
    # of five incidents one has a single row at 5.05, and every day one at 5.04 that belongs to none
    rng = np.random.default_rng(0)
    events = history(days=20, every=5).assign(value=lambda t: rng.random(len(t)))
    starts = [d * DAY + 100 for d in range(0, 20, 4)]
    minute = events["id"].str[1:].astype(int)
    events.loc[minute % DAY == 50, "value"] = 5.04
    events.loc[minute.isin([m + 300 for m in starts[1:]]), "value"] = 6.0
    events.loc[minute == starts[0] + 300, "value"] = 5.05
    report = judged(LOUD, events, incidents(*((m, m + 600) for m in starts)), oracle=True)[2]
    assert (5, 1.0) == tuple(report.table.loc["pipeline", ["caught", "precision"]])
    assert 5 == len(report.alerts["pipeline"])


def test_an_oracle_that_cannot_catch_anything_does_not_alert():
    # the incident lies where only the fourth alert of the day could be
    told = judged(LOUD, history((10, 9), (20, 9), (30, 8)), incidents((29, 31)), oracle=True, per_day=1)[0]
    assert (0, 0) == (told["alerts"], told["caught"])


def test_chance_and_volume_have_as_many_alerts_as_the_pipeline_that_they_stand_beside():
    events, known = history((615, 9), (3000, 9)), incidents((600, 660))
    busy = gl.Pipeline(gl.detectors.Volume("value"), gl.alerts.Threshold(0))
    table = gl.compare({"few": LOUD, "many": busy}, events, known, per_day=9).table
    names = ["random (few)", "volume (few)", "random (many)", "volume (many)"]
    assert ["few", "many", "never", "always", *names] == table.index.tolist()
    assert [2, 2, 74, 74] == table.loc[names, "alerts"].tolist()


class BestOfDay(gl.Step):
    """An alert step of the user's own, for scores in any unit: of each day's rows the highest, at its end."""

    column: str = "value"
    gives_alerts = True
    absorbs = True

    def start(self):
        self._rows = []

    def alerts_by(self):
        return self.column

    def of_any_scores(self):
        return BestOfDay("score")

    def process(self, frame):
        self._rows.append(frame)
        self.absorbed += len(frame)
        return no_alerts()

    def finish(self):
        rows = gl.frames.concat(self._rows).reset_index(drop=True) if self._rows else no_alerts()
        self._rows = []
        best = rows.loc[rows.groupby(rows["time"].dt.date)[self.column].idxmax()]
        return best.assign(entity="all", start=best["time"], id=best["offset"].astype("str"))


def test_a_step_of_ones_own_that_takes_any_scores_is_itself_what_chance_and_volume_alert_by():
    table = gl.backtest(gl.Pipeline(BestOfDay()), history((615, 9), (3000, 9)), incidents((600, 660)), per_day=9).table
    assert [3, 3, 3] == table.loc[["pipeline", "random", "volume"], "alerts"].tolist()
    assert 1 == table.loc["pipeline", "caught"]


class Wave(gl.alerts.Merge):
    """Merges as Merge does, under a name of the user's own."""


def test_a_merging_step_of_ones_own_is_judged_as_one():
    events = history((605, 9), (610, 9)).assign(kind="x")
    inside = gl.Pipeline(gl.Sharded([*LOUD.steps, Wave("30min")], by="kind", shards=2))
    for watch in (gl.Pipeline(*LOUD.steps, Wave("30min")), inside):
        assert 1 == judged(watch, events, listed(610), per_day=5)[0]["caught"]


def test_pipelines_with_the_same_rows_and_budget_share_their_baselines():
    def watch(detector):
        return gl.Pipeline(detector, gl.alerts.Budget(2, warm="0s"))

    pipelines = {"one": watch(gl.detectors.Volume("value")), "two": watch(gl.detectors.Random())}
    table = gl.compare(pipelines, history((615, 9)), incidents((600, 660)), per_day=2).table
    assert ["one", "two", "never", "always", "random", "volume"] == table.index.tolist()


def test_a_pipeline_whose_filter_lets_no_row_through_catches_nothing():
    nothing = gl.prepare.Conform(gl.Schema({"time": "timestamp", "value": "float64"}), ranges={"value": (1_000, 2_000)})
    told, _, report = judged(gl.Pipeline(nothing, *LOUD.steps), history((90, 9.0)), listed(90), per_day=1)
    assert (0, 0) == tuple(told[["alerts", "caught"]])
    assert 0 == report.table.loc["random", "caught"] == report.table.loc["volume", "caught"]


def test_tune_judges_windows_that_were_merged_as_a_backtest_does():
    events = history(*((60 * h + 30, 9.0) for h in range(0, 60, 2)))
    labels = listed(*(60 * h for h in range(1, 60, 3)))  # some at the very end of a window, which is the next one's

    def watch(above):
        window = gl.features.WindowCount(every="1h", value="value")
        return gl.Pipeline(window, gl.detectors.Volume("sum"), gl.alerts.Threshold(above), gl.alerts.Merge("10min"))

    tuned = gl.tune(watch, [{"above": 5.0}], events, labels, per_day=20, stretches=2, jobs=1, progress=False)
    assert judged(watch(5.0), events, labels, per_day=20)[0]["recall"] == pytest.approx(tuned.table["all"].iloc[0])
