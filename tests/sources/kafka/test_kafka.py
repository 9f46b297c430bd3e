"""Kafka, against a real broker."""

import re

import pytest
from queues import SCHEMA, bodies, drain, events, fill, name, offsets, same, send, settle, topic

import govlab as gl
from govlab import frames
from govlab.errors import ArgumentError, SourceError
from govlab.sources.kafka import following as kafka_following
from govlab.sources.kafka import range as kafka_range
from govlab.sources.kafka.range import KafkaRange
from govlab.sources.kafka.reader import KafkaReader

pytestmark = pytest.mark.server
CLIENTS = ["kafka-python", "confluent"]
DATA = ["time", "event_id", "actor", "kind", "value"]


@pytest.fixture(scope="module")
def filled(kafka_server):
    return fill(kafka_server, events())


def live(server, made, **options):
    return KafkaReader(made, server.address, SCHEMA, **options)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stretch_of_a_topic_is_read_in_the_order_of_event_time(kafka_server, filled, client):
    reader = KafkaRange(filled, kafka_server.address, SCHEMA, client=client)
    rows = drain(reader)
    reader.close()
    same(events()[DATA].sort_values(["time"], kind="stable"), rows[DATA])
    same(rows, rows.sort_values(["time", "partition", "offset"], kind="stable"))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("waiting", [150, 700])
def test_a_partition_that_was_read_too_far_ahead_is_read_again_and_nothing_of_it_is_lost(
    kafka_server, client, waiting, monkeypatch
):
    for module in (kafka_range, kafka_following):
        monkeypatch.setattr(module, "MAX_WAITING", waiting)
    monkeypatch.setattr(kafka_range, "BLOCK", 100)
    made, whole = topic(kafka_server, 3), events(6_000)
    thirds = [whole.iloc[i * 2_000 : (i + 1) * 2_000] for i in range(3)]  # one partition has to wait for the other
    for partition, third in enumerate(thirds):
        send(kafka_server, made, bodies(third), partition)
    reader = KafkaRange(made, kafka_server.address, SCHEMA, client=client, order="arrival")
    for piece in sorted(reader.pieces(500)[1], key=lambda piece: (piece.number > 0, piece)):  # all begin, then one after the other
        offsets = [o for rows, _ in reader.piece(piece) for o in rows["offset"].tolist()]
        assert list(range(piece.first, piece.last)) == offsets, piece
    reader.close()
    for reader, n in (
        (KafkaRange(made, kafka_server.address, SCHEMA, client=client), None),
        (live(kafka_server, made, client=client), 6_000),
    ):
        rows = drain(reader, n)
        reader.close()
        assert [2_000, 2_000, 2_000] == rows.groupby("partition")["offset"].nunique().tolist()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_stretch_of_a_topic_keeps_the_contract_of_readers(kafka_server, filled, client):
    gl.testing.check_reader(
        lambda: KafkaRange(filled, kafka_server.address, SCHEMA, "2026-03-02 00:10", "2026-03-02 00:40", client)
    )


@pytest.mark.parametrize("client", CLIENTS)
def test_a_live_reader_reads_partitions_that_have_more_to_read_in_the_order_of_event_time(kafka_server, filled, client):
    reader = live(kafka_server, filled, client=client)
    rows = drain(reader, 3_000)
    reader.close()
    arrival = KafkaRange(filled, kafka_server.address, SCHEMA, order="arrival")
    same(drain(arrival), rows)
    arrival.close()


def test_a_live_reader_opened_at_any_position_goes_on_with_the_next_row(kafka_server, filled):
    whole = live(kafka_server, filled)
    expected = drain(whole, 3_000)
    whole.close()
    for n in (0, 1, 1_234, 2_900):
        first = live(kafka_server, filled)
        head = drain(first, n, 100)
        pending = first.read(100)
        position = first.position_before(pending)
        first.close()
        second = live(kafka_server, filled)
        second.open(position)
        tail = drain(second, 3_000 - n)
        second.close()
        by_row = ["partition", "offset"]
        same(expected.sort_values(by_row), frames.concat([head, tail]).sort_values(by_row))


