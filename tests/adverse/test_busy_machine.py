"""Beside busy loops the answers are those of a quiet machine. Long form: ``make test-adverse``."""

import os
import subprocess
import sys

import psutil
import pytest
from adverse.asking import N, events, filled_queue, filled_topic, live, of_kafka, of_stream, queue
from adverse.busy import busy
from queues import SCHEMA

import govlab as gl

pytestmark = pytest.mark.server


@pytest.fixture(scope="module", autouse=True)
def loops():
    with busy(2) as running:
        yield running


def test_the_loops_are_busy_and_end_with_their_block(loops):
    with busy(1) as more:
        before = psutil.Process(more[0].pid).cpu_times().user
        while psutil.Process(more[0].pid).cpu_times().user == before:
            pass
    assert [None, None] == [one.poll() for one in loops]
    assert more[0].poll() is not None


def test_loops_end_when_what_started_them_is_killed(tmp_path):
    code = "from adverse.busy import busy\nwith busy(1) as one:\n    print(one[0].pid, flush=True)\n    input()"
    path = os.pathsep.join(sys.path)
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    parent.stdin.close()
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [])
    assert not psutil.pid_exists(pid)


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_a_range_of_a_topic_is_whole_beside_busy_loops(kafka_server, client):
    told = of_kafka(kafka_server.address, filled_topic(kafka_server), client)
    assert (N, "finished") == (told["events"], told["state"])


def test_a_range_of_a_stream_and_of_a_topic_have_one_answer_beside_busy_loops(kafka_server, rabbitmq_server):
    topics = of_kafka(kafka_server.address, filled_topic(kafka_server, 1), "confluent")
    streams = of_stream(rabbitmq_server.address, filled_queue(rabbitmq_server, "stream"))
    guessed = of_stream(rabbitmq_server.address, filled_queue(rabbitmq_server, "stream"), schema=None)
    assert topics == streams
    assert [N, N] == [streams["events"], guessed["events"]]


def test_a_stream_that_gives_no_message_is_an_error_and_no_empty_range_beside_busy_loops(rabbitmq_server):
    with pytest.raises(gl.errors.SourceError, match="it is empty, or its broker is too slow"):
        of_stream(rabbitmq_server.address, queue(rabbitmq_server, "stream"))


@pytest.mark.parametrize("kind", ["quorum", "stream"])
def test_a_live_queue_is_read_whole_beside_busy_loops(rabbitmq_server, kind):
    ids, _ = live(gl.from_rabbitmq(filled_queue(rabbitmq_server, kind), rabbitmq_server.address, SCHEMA), N)
    assert sorted(events(N)["event_id"]) == ids
