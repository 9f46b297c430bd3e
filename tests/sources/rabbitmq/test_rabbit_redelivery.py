"""Equal messages are messages; only what the broker delivers again is left out."""

import pika
import pytest
from adverse.proxy import Proxy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from queues import SCHEMA, bodies, drain, events, queue

from govlab.sources.rabbitmq import consumer as rabbit_consumer
from govlab.sources.rabbitmq.queue import RabbitQueue

pytestmark = pytest.mark.server
BODY = bodies(events(1))[0]


def put(server, made, n, body=BODY, **properties):
    with pika.BlockingConnection(pika.URLParameters(server.address)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for _ in range(n):
            channel.basic_publish("", made, body, pika.BasicProperties(delivery_mode=2, **properties))


def opened(server, made, position=None, **options):
    reader = RabbitQueue(made, server.address, SCHEMA, **options)
    reader.open(position)
    return reader


def rest(server, made):
    """How many messages a queue still has."""
    with pika.BlockingConnection(pika.URLParameters(server.address)) as connection:
        return connection.channel().queue_declare(made, passive=True).method.message_count


@pytest.mark.parametrize("kind", ["quorum", "classic"])
@pytest.mark.parametrize("named", [{}, {"message_id": "the same"}], ids=["without an id", "with an id"])
def test_equal_messages_after_a_restart_are_read_each(rabbitmq_server, kind, named):
    made = queue(rabbitmq_server, kind)
    put(rabbitmq_server, made, 10, **named)
    first = opened(rabbitmq_server, made)
    drain(first, 10)
    position = first.position()
    first.commit(position)
    first.close()
    put(rabbitmq_server, made, 5, **named)
    second = opened(rabbitmq_server, made, position)
    assert list(range(10, 15)) == drain(second, 5)["offset"].tolist()
    second.commit(second.position())
    second.close()
    assert 0 == rest(rabbitmq_server, made)


@pytest.mark.parametrize("kind", ["quorum", "classic"])
def test_equal_messages_that_were_stored_and_not_acknowledged_are_left_out_and_new_ones_read(rabbitmq_server, kind):
    made = queue(rabbitmq_server, kind)
    put(rabbitmq_server, made, 10)
    first = opened(rabbitmq_server, made)
    drain(first, 10)
    position = first.position()
    first.close()  # the store has them, the broker was not told
    put(rabbitmq_server, made, 5)
    second = opened(rabbitmq_server, made, position)
    assert 5 == len(drain(second, 5))
    for _ in range(20):
        assert not len(second.read(10))
    assert 10 == second.redelivered
    second.commit(second.position())
    second.close()
    assert 0 == rest(rabbitmq_server, made)


@pytest.mark.parametrize("kind", ["quorum", "classic"])
def test_acknowledgements_that_a_lost_connection_took_with_it_do_not_keep_the_reader_from_what_follows(rabbitmq_server, kind):
    made = queue(rabbitmq_server, kind, bodies(events(30)))
    with Proxy(("127.0.0.1", rabbitmq_server.ports["amqp"])) as proxy:
        reader = RabbitQueue(made, f"amqp://guest:guest@{proxy.address}/", SCHEMA, prefetch=10)
        rows = drain(reader, 10)
        proxy.cut()
        while reader.trouble() is None:
            assert not len(reader.read(10))
        reader.commit(reader.position())  # no broker hears it, and all ten come again: all that it sends at once
        rows = [*rows["event_id"], *drain(reader, 10)["event_id"]]
        reader.commit(reader.position())
        rows += drain(reader, 10)["event_id"].tolist()
        reader.commit(reader.position())
        reader.close()
    assert sorted(events(30)["event_id"]) == sorted(rows)
    assert (10, 0) == (reader.redelivered, rest(rabbitmq_server, made))


def test_messages_that_a_purge_took_do_not_hide_equal_ones(rabbitmq_server):
    made = queue(rabbitmq_server)
    put(rabbitmq_server, made, 10)
    first = opened(rabbitmq_server, made)
    drain(first, 10)
    position = first.position()
    first.close()
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        assert 10 == connection.channel().queue_purge(made).method.message_count
    put(rabbitmq_server, made, 5)
    second = opened(rabbitmq_server, made, position)
    assert 5 == len(drain(second, 5))
    second.close()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 5), st.booleans(), st.booleans()), min_size=1, max_size=5),
    st.sampled_from(["quorum", "classic"]),
)
def test_whatever_is_put_read_stored_and_acknowledged_in_between_each_equal_message_is_read_once(
    rabbitmq_server, monkeypatch, turns, kind
):
    monkeypatch.setattr(rabbit_consumer, "LOOK_S", 0.01)
    made = queue(rabbitmq_server, kind)
    stored, sent, position = 0, 0, {}
    for n, take, store, acknowledge in [*turns, (1, 1_000, True, True)]:
        put(rabbitmq_server, made, n)
        sent += n
        reader = opened(rabbitmq_server, made, position, prefetch=50)
        read = len(drain(reader, min(take, sent - stored), 3))
        if store:
            stored, position = stored + read, reader.position()
            if acknowledge:
                reader.commit(position)
                while set(position := reader.position()) != {0}:  # a run goes on storing until the broker has taken it
                    reader.lag()
        reader.close()
    assert sent == stored
    last = opened(rabbitmq_server, made, position)
    for _ in range(20):
        assert not len(last.read(10))
    last.close()


@pytest.mark.parametrize("kind", ["quorum", "classic"])
def test_what_the_broker_is_known_to_have_as_acknowledged_is_in_no_position(rabbitmq_server, kind):
    made = queue(rabbitmq_server, kind)
    put(rabbitmq_server, made, 10)
    reader = opened(rabbitmq_server, made)
    drain(reader, 10)
    assert {0, 10} < {*reader.position(), *reader.position().values()}
    reader.commit(reader.position())
    while {0: 10} != reader.position():
        reader.read(1)
    reader.close()


def test_a_message_near_its_delivery_limit_is_reported(rabbitmq_server, caplog):
    made = queue(rabbitmq_server)
    put(rabbitmq_server, made, 1)
    for turn in range(5):
        reader = opened(rabbitmq_server, made, delivery_limit=8)
        drain(reader, 1)
        assert (turn >= 4) == (reader.trouble() is not None)
        if turn < 4:
            reader.close()
    assert "delivered 4 times before" in reader.trouble()[1]
    assert "x-delivery-limit (8" in caplog.text
    reader.commit(reader.position())
    assert reader.trouble() is None
    reader.close()
