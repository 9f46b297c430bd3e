"""Frames into exchanges and queues of a real RabbitMQ: what is there afterwards, and what is said when it cannot be."""

import threading
import uuid

import numpy as np
import pika
import pytest

import govlab as gl
from govlab import services
from govlab.errors import ArgumentError, SchemaError, SinkError
from govlab.frames import event_frame
from govlab.sinks.encode import json_bodies
from govlab.sources.messages import MessageDecoder, Messages
from govlab.sources.rabbitmq import publisher as rabbit_publisher
from govlab.sources.rabbitmq.sink import RabbitSink, is_exchange
from govlab.summary import content_hashes
from govlab.testing import sample_events

pytestmark = pytest.mark.server
EVENTS = sample_events(2_000).drop(columns=["id", "entity", "reason", "label"])
EVENTS["event_id"] = [f"e{i}" for i in range(len(EVENTS))]
FIELDS = {"event_id": "string", "actor": "string?", "kind": "string", "value": "float64?", "count": "int64", "words": "float64"}
SCHEMA = gl.Schema({"time": "timestamp", "start": "timestamp", "target": "string?", "score": "float64?", **FIELDS})


def fresh():
    return f"sink-{uuid.uuid4().hex[:8]}"


def messages(url, queue, count):
    """Take so many messages out of a queue, as (routing key, properties, body)."""
    found = []
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        for method, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=120):
            assert method is not None, f"only {len(found)} messages came"
            found.append((method.routing_key, properties, body))
            if len(found) == count:
                break
        channel.cancel()
    return found


