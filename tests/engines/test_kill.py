"""Runs that are killed without warning."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def survived(tmp_path_factory):
    command = [sys.executable, str(Path(__file__).with_name("kill_driver.py")), str(tmp_path_factory.mktemp("kill")), "20", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("job", ["edits", "metric"])
def test_a_run_killed_at_20_random_moments_ends_with_the_alerts_of_one_that_was_not(survived, job):
    assert survived[job]["whole"]["alerts"] == survived[job]["killed"]["alerts"]
    assert len(survived[job]["whole"]["alerts"]) > 5


@pytest.mark.parametrize("job", ["edits", "metric"])
def test_a_run_killed_at_20_random_moments_ends_with_the_same_fingerprint(survived, job):
    for part in ("fingerprint", "events", "state"):
        assert survived[job]["whole"][part] == survived[job]["killed"][part]


@pytest.mark.parametrize("job", ["edits", "metric"])
def test_the_processes_were_killed_while_they_ran(survived, job):
    assert survived[job]["kills"] >= 10
