"""Files into queues: all rows, in order, at the speed of their clock."""

import json
import re
import signal
import uuid
from collections import Counter

import kafka
import pika
import pytest

import govlab as gl
from govlab.commands import main as cli
from govlab.commands.play import play
from govlab.sinks.encode import json_bodies
from govlab.sinks.sink import Sink
from govlab.testing.readers import read_all

COMMUNITY = gl.datasets.path("community")


@pytest.fixture(scope="module")
def events():
    reader = gl.sources.ReplayReader(COMMUNITY, stop="2026-03-02 02:00")
    rows = read_all(reader, 16_384)
    reader.close()
    return rows


@pytest.fixture(scope="module")
def file(events, tmp_path_factory):
    path = tmp_path_factory.mktemp("play") / "events.ndjson"
    path.write_bytes(b"\n".join(json_bodies(events)))
    return str(path)


def fresh():
    return f"play-{uuid.uuid4().hex[:8]}"


class Listed(Sink):
    name = "list"

    def __init__(self):
        self.frames, self.flushes, self.closed = [], 0, False

    def send(self, frame):
        self.frames.append(frame)

    def flush(self, timeout_s=60.0):
        self.flushes += 1

    def close(self):
        self.flush()
        self.closed = True


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


def test_all_rows_go_to_the_sink_in_order_and_it_is_closed(file, events):
    sink = Listed()
    done = play(file, sink, progress=False)
    assert ("finished", len(events), True) == (done.state, done.events, sink.closed)
    assert json_bodies(events) == [body for frame in sink.frames for body in json_bodies(frame)]


def test_at_a_speed_rows_come_frame_by_frame(file):
    fast, slow = Listed(), Listed()
    play(file, fast, progress=False)
    play(file, slow, speed=20_000, progress=False)
    assert len(slow.frames) > len(fast.frames)
    assert sum(map(len, slow.frames)) == sum(map(len, fast.frames))


def test_an_interrupt_ends_it_between_two_frames_and_what_was_sent_is_delivered(file):
    class Interrupting(Listed):
        def send(self, frame):
            super().send(frame)
            signal.raise_signal(signal.SIGINT)

    sink = Interrupting()
    done = play([file], sink, speed=20_000, progress=False)
    assert ("paused", True, len(sink.frames[0])) == (done.state, sink.closed, done.events)


def test_records_that_cannot_be_read_are_counted(tmp_path):
    (tmp_path / "a.ndjson").write_bytes(b'{"time": "2026-03-02", "n": 1}\n?\n{"time": "2026-03-03", "n": 2}\n')
    done = play(tmp_path / "a.ndjson", Listed(), progress=False)
    assert (2, 1) == (done.events, done.dead_letters)


def test_a_file_that_is_not_there_is_an_error_and_the_sink_is_closed(tmp_path):
    sink = Listed()
    with pytest.raises(gl.errors.SourceError, match="there is no file"):
        play(str(tmp_path / "nope.csv"), sink)
    assert sink.closed


@pytest.mark.server
@pytest.mark.parametrize("client", ["confluent", "kafka-python"])
def test_into_a_topic_that_is_made_with_keys_dealt_as_shards(kafka_server, file, events, client, capsys):
    topic = fresh()
    to = f"kafka://{kafka_server.address}/{topic}"
    options = ["--key", "actor", "--shards", "8", "--partitions", "3", "--client", client, "--quiet"]
    assert 0 == cli.main(["play", file, "--to", to, *options])
    assert re.fullmatch(rf"{len(events):,} rows in [\d.]+ s \([\d,]+ rows/s\) into {to}\n", capsys.readouterr().out)
    found = records(kafka_server.address, topic)
    assert Counter(json_bodies(events)) == Counter(bytes(record.value) for record in found)
    assert 3 == len({record.partition for record in found})
    assert 1 == max(Counter(key for key, _ in {(record.key, record.partition) for record in found}).values())


@pytest.mark.server
@pytest.mark.parametrize("kind", ["quorum", "classic"])
def test_into_a_queue_that_is_made(rabbitmq_server, file, events, kind, capsys):
    queue = fresh()
    assert 0 == cli.main(["play", file, "--to", f"{rabbitmq_server.address}{queue}", "--type", kind, "--id", "event_id", "--quiet"])
    told = capsys.readouterr().out
    assert f"into {queue} at amqp://guest:***@127.0.0.1" in told
    found = []
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        channel = connection.channel()
        for _, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=120):
            found.append(body)
            assert json.loads(body)["event_id"] == properties.message_id
            if len(found) == len(events):
                break
        channel.cancel()
    assert json_bodies(events) == found


