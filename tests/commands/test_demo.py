"""The main job, as a user runs it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def govlab(*arguments, status=0):
    done = subprocess.run([sys.executable, "-m", "govlab", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert status == done.returncode, done.stderr
    return done


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    report, store = folder / "a" / "report.html", folder / "lab.db"
    first = json.loads(govlab("demo", "--json", "--report", report, "--store", store).stdout)
    return first, report, store


def test_the_demo_prints_its_result_as_json(demo):
    result, report, _ = demo
    assert {"alerts", "events", "fingerprint", "report"} <= set(result)
    assert 19_840 + 4_032 == result["events"]
    assert re.fullmatch("[0-9a-f]{64}", result["fingerprint"])
    assert str(report) == result["report"]
    assert len({alert["id"] for alert in result["alerts"]}) == len(result["alerts"]) > 100


def test_the_demo_shows_baselines_beside_what_was_caught(demo):
    edits, metric = demo[0]["edits"], demo[0]["metric"]
    assert {"half_space_trees", "random", "never"} <= {row["detector"] for row in edits}
    assert {"conformal_knn", "random", "never"} <= {row["detector"] for row in metric}
    assert None is next(row for row in edits if row["detector"] == "never")["precision"]
    for name, key, rows in (("half_space_trees", "lift", edits), ("conformal_knn", "caught", metric)):
        best, chance = (next(row for row in rows if row["detector"] == one)[key] for one in (name, "random"))
        assert best > chance


def test_the_report_draws_plots_and_fetches_nothing(demo):
    page = demo[1].read_text()
    assert demo[0]["fingerprint"] in page
    assert page.count("Bokeh.embed.embed_items") >= 2 or page.count("embed_items") >= 2
    assert [] == re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?https?:", page)


def test_the_demo_run_again_on_its_store_says_the_same(demo):
    result, report, store = demo
    again = json.loads(govlab("demo", "--json", "--report", report.with_name("again.html"), "--store", store).stdout)
    assert result["fingerprint"] == again["fingerprint"]
    assert result["alerts"] == again["alerts"]


def test_the_steps_are_listed_with_what_they_do():
    assert "ewma_z" in govlab("list", "detectors").stdout
    assert "budget" in govlab("list").stdout


def test_a_mistake_on_the_command_line_is_one_line_and_no_traceback(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    done = govlab("demo", "--json", "--store", folder, "--report", tmp_path / "r.html", status=1)
    assert "cannot open the store" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_throughput_benchmark_runs_and_its_fingerprints_are_equal(tmp_path):
    command = [
        sys.executable,
        ROOT / "benchmarks" / "throughput.py",
        "--events",
        "20000",
        "--rounds",
        "1",
        "--only",
        "ndjson,parquet",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert 2 == done.stdout.count("fingerprints of the three: equal")
