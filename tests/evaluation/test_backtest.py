"""Backtests of tiny histories, counted by hand, and what cannot be got from a backtest."""

import inspect
import json

import numpy as np
import pandas as pd
import pytest

import govlab as gl
from govlab.errors import ArgumentError
from govlab.testing import sample_events

DAY = 1_440


def at(*minutes):
    return pd.Timestamp("2026-03-02", tz="UTC") + pd.to_timedelta(list(minutes), "min")


def history(*loud, days=3, every=60):
    """An event an hour with value 0, and loud ones (minute, value)."""
    minutes = sorted([(m, 0.0) for m in range(0, days * DAY, every)] + list(loud))
    return gl.event_frame(
        {"time": at(*(m for m, _ in minutes)), "value": [v for _, v in minutes], "id": [f"e{m}" for m, _ in minutes]}
    )


def incidents(*rows, **more):
    return pd.DataFrame({"start": at(*(a for a, _ in rows)), "end": at(*(b for _, b in rows)), **more})


LOUD = gl.Pipeline(gl.detectors.Volume("value"), gl.alerts.Threshold(5))


def row(report, name="pipeline"):
    return report.table.loc[name]


def test_incidents_caught_precision_and_false_alarms_are_counted_by_hand():
    # found after 15 minutes, with one more alert; missed; one false alarm on the third day
    report = gl.backtest(LOUD, history((615, 9), (620, 9), (3000, 9)), incidents((600, 660), (1500, 1560)), per_day=5)
    told = row(report)
    assert (2, 1, 3) == (told["incidents"], told["caught"], told["alerts"])
    assert (0.5, 2 / 3) == (told["recall"], told["precision"])
    quiet_days = report.days["pipeline"]["quiet"].sum()
    assert pytest.approx(1 / quiet_days) == told["false_alarms_a_day"]
    assert [2, 0, 1] == report.days["pipeline"]["alerts"].tolist()
    assert [[0.0, 1.0], [900.0, 0.5]] == report.curves["pipeline"].iloc[:, :2].to_numpy().tolist()
    assert 900.0 == told["median_delay_s"]


def test_an_incident_that_was_over_unseen_is_never_found_and_one_that_goes_on_may_be():
    loud = [(m, 9) for m in (600, 2000)]
    over = gl.backtest(LOUD, history(*loud), incidents((590, 700), (1000, 1001), (2900, 2901)))
    assert [1.0, 2 / 3] == pytest.approx(over.curves["pipeline"]["undetected"].tolist())
    assert None is row(over)["median_delay_s"]
    going_on = gl.backtest(LOUD, history(*loud), incidents((590, 700), (4255, 9999)))
    assert [[0.0, 1.0], [600.0, 0.0]] == going_on.curves["pipeline"].iloc[:, :2].to_numpy().tolist()  # the other one had 5 minutes


def test_only_the_alerts_that_a_person_gets_to_count():
    noisy = history(*[(m, 9) for m in range(1, 30)], (615, 9))
    few, many = (row(gl.backtest(LOUD, noisy, incidents((600, 660)), per_day=n)) for n in (10, 100))
    assert (0, 1) == (few["caught"], many["caught"])
    assert (0.0, 1 / 30) == (few["precision"], many["precision"])


def test_a_silent_detector_never_looks_good():
    told = row(gl.backtest(gl.detectors.Never(), history(), incidents((600, 660)), per_day=5))
    assert (0, 0.0, None, None, 0.0) == tuple(told[["caught", "recall", "precision", "median_delay_s", "false_alarms_a_day"]])


def test_baselines_stand_beside_every_figure():
    table = gl.backtest(LOUD, history((615, 9)), incidents((600, 660))).table
    assert ["pipeline", "never", "always", "random", "volume"] == table.index.tolist()
    assert 0 == table.loc["never", "alerts"]
    assert 73 == table.loc["always", "alerts"]


def test_verdicts_on_events_give_ranks_as_well():
    events = history((615, 9), (3010, 9), (3100, 4))
    labels = pd.DataFrame({"id": events["id"], "bad": events["id"].isin(["e615", "e3100"]).astype(int)})
    told = row(gl.backtest(LOUD, events, labels, per_day=5))
    assert (2, 1, 2, 0.5, 0.5) == tuple(told[["incidents", "caught", "alerts", "recall", "precision"]])
    assert pytest.approx((72.5 + 72) / (2 * 73)) == told["auc_roc"]  # e615 ties with e3010, e3100 is below it
    assert 1.0 == told["scored"]