@pytest.mark.parametrize("client", CLIENTS)
def test_what_cannot_be_read_is_a_dead_letter_and_what_was_deleted_is_counted(kafka_server, client):
    made = topic(kafka_server, 1)
    good = bodies(events(4))
    send(kafka_server, made, [b"?", good[0], None, good[1], b"\xff", good[2], good[3], None, b"[" * 9_000])
    reader = live(kafka_server, made, client=client)
    rows = drain(reader, 4, 1)
    letters = settle(reader, reader.take_dead_letters(), 3)
    assert [1, 3, 5, 6] == rows["offset"].tolist()
    assert [(made, 0, 0), (made, 0, 4), (made, 0, 8)] == [(one.source, one.partition, one.offset) for one in letters]
    assert (2, {0: 9}) == (reader.tombstones, offsets(reader))
    again, still = reader.redrive([(letters[0], good[0]), (letters[1], b"??")])
    assert ([0], [4]) == (again["offset"].tolist(), [one.offset for one in still])
    reader.close()


def test_a_dead_letter_is_handed_over_before_the_position_passes_it(kafka_server):
    made = topic(kafka_server, 1)
    good = bodies(events(4))
    send(kafka_server, made, [good[0], b"?", good[1], b"??", good[2]])
    reader = live(kafka_server, made)
    told = []
    for expected in ([], [1], [1, 3]):
        drain(reader, 1, 1)
        told += reader.take_dead_letters()
        passed = [offset for offset in (1, 3) if offset < reader.position()[0]]
        assert set(passed) <= {one.offset for one in told}
        assert expected == [one.offset for one in told] or len(expected) < len(told)
    reader.close()


@pytest.mark.parametrize("form", ["ndjson", "arrow"])
def test_a_message_with_several_rows_may_be_cut_anywhere(kafka_server, form):
    made = topic(kafka_server, 1)
    frame = events(60)
    if form == "ndjson":
        lines = bodies(frame)
        send(kafka_server, made, [b"\n".join(lines[i : i + 7]) for i in range(0, 60, 7)])
    else:
        sink = gl.sinks.KafkaSink(made, kafka_server.address, format="arrow")
        for i in range(0, 60, 7):
            sink.send(frame.iloc[i : i + 7].reset_index(drop=True))
        sink.close()
    rows, position = [], {}
    while len(rows) < 60:
        reader = live(kafka_server, made, format=form)
        reader.open(position)
        rows += drain(reader, 5, 3)["event_id"].tolist()
        position = reader.position()
        reader.close()
    assert frame["event_id"].tolist() == rows


def test_a_group_goes_on_where_it_committed_and_commits_only_what_it_is_told(kafka_server, filled):
    group = name("g")
    first = live(kafka_server, filled, group=group)
    drain(first, 1_000, 100)
    position = first.position()
    drain(first, 500, 100)
    first._commit(position, wait=True)
    first.close()
    second = live(kafka_server, filled, group=group)
    assert 2_000 == len(drain(second, 2_000))
    assert sum(offsets(second).values()) == 3_000
    second.close()


def test_starting_at_a_time_or_at_the_end_is_exact(kafka_server, filled):
    at = events()["time"].iloc[1_500]
    reader = live(kafka_server, filled, start=at)
    expected = sum(len(part) for part in _written_since(events(), at))
    assert expected == len(drain(reader, expected))
    assert 0 == sum(reader.lag().values())
    reader.close()
    latest = live(kafka_server, filled, start="latest")
    assert not len(latest.read(10))
    latest.close()


def _written_since(frame, at):
    """The rows of each partition from the first that was written at a time or after it."""
    shard = gl.Sharded(gl.detectors.Always(), by="actor", shards=8).shard_of(frame)
    for p in range(4):
        mine = frame[shard % 4 == p]
        yield mine.iloc[int((mine["time"].dt.floor("ms") >= at.ceil("ms")).to_numpy().argmax()) :]


