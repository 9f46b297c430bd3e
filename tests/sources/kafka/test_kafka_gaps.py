"""The next record is the one expected, or it is said why not."""

import pytest
from kafka_topics import CLIENTS, admin, delete_records, ids, live, made, producer, some, until, whole
from queues import bodies, drain, events, name, offsets, send

from govlab.errors import SourceError
from govlab.sources.kafka import range as kafka_range
from govlab.sources.kafka.gaps import first_gap
from govlab.sources.messages import Messages

pytestmark = pytest.mark.server
MEMBERS = [None, "group"]


def grouped(group):
    return {"group": name("g")} if group else {}


def fill_up(server, topic):
    """Send more than a client fetches ahead."""
    sent = producer(server)
    for i, body in enumerate(bodies(events(5_000, seed=3).assign(actor="x" * 25_000))):
        sent.produce(topic, body, partition=0)
        if i % 500 == 0:
            sent.flush()
    sent.flush()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("group", MEMBERS)
def test_records_that_go_while_a_reader_is_behind_are_an_error_for_every_client_and_group(kafka_server, client, group):
    topic = made(kafka_server)
    send(kafka_server, topic, bodies(events(10)))
    reader = live(kafka_server, topic, client=client, **grouped(group))
    drain(reader, 10)
    fill_up(kafka_server, topic)
    delete_records(kafka_server, topic, 5_005)
    with pytest.raises(SourceError, match=r"records at the position are gone.* there are 5,005 to 5,010"):
        until(reader, lambda rows: len(rows) == 5_000)
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("group", MEMBERS)
def test_records_that_went_while_nobody_read_are_an_error_even_where_none_is_left(kafka_server, client, group):
    topic, options = made(kafka_server), grouped(group)
    send(kafka_server, topic, bodies(events(10)))
    first = live(kafka_server, topic, client=client, **options)
    drain(first, 4, 2)
    position = first.position()
    first._commit(position, wait=True)
    first.close()
    delete_records(kafka_server, topic, 10)
    second = live(kafka_server, topic, client=client, **options)
    with pytest.raises(SourceError, match=r"are gone.*the next offset is 4, but there are 10 to 10"):  # noqa: PT012 - a group joins first
        second.open({} if group else position)
        until(second, lambda rows: False)
    second.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_range_whose_records_go_while_it_is_read_is_an_error(kafka_server, client, monkeypatch):
    monkeypatch.setattr(kafka_range, "BLOCK", 100)
    topic = made(kafka_server, 2)
    fill_up(kafka_server, topic)
    reader = whole(kafka_server, topic, client=client, order="arrival")
    drain(reader, 10)
    delete_records(kafka_server, topic, 5_000)
    with pytest.raises(SourceError, match="are gone"):
        drain(reader)
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_what_compaction_took_is_no_loss(kafka_server, client):
    topic = made(
        kafka_server, cleanup_policy="compact", segment_ms="200", min_cleanable_dirty_ratio="0.01", max_compaction_lag_ms="500"
    )
    sent = producer(kafka_server)
    for i, body in enumerate(bodies(events(40))):
        sent.produce(topic, body, key=f"k{i % 4}" if i < 30 else f"l{i}")
        sent.flush()

    beat, expected = ids(some(40, 41)), ids(some(26, 40))  # the last of each key

    def left():
        reader = whole(kafka_server, topic, client=client, order="arrival")
        found = [one for one in ids(drain(reader)) if one not in beat]
        reader.close()
        return found

    while left() != expected:  # until the cleaner has been there; it looks at closed segments only, so that new ones begin
        sent.produce(topic, bodies(some(40, 41))[0], key="beat")
        sent.flush()
    reader = live(kafka_server, topic, client=client)
    rows = drain(reader, 14, 3)
    assert expected == ids(rows)
    assert first_gap(Messages(rows["offset"].tolist(), []), 0) is not None
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_records_that_a_client_jumps_over_are_fetched_again_and_a_second_time_is_an_error(kafka_server, client, caplog):
    topic = made(kafka_server)
    send(kafka_server, topic, bodies(events(20)))
    reader = live(kafka_server, topic, client=client)
    drain(reader, 20)
    send(kafka_server, topic, bodies(some(20, 30)))
    reader._client.seek((topic, 0), 25)
    assert ids(some(20, 30)) == ids(drain(reader, 10))
    send(kafka_server, topic, bodies(some(30, 40)))
    reader._gaps._skipped[topic, 0] = 30  # as if it had been so a moment ago
    reader._client.seek((topic, 0), 36)
    with pytest.raises(SourceError, match=r"the next offset is 30, but the client .* gives 36"):
        until(reader, lambda rows: len(rows) == 10)
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_of_records_that_come_again_only_those_before_the_position_are_dropped(kafka_server, client):
    topic = made(kafka_server)
    send(kafka_server, topic, bodies(events(20)))
    reader = live(kafka_server, topic, client=client)
    drain(reader, 20)
    send(kafka_server, topic, bodies(some(20, 30)))
    reader._client.seek((topic, 0), 15)  # the next fetch holds five old and ten new
    assert ids(some(20, 30)) == ids(drain(reader, 10))
    assert {0: 30} == offsets(reader)
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_evidence_is_read_again_in_full_or_it_is_said_that_it_is_gone(kafka_server, client):
    topic = made(kafka_server, 2)
    send(kafka_server, topic, bodies(events(20)), 1)
    reader = live(kafka_server, topic, client=client)
    assert ids(some(3, 9)) == ids(reader.fetch("1:3-8"))
    for evidence, what in (("1:15-25", "only; was the topic made anew"), ("7:1", "there is no partition 7")):
        with pytest.raises(SourceError, match=what):
            reader.fetch(evidence)
    delete_records(kafka_server, topic, 5, 1)
    with pytest.raises(SourceError, match="older records are gone"):
        reader.fetch("1:3-8")
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_fails_again_and_again_at_one_place_ends_with_an_error_though_the_broker_answers(kafka_server, client):
    topic = made(kafka_server)
    send(kafka_server, topic, bodies(events(5)))
    reader = live(kafka_server, topic, client=client)
    drain(reader, 5)

    def broken(*_):
        raise ValueError("no good")

    with pytest.raises(SourceError, match=r"failed 10 times in a row at the same position, though .* answers: ValueError: no good"):  # noqa: PT012
        while True:
            assert reader.trouble() is None or "reconnecting" == reader.trouble()[0]
            reader._back_off_s = 0.0  # what a person would wait for half a minute
            if reader._client is not None:
                reader._client.poll = broken
            reader.read(10)
    reader.close()


def test_a_topic_that_is_deleted_while_it_is_read_is_an_error(kafka_server):
    for client in CLIENTS:
        topic = made(kafka_server)
        send(kafka_server, topic, bodies(events(5)))
        reader = live(kafka_server, topic, client=client)
        drain(reader, 5)
        with admin(kafka_server) as one:
            one.delete_topics([topic])
        with pytest.raises(SourceError, match="was deleted while it was read"):
            until(reader, lambda rows: False)
        reader.close()