def bound(url, kind="topic", key="#"):
    """Make an exchange, and a queue that takes from it; gives both names."""
    name = fresh()
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.exchange_declare(name, kind, durable=True)
        channel.queue_declare(name + "-q", durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind(name + "-q", name, key)
    return name, name + "-q"


def send(sink, frame, cut=700):
    for first in range(0, len(frame), cut):
        sink.send(frame.iloc[first : first + cut])
    sink.close()


@pytest.mark.parametrize("kind", ["quorum", "classic"])
@pytest.mark.parametrize("form", ["json", "arrow"])
def test_a_queue_is_made_and_what_is_read_from_it_says_the_same(rabbitmq_server, kind, form):
    queue = fresh()
    send(RabbitSink(url=rabbitmq_server.address, queue=queue, kind=kind, format=form), EVENTS)
    found = messages(rabbitmq_server.address, queue, len(EVENTS) if form == "json" else 3)
    bodies = [body for _, _, body in found]
    rows, bad = MessageDecoder(SCHEMA, form).block(Messages(list(range(len(bodies))), bodies), 0)
    assert [] == bad
    assert content_hashes(EVENTS).tolist() == content_hashes(rows).tolist()


def test_a_stream_takes_them_too(rabbitmq_server):
    queue = fresh()
    send(RabbitSink(url=rabbitmq_server.address, queue=queue, kind="stream"), EVENTS)
    bodies = []
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        channel = connection.channel()
        channel.basic_qos(prefetch_count=500)
        for method, _, body in channel.consume(queue, arguments={"x-stream-offset": "first"}, inactivity_timeout=120):
            assert method is not None
            channel.basic_ack(method.delivery_tag)
            bodies.append(body)
            if len(bodies) == len(EVENTS):
                break
        channel.cancel()
    assert json_bodies(EVENTS) == bodies


def test_a_message_is_persistent_and_has_the_event_time_the_id_and_the_key(rabbitmq_server):
    exchange, queue = bound(rabbitmq_server.address)
    send(RabbitSink(exchange, rabbitmq_server.address, key="actor", id="event_id"), EVENTS)
    found = messages(rabbitmq_server.address, queue, len(EVENTS))
    assert json_bodies(EVENTS) == [body for _, _, body in found]
    assert EVENTS["actor"].fillna("").tolist() == [key for key, _, _ in found]
    assert EVENTS["event_id"].tolist() == [properties.message_id for _, properties, _ in found]
    assert (EVENTS["time"].astype("int64") // 1_000_000).tolist() == [properties.timestamp for _, properties, _ in found]
    assert {(2, "application/json")} == {(properties.delivery_mode, properties.content_type) for _, properties, _ in found}


def test_an_alert_has_its_entity_as_routing_key_and_its_id_as_message_id(rabbitmq_server):
    alerts = gl.Pipeline(gl.alerts.Threshold(12.0, score="value", entity="actor")).run(EVENTS).rows
    exchange, queue = bound(rabbitmq_server.address)
    send(RabbitSink(exchange, rabbitmq_server.address), alerts)
    found = [(key, properties.message_id) for key, properties, _ in messages(rabbitmq_server.address, queue, len(alerts))]
    assert list(zip(alerts["entity"], alerts["id"], strict=True)) == found


def test_a_routing_key_may_be_the_same_for_all_and_one_that_is_too_long_is_cut(rabbitmq_server):
    exchange, queue = bound(rabbitmq_server.address)
    long = "é" * 200
    frame = EVENTS.iloc[:2].assign(actor=long)
    send(RabbitSink(exchange, rabbitmq_server.address, routing_key="all"), frame)
    send(RabbitSink(exchange, rabbitmq_server.address, key="actor"), frame)
    assert ["all"] * 2 + ["é" * 127] * 2 == [key for key, _, _ in messages(rabbitmq_server.address, queue, 4)]


def test_an_id_that_is_too_long_is_an_error(rabbitmq_server):
    sink = RabbitSink(url=rabbitmq_server.address, queue=fresh(), kind="quorum", id="actor")
    with pytest.raises(SinkError, match="longer than the 255 bytes"):
        sink.send(EVENTS.iloc[:2].assign(actor="é" * 200))
    sink.close()


def test_a_message_that_no_queue_takes_is_an_error_and_the_sink_goes_on(rabbitmq_server):
    exchange, queue = bound(rabbitmq_server.address, "direct", "known")
    sink = RabbitSink(exchange, rabbitmq_server.address, key="kind")
    sink.send(EVENTS.iloc[:3].assign(kind=["known", "unknown", "unknown"]))
    with pytest.raises(
        SinkError, match=r"2 messages are not confirmed, first: no queue takes the routing key 'unknown' \(NO_ROUTE\)"
    ):
        sink.flush()
    sink.send(EVENTS.iloc[3:4].assign(kind="known"))
    sink.close()
    assert 2 == len(messages(rabbitmq_server.address, queue, 2))


def test_an_exchange_that_is_gone_is_an_error_with_the_count_and_what_the_broker_says(rabbitmq_server):
    exchange, _ = bound(rabbitmq_server.address)
    sink = RabbitSink(exchange, rabbitmq_server.address, routing_key="all")
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        connection.channel().exchange_delete(exchange)
    sink.send(EVENTS.iloc[:3])
    with pytest.raises(SinkError, match=rf"3 messages are not confirmed, first: NOT_FOUND - no exchange '{exchange}'"):
        sink.flush()
    sink.close()


def test_what_a_full_queue_refuses_is_an_error(rabbitmq_server):
    queue = fresh()
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        limits = {"x-max-length": 5, "x-overflow": "reject-publish"}
        connection.channel().queue_declare(queue, durable=True, arguments=limits)
    sink = RabbitSink(url=rabbitmq_server.address, queue=queue)
    sink.send(EVENTS.iloc[:500])
    with pytest.raises(SinkError, match=r"\d+ messages are not confirmed, first: the broker has refused them"):
        sink.flush()
    sink.close()


def test_more_than_may_be_on_its_way_is_held_back_and_all_arrives_in_order(rabbitmq_server, monkeypatch):
    monkeypatch.setattr(rabbit_publisher, "WINDOW", 20)
    monkeypatch.setattr(rabbit_publisher, "WAITING", 50)
    queue = fresh()
    send(RabbitSink(url=rabbitmq_server.address, queue=queue, kind="quorum"), EVENTS, cut=37)
    assert json_bodies(EVENTS) == [body for _, _, body in messages(rabbitmq_server.address, queue, len(EVENTS))]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "give the exchange, or queue="),
        ({"exchange": "x", "queue": "q"}, "leave exchange, routing_key and key out"),
        ({"routing_key": "x", "key": "actor"}, "give one of them"),
        ({"exchange": "x", "kind": "quorum"}, "kind of queue="),
        ({"queue": "q", "kind": "quorm"}, "Did you mean 'quorum'"),
        ({"queue": "q", "format": "arrow", "id": "event_id"}, "neither key nor id"),
        ({"queue": "q", "format": "jsn"}, "Did you mean 'json'"),
        ({"queue": "q", "url": "http://localhost/"}, "no address of RabbitMQ"),
    ],
)
def test_a_wrong_argument_is_said_before_anything_is_connected(options, said):
    with pytest.raises(ArgumentError, match=said):
        RabbitSink(**{"url": "amqp://127.0.0.1:1/", **options})


