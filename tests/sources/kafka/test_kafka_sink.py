"""Frames into topics of a real Kafka: what is there afterwards, and what is said when it cannot be."""

import gc
import json
import re
import uuid

import kafka
import numpy as np
import pytest
import trustme

import govlab as gl
from govlab import services
from govlab.errors import ArgumentError, SchemaError, SinkError
from govlab.frames import event_frame, time_us
from govlab.sinks.encode import json_bodies
from govlab.sources.kafka import producers as kafka_producers
from govlab.sources.kafka.sink import KafkaSink, make_topic
from govlab.summary import content_hashes
from govlab.testing import sample_events

pytestmark = pytest.mark.server
CLIENTS = ["confluent", "kafka-python"]
EVENTS = sample_events(2_000).drop(columns=["id", "entity", "reason", "label"])
EVENTS["event_id"] = [f"e{i}" for i in range(len(EVENTS))]


@pytest.fixture(autouse=True)
def _quiet(caplog):
    # kafka-python logs what it raises too, and the log keeps its sockets
    caplog.set_level("CRITICAL", "kafka")


def fresh(name="sink"):
    return f"{name}-{uuid.uuid4().hex[:8]}"


def records(address, topic, **access):
    """Read all records that are in a topic, in order of partition and offset."""
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=address,
        group_id=None,
        auto_offset_reset="none",
        enable_auto_commit=False,
        metrics_enabled=False,
        **access,
    )
    try:
        places = [kafka.TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
        ends = consumer.end_offsets(places)
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        found = []
        while len(found) < sum(ends.values()):
            found += [record for part in consumer.poll(1_000).values() for record in part]
    finally:
        consumer.close()
    return sorted(found, key=lambda record: (record.partition, record.offset))


def sent(kafka_server, frame, partitions=3, cut=700, **options):
    """Send a frame, in pieces; gives the records that are in the topic."""
    topic = fresh()
    make_topic(topic, partitions, kafka_server.address)
    sink = KafkaSink(topic, kafka_server.address, **options)
    for first in range(0, len(frame), cut):
        sink.send(frame.iloc[first : first + cut])
    sink.flush()
    found = records(kafka_server.address, topic)
    sink.close()
    return found


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("form", ["json", "arrow"])
def test_what_a_reader_reads_back_says_the_same(kafka_server, client, form):
    topic = fresh()
    sink = KafkaSink(topic, kafka_server.address, format=form, client=client)
    sink.send(EVENTS)
    sink.close()
    fields = {"event_id": "string", "actor": "string?", "kind": "string", "value": "float64?", "count": "int64", "words": "float64"}
    schema = gl.Schema({"time": "timestamp", "start": "timestamp", "target": "string?", "score": "float64?", **fields})
    source = gl.from_kafka(topic, kafka_server.address, schema=schema, format=form, stop="now")
    seen = source.sink_to_list()
    gl.run(source, progress=False)
    source.reader.close()
    again = np.concatenate([content_hashes(frame) for frame in seen])
    assert sorted(content_hashes(EVENTS)) == sorted(again)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_record_has_the_key_the_time_and_no_more_and_order_is_kept_in_a_partition(kafka_server, client):
    found = sent(kafka_server, EVENTS, key="actor", client=client)
    ids = EVENTS["event_id"].tolist()
    assert sorted(ids) == sorted(json.loads(record.value)["event_id"] for record in found)
    by_body = {bytes(record.value): record for record in found}
    for row, body in zip(EVENTS.to_dict("records"), json_bodies(EVENTS), strict=True):
        record = by_body[body]
        assert (None if row["actor"] != row["actor"] else row["actor"].encode()) == record.key
        assert int(row["time"].timestamp() * 1_000) == record.timestamp
        assert [] == list(record.headers)
    for actor in set(EVENTS["actor"].dropna()):
        mine = [record for record in found if record.key == actor.encode()]
        assert 1 == len({record.partition for record in mine})
        assert EVENTS["event_id"][EVENTS["actor"] == actor].tolist() == [json.loads(r.value)["event_id"] for r in mine]


def test_both_clients_deal_keys_to_the_same_partitions(kafka_server):
    frame = EVENTS[EVENTS["target"].notna()]
    dealt = [{record.key: record.partition for record in sent(kafka_server, frame, 7, key="target", client=c)} for c in CLIENTS]
    assert dealt[0] == dealt[1]
    assert 7 == len(set(dealt[0].values()))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("form", ["json", "arrow"])
def test_all_keys_of_a_shard_are_in_one_partition(kafka_server, client, form):
    found = sent(kafka_server, EVENTS, key="actor", shards=8, client=client, format=form)
    shards = gl.Sharded(gl.alerts.Threshold(0.5, score="value", entity="actor"), by="actor", shards=8).shard_of(EVENTS)
    expected = dict(zip(EVENTS["event_id"], (shards % 3).tolist(), strict=True))
    if form == "json":
        assert expected == {json.loads(record.value)["event_id"]: record.partition for record in found}
    else:
        import pyarrow as pa

        read = [(pa.ipc.open_stream(record.value).read_all()["event_id"].to_pylist(), record.partition) for record in found]
        assert expected == {name: partition for names, partition in read for name in names}
    assert {0, 1, 2} == {record.partition for record in found}


def test_sharded_by_the_source_partition_rows_go_where_its_shard_goes(kafka_server):
    frame = EVENTS.assign(partition=(np.arange(len(EVENTS)) % 5).astype("int32"))
    found = sent(kafka_server, frame, key="partition", shards=4)
    expected = dict(zip(frame["event_id"], (frame["partition"] % 4 % 3).tolist(), strict=True))
    assert expected == {json.loads(record.value)["event_id"]: record.partition for record in found}


def test_an_alert_has_its_entity_as_key_and_its_id_in_a_header(kafka_server):
    alerts = gl.Pipeline(gl.alerts.Threshold(12.0, score="value", entity="actor")).run(EVENTS).rows
    found = sent(kafka_server, alerts)
    said = {(record.key, tuple(record.headers)) for record in found}
    assert said == {(e.encode(), (("govlab-id", i.encode()),)) for e, i in zip(alerts["entity"], alerts["id"], strict=True)}


@pytest.mark.parametrize("client", CLIENTS)
def test_more_rows_than_may_be_on_their_way_are_held_back_and_all_arrive(kafka_server, client, monkeypatch):
    monkeypatch.setattr(kafka_producers, "IN_FLIGHT", 50)
    found = sent(kafka_server, EVENTS, client=client)
    assert len(EVENTS) == len(found)


def test_an_arrow_message_stays_below_what_brokers_take_unless_told_otherwise(kafka_server):
    frame = event_frame({"time": ["2026-03-02"] * 300, "text": ["".join(map(str, range(i, i + 3_000))) for i in range(300)]})
    found = sent(kafka_server, frame, cut=300, format="arrow")
    assert 1 < len(found)
    assert max(len(record.value) for record in found) < 1_000_000


@pytest.mark.parametrize("client", CLIENTS)
def test_a_message_that_is_too_large_is_an_error_with_its_size(kafka_server, client):
    sink = KafkaSink(fresh(), kafka_server.address, client=client)
    with pytest.raises(SinkError, match=r"21,000,0\d\d bytes \(row 0:0\) is too large; at most 20,000,000"):
        sink.send(event_frame({"time": ["2026-03-02"], "text": ["x" * 21_000_000]}))
    sink.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_what_the_broker_refuses_is_an_error_with_the_count_and_the_reason_and_the_sink_goes_on(kafka_server, client):
    topic = fresh()
    admin = kafka.KafkaAdminClient(bootstrap_servers=kafka_server.address)
    admin.create_topics({topic: {"num_partitions": 1, "configs": {"max.message.bytes": "1000"}}}, wait_for_metadata=True)
    admin.close()
    sink = KafkaSink(topic, kafka_server.address, client=client)
    rng = np.random.default_rng(0)
    sink.send(event_frame({"time": ["2026-03-02"], "text": [rng.bytes(20_000).hex()]}))
    with pytest.raises(SinkError, match=rf"{topic}.*: 1 messages are not confirmed, first: .*(?i:too.?large|larger)"):
        sink.flush()
    sink.send(event_frame({"time": ["2026-03-02"], "text": ["short"]}))
    sink.close()
    assert 1 == len(records(kafka_server.address, topic))


def test_a_key_that_is_no_column_says_which_there_are(kafka_server):
    sink = KafkaSink(fresh(), kafka_server.address, key="actr")
    with pytest.raises(SchemaError, match="Did you mean 'actor'"):
        sink.send(EVENTS)
    sink.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"client": "kafka_python"}, "Did you mean 'kafka-python'"),
        ({"format": "jsn"}, "Did you mean 'json'"),
        ({"shards": 8}, "shards needs a key"),
        ({"shards": 0, "key": "actor"}, "from 1 to 4096"),
        ({"key": "actor", "format": "arrow"}, "has no key; give shards="),
    ],
)
def test_a_wrong_argument_is_said_before_anything_is_connected(options, said):
    with pytest.raises(ArgumentError, match=said):
        KafkaSink("t", "127.0.0.1:1", **options)


