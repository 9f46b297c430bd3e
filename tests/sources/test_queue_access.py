"""Brokers that want a login and encrypt: readers and sinks get in, wrong passwords are told, no secret is shown."""

import gc
import json

import pytest
import trustme
from queues import SCHEMA, drain, events, name, queue

import govlab as gl
from govlab.errors import SinkError, SourceError

pytestmark = pytest.mark.server
PASSWORD = "hunter2-Zx9"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_pem.write_to_path(folder / "server.key")
    for blob in server.cert_chain_pems:
        blob.write_to_path(folder / "server.pem", append=True)
    return folder


@pytest.fixture(scope="module")
def kafka_locked(tmp_path_factory, certificates):
    folder = tmp_path_factory.mktemp("locked") / "kafka"
    with gl.services.start("kafka", folder, users={"lab": PASSWORD}, tls=certificates) as server:
        yield server


@pytest.fixture(scope="module")
def rabbit_locked(tmp_path_factory, certificates):
    folder = tmp_path_factory.mktemp("locked") / "rabbitmq"
    with gl.services.start("rabbitmq", folder, users={"lab": PASSWORD}, tls=certificates) as server:
        yield server


def said(source, told=""):
    """All that a source says of itself."""
    reader = source.reader
    return json.dumps([reader.origin, reader.name, repr(reader), repr(source), source._repr_html_(), str(source.status()), told])


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
@pytest.mark.parametrize(
    ("listener", "mechanism"),
    [("sasl_plain", "SCRAM-SHA-512"), ("sasl_plain", "PLAIN"), ("ssl", None), ("sasl_ssl", "SCRAM-SHA-512")],
)
def test_kafka_is_read_and_written_with_a_login_and_encrypted(
    kafka_locked, certificates, monkeypatch, caplog, client, listener, mechanism
):
    monkeypatch.setenv("LAB_PASSWORD", PASSWORD)
    login = {"user": "lab", "password": "env:LAB_PASSWORD", "mechanism": mechanism} if mechanism else {}
    access = gl.Access(**login, ca=str(certificates / "ca.pem") if "ssl" in listener else None)
    address, made = kafka_locked.addresses[listener], name()
    sink = gl.sinks.KafkaSink(made, address, access=access, client=client)
    sink.send(events(50))
    sink.close()
    source = gl.from_kafka(made, address, SCHEMA, access=access, client=client)
    rows = drain(source.reader, 50)
    source.reader.close()
    assert sorted(events(50)["event_id"]) == sorted(rows["event_id"])
    assert PASSWORD not in said(source, caplog.text) + repr(sink)


def test_a_wrong_password_of_kafka_is_told_apart_from_a_broker_that_is_not_there(kafka_locked, monkeypatch):
    monkeypatch.setenv("LAB_PASSWORD", "wrong-" + PASSWORD)
    access = gl.Access("lab", "env:LAB_PASSWORD")
    with pytest.raises(SourceError, match=r"answers, but .*check user, password") as told:
        gl.from_kafka("events", kafka_locked.addresses["sasl_plain"], SCHEMA, access=access)
    assert PASSWORD not in str(told.value)
    with pytest.raises(SourceError, match="nothing answers"):
        gl.from_kafka("events", "127.0.0.1:1", SCHEMA, access=access)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # clients leave sockets when they are refused
def test_a_certificate_that_is_not_trusted_is_refused(kafka_locked, rabbit_locked, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    access = gl.Access(ca=str(tmp_path / "other.pem"))
    with pytest.raises(SourceError, match="answers, but its certificate is not trusted"):
        gl.from_kafka("events", kafka_locked.addresses["ssl"], SCHEMA, access=access)
    with pytest.raises((SourceError, SinkError), match="answers, but its certificate is not trusted"):
        gl.from_rabbitmq("events", rabbit_locked.addresses["amqps"], SCHEMA, access=access)
    gc.collect()


@pytest.mark.parametrize("kind", ["quorum", "stream"])
def test_rabbitmq_is_read_and_written_with_a_login_and_encrypted(rabbit_locked, certificates, monkeypatch, caplog, kind):
    monkeypatch.setenv("LAB_PASSWORD", PASSWORD)
    access = gl.Access("lab", "env:LAB_PASSWORD", ca=str(certificates / "ca.pem"))
    made = queue(rabbit_locked, kind)
    port = rabbit_locked.ports["amqps"]
    address = f"amqps://127.0.0.1:{port}/"
    sink = gl.sinks.RabbitSink("", address, routing_key=made, access=access)
    sink.send(events(50))
    sink.close()
    source = gl.from_rabbitmq(made, address, SCHEMA, access=access)
    rows = drain(source.reader, 50)
    source.reader.close()
    assert events(50)["event_id"].tolist() == rows["event_id"].tolist()
    assert PASSWORD not in said(source, caplog.text) + repr(sink)
    monkeypatch.setenv("LAB_PASSWORD", "wrong-" + PASSWORD)
    with pytest.raises(SourceError, match="login is refused") as told:
        gl.from_rabbitmq(made, address, SCHEMA, access=access)
    assert PASSWORD not in str(told.value)
