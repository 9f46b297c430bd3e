"""A broker or a lab that stands still for half a minute (SIGSTOP) and goes on: nothing is lost, nothing comes twice."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from adverse.asking import bodies, events, filled_queue, topic
from queues import SCHEMA, name, send

import govlab as gl
from govlab import services

pytestmark = pytest.mark.server
HERE = Path(__file__).parent
CLIENTS = ["kafka-python", "confluent"]
N = 2_000


def still_s(request):
    return 30 if request.config.getoption("--delay") else 8


def ids_of(source):
    return source.map(lambda frame: frame["event_id"].tolist()).sink_to_list()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("grouped", [False, True], ids=["alone", "in a group"])
def test_a_kafka_that_stands_still_and_goes_on_loses_nothing(tmp_path, request, client, grouped):
    with services.start("kafka", tmp_path / "kafka") as server:
        made, all_ids = topic(server, 2), events(N)["event_id"].tolist()
        sent = bodies(events(N))
        send(server, made, sent[: N // 2])
        source = gl.from_kafka(made, server.address, SCHEMA, client=client, group=name("g") if grouped else None)
        parts = ids_of(source)
        with contextlib.closing(source.reader):
            gl.run(source, max_events=300, progress=False)
            server.suspend()
            gl.run(source, timeout_s=still_s(request), progress=False)
            server.resume()
            send(server, made, sent[N // 2 :])
            gl.run(source, max_events=N - source.events, progress=False)
            found = [one for part in parts for one in part]
            assert (N, sorted(all_ids)) == (source.events, sorted(found))


@pytest.mark.parametrize("kind", ["quorum", "stream"])
def test_a_rabbitmq_that_stands_still_and_goes_on_loses_nothing(tmp_path, request, kind):
    with services.start("rabbitmq", tmp_path / "rabbitmq") as server:
        source = gl.from_rabbitmq(filled_queue(server, kind), server.address, SCHEMA)
        n = 1_500
        parts = ids_of(source)
        with contextlib.closing(source.reader):
            gl.run(source, max_events=300, progress=False)
            server.suspend()
            threading.Timer(still_s(request), server.resume).start()
            gl.run(source, max_events=n - 300, progress=False)
            found = [one for part in parts for one in part]
            assert (n, n) == (len(found), len(set(found)))


@pytest.mark.parametrize("client", CLIENTS)
def test_a_lab_that_stands_still_beyond_its_session_goes_on_with_what_another_has_stored_meanwhile(kafka_server, tmp_path, client):
    made, store = topic(kafka_server, 2), str(tmp_path / "shared.db")
    sent = bodies(events(N))
    for partition in range(2):
        send(kafka_server, made, sent[partition::2], partition)
    options = {"address": kafka_server.address, "topic": made, "group": name("g"), "client": client, "store": store, "events": N}
    labs = [_lab(options | {"said": str(tmp_path / f"lab{i}")}) for i in range(2)]
    try:
        _until(lambda: _stored(store) > 100, labs)
        os.kill(labs[0].pid, signal.SIGSTOP)  # beyond its session of 6 s: its partitions go to the other
        _until(lambda: _stored(store) >= N, labs[1:], 300)
        os.kill(labs[0].pid, signal.SIGCONT)
        for _ in range(20):
            assert labs[0].poll() is None, labs[0].stderr.read()
            time.sleep(0.1)
    finally:
        for one in labs:
            os.kill(one.pid, signal.SIGCONT)
            one.kill()
            one.wait()
            one.stderr.close()
    kept = gl.stores.Sqlite(store)
    found = kept.alerts()["entity"].tolist()
    kept.close()
    assert sorted(events(N)["event_id"]) == sorted(found)


def _lab(options):
    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "GOVLAB_KEY": "a key for the tests alone"}
    return subprocess.Popen(
        [sys.executable, str(HERE / "group_driver.py"), json.dumps(options)], stderr=subprocess.PIPE, text=True, env=environment
    )


def _stored(store):
    kept = gl.stores.Sqlite(store)
    try:
        return len(kept.alerts())
    finally:
        kept.close()


def _until(done, labs, patience_s=120):
    end = time.monotonic() + patience_s
    while not done():
        for one in labs:
            assert one.poll() is None, one.stderr.read()
        assert time.monotonic() < end, "it does not come to its end"
        time.sleep(0.2)