@pytest.mark.parametrize("client", CLIENTS)
def test_nobody_there_is_told_from_a_wrong_address(client):
    with pytest.raises(SinkError, match=r"nothing answers at 127.0.0.1:1 \(Connection refused\): is the broker up"):
        KafkaSink("t", "127.0.0.1:1", client=client)
    with pytest.raises(ArgumentError, match="'localhost' is no address; expected 'host:port'"):
        KafkaSink("t", "localhost", client=client)


def test_a_topic_is_made_once_and_one_of_other_partitions_is_not_taken_for_it(kafka_server):
    topic = fresh()
    make_topic(topic, 3, kafka_server.address)
    make_topic(topic, 3, kafka_server.address)
    with pytest.raises(ArgumentError, match="with 3 partitions and not 5"):
        make_topic(topic, 5, kafka_server.address)
    with pytest.raises(SinkError, match="cannot be made"):
        make_topic("no/name", 5, kafka_server.address)
    with pytest.raises(SinkError, match="nothing answers"):
        make_topic(topic, 5, "127.0.0.1:1")


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A Kafka that makes no topics by itself, with users and TLS."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server = authority.issue_cert("127.0.0.1", "localhost")
    server.private_key_pem.write_to_path(folder / "server.key")
    server.cert_chain_pems[0].write_to_path(folder / "server.pem")
    settings = {"auto.create.topics.enable": "false"}
    with services.start(
        "kafka", tmp_path_factory.mktemp("locked"), users={"lab": "right"}, tls=folder, properties=settings
    ) as server:
        yield server, folder / "ca.pem"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_with_user_password_and_certificate_it_gets_in(locked, client, mechanism, monkeypatch):
    server, ca = locked
    monkeypatch.setenv("LAB_PASSWORD", "right")
    access = gl.Access("lab", "env:LAB_PASSWORD", mechanism, ca=ca)
    topic = fresh()
    make_topic(topic, 2, server.addresses["sasl_ssl"], access)
    sink = KafkaSink(topic, server.addresses["sasl_ssl"], access=access, client=client)
    sink.send(EVENTS)
    sink.close()
    assert len(EVENTS) == len(records(server.address, topic))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("listener", ["sasl_plain", "ssl"])