def test_an_alert_on_a_window_is_right_if_the_window_of_its_entity_has_a_positive():
    events = sample_events(300, seed=3)
    events["event_id"] = [f"e{i}" for i in range(300)]
    watch = gl.Pipeline(
        gl.features.WindowCount("actor", every="5min", lateness="10min"), gl.detectors.Volume("count"), gl.alerts.Threshold(3)
    )
    report = gl.backtest(watch, events, pd.DataFrame({"event_id": ["e50", "e60"]}), per_day=1_000)
    alerts, positive = report.alerts["pipeline"], events.iloc[[50, 60]].dropna(subset="actor")
    expected = [
        any(a["start"] <= e["time"] < a["time"] and a["entity"] == str(e["actor"]) for _, e in positive.iterrows())
        for _, a in alerts.iterrows()
    ]
    assert expected == alerts["right"].tolist()


def test_an_event_that_is_delivered_twice_is_one_thing_to_find():
    events = history((615, 9), (616, 9))
    events.loc[events["id"] == "e616", "id"] = "e615"
    report = gl.backtest(LOUD, events, pd.DataFrame({"id": ["e615"]}), per_day=5)
    assert (1, 1, 2, 0.5) == tuple(row(report)[["incidents", "caught", "alerts", "precision"]])
    tuned = gl.tune(lambda: LOUD, [{}], events, pd.DataFrame({"id": ["e615"]}), stretches=2, jobs=1, progress=False)
    assert [1.0] == tuned.table["all"].tolist()


def test_rows_without_a_score_rank_lowest():
    events = history((615, 9))
    events.loc[:10, "value"] = np.nan
    labels = pd.DataFrame({"id": events["id"], "bad": (events["id"] == "e0").astype(int)})
    told = row(gl.backtest(LOUD, events, labels))
    assert told["auc_roc"] < 0.1
    assert told["scored"] < 1


def test_thresholds_chosen_on_the_labels_are_marked_in_every_output(tmp_path):
    events, known = history((615, 3), (3000, 2)), incidents((600, 660))
    blind = gl.backtest(LOUD, events, known)
    report = gl.backtest(LOUD, events, known, oracle=True)
    assert (0, 1) == (row(blind)["caught"], row(report)["caught"])
    assert 1.0 == row(report)["precision"]
    assert "ORACLE" in report.text()
    assert "pipeline (oracle)" in report.text()
    assert "ORACLE" in report._repr_html_()
    assert "ORACLE" in report.save(tmp_path / "r.html").read_text()
    assert "pipeline (oracle): caught" in report.save(tmp_path / "r.csv").read_text()
    told = json.loads(report.save(tmp_path / "r.JSON").read_text())
    assert told["oracle"] is True
    assert [True, False, False, False, False] == report.table["oracle"].tolist() == [one["oracle"] for one in told["table"]]
    both = gl.compare({"old": LOUD, "new": LOUD}, events, known, oracle=True)
    assert [True] == both.differences["oracle"].tolist() == [one["oracle"] for one in both.to_dict()["differences"]]
    assert 2 == both.text().count("new (oracle)")
    assert "ORACLE" not in blind.text()


def test_a_comparison_tells_what_was_gained_and_lost_and_by_how_much():
    events = history(*[(d * DAY + 615, 9 if d % 2 else 6) for d in range(8)], days=8)
    known = incidents(*[(d * DAY + 600, d * DAY + 660) for d in range(8)], entities=[["ann"]] * 8)
    events["actor"] = "ann"
    old = gl.Pipeline(gl.detectors.Volume("value"), gl.alerts.Threshold(8))
    report = gl.compare({"old": old, "new": LOUD}, events, known)
    told = report.differences.loc["new"]
    assert (4, 0, 0.5) == (told["gained"], told["lost"], told["recall"])
    assert ((0, 2, 4, 6), (), ("ann",), ()) == tuple(
        told[f"{a}_{b}"] for b in ("incidents", "entities") for a in ("gained", "lost")
    )
    assert "4 (0, 2, 4, ...)" in report.text()
    assert [("ann",)] * 8 == report.incidents["entities"].tolist()
    assert [0, 2, 4, 6] == report.to_dict()["differences"][0]["gained_incidents"]
    assert told["recall_interval"][0] > 0
    assert [False, True] * 4 == report.incidents["old: caught"].tolist()
    assert [True] * 8 == report.incidents["new: caught"].tolist()


def test_what_is_not_defined_is_null_in_json_and_a_dash_on_the_screen(tmp_path):
    report = gl.backtest(gl.detectors.Never(), history(), incidents((600, 660)))
    told = json.loads(report.save(tmp_path / "r.json").read_text())["table"][0]
    assert (None, None, None) == (told["precision"], told["auc_roc"], told["precision_interval"])
    assert "-" in report.shown().loc["pipeline", "precision"]


