"""Of which kind a queue is, whatever its arguments, and that asking changes nothing."""

import pika
import pytest
from queues import SCHEMA, bodies, drain, events, name

import govlab as gl
from govlab.errors import SourceError
from govlab.sources.rabbitmq.asking import look_at
from govlab.sources.rabbitmq.queue import RabbitQueue

pytestmark = pytest.mark.server
LONG = pika.compat.long
COMMON = {
    "expires": {"x-expires": 3_600_000},
    "time to live": {"x-message-ttl": 3_600_000},
    "a long time to live": {"x-message-ttl": LONG(3_600_000)},
    "dead letters": {"x-dead-letter-exchange": "amq.fanout"},
    "dead letters with a key": {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "it's 'x' of type 'longstr'"},
    "max length": {"x-max-length": 1_000},
    "max bytes": {"x-max-length-bytes": 1_000_000},
    "drop head": {"x-max-length": 1_000, "x-overflow": "drop-head"},
    "reject publish": {"x-max-length": 1_000, "x-overflow": "reject-publish"},
    "single active consumer": {"x-single-active-consumer": True},
    "not single active": {"x-single-active-consumer": False},
    "all": {
        "x-expires": 3_600_000, "x-message-ttl": 60_000, "x-dead-letter-exchange": "amq.fanout", "x-max-length": 1_000,
        "x-dead-letter-routing-key": "k", "x-max-length-bytes": 10_000_000, "x-overflow": "reject-publish",
        "x-single-active-consumer": True,
    },
    "one that nobody knows": {"x-whatever": "y"},
}  # fmt: skip
CLASSIC = {
    "reject publish to dead letters": {"x-overflow": "reject-publish-dlx", "x-max-length": 1_000},
    "priorities": {"x-max-priority": 10},
    "lazy": {"x-queue-mode": "lazy"},
    "version 2": {"x-queue-version": 2},
}
QUORUM = {
    "group size": {"x-quorum-initial-group-size": 1},
    "delivery limit": {"x-delivery-limit": 7},
    "leader locator": {"x-queue-leader-locator": "balanced"},
    "in memory": {"x-max-in-memory-length": 10},
    "dead letters at least once": {
        "x-dead-letter-exchange": "amq.fanout", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
    },
}  # fmt: skip
STREAM = {
    "max age": {"x-max-age": "7D"},
    "segments": {"x-stream-max-segment-size-bytes": 1_000_000},
    "max bytes": {"x-max-length-bytes": 10_000_000},
    "cluster size": {"x-initial-cluster-size": 1},
    "leader locator": {"x-queue-leader-locator": "client-local"},
    "all": {"x-max-age": "7D", "x-max-length-bytes": 10_000_000, "x-stream-max-segment-size-bytes": 1_000_000},
}
TABLE = [
    pytest.param(kind, arguments, id=f"{kind}, {label}")
    for kind, more in (("classic", COMMON | CLASSIC), ("quorum", COMMON | QUORUM), ("stream", STREAM))
    for label, arguments in ({"plain": {}} | more).items()
]


def make(server, arguments, n=0, **options):
    made = name("q")
    with pika.BlockingConnection(pika.URLParameters(server.address)) as connection:
        channel = connection.channel()
        channel.queue_declare(made, arguments=arguments, **({"durable": True} | options))
        channel.confirm_delivery()
        for body in bodies(events(n)):
            channel.basic_publish("", made, body)
    return made


def count(server, made):
    with pika.BlockingConnection(pika.URLParameters(server.address)) as connection:
        return connection.channel().queue_declare(made, passive=True).method.message_count


@pytest.mark.parametrize(("kind", "arguments"), TABLE)
def test_a_queue_with_any_argument_is_known_by_its_kind_and_read(rabbitmq_server, kind, arguments):
    made = make(rabbitmq_server, {"x-queue-type": kind} | arguments, 5)
    assert kind == look_at(made, rabbitmq_server.address, gl.Access())[0]
    source = gl.from_rabbitmq(made, rabbitmq_server.address, SCHEMA)
    rows = drain(source.reader, 5)
    source.reader.close()
    assert events(5)["event_id"].tolist() == rows["event_id"].tolist()


