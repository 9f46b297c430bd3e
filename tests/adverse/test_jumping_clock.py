"""The wall clock jumps back and forth by hours while a lab runs: the answers are the same, and nothing waits for it."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from adverse.asking import N, bodies, events, filled_topic

from govlab.services.installing import package

pytestmark = pytest.mark.server
HERE = Path(__file__).parent
JUMPS = ["+0", "+5h", "-7h", "+30d", "-1h", "+2h", "+0"]


def library():
    """Give the path of libfaketime for programs with threads."""
    package("faketime", "faketime", "libfaketime")
    said = subprocess.run(["dpkg", "-L", "libfaketime"], capture_output=True, text=True, check=True).stdout
    return next(line for line in said.splitlines() if line.endswith("libfaketimeMT.so.1"))


def run(folder, server, environment, jump):
    command = [sys.executable, str(HERE / "clock_driver.py"), str(folder), server.address, filled_topic(server)]
    lab = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(HERE.parent), "GOVLAB_KEY": "a key for the tests alone"} | environment,
    )  # fmt: skip
    try:
        assert "begun\n" == lab.stdout.readline(), lab.stderr.read()
        for jumps in itertools.cycle(JUMPS):
            jump(jumps)
            try:
                out, wrong = lab.communicate(timeout=0.7)
            except subprocess.TimeoutExpired:
                continue
            assert 0 == lab.returncode, wrong[-3_000:]
            return json.loads(out)
    finally:
        lab.kill()
        lab.wait()


def test_a_lab_whose_wall_clock_jumps_by_hours_gives_the_same_answers_and_waits_for_nothing(kafka_server, tmp_path):
    (tmp_path / "events.ndjson").write_bytes(b"\n".join([*bodies(events(N)), b""]))
    offset = tmp_path / "offset"

    def jump(by):
        aside = offset.with_suffix(".new")
        aside.write_text(by)
        shutil.move(aside, offset)  # at once, so that no half of it is read

    jump("+0")
    faked = {
        "LD_PRELOAD": library(),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    expected = run(tmp_path, kafka_server, {}, lambda _: None)
    assert [N, N] == expected["live"]
    assert expected == run(tmp_path, kafka_server, faked, jump)


def test_the_clock_of_such_a_lab_does_jump(tmp_path):
    offset = tmp_path / "offset"
    offset.write_text("+5h")
    faked = {
        "LD_PRELOAD": library(),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    code = "import time; print(time.time() - time.monotonic())"
    wall = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | more).stdout)
        for more in ({}, faked)
    ]
    assert 5 == round((wall[1] - wall[0]) / 3_600)
