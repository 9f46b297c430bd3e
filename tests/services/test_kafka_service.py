"""Kafka, started by the project."""

import uuid

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient
from kafka import KafkaAdminClient
from there_and_back import read_kafka, write_kafka

from govlab.errors import ServiceError

pytestmark = pytest.mark.server


def topic():
    return f"topic-{uuid.uuid4().hex}"


def test_a_record_comes_back(kafka_server):
    name = topic()
    write_kafka(kafka_server.address, name, b"hello")
    assert [b"hello"] == read_kafka(kafka_server.address, name)


def test_a_topic_that_is_made_by_writing_to_it_has_four_partitions(kafka_server):
    name = topic()
    write_kafka(kafka_server.address, name, b"hello")
    admin = KafkaAdminClient(bootstrap_servers=kafka_server.address)
    assert 4 == len(admin.describe_topics([name])[0]["partitions"])
    admin.close()


def test_a_record_of_ten_megabytes_comes_back(kafka_server):
    name, large = topic(), bytes(10_000_000)
    write_kafka(kafka_server.address, name, large, max_request_size=11_000_000)
    assert [large] == read_kafka(kafka_server.address, name)


def test_records_with_times_of_long_ago_stay_and_share_a_segment(kafka_server):
    from kafka import KafkaProducer

    name = topic()
    producer = KafkaProducer(bootstrap_servers=kafka_server.address)
    for year in range(40):
        producer.send(name, b"old", partition=0, timestamp_ms=year * 31_557_600_000)
    producer.close()
    assert [b"old"] * 40 == read_kafka(kafka_server.address, name)
    assert 1 == len(list((kafka_server.folder / "data" / f"{name}-0").glob("*.log")))


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
@pytest.mark.parametrize(("listener", "protocol"), [("sasl_plain", "SASL_PLAINTEXT"), ("sasl_ssl", "SASL_SSL")])
def test_users_are_let_in(full_kafka, users, certificates, listener, protocol, mechanism):
    name = topic()
    for user, password in users.items():
        options = {
            "security_protocol": protocol,
            "sasl_mechanism": mechanism,
            "sasl_plain_username": user,
            "sasl_plain_password": password,
            "ssl_cafile": str(certificates / "ca.pem"),
        }
        write_kafka(full_kafka.addresses[listener], name, user.encode(), **options)
        assert user.encode() in read_kafka(full_kafka.addresses[listener], name, **options)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_a_wrong_password_is_not(full_kafka, mechanism):
    errors = []
    options = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism, "sasl.username": "ann", "sasl.password": "wrong"}
    where = {"bootstrap.servers": full_kafka.addresses["sasl_plain"], "log_level": 0, "error_cb": errors.append}
    client = AdminClient(where | options)
    for _ in range(150):  # of 0.2 s
        client.poll(0.2)
        if any(error.code() == KafkaError._AUTHENTICATION for error in errors):
            return
    pytest.fail(f"it was not refused: {errors}")


def test_tls_is_spoken(full_kafka, certificates):
    name, options = topic(), {"security_protocol": "SSL", "ssl_cafile": str(certificates / "ca.pem")}
    write_kafka(full_kafka.addresses["ssl"], name, b"sealed", **options)
    assert [b"sealed"] == read_kafka(full_kafka.addresses["ssl"], name, **options)


def test_records_are_there_after_a_crash(full_kafka):
    name, before = topic(), full_kafka.pid
    write_kafka(full_kafka.address, name, b"kept", acks="all")
    full_kafka.kill()
    assert not full_kafka.running
    full_kafka.restart()
    assert before != full_kafka.pid
    assert [b"kept"] == read_kafka(full_kafka.address, name)


def test_a_setting_that_kafka_does_not_take_ends_with_what_it_said(tmp_path):
    from govlab import services

    with pytest.raises(ServiceError, match=r"log\.segment\.bytes"):
        services.start("kafka", tmp_path, properties={"log.segment.bytes": "many"})
