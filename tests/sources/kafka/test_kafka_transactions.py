"""Transactions: what was aborted does not exist, what is open is waited for, and both clients say the same."""

import threading

import pytest
from kafka_topics import CLIENTS, Transactions, delete_records, ids, live, made, some, until, whole
from queues import bodies, drain, events, offsets, send

import govlab as gl
from govlab.errors import SourceError
from govlab.sources.kafka import reader as kafka
from govlab.sources.kafka import stretch as kafka_stretch

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def mixed(kafka_server):
    """Two producers whose transactions overlap, every third of them aborted, plain records between; and what counts of it."""
    topic, expected = made(kafka_server), []
    one, other = Transactions(kafka_server, topic), Transactions(kafka_server, topic)
    for i in range(30):
        a, b, plain = (some(0, 7, seed=100 + 3 * i + k) for k in range(3))
        one.put(a)
        other.put(b)
        send(kafka_server, topic, bodies(plain))
        (one.abort if i % 3 == 0 else one.commit)()
        (other.abort if i % 3 == 1 else other.commit)()
        expected += [*(ids(a) if i % 3 != 0 else []), *(ids(b) if i % 3 != 1 else []), *ids(plain)]
    return topic, expected


@pytest.mark.parametrize("client", CLIENTS)
def test_records_of_aborted_transactions_are_not_read_by_either_client(kafka_server, mixed, client):
    topic, expected = mixed
    reader = whole(kafka_server, topic, client=client, order="arrival")
    assert expected == ids(drain(reader))
    reader.close()
    reader = live(kafka_server, topic, client=client)
    assert expected == ids(drain(reader, len(expected), 11))
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_reader_that_is_opened_anywhere_between_transactions_goes_on_with_the_next_row(kafka_server, mixed, client):
    topic, expected = mixed
    seen, position = [], {}
    while len(seen) < len(expected):
        reader = live(kafka_server, topic, client=client)
        reader.open(position)
        seen += ids(drain(reader, min(97, len(expected) - len(seen)), 13))
        position = reader.position()
        reader.close()
    assert expected == seen


def test_both_clients_give_a_topic_with_transactions_one_fingerprint(kafka_server, mixed):
    found = set()
    for client in CLIENTS:
        source = gl.from_kafka(mixed[0], kafka_server.address, stop="now", client=client)
        source.through(gl.Pipeline(gl.detectors.Always()))
        found.add(gl.run(source, progress=False).fingerprint)
        source.reader.close()
    assert 1 == len(found)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_range_waits_for_a_transaction_that_is_open_before_its_end(kafka_server, client):
    topic = made(kafka_server)
    one = Transactions(kafka_server, topic)
    one.put(some(0, 5))
    later = threading.Timer(2.0, one.commit)
    later.start()
    reader = whole(kafka_server, topic, client=client)
    assert sorted(ids(some(0, 5))) == sorted(ids(drain(reader)))
    reader.close()
    later.join()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_transaction_that_stays_open_is_an_error_that_names_its_offset(kafka_server, client, monkeypatch):
    monkeypatch.setattr(kafka_stretch, "PATIENCE_S", 1.0)
    topic = made(kafka_server)
    send(kafka_server, topic, bodies(events(3)))
    one = Transactions(kafka_server, topic)
    one.put(some(3, 5))
    reader = whole(kafka_server, topic, client=client)
    with pytest.raises(SourceError, match="an open transaction blocks at offset 3"):
        reader.open()
    one.abort()
    assert ids(events(3)) == ids(drain(reader))
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_live_reader_says_that_an_open_transaction_holds_records_back(kafka_server, client, monkeypatch):
    monkeypatch.setattr(kafka, "OPEN_S", 0.5)
    topic = made(kafka_server)
    send(kafka_server, topic, bodies(events(3)))
    one = Transactions(kafka_server, topic)
    one.put(some(3, 5))
    reader = live(kafka_server, topic, client=client)
    rows = until(reader, lambda rows: (reader.trouble() or ("",))[0] == "waiting")
    assert "an open transaction holds back all from offset 3 on" in reader.trouble()[1]
    assert (ids(events(3)), {0: 2}) == (rows, reader.lag())
    one.commit()
    until(reader, lambda rows: len(rows) == 5, rows)
    until(reader, lambda rows: reader.lag() == {0: 0} and reader.trouble() is None)  # past the marker of the commit
    assert (ids(events(5)), {0: 6}) == (rows, offsets(reader))
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_schema_is_not_guessed_from_records_that_were_aborted(kafka_server, client):
    topic = made(kafka_server)
    one = Transactions(kafka_server, topic)
    one.put(some(0, 5).assign(never="x"))
    one.abort()
    send(kafka_server, topic, bodies(events(3)))
    reader = live(kafka_server, topic, schema=None, client=client)
    assert "never" not in reader.schema.names
    reader.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_marker_of_a_transaction_hides_no_records_that_were_deleted(kafka_server, mixed, client):
    topic = made(kafka_server)
    one = Transactions(kafka_server, topic)
    for i in range(3):
        one.put(some(5 * i, 5 * i + 5))
        one.commit()
    reader = live(kafka_server, topic, client=client)
    drain(reader, 12, 3)
    position = reader.position()
    reader.close()
    delete_records(kafka_server, topic, 17)
    again = live(kafka_server, topic, client=client)
    with pytest.raises(SourceError, match="are gone"):
        again.open(position)
    again.close()
