"""A job is spread over as many tasks as its load asks for, within bounds, and its TaskManagers are kept alive."""

import json
import threading
import time

import confluent_kafka as ck
import pytest

import govlab as gl
from govlab import services
from govlab.engines import flink
from govlab.engines.flink.job import JobStatus
from govlab.engines.flink.scaling import Limits, autoscale, wanted
from govlab.errors import ArgumentError
from govlab.sources.kafka.sink import make_topic
from govlab.step import Step

SCHEMA = gl.Schema({"time": "timestamp", "event_id": "string", "actor": "string"})


class Slow(Step):
    """Takes its time over each row, as a model would."""

    ms: float = 4.0

    def process(self, frame):
        time.sleep(self.ms * len(frame) / 1000)
        return frame


@pytest.mark.parametrize(
    ("status", "lag_before", "still", "expected"),
    [
        ({"parallelism": 1, "busy": {"shards": 0.9}}, 0, False, 2),
        ({"parallelism": 3, "busy": {"shards": 1.0, "fetch": 0.1}}, 0, False, 4),
        ({"parallelism": 4, "busy": {"shards": 1.0}}, 0, False, 4),
        ({"parallelism": 2, "busy": {"shards": 0.1}}, 0, False, 1),
        ({"parallelism": 1, "busy": {"shards": 0.0}}, 0, False, 1),
        ({"parallelism": 2, "busy": {"shards": 0.4}}, 0, False, 2),  # one less would work for 80 %
        ({"parallelism": 2, "busy": {"shards": 0.4}, "lag": 200_000}, 100_000, False, 3),
        ({"parallelism": 2, "busy": {"shards": 0.1}, "lag": 200_000}, 300_000, False, 2),  # it catches up
        ({"parallelism": 2, "busy": {"shards": 0.9}}, 0, True, 1),
        ({"parallelism": 2, "busy": {"head": 1.0}}, 0, False, 2),  # more tasks would not help the head
    ],
)
def test_more_tasks_for_a_busy_or_late_job_and_fewer_for_an_idle_one(status, lag_before, still, expected):
    assert expected == wanted(JobStatus("RUNNING", **status), lag_before, still, Limits())


def test_limits_that_would_swing_are_refused():
    with pytest.raises(ArgumentError, match="expected 0 < idle < busy"):
        Limits(busy=0.5, idle=0.6)
    with pytest.raises(ArgumentError, match="expected 1 <= least <= most"):
        Limits(least=3, most=2)


@pytest.mark.server
def test_a_job_goes_from_one_task_to_two_and_back_as_its_load_rises_and_falls_and_loses_nothing(kafka_server, tmp_path):
    make_topic("autoscale", 4, kafka_server.address)
    produced, per_s, stop, said, seen = [], [60], threading.Event(), [], []

    def produce():
        producer = ck.Producer({"bootstrap.servers": kafka_server.address, "linger.ms": 5})

        def send(n, later_s=0):
            now = gl.frames.from_us([int((time.time() + later_s) * 1e6)])[0].isoformat()
            event = {"time": now, "event_id": str(n), "actor": f"user_{n % 40}"}
            producer.produce("autoscale", json.dumps(event).encode(), partition=n % 4)
            producer.poll(0)

        while not stop.is_set():
            produced.append(len(produced))
            send(produced[-1])
            time.sleep(1 / per_s[0])
        for actor in range(40):  # no shard keeps the others waiting
            send(1_000_000 + actor, later_s=3_600)
        producer.flush()

    def told(text):
        said.append(text)
        print(text)

    with services.start("flink", tmp_path / "flink", workers=1, slots=1) as cluster:
        watch = gl.Pipeline(gl.Sharded(Slow(), by="actor", shards=8))
        source = gl.from_kafka("autoscale", kafka_server.address, SCHEMA, client="confluent")
        job = flink.submit(watch, source, folder=tmp_path / "job", cluster=cluster, checkpoint_every="1s")
        load = threading.Thread(target=produce)
        load.start()
        began = time.monotonic()

        def look():
            status = job.status()
            seen.append(status.parallelism)
            if time.monotonic() > began + 10:
                per_s[0] = 40 if 2 in seen else 400  # one task takes 250 events a second
            if 2 in seen and status.parallelism == 1 and not killed:
                killed.append(cluster.workers[0])
                cluster.workers[0].kill()
            back = killed and cluster.workers[0].running and status.state == "RUNNING"
            return back or time.monotonic() > began + 200

        killed = []
        try:
            autoscale(job, Limits(most=2, busy=0.7, idle=0.4, looks=2, cool_down="8s"), "1s", cluster, told, look)
        finally:
            stop.set()
            load.join()
        assert any("1 -> 2 tasks" in text for text in said), said
        assert any("2 -> 1 tasks" in text for text in said), said
        assert any("was dead and is restarted" in text for text in said), said
        end = time.monotonic() + 90
        while len(job.alerts()) < len(produced) and time.monotonic() < end:
            time.sleep(1)
        job.cancel()
        assert produced == [n for n in sorted(map(int, job.alerts()["event_id"])) if n < 1_000_000]