@pytest.mark.parametrize("options", [{}, {"durable": False}, {"auto_delete": True}], ids=str)
def test_a_queue_without_a_type_is_a_classic_one(rabbitmq_server, options):
    made = make(rabbitmq_server, {"x-max-priority": 3}, 5, **options)
    assert "classic" == look_at(made, rabbitmq_server.address, gl.Access())[0]
    source = gl.from_rabbitmq(made, rabbitmq_server.address, SCHEMA)
    assert 5 == len(drain(source.reader, 5))
    source.reader.close()


def test_an_auto_delete_queue_is_still_there_after_it_was_asked(rabbitmq_server):
    made = make(rabbitmq_server, {}, 1, auto_delete=True)
    look_at(made, rabbitmq_server.address, gl.Access())
    assert 1 == count(rabbitmq_server, made)


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_asking_for_the_kind_changes_neither_the_queue_nor_its_messages(rabbitmq_server, kind):
    made = make(rabbitmq_server, {"x-queue-type": kind, "x-max-length": 10}, 3)
    for _ in range(3):
        look_at(made, rabbitmq_server.address, gl.Access())
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        channel = connection.channel()
        found = [channel.basic_get(made) for _ in range(3)]
        assert 0 == found[-1][0].message_count
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        channel = connection.channel()
        # a quorum queue learns later that consumers are gone, and counts who fetched by hand while it keeps a message
        while channel.queue_declare(made, passive=True).method.consumer_count:
            connection.sleep(0.2)
    assert [(False, 0)] * 3 == [
        (method.redelivered, (properties.headers or {}).get("x-delivery-count", 0)) for method, properties, _ in found
    ]
    assert bodies(events(3)) == [body for _, _, body in found]


def test_a_queue_that_is_not_there_is_not_made_by_asking(rabbitmq_server):
    missing = name("q")
    for _ in range(2):
        with pytest.raises(SourceError, match=f"there is no queue {missing!r}"):
            look_at(missing, rabbitmq_server.address, gl.Access())


def test_an_exclusive_queue_of_another_connection_is_an_error_that_says_so(rabbitmq_server):
    made = name("q")
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
        connection.channel().queue_declare(made, exclusive=True)
        with pytest.raises(SourceError, match="open to one other connection only"):
            look_at(made, rabbitmq_server.address, gl.Access())


def test_a_user_who_may_only_read_reads_queues_of_every_kind(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_PASSWORD", "hunter2-Zx9")
    users = {"lab": "hunter2-Zx9"}
    with gl.services.start("rabbitmq", tmp_path / "rabbit", users=users, readers=["lab"]) as server:
        address = f"amqp://127.0.0.1:{server.ports['amqp']}/"
        for kind in ("classic", "quorum", "stream"):
            made = make(server, {"x-queue-type": kind}, 5)
            source = gl.from_rabbitmq(made, address, SCHEMA, access=gl.Access("lab", "env:LAB_PASSWORD"))
            assert 5 == len(drain(source.reader, 5))
            source.reader.close()


@pytest.mark.parametrize(("kind", "wrong"), [("stream", "quorum"), ("quorum", "stream")])
def test_a_kind_that_is_not_the_queues_is_an_error_and_no_answer(rabbitmq_server, kind, wrong):
    made = make(rabbitmq_server, {"x-queue-type": kind}, 5)
    with pytest.raises(SourceError, match=r"is a stream|of queue type rabbit_quorum_queue"):  # noqa: PT012 - as soon as a message comes
        source = gl.from_rabbitmq(made, rabbitmq_server.address, SCHEMA, kind=wrong)
        # a stream that is read as a queue gives what is new
        with pika.BlockingConnection(pika.URLParameters(rabbitmq_server.address)) as connection:
            source.reader.open()
            connection.channel().basic_publish("", made, bodies(events(1))[0])
            drain(source.reader, 1)
    source.reader.close()


def test_a_stream_is_not_read_as_a_queue(rabbitmq_server):
    made = make(rabbitmq_server, {"x-queue-type": "stream"}, 1)
    with pytest.raises(gl.errors.ArgumentError, match="is a stream"):
        RabbitQueue(made, rabbitmq_server.address, SCHEMA)
