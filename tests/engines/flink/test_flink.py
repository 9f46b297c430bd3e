"""The same pipeline on Flink gives the same alerts, whatever the parallelism, the frames, and what is killed meanwhile."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pyarrow.parquet as pq
import pytest
from queues import queue

import govlab as gl
from govlab import registry, services
from govlab.engines import flink
from govlab.engines.flink.folder import write_spec
from govlab.engines.flink.outputs import read_lines
from govlab.engines.flink.settings import reach, settings_of
from govlab.engines.flink.submitting import described
from govlab.errors import ArgumentError, GovlabError, ServiceError
from govlab.services import flink_environment
from govlab.sources.files.replay import ReplayReader
from govlab.step import Step
from govlab.testing import sample_events

pytestmark = pytest.mark.server
# river wants a newer numpy than PyFlink allows
STEPS = [(room, name) for room in registry.STEP_ROOMS for name in registry.names(room) if name != "river"]
SLOWLY = {"checkpoint_every": "500ms", "max_rows": 200}
COUNT = [gl.features.WindowCount(every="5min", by="actor"), gl.detectors.EwmaZ("count", by="actor", tail="both")]
WATCH = gl.Pipeline(
    gl.prepare.Deduplicate("event_id", within="1h"), gl.Sharded(COUNT, by="actor", shards=4), gl.alerts.Threshold(above=2.0)
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with services.start("flink", tmp_path_factory.mktemp("flink"), workers=1, slots=2) as flink_server:
        yield flink_server


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """Give the community day in row groups so small that a job over them lives long enough to be killed."""
    path = tmp_path_factory.mktemp("events") / "community.parquet"
    pq.write_table(pq.read_table(gl.datasets.path("community")), path, row_group_size=200)
    return path


@pytest.fixture(scope="module")
def expected(events):
    return WATCH.run(ReplayReader(events, order="arrival"))


def same(job, expected):
    assert expected.summary.fingerprint == job.fingerprint()
    pd.testing.assert_frame_equal(expected.rows.reset_index(drop=True), job.alerts())


def until(job, wanted, timeout_s=600):
    end = time.monotonic() + timeout_s
    while not wanted(status := job.status()):
        assert status.state not in ("FINISHED", "FAILED", "CANCELED"), status
        assert time.monotonic() < end, status
        time.sleep(0.1)


@pytest.mark.parametrize(("shards", "max_rows"), [pytest.param(0, 1_000, id="alone"), pytest.param(3, 30_000, id="in-shards")])
def test_every_registered_step_says_the_same_on_flink(shards, max_rows, tmp_path):
    events = tmp_path / "events.parquet"
    sample_events(2_000, seed=7, entities=40, span_s=20_000).drop(columns=["partition", "offset"]).to_parquet(events, index=False)
    jobs = {}
    for room, name in STEPS:
        step = registry.load(room, name).example()
        pipeline = gl.Pipeline(gl.Sharded(step, by="actor", shards=shards) if shards else step)
        place = tmp_path / name
        place.mkdir()
        reader = ReplayReader(events, order="arrival")
        spec = described(pipeline, reader, place, parallelism=2, max_rows=max_rows)
        spec["settings"], spec["rest"] = settings_of(place, None, 2, "1s", False, {"taskmanager.memory.managed.size": "512mb"})
        write_spec(place / "spec.json", spec)
        jobs[place] = pipeline.run(reader)
    specs = [place / "spec.json" for place in jobs]  # as one job, they share its start
    command = [flink_environment.environment(), "-m", "govlab.engines.flink.program", *specs]
    variables = flink_environment.clean({"PYTHONPATH": str(flink_environment.code(tmp_path))})
    done = subprocess.run(
        list(map(str, command)), env=variables, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=900
    )
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    for place, expected in jobs.items():
        output, _, summary = read_lines(place / "results")
        result = output.result(summary)
        rows = result.rows
        assert expected.summary.fingerprint == summary.fingerprint, place.name
        assert expected.summary.steps == summary.steps, place.name
        assert expected.rows["time"].tolist() == rows["time"].tolist(), place.name
        sides = [{side: aside["offset"].tolist() for side, aside in one.sides.items()} for one in (expected, result)]
        assert sides[0] == sides[1], place.name


def test_a_job_goes_on_after_its_taskmanager_is_killed(cluster, events, expected, tmp_path):
    source = gl.from_replay(events, order="arrival")
    store = tmp_path / "lab.db"
    job = flink.submit(WATCH, source, store, tmp_path / "job", cluster=cluster, parallelism=2, **SLOWLY)
    until(job, lambda status: status.checkpoints > 0)
    cluster.workers[-1].kill()
    cluster.add()
    job.wait(300, progress=False)
    assert job.status().restarts > 0
    same(job, expected)
    kept = gl.stores.Sqlite(store).alerts()
    assert sorted(expected.rows["id"]) == sorted(kept["id"])


def test_a_job_whose_lab_and_cluster_are_killed_is_taken_up_from_its_checkpoint(events, expected, tmp_path):
    program = (
        "import sys, govlab as gl\n"
        "from govlab.engines import flink\n"
        "from govlab.step import Step\n"
        "import json\n"
        f"watch = Step.from_recipe(json.loads({json.dumps(json.dumps(WATCH.recipe()))}))\n"
        f"flink.submit(watch, gl.from_replay({str(events)!r}, order='arrival'), folder={str(tmp_path / 'job')!r}, parallelism=2,\n"
        f"             **{SLOWLY!r}).wait(progress=False)\n"
    )
    lab = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    end = time.monotonic() + 400
    while not list((tmp_path / "job").glob("checkpoints/*/chk-*/_metadata")):
        assert lab.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    os.killpg(lab.pid, signal.SIGKILL)
    lab.wait()
    host = subprocess.run(["pgrep", "-f", str(tmp_path / "job" / "spec.json")], capture_output=True, text=True, check=True).stdout
    os.killpg(int(host.split()[0]), signal.SIGKILL)  # with the Java below it
    assert not read_lines(tmp_path / "job" / "results")[2]
    source = gl.from_replay(events, order="arrival")
    job = flink.submit(WATCH, source, folder=tmp_path / "job", parallelism=1, checkpoint_every="500ms", max_rows=2_000)
    job.wait(300, progress=False)
    same(job, expected)


def test_a_job_is_rescaled_while_it_runs(cluster, events, expected, tmp_path):
    source = gl.from_replay(events, order="arrival")
    job = flink.submit(WATCH, source, folder=tmp_path / "job", cluster=cluster, **SLOWLY)
    until(job, lambda status: status.checkpoints > 0)
    for parallelism in (2, 1):
        job.rescale(parallelism)
        assert parallelism == job.status().parallelism
    job.wait(300, progress=False)
    same(job, expected)


def test_a_job_that_is_stopped_with_a_savepoint_goes_on_from_it(cluster, events, expected, tmp_path):
    source = gl.from_replay(events, order="arrival")
    job = flink.submit(WATCH, source, folder=tmp_path / "job", cluster=cluster, **SLOWLY)
    until(job, lambda status: status.checkpoints > 0)
    place = job.savepoint(stop=True)
    assert "savepoints" in place
    end = time.monotonic() + 60
    while job.status().state != "FINISHED":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert job.summary() is None
    again = flink.submit(WATCH, source, folder=tmp_path / "job", cluster=cluster, parallelism=2, **SLOWLY)
    assert place.rpartition("/")[2] in again.told["settings"]["execution.state-recovery.path"]
    again.wait(300, progress=False)
    same(again, expected)


def test_a_topic_gives_the_same_on_flink_as_a_stretch_and_live_and_alerts_go_to_a_topic(kafka_server, tmp_path):
    watch = gl.Pipeline(gl.Sharded(COUNT, by="actor", shards=4, wait="1h"), gl.alerts.Threshold(above=2.0))
    played = gl.from_replay(gl.datasets.path("community"))
    played.to_kafka("flink-events", kafka_server.address, key="actor", shards=4)
    gl.run(played, progress=False)
    topic = {"topics": "flink-events", "bootstrap": kafka_server.address, "schema": played.reader.schema.written()}
    stretch = gl.from_kafka(**topic, stop="now")
    expected = watch.run(stretch.reader)
    into = f"kafka://{kafka_server.address}/flink-alerts"
    job = flink.submit(watch, gl.from_kafka(**topic, stop="now"), into, tmp_path / "stretch", parallelism=2, checkpoint_every="1s")
    job.wait(300, progress=False)
    same(job, expected)
    given = gl.from_kafka("flink-alerts", kafka_server.address, stop="now")
    assert len(expected.rows) == gl.run(given, progress=False).events
    live = flink.submit(watch, gl.from_kafka(**topic), folder=tmp_path / "live", checkpoint_every="1s")
    until(live, lambda status: status.events == expected.summary.events and status.rows is not None)
    live.cancel()
    assert "CANCELED" == live.status().state


def test_alerts_go_into_a_queue_of_rabbitmq_too_by_a_password_that_only_the_environment_has(rabbitmq_server, tmp_path, monkeypatch):
    user, _, password = rabbitmq_server.address.removeprefix("amqp://").partition("@")[0].partition(":")
    monkeypatch.setenv("GOVLAB_TEST_RABBIT", password)
    access = gl.Access(user, "env:GOVLAB_TEST_RABBIT")
    place = f"amqp://{rabbitmq_server.address.rpartition('@')[2]}"
    name = queue(rabbitmq_server, "stream")
    events = gl.sources.ReplayReader(gl.datasets.path("community"))
    watch = gl.Pipeline(gl.Sharded(COUNT, by="actor", shards=4, wait="1h"), gl.alerts.Threshold(above=2.0))
    expected = watch.run(events)
    job = flink.submit(watch, events, f"{place}{name}", tmp_path / "job", checkpoint_every="1s", access=access)
    job.wait(300, progress=False)
    same(job, expected)
    assert f"{user}:{password}" not in (tmp_path / "job" / "spec.json").read_text()
    given = gl.from_rabbitmq(name, rabbitmq_server.address, stop="now")
    assert 0 < len(expected.rows) == gl.run(given, progress=False).events


class Raises(Step):
    """Raises at an event."""

    at: int = 100

    def process(self, frame):
        if (frame["offset"] == self.at).any():
            raise ZeroDivisionError("too loud")
        return frame


class Counts(Step):
    """Numbers rows: a class that no worker can import, with a state."""

    def start(self):
        self._seen = 0

    def process(self, frame):
        frame = frame.assign(score=[float(self._seen + i) for i in range(len(frame))])
        self._seen += len(frame)
        return frame


def test_a_step_of_ones_own_keeps_its_state_over_a_checkpoint(cluster, events, tmp_path):
    count = gl.Pipeline(gl.Sharded(Counts(), by="actor", shards=4))
    job = flink.submit(count, gl.from_replay(events, order="arrival"), folder=tmp_path / "job", cluster=cluster, **SLOWLY)
    until(job, lambda status: status.checkpoints > 0)
    cluster.workers[-1].kill()
    cluster.workers[-1].restart()
    job.wait(300, progress=False)
    same(job, count.run(ReplayReader(events, order="arrival")))


def test_a_step_that_raises_fails_the_job_with_its_name_and_the_rows(tmp_path):
    job = flink.submit(gl.Pipeline(Raises(at=7)), sample_events(100), folder=tmp_path / "job", max_rows=10)
    with pytest.raises(GovlabError, match=r"step 1 of 1, .*Raises.* raised ZeroDivisionError: too loud .*0:0-9"):
        job.wait(600, progress=False)


def test_a_lab_and_a_cluster_of_different_versions_are_told_apart(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(gl, "__version__", "9.9.9")  # the cluster has the real one
    job = flink.submit(WATCH, sample_events(100), folder=tmp_path / "a", cluster=cluster)
    with pytest.raises(GovlabError, match=r"the lab has govlab 9\.9\.9 and the cluster .*: install the same version on both"):
        job.wait(600, progress=False)
    monkeypatch.setattr(flink_environment, "VERSION", "2.9.0")
    with pytest.raises(
        ServiceError, match=r"is Flink 2\.3\.0, and govlab's jobs are made by 2\.9\.0: use a cluster of version 2\.9"
    ):
        reach(cluster.address)


def test_what_cannot_be_started_says_why(cluster, tmp_path, monkeypatch):
    taken = cluster.ports["rest"]
    with pytest.raises(ServiceError, match=rf"port {taken} \(rest\) cannot be had"):
        services.start("flink", tmp_path / "flink", port=taken)
    old = tmp_path / "bin" / "java"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{old.parent}:/usr/bin:/bin")
    with pytest.raises(ServiceError, match=r"is Java 11\.0\.2, but 17 or newer is needed"):
        flink.submit(WATCH, sample_events(10), folder=tmp_path / "job")


def test_what_is_wrong_is_told_before_anything_is_started(tmp_path):
    with pytest.raises(ServiceError, match=r"no Flink answers at http://127\.0\.0\.1:9"):
        flink.submit(WATCH, sample_events(10), folder=tmp_path / "a", cluster="http://127.0.0.1:9")
    with pytest.raises(ArgumentError, match="cannot be pickled"):
        flink.submit(gl.Pipeline(gl.detectors.Callable(threading.Lock().locked)), sample_events(10), folder=tmp_path / "b")
    with pytest.raises(ArgumentError, match="expected a whole number"):
        flink.submit(WATCH, sample_events(10), folder=tmp_path / "c", parallelism=0)
    with pytest.raises(ArgumentError, match="is not the folder of a job"):
        flink.attach(tmp_path)