def test_several_topics_and_patterns_are_read_as_one(kafka_server):
    word = name("many")
    for i in range(3):
        made = f"{word}.{i}"
        sink = gl.sinks.KafkaSink(made, kafka_server.address)
        sink.send(events(50, seed=i))
        sink.close()
    by_name = KafkaRange([f"{word}.{i}" for i in range(3)], kafka_server.address, SCHEMA)
    rows = drain(by_name)
    by_name.close()
    by_pattern = KafkaRange(re.compile(re.escape(word) + r"\..*"), kafka_server.address, SCHEMA)
    same(rows, drain(by_pattern))
    by_pattern.close()
    assert 150 == rows["event_id"].nunique()
    evidence = f"{rows['partition'].iloc[7]}:{rows['offset'].iloc[7]}"
    assert [rows["event_id"].iloc[7]] == by_pattern.fetch(evidence)["event_id"].tolist()


def test_the_schema_is_guessed_where_it_is_not_given(kafka_server, filled):
    reader = KafkaRange(filled, kafka_server.address)
    assert SCHEMA.names == reader.schema.names
    assert 3_000 == len(drain(reader))
    reader.close()


def test_records_that_are_gone_are_told_and_not_jumped_over(kafka_server, filled):
    reader = live(kafka_server, filled)
    with pytest.raises(SourceError, match="are not there"):
        reader.open({0: 10_000_000})
    reader.close()
    made = topic(kafka_server, 1)
    send(kafka_server, made, bodies(events(10)))
    import kafka

    admin = kafka.KafkaAdminClient(bootstrap_servers=kafka_server.address)
    admin.delete_records({kafka.TopicPartition(made, 0): 5})
    admin.close()
    gone = live(kafka_server, made)
    with pytest.raises(SourceError, match="are gone"):
        gone.open({0: 3})
    gone.close()
    stretch = KafkaRange(made, kafka_server.address, SCHEMA)
    with pytest.raises(SourceError, match="are gone"):
        stretch.open({0: 1, -1: 2})
    stretch.close()


def test_mistakes_are_told_with_what_to_do(kafka_server, filled):
    with pytest.raises(SourceError, match=r"there is no topic 'nope'.*There are: "):
        live(kafka_server, "nope")
    with pytest.raises(SourceError, match=r"nothing answers at 127\.0\.0\.1:1 "):
        KafkaReader(filled, "127.0.0.1:1", SCHEMA)
    with pytest.raises(ArgumentError, match="needs a group"):
        live(kafka_server, filled, start="committed")
    with pytest.raises(ArgumentError, match="Did you mean 'confluent'"):
        live(kafka_server, filled, client="confluence")
    with pytest.raises(ArgumentError, match="topics"):
        live(kafka_server, "no topic")
    with pytest.raises(ArgumentError, match="without joining a group"):
        gl.from_kafka(filled, kafka_server.address, SCHEMA, group="g", stop="now")
    with pytest.raises(ArgumentError, match="order"):
        gl.from_kafka(filled, kafka_server.address, SCHEMA, order="event")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_partition_that_stands_still_is_reported_and_read_again(kafka_server, client):
    made = topic(kafka_server, 2)
    lines = bodies(events(20))
    for p in (0, 1):
        send(kafka_server, made, lines[:5], p)
    reader = live(kafka_server, made, client=client, stall_s=1.0)
    drain(reader, 10)
    assert reader.trouble() is None
    import kafka

    where = reader._client._lib.TopicPartition(made, 1) if client == "confluent" else kafka.TopicPartition(made, 1)
    reader._client.consumer.pause([where] if client == "confluent" else where)
    for p in (0, 1):
        send(kafka_server, made, lines[5:], p)
    seen, told = 0, set()
    while seen < 30:  # that the other half comes too shows that the client was made anew
        seen += len(reader.read(100))
        told.add((reader.trouble() or ("fine", ""))[0])
    assert "stalled" in told
    assert "partition 1: 15 records wait" in reader.last_error
    while reader.trouble() is not None:
        reader.read(1)
    assert {0: 20, 1: 20} == offsets(reader)
    reader.close()
