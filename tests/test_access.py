"""Secrets are named, and shown nowhere."""

import pytest

import govlab as gl
from govlab.access import reach, secret, without_password
from govlab.errors import ArgumentError, SourceError
from govlab.sources.kafka.settings import for_confluent, for_kafka_python
from govlab.sources.rabbitmq.parameters import parameters_of

SECRET = "hunter2-Zx9"


def test_a_password_written_down_is_refused_and_not_repeated():
    with pytest.raises(ArgumentError, match="env:NAME") as told:
        gl.Access("lab", password=SECRET)
    assert SECRET not in str(told.value)


def test_a_password_is_read_from_the_environment_when_it_is_needed(monkeypatch):
    access = gl.Access("lab", password="env:LAB_PASSWORD")
    with pytest.raises(ArgumentError, match="LAB_PASSWORD"):
        access.login()
    monkeypatch.setenv("LAB_PASSWORD", SECRET)
    assert ("lab", SECRET) == access.login()
    assert SECRET == for_kafka_python(access)["sasl_plain_password"] == for_confluent(access)["sasl.password"]
    assert SECRET not in repr(access)
    assert SECRET not in str(vars(access))


def test_a_password_is_read_from_a_file_without_the_end_of_its_line(tmp_path):
    (tmp_path / "key").write_text(SECRET + "\n")
    assert SECRET == secret(f"file:{tmp_path / 'key'}")
    with pytest.raises(ArgumentError, match="cannot be read"):
        secret(f"file:{tmp_path / 'none'}")


def test_user_and_password_go_together_and_certificates_must_be_there():
    with pytest.raises(ArgumentError, match="go together"):
        gl.Access("lab")
    with pytest.raises(ArgumentError, match="is no file"):
        gl.Access(ca="/nowhere/ca.pem")
    with pytest.raises(ArgumentError, match="mechanism"):
        gl.Access("lab", "env:X", mechanism="MD5")


def test_an_address_is_shown_without_its_password():
    _, shown = parameters_of(f"amqp://lab:{SECRET}@localhost:5672/%2F", gl.Access(), SourceError)
    assert "amqp://lab:***@localhost:5672/%2F" == shown == without_password(f"amqp://lab:{SECRET}@localhost:5672/%2F")


def test_an_address_may_come_from_the_environment_and_a_wrong_one_is_not_repeated(monkeypatch):
    monkeypatch.setenv("RABBIT", f"amqp://lab:{SECRET}@localhost:5672/")
    parameters, shown = parameters_of("env:RABBIT", gl.Access(), SourceError)
    assert ("lab", SECRET, "/") == (parameters.credentials.username, parameters.credentials.password, parameters.virtual_host)
    assert SECRET not in shown
    monkeypatch.setenv("RABBIT", f"http://lab:{SECRET}@localhost:5672/")
    with pytest.raises(ArgumentError, match="no address") as told:
        parameters_of("env:RABBIT", gl.Access(), SourceError)
    assert SECRET not in str(told.value)


def test_nobody_answering_is_said_with_the_address():
    with pytest.raises(SourceError, match=r"nothing answers at 127\.0\.0\.1:1 "):
        reach("127.0.0.1:1", 1.0, SourceError)
    with pytest.raises(ArgumentError, match="host:port"):
        reach("localhost", 1.0, SourceError)
