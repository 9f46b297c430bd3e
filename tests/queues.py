"""What the tests of queues share: a day of events, topics and queues of their own, and the pipeline they run."""

import uuid

import kafka
import pandas as pd
import pika

import govlab as gl
from govlab import frames
from govlab.sinks.encode import json_bodies
from govlab.sources.reader import EndOfStream

SHARDS = 8
SCHEMA = gl.Schema(
    {"time": "timestamp", "event_id": "string", "actor": "string", "kind": "string", "value": "float64"}, id="event_id"
)


def events(n=3_000, seed=1):
    """Events of 40 actors, some a little late, now and then one in a hurry; nothing in them depends on the machine."""
    rng = __import__("numpy").random.default_rng(seed)
    at = 1_772_409_600_000_000 + (rng.exponential(2e6, n).cumsum() - rng.choice([0, 0, 0, 4e6], n)).astype("int64")
    actor = rng.integers(0, 40, n)
    actor[(at // 60_000_000) % 7 == 3] //= 8
    return frames.event_frame({
        "time": frames.from_us(at), "event_id": [f"e{seed}-{i}" for i in range(n)], "actor": [f"user {a}" for a in actor],
        "kind": rng.choice(["post", "like", "report"], n), "value": rng.random(n),
    })  # fmt: skip


def watch():
    steps = [gl.features.WindowCount(every="1min", by="actor", lateness="10s"), gl.detectors.EwmaZ("count", by="actor")]
    return gl.Pipeline(gl.Sharded(steps, by="actor", shards=SHARDS, wait="1h"), gl.alerts.Threshold(above=2.0))


def shared():
    """The pipeline of members of a group."""
    return gl.Sharded([*watch().steps[0].steps.steps, gl.alerts.Threshold(above=2.0)], by="partition", shards=4)


def name(what="t"):
    return f"{what}-{uuid.uuid4().hex[:8]}"


def topic(server, partitions=4):
    """Make a topic."""
    made = name()
    admin = kafka.KafkaAdminClient(bootstrap_servers=server.address)
    admin.create_topics({made: {"num_partitions": partitions, "replication_factor": 1}})
    admin.close()
    return made


def fill(server, frame, partitions=4, **options):
    """Make a topic and send events to it, all of a shard to one partition."""
    made = topic(server, partitions)
    sink = gl.sinks.KafkaSink(made, server.address, key="actor", shards=SHARDS, **options)
    sink.send(frame)
    sink.close()
    return made


def send(server, made, bodies, partition=0):
    """Send raw bodies (None is a tombstone)."""
    producer = kafka.KafkaProducer(bootstrap_servers=server.address, max_request_size=20_000_000)
    told = [producer.send(made, body, key=b"k", partition=partition) for body in bodies]
    offsets = [one.get(timeout=300).offset for one in told]
    producer.close()
    return offsets


def queue(server, kind="quorum", bodies=()):
    """Make a queue, and put bodies into it."""
    made = name("q")
    with pika.BlockingConnection(pika.URLParameters(server.address)) as connection:
        channel = connection.channel()
        channel.queue_declare(made, durable=True, arguments={"x-queue-type": kind})
        channel.confirm_delivery()
        for body in bodies:
            channel.basic_publish("", made, body)
    return made


def bodies(frame):
    return json_bodies(frame)


def offsets(reader):
    """The part of a position that says how far each partition was read."""
    return {partition: offset for partition, offset in reader.position().items() if partition >= 0}


def drain(reader, n=None, max_rows=500):
    """Read to the end, or so many rows of a live reader; the reader stays open."""
    parts, read = [frames.empty()], 0
    try:
        while n is None or read < n:
            part = reader.read(max_rows if n is None else min(max_rows, n - read))
            parts.append(part)
            read += len(part)
    except EndOfStream:
        pass
    return frames.concat(parts)


def settle(reader, letters, n):
    """Read on until so many dead letters are there."""
    while len(letters) < n:
        assert not len(reader.read(10))
        letters += reader.take_dead_letters()
    return letters


def alerts(store):
    kept = gl.stores.Sqlite(store)
    found = kept.alerts()
    kept.close()
    return found


def same(one, other):
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True), check_exact=True)
