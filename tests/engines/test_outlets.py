"""Sinks at the end of streams: what a run gives is delivered before its position moves."""

import gc
import json
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path

import kafka
import pika
import pytest
import streamz
from streamz import Stream

import govlab as gl
from govlab.engines.streams.outlets import Outlet, outlets_below
from govlab.errors import ArgumentError, SinkError, StepError
from govlab.frames import concat, empty, event_frame
from govlab.sinks.sink import Sink
from govlab.sources import FrameReader
from govlab.sources.kafka.sink import make_topic
from govlab.testing import sample_events

EVENTS = sample_events(2_000)
LOUD = gl.Pipeline(gl.alerts.Threshold(12.0, score="value", entity="actor"))


class Listed(Sink):
    """Delivers into a list when it is flushed; fails at some flushes."""

    name = "list"

    def __init__(self, fail_at=()):
        self.taken, self.there, self.flushes, self.fail_at, self.closed = [], [], 0, fail_at, False

    def send(self, frame):
        self.taken.append(frame)

    def flush(self, timeout_s=60.0):
        self.flushes += 1
        taken, self.taken = self.taken, []
        if self.flushes in self.fail_at:
            raise SinkError("the list is full")
        self.there += taken

    def close(self):
        self.flush()
        self.closed = True

    @property
    def ids(self):
        return concat(self.there)["id"].tolist() if self.there else []


def playing(sink, watch=LOUD, max_rows=100):
    source = gl.from_reader(FrameReader(EVENTS), max_rows=max_rows)
    return source, Outlet(source.through(watch), sink)


def fresh():
    return f"out-{uuid.uuid4().hex[:8]}"


