"""Through a slow network the answers are the same; through one that stands still there is an error, never data."""

import contextlib

import pytest
from adverse.asking import N, events, filled_queue, filled_stream, filled_topic, live, of_kafka, of_stream, queue, topic
from queues import SCHEMA, fill

import govlab as gl
from govlab.errors import GovlabError

pytestmark = pytest.mark.server
CLIENTS = ["kafka-python", "confluent"]
DRIP_S = 1.2


@contextlib.contextmanager
def slowly(most_s, *proxies):
    with contextlib.ExitStack() as stack:
        for proxy in proxies:
            before = proxy.passed
            stack.enter_context(proxy.slow(most_s / 15, most_s))
        yield
        assert sum(proxy.passed for proxy in proxies) > before, "nothing went through the proxy"


@pytest.fixture(scope="module")
def made(proxied_kafka):
    return filled_topic(proxied_kafka[0])


@pytest.fixture(scope="module")
def stream(proxied_rabbitmq):
    return filled_queue(proxied_rabbitmq[0], "stream")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_range_of_a_topic_is_the_same_through_a_slow_network(proxied_kafka, made, client, most_s):
    server, proxy = proxied_kafka
    expected = of_kafka(server.address, made, client)
    assert (N, "finished") == (expected["events"], expected["state"])
    with slowly(most_s, proxy):
        assert expected == of_kafka(proxy.address, made, client)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_schema_guessed_from_a_topic_is_the_same_through_a_slow_network(proxied_kafka, made, client, most_s):
    server, proxy = proxied_kafka
    expected = of_kafka(server.address, made, client, schema=None)
    with slowly(most_s, proxy):
        assert expected == of_kafka(proxy.address, made, client, schema=None)


@pytest.mark.parametrize("client", CLIENTS)
def test_an_empty_topic_is_empty_through_a_slow_network(proxied_kafka, client, most_s):
    server, proxy = proxied_kafka
    with slowly(most_s, proxy):
        assert (0, "empty") == tuple(of_kafka(proxy.address, topic(server), client)[key] for key in ("events", "state"))


@pytest.mark.parametrize("client", CLIENTS)
def test_a_live_topic_is_read_whole_through_a_slow_network_and_its_lag_is_true(proxied_kafka, made, client, most_s):
    server, proxy = proxied_kafka
    ids, _ = live(gl.from_kafka(made, server.address, SCHEMA, client=client), N)
    with slowly(most_s, proxy):
        assert (ids, 0) == live(gl.from_kafka(made, proxy.address, SCHEMA, client=client), N)


def test_a_range_of_a_stream_is_the_same_through_a_slow_network(proxied_rabbitmq, stream, most_s):
    server, amqp, streams = proxied_rabbitmq
    expected = of_stream(server.address, stream)
    assert (N, "finished") == (expected["events"], expected["state"])
    with slowly(most_s, streams, amqp):
        assert expected == of_stream(amqp.url, stream)


def test_a_schema_guessed_from_a_stream_is_the_same_through_a_slow_network(proxied_rabbitmq, stream, most_s):
    server, amqp, streams = proxied_rabbitmq
    expected = of_stream(server.address, stream, schema=None)
    with slowly(most_s, streams, amqp):
        assert expected == of_stream(amqp.url, stream, schema=None)


def test_a_stream_that_gives_no_message_is_an_error_and_no_empty_range_through_a_slow_network(proxied_rabbitmq, most_s):
    server, amqp, streams = proxied_rabbitmq
    with slowly(most_s, streams, amqp), pytest.raises(GovlabError, match="it is empty, or its broker is too slow"):
        of_stream(amqp.url, queue(server, "stream"))


@pytest.mark.parametrize("kind", ["quorum", "stream"])
def test_a_live_queue_is_read_whole_through_a_slow_network(proxied_rabbitmq, kind, most_s):
    server, amqp, streams = proxied_rabbitmq
    expected, _ = live(gl.from_rabbitmq(filled_queue(server, kind), server.address, SCHEMA), N)
    with slowly(most_s, streams, amqp):
        ids, _ = live(gl.from_rabbitmq(filled_queue(server, kind), amqp.url, SCHEMA), N)
    assert expected == ids


# -- silence in the middle ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client", CLIENTS)
def test_a_topic_that_comes_bit_by_bit_gives_the_same_schema_rows_and_end(proxied_kafka, client):
    server, proxy = proxied_kafka
    made = fill(server, events(300), 1)
    expected = of_kafka(server.address, made, client, schema=None)
    assert (300, "finished") == (expected["events"], expected["state"])
    with proxy.dripping(DRIP_S):
        assert expected == of_kafka(proxy.address, made, client, schema=None)


