"""What is guessed, what is left out, and how messages are packed."""

import json
import logging

import kafka.codec
import pytest
from kafka_topics import CLIENTS, ids, live, made, producer, whole
from queues import bodies, drain, events, send

import govlab as gl
from govlab.errors import SourceError
from govlab.sources.kafka import sampling as kafka_sampling
from govlab.sources.kafka.sampling import unread

pytestmark = pytest.mark.server
PACKED = {"gzip": True, "lz4": kafka.codec.has_lz4(), "snappy": kafka.codec.has_snappy(), "zstd": kafka.codec.has_zstd()}


def body(n, **more):
    return json.dumps({"time": f"2026-03-02T00:{n // 60:02}:{n % 60:02}Z", "n": n} | more).encode()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("codec", PACKED)
def test_each_way_of_compression_is_read_or_it_is_said_what_to_install(kafka_server, client, codec):
    topic = made(kafka_server, compression_type=codec)
    send(kafka_server, topic, bodies(events(20)))
    if client == "confluent" or PACKED[codec]:
        for reader, n in (
            (whole(kafka_server, topic, client=client, schema=None), None),
            (live(kafka_server, topic, client=client), 20),
        ):
            assert sorted(ids(events(20))) == sorted(ids(drain(reader, n)))
            reader.close()
        return
    said = f"the topic is compressed with {codec}: pip install .*, or client='confluent'"
    with pytest.raises(SourceError, match=said):
        live(kafka_server, topic, client=client, schema=None)
    for reader in (live(kafka_server, topic, client=client), whole(kafka_server, topic, client=client)):
        with pytest.raises(SourceError, match=said):
            drain(reader, 20)
        reader.close()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("start", ["earliest", "latest"])
def test_the_guess_looks_at_the_newest_messages_too(kafka_server, client, start):
    topic = made(kafka_server)
    send(kafka_server, topic, [body(n) for n in range(1_500)] + [body(n, country="DE") for n in range(100)])
    reader = live(kafka_server, topic, client=client, schema=None, start=start)
    assert "country" in reader.schema.names
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_fields_that_a_guess_leaves_out_are_named(kafka_server, client, caplog):
    topic = made(kafka_server)
    send(kafka_server, topic, [body(1, place={"lat": 1.5}, tags=["a"], empty=None), body(2)])
    for reader in (live(kafka_server, topic, client=client, schema=None), whole(kafka_server, topic, client=client, schema=None)):
        assert {"place": "a nested object", "tags": "a list"} == reader.left_out
        assert "place" in caplog.text
        assert "tags" in caplog.text
        reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_fields_of_later_messages_that_are_not_read_are_named_once_and_counted(kafka_server, client, caplog):
    topic = made(kafka_server)
    send(kafka_server, topic, [body(0)])
    reader = live(kafka_server, topic, client=client, schema=None)
    chosen = live(kafka_server, topic, client=client, schema=gl.Schema({"time": "timestamp", "n": "int64"}))
    for one in (reader, chosen):
        drain(one, 1)
    for n in range(1, 4):
        send(kafka_server, topic, [body(n, country="DE")])
        for one in (reader, chosen):
            drain(one, 1)
    assert ["country"] == list(reader.left_out)
    assert {"country": 3} == reader._unread.seen
    assert 1 == sum("'country', which is not read" in record.getMessage() for record in caplog.records)
    assert {} == chosen.left_out  # a schema that is given leaves out what it leaves out
    for one in (reader, chosen):
        one.close()


def test_a_field_is_unread_with_what_it_holds_and_what_is_no_record_does_not_count():
    schema = gl.Schema({"time": "timestamp", "n": "int64"})
    found = unread([body(1, a=[1], b={"x": 1}, c=None), b"?", b"", body(2, d="x") + b"\n" + body(3, e=1), b"[1]"], schema)
    assert {"a": "a list", "b": "a nested object", "d": kafka_sampling.OTHER, "e": kafka_sampling.OTHER} == found


@pytest.mark.parametrize("client", CLIENTS)
def test_a_broker_that_does_not_give_its_records_is_an_error_and_never_a_smaller_sample(kafka_server, client, monkeypatch):
    monkeypatch.setattr(kafka_sampling, "PATIENCE_S", 0.0)
    topic = made(kafka_server)
    send(kafka_server, topic, bodies(events(10)))
    span = {(topic, 0): (0, 11)}  # one more than there are: it never comes
    with pytest.raises(SourceError, match="nothing came for 0 s of the records at 0 to 11"):
        kafka_sampling.records(client, kafka_server.address, gl.Access(), span)


@pytest.mark.parametrize("client", CLIENTS)
def test_headers_of_one_name_are_all_read(kafka_server, client):
    topic = made(kafka_server)
    one = producer(kafka_server)
    one.produce(topic, body(0), headers=[("via", b"a"), ("by", b"x"), ("via", b"b")])
    one.flush()
    schema = gl.Schema({"time": "timestamp", "message_headers": "string"})
    reader = whole(kafka_server, topic, client=client, schema=schema)
    assert [{"via": ["a", "b"], "by": "x"}] == [json.loads(text) for text in drain(reader)["message_headers"]]
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_records_that_were_written_late_are_in_the_range_of_their_events(kafka_server, client, caplog):
    topic = made(kafka_server, 2)
    send(kafka_server, topic, [body(n) for n in range(3)], 1)  # events of March, written now
    schema = gl.Schema({"time": "timestamp", "n": "int64"})
    with caplog.at_level(logging.WARNING, "govlab"):
        reader = whole(kafka_server, topic, client=client, schema=schema, start="2026-03-01", stop="2026-03-03")
        assert [0, 1, 2] == drain(reader)["n"].tolist()
    assert "all offsets are read" in caplog.text
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_one_record_of_a_wrong_writing_time_does_not_end_a_range(kafka_server, client):
    topic = made(kafka_server)
    one = producer(kafka_server)
    for n in range(3_000):
        # each is written at the time of its event, but for one that claims to be far ahead of the others
        one.produce(topic, body(n), timestamp=1_772_409_600_000 + 1_000 * n + (80_000_000 if n == 10 else 0))
    one.flush()
    schema = gl.Schema({"time": "timestamp", "n": "int64"})
    reader = whole(
        kafka_server, topic, client=client, schema=schema, start="2026-03-02 00:00:05", stop="2026-03-02 00:40", slack="1min"
    )
    assert list(range(5, 2_400)) == drain(reader)["n"].tolist()
    reader.close()