def test_one_alert_over_a_whole_day_does_not_catch_all_of_its_incidents_and_always_is_merged_too():
    merged = gl.Pipeline(gl.detectors.Volume("value"), gl.alerts.Threshold(-1), gl.alerts.Merge("2h"))
    table = gl.backtest(merged, history(), incidents((600, 660), (1600, 1660), (2600, 2660)), per_day=1).table
    assert (1, 1) == (table.loc["pipeline", "caught"], table.loc["always", "caught"])


def test_the_time_to_detect_counts_until_the_alert_came_out():
    def window(lateness):
        return gl.Pipeline(
            gl.features.WindowCount(every="1h", value="value", lateness=lateness), gl.alerts.Threshold(5, score="sum")
        )

    prompt, patient = (gl.backtest(window(late), history((615, 9)), incidents((610, 640))) for late in ("0s", "12h"))
    assert 3_000.0 == row(prompt)["median_delay_s"]
    assert 3_000.0 + 12 * 3_600 == row(patient)["median_delay_s"]


def test_alerts_made_inside_of_shards_have_no_ranks_and_no_oracle():
    events, labels = history((615, 9)).assign(score=1.0, actor="ann"), pd.DataFrame({"id": ["e615"]})
    for watch in (gl.Pipeline(gl.Sharded([*LOUD.steps], by="actor", shards=2)), gl.Pipeline(LOUD)):
        assert None is row(gl.backtest(watch, events, labels))["auc_roc"]
        with pytest.raises(ArgumentError, match="no score comes out"):
            gl.backtest(watch, events, labels, oracle=True)


def test_an_infinite_score_ranks_highest():
    events = history((615, np.inf))
    assert 1.0 == row(gl.backtest(gl.detectors.Volume("value"), events, pd.DataFrame({"id": ["e615"]})))["auc_roc"]


def test_whole_numbers_with_a_gap_name_the_same_entities():
    events = history((615, 9)).assign(actor=[7.0 if i != 3 else None for i in range(73)])
    watch = gl.Pipeline(gl.features.WindowCount("actor", every="1h", value="value"), gl.alerts.Threshold(5, score="sum"))
    assert 1 == row(gl.backtest(watch, events, incidents((610, 640), entities=[[7]])))["caught"]
    assert 1 == row(gl.backtest(watch, events, pd.DataFrame({"id": ["e615"]})))["caught"]


def test_no_more_alerts_a_day_are_told_than_a_person_looks_at():
    events = history().head(10).assign(time=at(0)[0])
    told = gl.backtest(LOUD, events, pd.DataFrame({"id": ["e0"]}), per_day=3).table
    assert 3.0 == told.loc["always", "alerts_a_day"]


def test_an_oracle_is_never_worse_than_the_pipeline():
    events = history(*[(m, 5) for m in range(1, 50)], (1500, 9), (1700, 9), (1900, 9))
    known = incidents((10, 40), (1500, 1501), (1700, 1701), (1900, 1901))
    watch = gl.Pipeline(gl.detectors.Volume("value"), gl.alerts.Threshold(8.5))
    for oracle in (False, True):
        assert 3 <= row(gl.backtest(watch, events, known, per_day=5, oracle=oracle))["caught"]


def test_one_of_a_thing_is_said_as_one():
    title = gl.backtest(LOUD, history(days=1), incidents((600, 660)), per_day=1).title
    assert "1 incident in 1 day, 1 alert a day looked at." == title


def test_names_are_escaped_where_they_are_shown():
    report = gl.compare({"<script>alert(1)</script>": LOUD}, history((615, 9)), incidents((600, 660)))
    assert "<script>alert" not in report._repr_html_()


def test_the_answer_does_not_depend_on_how_the_events_are_cut_or_where_they_come_from(tmp_path):
    events, known = history((615, 9), (3000, 9)), incidents((600, 660))
    events.drop(columns=["partition", "offset"]).to_parquet(tmp_path / "e.parquet", index=False)
    reports = [
        gl.backtest(LOUD, source, known).to_dict()
        for source in (
            events,
            [events.iloc[:7], events.iloc[7:]],
            str(tmp_path / "e.parquet"),
            gl.from_replay(tmp_path / "e.parquet"),
        )
    ]
    assert 4 * [reports[0]] == reports