@pytest.mark.server
def test_into_an_exchange_where_there_is_one_of_the_name_and_never_into_nothing(rabbitmq_server, file, events, capsys):
    name = fresh()
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        channel = connection.channel()
        channel.exchange_declare(name, "direct")
        channel.queue_declare(name + "-follows", durable=True)
        channel.queue_bind(name + "-follows", name, "follow")
    assert 1 == cli.main(["play", file, "--to", f"{rabbitmq_server.address}{name}", "--key", "kind", "--quiet"])
    assert "no queue takes the routing key" in capsys.readouterr().err
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        count = connection.channel().queue_declare(name + "-follows", passive=True).method.message_count
    assert 0 < count <= int((events["kind"] == "follow").sum())
    assert 1 == cli.main(["play", file, "--to", f"{rabbitmq_server.address}{name}-nope", "--quiet"])
    assert "there is no queue" in capsys.readouterr().err


@pytest.mark.server
def test_what_was_played_and_recorded_can_be_played_again(kafka_server, file, events, tmp_path):
    first, second = fresh(), fresh()
    to = f"kafka://{kafka_server.address}/"
    assert 0 == cli.main(["play", file, "--to", to + first, "--format", "arrow", "--quiet"])
    assert 0 == cli.main(["record", to + first, "--into", str(tmp_path / "r"), "--format", "arrow", "--until", "now", "--quiet"])
    assert 0 == cli.main(["play", str(tmp_path / "r"), "--to", to + second, "--quiet"])
    found = [json.loads(record.value)["event_id"] for record in records(kafka_server.address, second)]
    assert sorted(events["event_id"]) == sorted(found)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "kafka://127.0.0.1:1/t"], "nothing answers at 127.0.0.1:1"),
        (["--to", "kafka://127.0.0.1:1/t", "--partitions", "2"], "nothing answers at 127.0.0.1:1"),
        (["--to", "kafka://127.0.0.1:1/t", "--shards", "2"], "shards needs a key"),
        (["--to", "kafka://127.0.0.1:1/t", "--type", "quorum"], "--type: only of RabbitMQ"),
        (["--to", "kafka://127.0.0.1:1/t", "--speed", "0"], "--speed 0: expected more than zero"),
        (["--to", "kafka://127.0.0.1:1/t", "--user", "lab"], "user and password go together"),
        (["--to", "kafka://127.0.0.1:1/t", "--user", "lab", "--password", "hunter2"], "must say where the secret is"),
        (["--to", "kafka://127.0.0.1:1/t", "--user", "lab", "--password", "env:NO_SUCH"], "nothing answers"),
        (["--to", "amqp://lab:hunter2@127.0.0.1:1/q", "--shards", "2"], "--shards: only of Kafka"),
        (["--to", "amqp://lab:hunter2@127.0.0.1:1/q", "--partitions", "2"], "--partitions: only of Kafka"),
        (["--to", "amqp://lab:hunter2@127.0.0.1:1/q"], "nothing answers at 127.0.0.1:1"),
        (["--to", "redis://127.0.0.1:1/q"], "There are: amqp, amqps, kafka"),
    ],
)
def test_what_cannot_be_is_said_but_never_a_password(file, options, said, capsys):
    assert 1 == cli.main(["play", file, *options])
    told = capsys.readouterr().err
    assert said in told
    assert "hunter2" not in told
    assert "Traceback" not in told


@pytest.mark.server
def test_the_password_of_a_user_in_an_amqp_address_may_be_told_apart(rabbitmq_server, file, monkeypatch, capsys):
    monkeypatch.setenv("LAB_PASSWORD", "guest")
    to = f"amqp://guest@127.0.0.1:{rabbitmq_server.ports['amqp']}/{fresh()}"
    assert 0 == cli.main(["play", file, "--to", to, "--type", "quorum", "--password", "env:LAB_PASSWORD", "--quiet"])
    monkeypatch.setenv("LAB_PASSWORD", "hunter2")
    assert 1 == cli.main(["play", file, "--to", to, "--password", "env:LAB_PASSWORD", "--quiet"])
    assert "the login is refused: check user and password" in capsys.readouterr().err
    assert 1 == cli.main(["play", file, "--to", to, "--quiet"])
    assert "names a user and no password; say where it is" in capsys.readouterr().err
