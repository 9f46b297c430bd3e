"""RabbitMQ, started by the project."""

import pika.exceptions
import pytest
from there_and_back import amqp, by_mqtt, by_stomp, by_stream, fetch, publish

pytestmark = pytest.mark.server
OTHERS = {"mqtt": (by_mqtt, b"by mqtt"), "stomp": (by_stomp, "by stomp"), "stream": (by_stream, b"by stream")}


def test_a_message_comes_back(rabbitmq_server):
    publish(rabbitmq_server.address, "back", b"hello")
    assert b"hello" == fetch(rabbitmq_server.address, "back")


@pytest.mark.parametrize("protocol", OTHERS)
def test_a_message_comes_back_by_each_protocol(rabbitmq_server, protocol):
    client, expected = OTHERS[protocol]
    assert [expected] == client(rabbitmq_server.addresses[protocol])


@pytest.mark.parametrize("protocol", OTHERS)
def test_a_message_of_a_user_comes_back_by_each_protocol_with_tls(full_rabbitmq, users, certificates, protocol):
    client, expected = OTHERS[protocol]
    came = client(full_rabbitmq.addresses[f"{protocol}s"], certificates / "ca.pem", "ann", users["ann"])
    assert [expected] == came


def test_users_are_let_in_with_tls_and_without(full_rabbitmq, users, certificates):
    for user, password in users.items():
        publish(full_rabbitmq.addresses["amqp"], user, b"plain", None, user, password)
        publish(full_rabbitmq.addresses["amqps"], user, b"sealed", certificates / "ca.pem", user, password)
        assert [b"plain", b"sealed"] == [fetch(full_rabbitmq.address, user) for _ in range(2)]


def test_a_wrong_password_is_not(full_rabbitmq):
    with pytest.raises(pika.exceptions.ProbableAuthenticationError), amqp(full_rabbitmq.address, user="ann", password="wrong"):
        pass


def test_messages_are_there_after_a_crash(full_rabbitmq):
    before = full_rabbitmq.pid
    publish(full_rabbitmq.address, "kept", b"kept")
    full_rabbitmq.kill()
    assert not full_rabbitmq.running
    full_rabbitmq.restart()
    assert before != full_rabbitmq.pid
    assert b"kept" == fetch(full_rabbitmq.address, "kept")