def records(address, topic):
    consumer = kafka.KafkaConsumer(bootstrap_servers=address, group_id=None, enable_auto_commit=False, metrics_enabled=False)
    try:
        places = [kafka.TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        ends, found = consumer.end_offsets(places), []
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        while len(found) < sum(ends.values()):
            found += [record for part in consumer.poll(1_000).values() for record in part]
    finally:
        consumer.close()
    return found


def test_after_a_run_all_alerts_are_delivered():
    sink = Listed()
    source, _ = playing(sink)
    gl.run(source, progress=False)
    assert LOUD.run(EVENTS).rows["id"].tolist() == sink.ids
    assert all(len(frame) for frame in sink.there)


def test_a_run_that_holds_has_delivered_what_it_gave():
    source, outlet = playing(sink := Listed())
    given = source.through(LOUD).sink_to_list()
    gl.run(source, max_events=700, progress=False)
    assert concat(given)["id"].tolist() == sink.ids
    assert len(sink.ids) > 1
    outlet.close()


def test_a_frame_without_rows_is_not_sent():
    sink = Listed()
    top = Stream()
    Outlet(top, sink)
    top.emit(empty())
    assert [] == sink.taken


@pytest.mark.parametrize(
    ("element", "what"), [({"a": 1}, "dict"), ("text", "str"), (EVENTS[["actor"]], "a frame without a column 'time'")]
)
def test_what_is_no_frame_is_an_error_that_says_what_it_was(element, what):
    top = Stream()
    Outlet(top, Listed())
    with pytest.raises(ArgumentError, match=rf"list was given {what}.*put it behind frames of events or alerts"):
        top.emit(element)


def test_a_run_whose_alerts_cannot_be_delivered_fails_and_does_not_move_its_position(tmp_path):
    sink, store = Listed(fail_at=(3,)), str(tmp_path / "run.db")
    source, _ = playing(sink)
    for _ in range(2):
        gl.run(source, store=store, max_events=500, progress=False, save_every_s=60)
    with pytest.raises(SinkError, match="the list is full"):
        gl.run(source, store=store, max_events=500, progress=False, save_every_s=60)
    kept = gl.stores.Sqlite(store)
    assert set(sink.ids) == set(kept.alerts()["id"])
    kept.close()
    again = Listed()
    source, _ = playing(again)
    gl.run(source, store=store, progress=False)
    expected = LOUD.run(EVENTS).rows["id"].tolist()
    assert expected == sink.ids + again.ids


def test_what_is_stored_was_delivered_before(tmp_path):
    store, seen = str(tmp_path / "run.db"), []

    class Watching(Listed):
        def flush(self, timeout_s=60.0):
            kept = gl.stores.Sqlite(store)
            seen.append((set(kept.alerts()["id"]), set(self.ids)))
            kept.close()
            super().flush()

    source, _ = playing(Watching())
    for _ in range(4):
        gl.run(source, store=store, max_events=500, progress=False)
    assert all(stored <= delivered for stored, delivered in seen)
    assert seen[-1][0]


@pytest.mark.parametrize("fails", ["send", "flush"])
def test_behind_a_buffer_it_fails_the_run_too(fails):
    sink = Listed(fail_at=(1,) if fails == "flush" else ())
    source = gl.from_reader(FrameReader(EVENTS), max_rows=100)
    alerts = source.through(LOUD)
    Outlet((alerts if fails == "flush" else alerts.map(len)).buffer(5), sink)
    with pytest.raises(SinkError if fails == "flush" else ArgumentError):
        gl.run(source, progress=False)


def test_what_comes_again_while_a_source_winds_back_is_not_sent():
    sink = Listed()
    source, _ = playing(sink)
    gl.run(source, max_events=1_000, progress=False)
    before = len(sink.there) + len(sink.taken)
    source.seek(EVENTS["time"][500])
    assert before == len(sink.there) + len(sink.taken)


def test_a_sink_that_nobody_names_goes_on():
    sink = Listed()
    source = gl.from_reader(FrameReader(EVENTS), max_rows=100)
    Outlet(source.through(LOUD).map(lambda frame: frame), sink)
    gc.collect()
    gl.run(source, progress=False)
    assert len(LOUD.run(EVENTS).rows) == len(sink.ids)


def test_the_sinks_below_are_found_in_the_order_of_the_flow_and_give_on_what_they_take():
    source = gl.from_reader(FrameReader(EVENTS), max_rows=100)
    first = Outlet(source, Listed())
    second = Outlet(first.through(LOUD), Listed())
    assert [first, second] == outlets_below(source)
    gl.run(source, progress=False)
    assert len(LOUD.run(EVENTS).rows) == len(second.sink.ids)
    first.close()
    assert first.sink.closed


def test_a_step_that_fails_is_told_and_not_the_sink():
    source, _ = playing(Listed(), gl.Pipeline(gl.alerts.Threshold(1.0, score="nope")))
    with pytest.raises(StepError, match="nope"):
        gl.run(source, progress=False)


@pytest.mark.server
def test_with_a_dict_of_settings_it_is_the_node_of_streamz(kafka_server):
    topic = fresh()
    make_topic(topic, 1, kafka_server.address)
    top = Stream()
    node = top.to_kafka(topic, {"bootstrap.servers": kafka_server.address})
    assert isinstance(node, streamz.sinks.to_kafka)
    top.emit(b"hello")
    node.flush()
    node.stopped = True
    assert [b"hello"] == [bytes(record.value) for record in records(kafka_server.address, topic)]


@pytest.mark.server
@pytest.mark.parametrize("client", ["confluent", "kafka-python"])
def test_a_topic_of_several_partitions_gives_the_answer_of_the_file(kafka_server, client):
    topic = fresh()
    make_topic(topic, 3, kafka_server.address)
    path = gl.datasets.path("community")
    source = gl.from_replay(path)
    outlet = source.to_kafka(topic, kafka_server.address, key="actor", shards=8, client=client)
    gl.run(source, progress=False)
    outlet.close()
    steps = [gl.features.WindowCount(every="5min", by="actor", lateness="30s"), gl.detectors.EwmaZ("count", by="actor")]
    watch = gl.Pipeline(gl.Sharded(steps, by="actor", shards=8, wait="1h"), gl.alerts.Threshold(4.0))
    expected = watch.run(gl.sources.ReplayReader(path))
    again = gl.from_kafka(topic, kafka_server.address, schema=source.reader.schema.written(), stop="now")
    again.through(watch)
    summary = gl.run(again, progress=False)
    again.reader.close()
    assert len(expected.rows) > 5
    assert expected.summary.fingerprint == summary.fingerprint


@pytest.mark.server
def test_alerts_go_to_rabbitmq_with_their_ids(rabbitmq_server):
    queue = fresh()
    source = gl.from_reader(FrameReader(EVENTS), max_rows=100)
    outlet = source.through(LOUD).to_rabbitmq(url=rabbitmq_server.address, queue=queue, kind="quorum")
    gl.run(source, progress=False)
    outlet.close()
    expected = LOUD.run(EVENTS).rows["id"].tolist()
    found = []
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        channel = connection.channel()
        for _, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=120):
            found.append((properties.message_id, json.loads(body)["id"]))
            if len(found) == len(expected):
                break
        channel.cancel()
    assert [(name, name) for name in expected] == found


@pytest.mark.server
def test_a_run_killed_at_random_moments_delivers_each_alert_and_one_that_comes_twice_has_its_id_and_says_the_same(
    kafka_server, tmp_path
):
    topic, store = fresh(), str(tmp_path / "run.db")
    make_topic(topic, 2, kafka_server.address)
    command = [sys.executable, str(Path(__file__).with_name("outlet_driver.py")), store, kafka_server.address, topic, "8", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert 0 == done.returncode, done.stderr
    assert int(done.stdout) >= 4
    kept = gl.stores.Sqlite(store)
    alerts = kept.alerts()
    kept.close()
    found = records(kafka_server.address, topic)
    bodies = {(dict(record.headers)["govlab-id"].decode(), bytes(record.value)) for record in found}
    assert len(alerts) > 20
    assert sorted(alerts["id"]) == sorted(name for name, _ in bodies)
    assert max(Counter(name for name, _ in bodies).values()) == 1


def test_a_frame_of_events_needs_no_more_than_a_time():
    top, sink = Stream(), Listed()
    Outlet(top, sink)
    top.emit(event_frame({"time": ["2026-03-02"]}))
    assert 1 == len(sink.taken)
