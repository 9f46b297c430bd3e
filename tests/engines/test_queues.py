"""One pipeline, one answer: from files and from queues, alone and shared, whatever is killed in between."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from queues import SCHEMA, alerts, bodies, drain, events, fill, name, queue, same, send, shared, topic, watch

import govlab as gl
from govlab.errors import SourceError, TakenOverError
from govlab.sources import FrameReader, RabbitQueue

pytestmark = pytest.mark.server
KILL = Path(__file__).parents[2] / "benchmarks" / "kill.py"


def play(source, pipeline=None, **options):
    node = source.through(pipeline or watch())
    summary = gl.run(source, progress=False, **options)
    if not options.get("max_events"):
        source.reader.close()
    return summary, node


@pytest.fixture(scope="module")
def expected():
    return play(gl.from_reader(FrameReader(events().sort_values("time", kind="stable", ignore_index=True))))[0]


@pytest.fixture(scope="module")
def arrived():
    return play(gl.from_reader(FrameReader(events())), max_events=3_000)[0]


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
@pytest.mark.parametrize("partitions", [1, 4])
def test_a_stretch_of_a_topic_gives_the_fingerprint_of_the_file(kafka_server, expected, partitions, client):
    made = fill(kafka_server, events(), partitions, client=client)
    summary, _ = play(gl.from_kafka(made, kafka_server.address, SCHEMA, stop="now", client=client))
    assert expected.rows > 5
    assert expected.fingerprint == summary.fingerprint


def test_a_stretch_of_a_stream_queue_gives_the_fingerprint_of_the_file(rabbitmq_server, expected):
    made = queue(rabbitmq_server, "stream", bodies(events()))
    summary, _ = play(gl.from_rabbitmq(made, rabbitmq_server.address, SCHEMA, stop="now"))
    assert expected.fingerprint == summary.fingerprint


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_a_live_topic_gives_the_fingerprint_of_the_file_as_it_arrived(client, kafka_server, arrived, partitions):
    source = gl.from_kafka(fill(kafka_server, events(), partitions), kafka_server.address, SCHEMA, client=client)
    summary, _ = play(source, max_events=3_000)
    source.reader.close()
    assert arrived.fingerprint == summary.fingerprint


@pytest.mark.parametrize("kind", ["quorum", "stream"])
def test_a_live_queue_gives_the_fingerprint_of_the_file_as_it_arrived(rabbitmq_server, arrived, kind):
    source = gl.from_rabbitmq(queue(rabbitmq_server, kind, bodies(events())), rabbitmq_server.address, SCHEMA)
    summary, _ = play(source, max_events=3_000)
    source.reader.close()
    assert arrived.fingerprint == summary.fingerprint


def test_topics_and_files_are_merged_on_one_clock(kafka_server):
    half, other = events(1_000, seed=3), events(1_000, seed=4)
    topics = gl.from_kafka(fill(kafka_server, half, 4), kafka_server.address, SCHEMA, stop="now")
    files = gl.from_reader(FrameReader(other.sort_values("time", kind="stable", ignore_index=True)))
    times = topics.union(files).map(lambda frame: frame["time"].tolist()).sink_to_list()
    gl.run(topics, files, progress=False)
    topics.reader.close()
    flat = [time for part in times for time in part]
    assert 2_000 == len(flat)
    assert sorted(flat) == flat


def test_a_stretch_of_a_topic_is_played_paused_stepped_and_wound_like_a_file(kafka_server, expected):
    source = gl.from_kafka(fill(kafka_server, events(), 4), kafka_server.address, SCHEMA, stop="now")
    node = source.through(watch())
    assert 7 == source.step(7)
    source.run_until("alert")
    first = source.event_us
    source.run_until("2026-03-02 01:00")
    source.seek("2026-03-02 00:10")
    source.run_until("alert")
    assert first == source.event_us
    assert expected.fingerprint == gl.run(source, progress=False).fingerprint
    assert "finished" == source.state == node.state
    source.reader.close()


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_the_events_behind_an_alert_are_read_again_from_the_topic(client, kafka_server):
    source = gl.from_kafka(fill(kafka_server, events(), 4), kafka_server.address, SCHEMA, client=client, stop="now")
    found = source.through(watch()).sink_to_list()
    gl.run(source, progress=False)
    alert = found[0].iloc[0]
    rows = source.evidence(alert, by="actor")
    source.reader.close()
    assert {alert["entity"]} == set(rows["actor"])
    assert len(rows) >= 2


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_the_store_goes_before_the_broker_when_a_run_is_taken_up(client, kafka_server, tmp_path, arrived):
    made, group, store = fill(kafka_server, events(), 4), name("g"), str(tmp_path / "lab.db")
    for _ in range(3):
        source = gl.from_kafka(made, kafka_server.address, SCHEMA, client=client, group=group)
        summary, _ = play(source, max_events=1_000, store=store)
        # what a broker may be told by mistake, or not be told at all: the store knows better
        source.reader._commit(dict.fromkeys(range(4), 0), wait=True)
        source.reader.close()
    assert (3_000, arrived.fingerprint) == (summary.events, summary.fingerprint)


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_without_a_store_what_is_through_is_committed_to_the_broker(client, kafka_server):
    made, group = fill(kafka_server, events(), 4), name("g")
    seen = []
    for _ in range(3):
        source = gl.from_kafka(made, kafka_server.address, SCHEMA, client=client, group=group)
        ids = source.map(lambda frame: frame["event_id"].tolist()).sink_to_list()
        gl.run(source, max_events=1_000, progress=False)
        source.flow.acknowledge()
        source.reader._commit(source.position(), wait=True)
        source.reader.close()
        seen += [one for part in ids for one in part]
    assert sorted(events()["event_id"]) == sorted(seen)


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_two_members_of_a_group_share_a_run_and_hand_partitions_over(client, kafka_server, tmp_path):
    made, group, store = fill(kafka_server, events(), 4), name("g"), str(tmp_path / "shared.db")
    alone = gl.from_kafka(made, kafka_server.address, SCHEMA, client=client)
    play(alone, shared(), max_events=3_000, store=str(tmp_path / "alone.db"))
    alone.reader.close()
    first = gl.from_kafka(made, kafka_server.address, SCHEMA, client=client, group=group)
    node = first.through(shared())
    gl.run(first, max_events=700, store=store, progress=False)
    assert {0, 1, 2, 3} == set(node.carrier.parts)
    second = gl.from_kafka(made, kafka_server.address, SCHEMA, client=client, group=group)
    other = second.through(shared())
    # each hears of the other only while it reads
    while not (0 < len(getattr(other.carrier, "parts", ())) < 4):
        gl.run(second, timeout_s=0.3, store=store, progress=False)
        gl.run(first, timeout_s=0.3, store=store, progress=False)
    first.reader.close()
    while sum(part.counted.events for part in other.carrier.parts.values()) < 3_000:
        gl.run(second, timeout_s=0.5, store=store, progress=False)
    summary = gl.run(second, timeout_s=0.1, store=store, progress=False)
    second.reader.close()
    assert 3_000 == summary.events
    same(alerts(tmp_path / "alone.db"), alerts(store))


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_a_run_whose_steps_span_partitions_does_not_go_on_with_some_of_them(client, kafka_server, tmp_path):
    made, group = fill(kafka_server, events(), 4), name("g")
    first = gl.from_kafka(made, kafka_server.address, SCHEMA, client=client, group=group)
    play(first, max_events=500, store=str(tmp_path / "lab.db"))
    second = gl.sources.KafkaReader(made, kafka_server.address, SCHEMA, client=client, group=group)
    second.open()
    with pytest.raises(SourceError, match="another member of the group"):  # noqa: PT012 - each hears of the other while it reads
        while True:
            second.read(10)
            gl.run(first, timeout_s=0.3, store=str(tmp_path / "lab.db"), progress=False)
    assert "failed" == first.state
    first.reader.close()
    second.close()


def test_a_run_that_another_process_has_taken_over_stops(tmp_path):
    frame = events(100)
    store = str(tmp_path / "lab.db")
    first = gl.from_reader(FrameReader(frame))
    first.through(watch())
    gl.run(first, max_events=50, store=store, progress=False)
    kept = gl.stores.Sqlite(store)
    run = kept._db.execute("SELECT run FROM snapshots").fetchone()[0]
    claimed = kept.claim(run)
    kept.save(run, None, None, None, claimed)
    with pytest.raises(TakenOverError, match="taken over"):
        kept.save(run, None, None, None, claimed - 1)
    kept.close()


def test_alerts_that_are_sent_on_are_delivered_before_the_position_moves(kafka_server, rabbitmq_server, tmp_path):
    made, out, also = fill(kafka_server, events(), 4), topic(kafka_server, 2), queue(rabbitmq_server)
    source = gl.from_kafka(made, kafka_server.address, SCHEMA)
    node = source.through(watch())
    outlets = [node.to_kafka(out, kafka_server.address), node.to_rabbitmq("", rabbitmq_server.address, routing_key=also)]
    gl.run(source, max_events=3_000, store=str(tmp_path / "lab.db"), progress=False)
    ids = sorted(alerts(tmp_path / "lab.db")["id"])
    for outlet in outlets:
        outlet.close()
    source.reader.close()
    schema = gl.Schema({"time": "timestamp", "id": "string", "entity": "string", "score": "float64"})
    sent = gl.from_kafka(out, kafka_server.address, schema, stop="now")
    again = gl.from_rabbitmq(also, rabbitmq_server.address, schema)
    for other in (sent, again):
        rows = other.map(lambda frame: frame["id"].tolist()).sink_to_list()
        gl.run(other, max_events=len(ids), progress=False)
        other.reader.close()
        assert ids == sorted(one for part in rows for one in part)


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_a_source_tells_how_much_waits_and_that_its_broker_is_gone(client, tmp_path):
    with gl.services.start("kafka", tmp_path / "kafka") as server:
        made = topic(server, 2)
        send(server, made, bodies(events(30)), 1)
        source = gl.from_kafka(made, server.address, SCHEMA, client=client)
        seen = source.map(len).sink_to_list()
        source.step(10)
        assert {0: 0, 1: 20} == source.status()["lag"]
        source.start()
        server.kill()
        while (state := source.state) != "reconnecting":
            assert "running" == state
        assert "has not answered" in source.status()["last_error"]
        server.restart()
        send(server, made, bodies(events(40))[30:], 0)
        while sum(seen) < 40:
            assert source.state in ("running", "reconnecting")
        source.stop()
        while not source.status()["lag"]:  # not known before the broker has answered again
            pass
        assert ("paused", {0: 0, 1: 0}, None) == (source.state, source.status()["lag"], source.error)
        source.reader.close()


@pytest.mark.parametrize("queue", ["kafka", "rabbitmq"])
def test_killed_labs_and_brokers_change_no_alert(queue):
    command = [sys.executable, str(KILL), "--queue", queue, "--events", "20000", "--seconds", "30", "--kills", "4"]
    more = ["--broker-kills", "1", "--cuts", "1", "--joins", "1", "--json", "--quiet"]
    done = subprocess.run(command + more, capture_output=True, text=True, timeout=900)
    assert 0 == done.returncode, done.stderr[-3_000:]
    told = json.loads(done.stdout)
    assert (20_000, 0, 0, 0, True) == tuple(told[key] for key in ("events", "missing", "unknown", "twice", "equal"))
    assert (told["alerts"] > 10, 4, 1) == (True, told["happened"]["lab"], told["happened"]["broker"])


@pytest.mark.parametrize("way", ["step", "until", "some"])
@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_what_came_out_before_a_source_was_held_does_not_come_again_though_it_came_together_with_more(rabbitmq_server, kind, way):
    frame = events(50)
    made = queue(rabbitmq_server, kind, bodies(frame))
    source = gl.from_rabbitmq(made, rabbitmq_server.address, SCHEMA, max_rows=64)
    seen = source.map(lambda rows: rows["event_id"].tolist()).sink_to_list()
    source.step(7)
    if way == "step":
        source.step(13)
    elif way == "until":
        source.run_until(frame["time"].cummax().iloc[19] + pd.Timedelta("1us"))
    else:
        gl.run(source, max_events=13, progress=False)
    source.reader.close()
    first = [one for part in seen for one in part]
    rest = drain(RabbitQueue(made, rabbitmq_server.address, SCHEMA), 50 - len(first))
    assert frame["event_id"].tolist() == [*first, *rest["event_id"]]