def test_who_is_not_let_in_is_told_so_and_what_to_check_but_never_the_password(locked, client, listener, monkeypatch):
    server, _ = locked
    monkeypatch.setenv("LAB_PASSWORD", "hunter2")
    monkeypatch.setattr(kafka_producers, "CONNECT_S", 3.0)
    access = gl.Access("lab", "env:LAB_PASSWORD") if listener == "sasl_plain" else gl.Access()
    now = re.escape("SASL_PLAINTEXT, SCRAM-SHA-512" if access.user else "PLAINTEXT")
    with pytest.raises(SinkError, match=rf"does not let us in .*check user, password, mechanism and TLS \(now {now}\)") as told:
        KafkaSink("t", server.addresses[listener], access=access, client=client)
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_topic_that_is_not_there_and_is_not_made_by_itself_is_said(locked, client, monkeypatch):
    monkeypatch.setattr(kafka_producers, "CONNECT_S", 2.0)
    with pytest.raises(SinkError, match=r"there is no topic 'nope'.*Make it first"):
        KafkaSink("nope", locked[0].address, client=client)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # kafka-python leaves sockets that nobody answers
@pytest.mark.parametrize("client", CLIENTS)
def test_while_the_broker_is_away_nothing_is_confirmed_and_when_it_is_back_all_is_there_once(tmp_path, client):
    with services.start("kafka", tmp_path) as server:
        topic = fresh()
        make_topic(topic, 2, server.address)
        sink = KafkaSink(topic, server.address, client=client)
        sink.send(EVENTS.iloc[:1_000])
        sink.flush()
        server.kill()
        sink.send(EVENTS.iloc[1_000:])
        with pytest.raises(SinkError, match="1,000 messages are not confirmed, first: no confirmation in time; is the broker up"):
            sink.flush(timeout_s=0.5)
        server.restart()
        sink.close()
        found = [bytes(record.value) for record in records(server.address, topic)]
    gc.collect()
    assert sorted(json_bodies(EVENTS)) == sorted(found)


def test_times_of_records_are_those_of_events_however_long_ago(kafka_server):
    frame = event_frame({"time": ["1969-12-31", "1999-12-31T23:59:59.999"]})
    assert [0, 946_684_799_999] == sorted(record.timestamp for record in sent(kafka_server, frame))
    assert time_us(frame)[0] < 0