@pytest.mark.parametrize("schema", [SCHEMA, None], ids=["a schema", "a guessed schema"])
def test_a_stream_that_comes_bit_by_bit_gives_the_same_schema_rows_and_end(proxied_rabbitmq, schema):
    server, amqp, _ = proxied_rabbitmq
    made = filled_stream(server, 3)
    expected = of_stream(server.address, made, schema)
    assert (3, "finished") == (expected["events"], expected["state"])
    assert schema or "string?" == expected["schema"]["flag"]
    with amqp.dripping(DRIP_S):
        assert expected == of_stream(amqp.url, made, schema)


# -- standing still ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [True, False], ids=["a schema", "a guessed schema"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_kafka_that_accepts_and_says_nothing_gives_an_error(proxied_kafka, made, client, schema):
    _, proxy = proxied_kafka
    with proxy.stalled(), pytest.raises(GovlabError):
        of_kafka(proxy.address, made, client, schema=SCHEMA if schema else None)


@pytest.mark.parametrize("schema", [True, False], ids=["a schema", "a guessed schema"])
def test_a_rabbitmq_that_accepts_and_says_nothing_gives_an_error(proxied_rabbitmq, stream, schema):
    _, amqp, streams = proxied_rabbitmq
    with amqp.stalled(), streams.stalled(), pytest.raises(GovlabError):
        of_stream(amqp.url, stream, schema=SCHEMA if schema else None)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_range_of_a_topic_whose_broker_falls_silent_in_the_middle_is_whole_or_an_error(proxied_kafka, made, client):
    _, proxy = proxied_kafka
    source = gl.from_kafka(made, proxy.address, SCHEMA, stop="now", client=client, max_rows=100)
    seen = source.map(len).sink_to_list()
    with contextlib.closing(source.reader), proxy.slow(0.01, 0.05):
        source.step(100)
        with proxy.stalled():
            try:
                gl.run(source, progress=False)
            except GovlabError:
                assert "failed" == source.state
            else:
                assert N == sum(seen)


@pytest.mark.parametrize("client", CLIENTS)
def test_evidence_from_a_broker_that_says_nothing_is_an_error_and_never_fewer_rows(proxied_kafka, made, client):
    _, proxy = proxied_kafka
    source = gl.from_kafka(made, proxy.address, SCHEMA, stop="now", client=client)
    with contextlib.closing(source.reader):
        gl.run(source, progress=False)
        with proxy.stalled(), pytest.raises(GovlabError):
            source.reader.fetch("0:0-20")


def test_evidence_from_a_stream_that_says_nothing_is_an_error_and_never_fewer_rows(proxied_rabbitmq, stream):
    _, amqp, streams = proxied_rabbitmq
    source = gl.from_rabbitmq(stream, amqp.url, SCHEMA, stop="now")
    with contextlib.closing(source.reader):
        gl.run(source, progress=False)
        with amqp.stalled(), streams.stalled(), pytest.raises(GovlabError):
            source.reader.fetch("0:0-20")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_live_topic_whose_connections_are_cut_again_and_again_gives_each_event_once(proxied_kafka, made, client):
    _, proxy = proxied_kafka
    source = gl.from_kafka(made, proxy.address, SCHEMA, client=client, max_rows=50)
    ids = source.map(lambda frame: frame["event_id"].tolist()).sink_to_list()
    cuts = 0
    with contextlib.closing(source.reader):
        for _ in range(N // 100):
            gl.run(source, max_events=100, progress=False)
            cuts += proxy.cut()
    found = [one for part in ids for one in part]
    assert (N, N) == (len(found), len(set(found)))
    assert cuts > 0


@pytest.mark.parametrize("kind", ["quorum", "stream"])
def test_a_live_queue_whose_connections_are_cut_again_and_again_gives_each_event_once(proxied_rabbitmq, kind):
    server, amqp, _ = proxied_rabbitmq
    source = gl.from_rabbitmq(filled_queue(server, kind), amqp.url, SCHEMA, prefetch=200, max_rows=50)
    ids = source.map(lambda frame: frame["event_id"].tolist()).sink_to_list()
    cuts = 0
    with contextlib.closing(source.reader):
        for _ in range(N // 100):
            gl.run(source, max_events=100, progress=False)
            cuts += amqp.cut()
    found = [one for part in ids for one in part]
    assert (N, N) == (len(found), len(set(found)))
    assert cuts > 0
