"""The main job: replay real edits and a machine metric, alert, judge, and write a report."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

import govlab as gl
from govlab.markup import Markup, page, render, table

__all__ = ["edits_watch", "metric_watch", "run_demo"]

METRIC = "nab/ec2_request_latency_system_failure"
FEATURES = ("longest_repeated_char_added", "words_added", "words_removed", "badwords_delta", "informals_delta", "user_is_anon")

_BODY = """\
<style>table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right}</style>
<h1>govlab demo</h1>
<p>{{ "{:,}".format(events) }} events replayed, {{ "{:,}".format(alerts) }} alerts. Fingerprint <code>{{ fingerprint }}</code>:
who runs the same on the same data gets the same.</p>
<h2>Wikipedia edits, 2015: which edits should be looked at?</h2>
<p>Three alerts a day, no label used. An alert is right if the edit was reverted as damaging.</p>
{{ edits }}
{{ edits_plot }}
<h2>{{ name }}: when is the machine in trouble?</h2>
<p>One alert a day at most. Incidents are the windows that the authors of NAB labelled.</p>
{{ metric }}
{{ metric_plot }}
"""


def edits_watch(detector: gl.Detector | None = None) -> gl.Pipeline:
    """Give the pipeline for the Wikipedia edits: odd edits, three a day; with another detector, a baseline of the same budget."""
    return gl.Pipeline(
        gl.prepare.Deduplicate("rev_id", within="30d"),
        detector or gl.detectors.HalfSpaceTrees(FEATURES, window=500),
        gl.detectors.Calibrated(warm=500),
        gl.alerts.Budget(per_day=3, warm="7d", memory="28d", entity="rev_id"),
    )


def metric_watch(detector: gl.Detector | None = None) -> gl.Pipeline:
    """Give the pipeline for a machine metric: odd values and odd shapes, one a day; with another detector, a baseline."""
    return gl.Pipeline(
        detector or gl.detectors.ConformalKnn("value"),
        gl.alerts.Budget(per_day=1, warm="1d", memory="14d"),
    )


def run_demo(report: Path, store: str | None = None, progress: bool = True) -> dict[str, Any]:
    """Replay the data that govlab ships through the pipelines at full speed, judge the alerts, write the report.

    Parameters
    ----------
    report : Path
        The HTML file to write.
    store : str, optional
        Keep alerts and snapshots in this SQLite file; a run that was killed goes on where it stood.
    progress : bool
        Show progress bars.

    Returns
    -------
    dict
        ``alerts`` (list of dict), ``events``, ``fingerprint``, ``report``, ``edits`` and ``metric`` (what was caught, with
        baselines beside it).
    """
    if report.suffix.lower() not in (".html", ".htm"):
        raise gl.errors.ArgumentError(f"demo: report={str(report)!r}; expected a name that ends with .html, which is what it is.")
    edits, judged_edits, edit_alerts, edits_plot = _edits(store, progress)
    metric, judged_metric, metric_alerts, metric_plot = _metric(store, progress)
    alerts = pd.concat([edit_alerts, metric_alerts], ignore_index=True)
    fingerprint = hashlib.sha256((edits.fingerprint + metric.fingerprint).encode()).hexdigest()
    body = render(
        _BODY,
        events=edits.events + metric.events,
        alerts=len(alerts),
        fingerprint=fingerprint,
        edits=table(judged_edits, index=False, float_format="{:.3f}".format),
        edits_plot=Markup(gl.plots.fragment(edits_plot)),
        name=METRIC,
        metric=table(judged_metric, index=False, float_format="{:.2f}".format),
        metric_plot=Markup(gl.plots.fragment(metric_plot, bokehjs=False)),
    )
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(page("govlab demo", body), encoding="utf-8")
    plain = alerts.assign(
        time=alerts["time"].astype(str),
        start=alerts["start"].astype(str),
        p=alerts["p"].astype("object").where(alerts["p"].notna(), None),
    )
    return {
        "alerts": plain.to_dict("records"),
        "events": edits.events + metric.events,
        "fingerprint": fingerprint,
        "report": str(report),
        "edits": _plain(judged_edits),
        "metric": _plain(judged_metric),
    }


def _plain(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return table.astype("object").where(table.notna(), None).to_dict("records")


def _play(
    paths: Path, watch: gl.Pipeline, store: str | None, progress: bool
) -> tuple[gl.Summary, pd.DataFrame, list[pd.DataFrame]]:
    source = gl.from_replay(paths)
    seen = source.sink_to_list()
    alerts = source.through(watch).sink_to_list()
    summary = gl.run(source, store=store, progress=progress, save_every_s=0.2)
    if store is not None:
        kept = gl.stores.Sqlite(store)
        found = kept.alerts()
        kept.close()
        return summary, found[found["recipe"] == watch.hash].reset_index(drop=True), seen
    return summary, pd.concat(alerts, ignore_index=True), seen


def _edits(store: str | None, progress: bool) -> tuple[gl.Summary, pd.DataFrame, pd.DataFrame, Any]:
    path = gl.datasets.path("wiki_edits")
    summary, alerts, seen = _play(path, edits_watch(), store, progress)
    labels = pd.read_csv(gl.datasets.path("wiki_edits_labels")).set_index("rev_id")["reverted"]
    rows = [{"detector": "half_space_trees", **gl.evaluation.precision(alerts, labels)}]
    for name, detector in (
        ("volume (words removed)", gl.detectors.Volume("words_removed")),
        ("random", gl.detectors.Random(seed=1)),
    ):
        baseline = edits_watch(detector).run(gl.sources.ReplayReader(path)).rows
        rows.append({"detector": name, **gl.evaluation.precision(baseline, labels)})
    rows.append({"detector": "never", **gl.evaluation.precision(alerts.iloc[:0], labels)})
    events = pd.concat(seen, ignore_index=True) if seen else gl.event_frame({"time": []})
    return summary, pd.DataFrame(rows), alerts, gl.plots.Timeline(events, alerts, every="1d", rows=1_000)


def _metric(store: str | None, progress: bool) -> tuple[gl.Summary, pd.DataFrame, pd.DataFrame, Any]:
    path = gl.datasets.path(METRIC)
    summary, alerts, seen = _play(path, metric_watch(), store, progress)
    incidents: Any = gl.datasets.load("nab").labels
    incidents = incidents[incidents["series"].str.contains(METRIC.partition("/")[2])]
    rows = []
    found = {"conformal_knn": alerts}
    for name, detector in (
        ("ewma_z", gl.detectors.EwmaZ("value", tail="both")),
        ("volume", gl.detectors.Volume("value")),
        ("random", gl.detectors.Random(1)),
    ):
        found[name] = metric_watch(detector).run(gl.sources.ReplayReader(path)).rows
    for name, those in {**found, "never": alerts.iloc[:0]}.items():
        table = gl.evaluation.caught(those, incidents)
        hours = table["delay_s"].median() / 3600 if table["caught"].any() else None
        rows.append({
            "detector": name, "incidents": len(table), "caught": int(table["caught"].sum()),
            "median delay, h (of those caught)": hours,
            "alerts": len(those), "false alerts": len(those) - int(table["alerts"].sum()),
        })  # fmt: skip
    events = pd.concat(seen, ignore_index=True) if seen else gl.event_frame({"time": [], "value": []})
    return summary, pd.DataFrame(rows), alerts, gl.plots.Timeline(events, alerts, value="value", rows=20_000)
