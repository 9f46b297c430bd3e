"""RabbitMQ, against a real broker."""

import json

import paho.mqtt.client
import paho.mqtt.enums
import pika
import pytest
import stomp
from queues import SCHEMA, bodies, drain, events, name, queue, same, settle

import govlab as gl
from govlab import frames
from govlab.errors import ArgumentError, SourceError
from govlab.sources.rabbitmq.queue import RabbitQueue
from govlab.sources.rabbitmq.range import RabbitRange
from govlab.sources.rabbitmq.stream import RabbitStream

pytestmark = pytest.mark.server
DATA = ["time", "event_id", "actor", "kind", "value"]


def read(server, made, **options):
    return RabbitQueue(made, server.address, SCHEMA, **options)


@pytest.fixture(scope="module")
def stream(rabbitmq_server):
    made = queue(rabbitmq_server, "stream")
    sink = gl.sinks.RabbitSink("", rabbitmq_server.address, routing_key=made)
    sink.send(events())
    sink.close()
    return made


@pytest.mark.parametrize("kind", ["quorum", "classic"])
def test_messages_are_rows_in_their_order_and_bad_ones_dead_letters(rabbitmq_server, kind):
    good = bodies(events(5))
    made = queue(rabbitmq_server, kind, [good[0], b"?", *good[1:], b"\xff"])
    reader = read(rabbitmq_server, made)
    rows = drain(reader, 5, 2)
    letters = settle(reader, reader.take_dead_letters(), 2)
    reader.close()
    same(events(5)[DATA], rows[DATA])
    assert ([0, 2, 3, 4, 5], [1, 6]) == (rows["offset"].tolist(), [one.offset for one in letters])
    assert [b"?", b"\xff"] == [one.raw for one in letters]


def test_what_was_not_committed_is_delivered_again_and_what_was_is_gone(rabbitmq_server):
    made = queue(rabbitmq_server, "quorum", bodies(events(50)))
    first = read(rabbitmq_server, made)
    drain(first, 20, 10)
    position = first.position()
    drain(first, 10, 10)
    first.commit(position)
    first.close()
    second = read(rabbitmq_server, made)
    assert events(50)["event_id"].tolist()[20:] == drain(second, 30)["event_id"].tolist()
    second.close()


@pytest.mark.parametrize("named", [True, False], ids=["with a message_id", "by their bodies"])
def test_a_crash_between_the_store_and_the_acknowledgement_gives_each_message_once(rabbitmq_server, named):
    made = queue(rabbitmq_server)
    sink = gl.sinks.RabbitSink("", rabbitmq_server.address, routing_key=made, id="event_id" if named else None)
    sink.send(events(300))
    sink.close()
    rows, position = [], {}
    while len(rows) < 300:
        reader = read(rabbitmq_server, made, prefetch=100)
        reader.open(position)
        got = drain(reader, min(40, 300 - len(rows)), 7)
        acknowledged = reader.position()
        got = frames.concat([got, drain(reader, min(20, 300 - len(rows) - len(got)), 7)])
        rows += got["event_id"].tolist()
        position = reader.position()
        reader.commit(acknowledged)  # the store has more than the broker heard of
        reader.close()
    # the broker says nothing of the order of what it delivers again
    assert sorted(events(300)["event_id"]) == sorted(rows)


def test_a_broker_that_is_killed_and_started_again_loses_nothing_and_gives_nothing_twice(tmp_path):
    with gl.services.start("rabbitmq", tmp_path / "rabbit") as server:
        made = queue(server, "quorum", bodies(events(400)))
        server.stop()  # a queue that is seconds old when its broker is killed may never come back, whoever reads it
        server.restart()
        reader = read(server, made, prefetch=150)
        rows = drain(reader, 100, 50)
        server.kill()
        while reader.trouble() is None:
            rows = frames.concat([rows, reader.read(10)])
        assert "reconnecting" == reader.trouble()[0]
        server.restart()
        while len(rows) < 400:
            rows = frames.concat([rows, reader.read(50)])
            reader.commit(reader.position())
        reader.close()
        assert sorted(events(400)["event_id"]) == sorted(rows["event_id"])


@pytest.mark.parametrize("form", ["ndjson", "arrow"])
def test_a_message_with_several_rows_may_be_cut_anywhere(rabbitmq_server, form):
    frame, lines = events(60), bodies(events(60))
    made = queue(rabbitmq_server, "quorum", [b"\n".join(lines[i : i + 7]) for i in range(0, 60, 7)] if form == "ndjson" else [])
    if form == "arrow":
        sink = gl.sinks.RabbitSink("", rabbitmq_server.address, routing_key=made, format="arrow")
        for i in range(0, 60, 7):
            sink.send(frame.iloc[i : i + 7].reset_index(drop=True))
        sink.close()
    rows, position = [], {}
    while len(rows) < 60:
        reader = read(rabbitmq_server, made, format=form)
        reader.open(position)
        rows += drain(reader, 5, 3)["event_id"].tolist()
        position = reader.position()
        reader.commit(position)
        reader.close()
    assert frame["event_id"].tolist() == rows


def test_bad_messages_go_to_the_exchange_for_those_with_the_reason(rabbitmq_server):
    good = bodies(events(2))
    made, dead = queue(rabbitmq_server, "quorum", [good[0], b"?", good[1]]), name("dead")
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        channel = connection.channel()
        channel.exchange_declare(dead, "fanout")
        channel.queue_declare(dead)
        channel.queue_bind(dead, dead)
        reader = read(rabbitmq_server, made, dead_letter_exchange=dead)
        drain(reader, 2)
        reader.commit(reader.position())
        reader.close()
        method, properties, body = channel.basic_get(dead, auto_ack=True)
        assert (b"?", made) == (body, method.routing_key)
        assert ("JSON is malformed: invalid character (byte 0)", made) == tuple(
            properties.headers[f"x-govlab-{x}"] for x in ("reason", "queue")
        )
        assert 0 == channel.queue_declare(made, passive=True).method.message_count