def test_a_place_that_is_not_there_is_said(rabbitmq_server):
    with pytest.raises(SinkError, match="there is no exchange 'nope'; declare it first"):
        RabbitSink("nope", rabbitmq_server.address)
    with pytest.raises(SinkError, match="there is no queue 'nope'; declare it first, or say of which kind"):
        RabbitSink(url=rabbitmq_server.address, queue="nope")
    assert not is_exchange("nope", rabbitmq_server.address)
    assert is_exchange("amq.topic", rabbitmq_server.address)


def test_a_key_that_is_no_column_says_which_there_are(rabbitmq_server):
    sink = RabbitSink("amq.topic", rabbitmq_server.address, key="actr")
    with pytest.raises(SchemaError, match="Did you mean 'actor'"):
        sink.send(EVENTS)
    sink.close()


@pytest.mark.parametrize(
    ("login", "port", "vhost", "said"),
    [
        ("guest:hunter2", "amqp", "", "the login is refused: check user and password"),
        ("guest:guest", "amqp", "nope", "is the vhost there"),
        ("guest:guest", "stream", "", "answers, but not as RabbitMQ does"),
        ("guest:hunter2", None, "", "nothing answers at 127.0.0.1:1 "),
    ],
)
def test_who_is_not_let_in_is_told_why_but_never_the_password(rabbitmq_server, login, port, vhost, said):
    number = rabbitmq_server.ports[port] if port else 1
    with pytest.raises(SinkError, match=said) as told:
        RabbitSink("amq.topic", f"amqp://{login}@127.0.0.1:{number}/{vhost}")
    assert "hunter2" not in str(told.value)


def test_a_user_and_password_of_access_take_the_place_of_those_in_the_address(rabbitmq_server, monkeypatch):
    monkeypatch.setenv("LAB_PASSWORD", "guest")
    url = rabbitmq_server.address.replace("guest:guest@", "nobody:wrong@")
    RabbitSink("amq.topic", url, access=gl.Access("guest", "env:LAB_PASSWORD")).close()
    monkeypatch.setenv("LAB_URL", rabbitmq_server.address)
    RabbitSink("amq.topic", "env:LAB_URL").close()


def test_a_lost_connection_is_made_anew_and_nothing_is_lost_when_the_broker_is_killed(tmp_path):
    with services.start("rabbitmq", tmp_path) as server:
        queue = fresh()
        RabbitSink(url=server.address, queue=queue, kind="quorum").close()
        server.restart()  # a quorum queue of RabbitMQ 3.10 that is killed within seconds of its birth never comes back
        sink = RabbitSink(url=server.address, queue=queue, id="event_id")
        sink.send(EVENTS.iloc[:500])
        sink.flush()
        sink.send(EVENTS.iloc[500:1_000])
        server.kill()
        sink.send(EVENTS.iloc[1_000:])
        with pytest.raises(
            SinkError, match=r"messages are not confirmed, first: no confirmation in time: no connection \(.*refused"
        ):
            sink.flush(timeout_s=0.5)
        server.restart()
        sink.close()
        with pika.BlockingConnection(pika.URLParameters(server.address)) as connection:
            count = connection.channel().queue_declare(queue, passive=True).method.message_count
        ids = [properties.message_id for _, properties, _ in messages(server.address, queue, count)]
    # what was confirmed while the connection broke comes twice, with its id
    first = list(dict.fromkeys(ids))
    assert EVENTS["event_id"].tolist() == first


def test_no_thread_is_left_behind(rabbitmq_server):
    sink = RabbitSink("amq.topic", rabbitmq_server.address)
    assert any("amq.topic" in thread.name for thread in threading.enumerate())
    sink.close()
    assert not any("amq.topic" in thread.name for thread in threading.enumerate())


def test_times_before_1970_are_written_as_1970(rabbitmq_server):
    queue = fresh()
    send(RabbitSink(url=rabbitmq_server.address, queue=queue, kind="quorum"), event_frame({"time": ["1900-01-01"], "x": [np.inf]}))
    ((_, properties, body),) = messages(rabbitmq_server.address, queue, 1)
    assert (0, b'{"time":"1900-01-01T00:00:00.000000Z","x":null}') == (properties.timestamp, body)
