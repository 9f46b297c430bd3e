"""Every registered source keeps the contract of readers, on its real origin: a new one needs a factory here."""

import gzip

import pytest
from origins import CORRECTED, Queue, Topic, filled, what_to_do

from govlab import registry
from govlab.sinks.encode import json_bodies
from govlab.testing import LIVE_SCHEMA, check_live_reader, check_reader, live_events

CLIENTS = ["kafka-python", "confluent"]
EXEMPT = {}


def kafka_reader(made, request, tmp_path, client, group):
    topic = Topic(request.getfixturevalue("kafka_server"))
    named = f"{topic.name}-members" if group else None
    check_live_reader(
        lambda: made(topic.name, topic.address, LIVE_SCHEMA, group=named, client=client),
        topic.put, topic.put_raw, CORRECTED, remembers=group,
    )  # fmt: skip


def kafka_range(made, request, tmp_path, client):
    topic = filled(Topic(request.getfixturevalue("kafka_server")))
    check_reader(lambda: made(topic.name, topic.address, LIVE_SCHEMA, client=client), 3, CORRECTED)


def rabbit_queue(made, request, tmp_path, kind):
    queue = Queue(request.getfixturevalue("rabbitmq_server"), kind)
    make = lambda: made(queue.name, queue.address, LIVE_SCHEMA)  # noqa: E731
    check_live_reader(make, queue.put, queue.put_raw, CORRECTED, remembers=True)


def rabbit_stream(made, request, tmp_path):
    queue = Queue(request.getfixturevalue("rabbitmq_server"), "stream")
    check_live_reader(lambda: made(queue.name, queue.address, LIVE_SCHEMA), queue.put, queue.put_raw, CORRECTED)


def rabbit_range(made, request, tmp_path):
    queue = filled(Queue(request.getfixturevalue("rabbitmq_server"), "stream"))
    check_reader(lambda: made(queue.name, queue.address, LIVE_SCHEMA), 3, CORRECTED)


def replay(made, request, tmp_path, order):
    for part in range(2):
        lines = json_bodies(live_events(part, 40))
        (tmp_path / f"{part}.ndjson.gz").write_bytes(gzip.compress(b"\n".join([*lines[:20], b"?", *lines[20:], b"?"])))
    check_reader(lambda: made(tmp_path, LIVE_SCHEMA, order), 4, CORRECTED)


# each: the function that checks it, and the ways in which it is to be checked
FACTORIES = {
    "kafka_range": (kafka_range, [{"client": client} for client in CLIENTS]),
    "kafka_reader": (kafka_reader, [{"client": client, "group": group} for client in CLIENTS for group in (False, True)]),
    "rabbit_queue": (rabbit_queue, [{"kind": kind} for kind in ("quorum", "classic")]),
    "rabbit_range": (rabbit_range, [{}]),
    "rabbit_stream": (rabbit_stream, [{}]),
    "replay": (replay, [{"order": order} for order in ("event", "arrival")]),
}
WAYS = [
    pytest.param(name, way, id="-".join([name, *map(str, way.values())]), marks=[] if name == "replay" else pytest.mark.server)
    for name, (_, ways) in FACTORIES.items()
    for way in ways
]


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_registered_source_keeps_the_contract_of_a_reader(request, tmp_path, name, way):
    FACTORIES[name][0](registry.load("sources", name), request, tmp_path, **way)


def test_every_registered_source_has_a_factory_or_a_reason():
    assert what_to_do("sources", FACTORIES, EXEMPT) is None


def test_a_new_source_without_a_factory_is_told_what_to_do():
    rest = {name: one for name, one in FACTORIES.items() if name != "replay"}
    assert "replay has no factory for its contract check: write one into FACTORIES" in what_to_do("sources", rest, EXEMPT)