def test_messages_published_over_mqtt_and_stomp_are_read_alike(rabbitmq_server):
    made = queue(rabbitmq_server)
    good = bodies(events(2))
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        connection.channel().queue_bind(made, "amq.topic", "edits.#")
    host, _, port = rabbitmq_server.addresses["mqtt"].partition(":")
    phone = paho.mqtt.client.Client(paho.mqtt.enums.CallbackAPIVersion.VERSION2)
    phone.username_pw_set("guest", "guest")
    phone.connect(host, int(port))
    phone.loop_start()
    phone.publish("edits/phone", good[0], qos=1).wait_for_publish(20)
    phone.disconnect()
    phone.loop_stop()
    host, _, port = rabbitmq_server.addresses["stomp"].partition(":")
    script = stomp.Connection([(host, int(port))])
    script.connect("guest", "guest", wait=True)
    script.send(f"/amq/queue/{made}", good[1].decode(), receipt="sent")
    schema = gl.Schema({**SCHEMA.fields, "message_key": "string"})
    reader = RabbitQueue(made, rabbitmq_server.address, schema)
    rows = drain(reader, 2).sort_values("event_id")
    reader.close()
    script.disconnect()
    assert (["e1-0", "e1-1"], ["edits.phone", made]) == (rows["event_id"].tolist(), rows["message_key"].tolist())


def test_a_stretch_of_a_stream_keeps_the_contract_of_readers(rabbitmq_server, stream):
    gl.testing.check_reader(lambda: RabbitRange(stream, rabbitmq_server.address, SCHEMA, "2026-03-02 00:10", "2026-03-02 00:15"))


def test_a_stretch_of_a_stream_is_read_in_the_order_of_event_time_or_as_it_stands(rabbitmq_server, stream):
    for order, expected in (("event", events().sort_values("time", kind="stable")), ("arrival", events())):
        reader = RabbitRange(stream, rabbitmq_server.address, order=order)
        same(expected[DATA], drain(reader)[DATA])
        reader.close()


def test_a_live_stream_goes_on_at_any_offset(rabbitmq_server, stream):
    for n in (0, 1, 1_234, 2_900):
        first = RabbitStream(stream, rabbitmq_server.address, SCHEMA)
        head = drain(first, n, 100)
        position = first.position_before(first.read(50))
        first.close()
        second = RabbitStream(stream, rabbitmq_server.address, SCHEMA)
        second.open(position)
        same(events()[DATA], frames.concat([head, drain(second, 3_000 - n)])[DATA])
        second.close()
    by_offset = RabbitStream(stream, rabbitmq_server.address, SCHEMA, start=2_990)
    assert list(range(2_990, 3_000)) == drain(by_offset, 10)["offset"].tolist()
    by_offset.close()
    assert ["e1-7"] == by_offset.fetch("0:7")["event_id"].tolist()


def test_mistakes_are_told_with_what_to_do_and_without_the_password(rabbitmq_server, stream):
    port = rabbitmq_server.ports["amqp"]
    with pytest.raises(SourceError, match="there is no queue 'nope'"):
        read(rabbitmq_server, "nope")
    with pytest.raises(SourceError, match="login is refused: check user and password") as told:
        RabbitQueue(stream, f"amqp://guest:wrong-pw@127.0.0.1:{port}/", SCHEMA)
    assert "wrong-pw" not in str(told.value)
    with pytest.raises(SourceError, match="vhost"):
        RabbitQueue(stream, f"amqp://guest:guest@127.0.0.1:{port}/nope", SCHEMA)
    with pytest.raises(SourceError, match="nothing answers"):
        RabbitQueue(stream, "amqp://guest:guest@127.0.0.1:1/", SCHEMA)
    with pytest.raises(ArgumentError, match="schema=None"):
        RabbitQueue(stream, rabbitmq_server.address)
    with pytest.raises(ArgumentError, match="is a quorum queue, not a stream"):
        RabbitStream(queue(rabbitmq_server), rabbitmq_server.address, SCHEMA)
    with pytest.raises(ArgumentError, match="start and stop are for streams"):
        gl.from_rabbitmq(queue(rabbitmq_server), rabbitmq_server.address, SCHEMA, stop="now")
    with pytest.raises(ArgumentError, match="name an exchange"):
        read(rabbitmq_server, stream, dead_letter_exchange="")


def test_no_secret_is_in_what_a_reader_says_of_itself(rabbitmq_server, stream):
    reader = RabbitStream(stream, rabbitmq_server.address, SCHEMA)
    source = gl.from_reader(reader)
    said = json.dumps([reader.origin, reader.name, repr(source), source._repr_html_(), str(source.status())])
    assert "guest:guest" not in said


def test_a_stream_that_is_left_after_some_rows_of_those_that_came_first_goes_on_with_the_next_one(rabbitmq_server):
    made, position, ids = queue(rabbitmq_server, "stream", bodies(events(40))), None, []
    for n in (1, 4, 2, 33):
        reader = RabbitStream(made, rabbitmq_server.address, SCHEMA)
        reader.open(position)
        ids += drain(reader, n, 2)["event_id"].tolist()
        position = reader.position()
        reader.close()
    assert events(40)["event_id"].tolist() == ids
