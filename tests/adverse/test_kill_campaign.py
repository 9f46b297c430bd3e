"""A short campaign of kills and interrupts; the long form is ``python benchmarks/kill_campaign.py``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).resolve().parents[2] / "benchmarks" / "kill_campaign.py"
WRONG = ("missing", "unknown", "twice", "unequal", "not in the file", "errors", "hung")


@pytest.mark.server
def test_labs_killed_and_interrupted_over_files_and_queues_change_no_alert():
    command = [sys.executable, str(CAMPAIGN), "--kills", "16", "--seed", "1", "--json"]
    done = subprocess.run(
        [*command, "--only", "file,kafka live by confluent,rabbitmq stream range"], capture_output=True, text=True, timeout=550
    )
    assert 0 == done.returncode, (done.stdout + done.stderr)[-3_000:]
    rows = json.loads(done.stdout)
    assert ["file", "kafka live by confluent", "rabbitmq stream range"] == [row["lane"] for row in rows]
    assert dict.fromkeys(WRONG, 0) == {key: sum(row[key] for row in rows) for key in WRONG}
    assert sum(row["killed"] + row["interrupted"] for row in rows) >= 16
    assert all(row["alerts"] > 0 for row in rows)