def test_point_adjustment_cannot_be_asked_for():
    for function in (gl.backtest, gl.compare):
        assert not [name for name in inspect.signature(function).parameters if "adjust" in name or "point" in name]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: gl.backtest(LOUD, history(), incidents((600, 660)), per_day=0), "per_day=0; expected a whole number"),
        (lambda: gl.backtest(LOUD, history(), incidents((600, 660)), per_day=10**12), "per_day=1000000000000; expected"),
        (lambda: gl.backtest(LOUD, history(), incidents((600, 660)), seed=None), "seed=None; expected a whole number"),
        (lambda: gl.compare({"random (mine)": LOUD}, history(), incidents((600, 660))), "the name of a baseline"),
        (lambda: gl.backtest(LOUD, iter([history()]), incidents((600, 660))), "more than once"),
        (lambda: gl.backtest(LOUD, history().iloc[:0], incidents((600, 660))), "there are no events"),
        (lambda: gl.backtest(LOUD, [history(), history()], pd.DataFrame({"id": ["e0"]})), "offset twice"),
        (lambda: gl.backtest(LOUD, history(), incidents((600, 660)), resamples=0), "resamples=0"),
        (lambda: gl.compare({7: LOUD}, history(), incidents((600, 660))), "names of pipelines are texts"),
        (lambda: gl.compare({}, history(), incidents((600, 660))), "give pipelines by name"),
        (lambda: gl.compare({"never": LOUD}, history(), incidents((600, 660))), "the name of a baseline"),
        (lambda: gl.backtest(LOUD, history(), incidents((600, 660)), unknown="drop"), "expected 'error' or 'ignore'"),
    ],
)
def test_mistakes_say_what_to_do(call, said):
    with pytest.raises(ArgumentError, match=said):
        call()


def test_a_report_is_written_as_its_name_says_and_runs_nothing_in_a_spreadsheet(tmp_path):
    names = {"=1+1": LOUD, "{0} }{": LOUD}
    report = gl.compare(names, history((615, 3)), incidents((600, 660)).assign(incident_id="=HYPERLINK(1)"))
    assert '"\'=HYPERLINK(1)"' in report.save(tmp_path / "r.csv").read_text().splitlines()[1]
    assert "\n=" not in report.save(tmp_path / "r.csv").read_text().replace(",", "\n").replace('"', "")
    assert "Alerts looked at, =1+1" in report.save(tmp_path / "r.html").read_text()
    for name in ("r.png", "r", "r.xlsx"):
        with pytest.raises(ArgumentError, match=r"ends with \.html, \.json or \.csv"):
            report.save(tmp_path / name)


def test_braces_in_the_names_of_pipelines_do_not_break_the_pictures(tmp_path):
    report = gl.compare({"{0} }{": LOUD, "{x}": LOUD}, history((615, 3)), pd.DataFrame({"id": ["e615"]}))
    assert "Alerts looked at, {0} }{" in report.save(tmp_path / "r.html").read_text()


@pytest.mark.parametrize("alerting", [gl.alerts.Budget(2, warm="1d"), gl.alerts.Threshold(300)])
def test_scores_at_their_cap_are_caught_on_every_day_with_and_without_an_oracle(alerting):
    trouble = [(d * DAY + 605 + m, 300.0) for d in range(1, 9) for m in (0, 7, 14, 21)]
    events, known = history(*trouble, days=10), incidents(*((d * DAY + 600, d * DAY + 640) for d in range(1, 9)))
    watch = gl.Pipeline(gl.detectors.Volume("value"), alerting)
    for oracle in (False, True):
        report = gl.backtest(watch, events, known, per_day=2, oracle=oracle)
        assert (8, 8, 1.0) == (row(report)["caught"], row(report)["incidents"], row(report)["precision"])
    assert 8 == row(report, "volume")["caught"]  # whose score is the same one


@pytest.mark.parametrize("wrong", ["2099-01-01", "1970-01-01", "2000-01-01"])
def test_one_event_whose_clock_is_wrong_makes_no_other_history(wrong):
    events, known = history((1_500, 9.0), days=20), incidents((1_490, 1_510))
    odd = events.copy()
    odd.loc[100, "time"] = pd.Timestamp(wrong, tz="UTC")
    for one in (odd, odd.sort_values("time", kind="stable", ignore_index=True)):
        said, plain = (row(gl.backtest(LOUD, frame, known, per_day=5)) for frame in (one, events))
        assert plain[["caught", "alerts", "alerts_a_day"]].tolist() == said[["caught", "alerts", "alerts_a_day"]].tolist()
        walk = gl.tune(lambda above: LOUD, [{"above": 5}], one, known, jobs=1, progress=False).walk
        assert abs(walk["start"].iloc[0] - at(5 * DAY)[0]) < pd.Timedelta("1h")
