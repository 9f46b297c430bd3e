"""Events per CPU-second from a queue to a scored frame, beside each client's own poll loop in the same run; and latency.

A real Kafka (4 partitions, lz4) and a real RabbitMQ (a quorum and a stream queue) hold the same events of about 190 bytes of
JSON. govlab decodes them, counts per actor and minute, scores with EWMA z and alerts; the clients' own loops only take the
bytes. Each measurement is a process of its own; rates are per CPU-second of it, from before it connects until all is taken,
without its start (imports, compiled kernels).

    python benchmarks/queues.py                     # 300,000 events, about 4 minutes
    python benchmarks/queues.py --events 100000 --only kafka-python,latency
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from events import make
from tqdm import tqdm

import govlab as gl
from govlab import services
from govlab.frames import time_us

SCHEMA = {"time": "epoch_ms", "event_id": "string", "actor": "string", "kind": "string", "value": "float64"}
ROOMS = ["kafka-python", "confluent", "streamz", "quorum", "stream", "rstream", "latency"]
QUEUES = {"quorum": "quorum", "quorum-raw": "quorum", "stream": "stream"}  # what a loop took of a quorum queue is gone
Rate = tuple[int, float]


def watch() -> gl.Pipeline:
    counts = gl.features.WindowCount(every="1min", by="actor", lateness="5s", value="value")
    return gl.Pipeline(counts, gl.detectors.EwmaZ("count", by="actor"), gl.alerts.Threshold(above=6.0))


def scored(connect: Callable[[], Any], events: int) -> Rate:
    """Run the pipeline over so many events of a source."""
    warm = gl.from_replay(gl.datasets.path("community"))
    warm.through(gl.Pipeline(gl.features.WindowCount(every="1min", by="actor"), *watch().steps[1:]))
    gl.run(warm, progress=False)
    import govlab.sources.kafka.reader, govlab.sources.rabbitmq.queue  # noqa: E401, F401, I001  # else they are imported at the first use

    cpu = time.process_time()
    source = connect()
    source.through(watch())
    gl.run(source, max_events=events, progress=False)
    return events, time.process_time() - cpu


def kafka_govlab(options: argparse.Namespace, client: str) -> Rate:
    return scored(lambda: gl.from_kafka("events", options.kafka, gl.Schema(SCHEMA), client=client), options.events)


def kafka_python_raw(options: argparse.Namespace) -> Rate:
    import kafka

    n, cpu = 0, time.process_time()
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=options.kafka, group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    consumer.assign([kafka.TopicPartition("events", p) for p in range(4)])
    while n < options.events:
        n += sum(len(records) for records in consumer.poll(200, 16_384).values())
    return n, time.process_time() - cpu


def confluent_raw(options: argparse.Namespace) -> Rate:
    import confluent_kafka as ck

    settings = {"bootstrap.servers": options.kafka, "group.id": "raw", "enable.auto.commit": False, "auto.offset.reset": "earliest",
                "fetch.queue.backoff.ms": 10}  # fmt: skip
    n, cpu = 0, time.process_time()
    consumer = ck.Consumer(settings)
    consumer.assign([ck.TopicPartition("events", p, 0) for p in range(4)])
    while n < options.events:
        n += len([message.value() for message in consumer.consume(16_384, 0.2)])
    return n, time.process_time() - cpu


def streamz_batched(options: argparse.Namespace) -> Rate:
    """Take batches of bytes, as streamz gives them, and do nothing with them."""
    import streamz

    settings = {"bootstrap.servers": options.kafka, "group.id": "streamz", "auto.offset.reset": "earliest"}
    done, seen = threading.Event(), [0]

    def count(batch: list[Any]) -> None:
        seen[0] += len(batch)
        if seen[0] >= options.events:
            done.set()

    cpu = time.process_time()
    source = streamz.Stream.from_kafka_batched("events", settings, poll_interval="50ms", max_batch_size=16_384, asynchronous=False)
    source.sink(count)
    source.start()
    done.wait(300)
    return seen[0], time.process_time() - cpu


def rabbit_govlab(options: argparse.Namespace, queue: str) -> Rate:
    return scored(lambda: gl.from_rabbitmq(queue, options.amqp, gl.Schema(SCHEMA).written()), options.events)


def pika_raw(options: argparse.Namespace, queue: str) -> Rate:
    import pika

    seen, cpu = [0], time.process_time()
    connection = pika.BlockingConnection(pika.URLParameters(options.amqp))
    channel = connection.channel()
    channel.basic_qos(prefetch_count=5_000)

    def take(channel: Any, method: Any, properties: Any, body: bytes) -> None:
        seen[0] += 1
        if seen[0] % 2_000 == 0:
            channel.basic_ack(method.delivery_tag, multiple=True)

    channel.basic_consume(queue, take, arguments={"x-stream-offset": "first"} if queue == "stream" else {})
    while seen[0] < options.events:
        connection.process_data_events(0.2)
    return seen[0], time.process_time() - cpu


def rstream_raw(options: argparse.Namespace) -> Rate:
    import rstream

    async def consume() -> Rate:
        host, _, port = options.stream.partition(":")
        seen, cpu = [0], time.process_time()
        consumer = rstream.Consumer(host, int(port), username="guest", password="guest", vhost="/")

        async def take(body: bytes, context: Any) -> None:
            seen[0] += 1
            if seen[0] >= options.events:
                consumer.stop()

        await consumer.start()
        first = rstream.ConsumerOffsetSpecification(rstream.OffsetType.FIRST, None)
        await consumer.subscribe("stream", take, offset_specification=first)
        await consumer.run()
        return seen[0], time.process_time() - cpu

    return asyncio.run(consume())


def latency(options: argparse.Namespace) -> dict[str, float]:
    """Produce 1,000 events a second; every twentieth makes an alert. From the moment of producing it to the alert in hand."""
    import confluent_kafka as ck
    import msgspec

    topic, delays, stop = f"latency-{options.client}", list[float](), threading.Event()
    producer = ck.Producer({"bootstrap.servers": options.kafka, "linger.ms": 1})
    row = {"event_id": "e", "actor": "ann", "kind": "post"}

    def produce() -> None:
        began, n = time.monotonic(), 0
        while not stop.is_set():
            n += 1
            body = msgspec.json.encode(row | {"time": time.time() * 1000, "value": float(n % 20 == 0)})
            producer.produce(topic, body, partition=n % 4)
            producer.poll(0)
            time.sleep(max(0.0, began + n / 1_000 - time.monotonic()))

    producer.produce(topic, msgspec.json.encode(row | {"time": 0, "value": 0.0}))
    producer.flush()
    source = gl.from_kafka(topic, options.kafka, gl.Schema(SCHEMA), client=options.client)
    alerts = source.through(gl.Pipeline(gl.detectors.Volume("value"), gl.alerts.Threshold(above=1.0)))
    alerts.sink(lambda frame: delays.extend((time.time() * 1e6 - time_us(frame)) / 1e3))
    thread = threading.Thread(target=produce)
    thread.start()
    gl.run(source, timeout_s=5, progress=False)
    delays.clear()
    gl.run(source, timeout_s=15, progress=False)
    stop.set()
    thread.join()
    producer.flush()
    return {"alerts": len(delays), "p50_ms": float(np.percentile(delays, 50)), "p99_ms": float(np.percentile(delays, 99))}


MEASURED = {
    "kafka-python raw": kafka_python_raw, "kafka-python govlab": lambda o: kafka_govlab(o, "kafka-python"),
    "confluent raw": confluent_raw, "confluent govlab": lambda o: kafka_govlab(o, "confluent"),
    "streamz from_kafka_batched": streamz_batched,
    "quorum raw (pika)": lambda o: pika_raw(o, "quorum-raw"), "quorum govlab": lambda o: rabbit_govlab(o, "quorum"),
    "stream raw (pika)": lambda o: pika_raw(o, "stream"), "stream govlab": lambda o: rabbit_govlab(o, "stream"),
    "rstream raw": rstream_raw,
}  # fmt: skip


def fill(options: argparse.Namespace, folder: Path) -> None:
    """Put the same events into a topic and two queues."""
    import confluent_kafka as ck

    text, _ = make(folder, options.events)
    lines = text.read_bytes().splitlines()[: options.events]
    producer = ck.Producer(
        {"bootstrap.servers": options.kafka, "compression.type": "lz4", "linger.ms": 20, "queue.buffering.max.messages": 2_000_000}
    )
    for i, line in enumerate(tqdm(lines, desc="into Kafka", leave=False)):
        producer.produce("events", line, partition=i % 4)
    producer.flush()
    schema = gl.Schema(SCHEMA | {"target": "string", "ip": "string", "ok": "bool"})
    for queue in QUEUES:
        source = gl.from_replay(str(text), schema, order="arrival")
        outlet = source.to_rabbitmq("", options.amqp, routing_key=queue)
        gl.run(source, max_events=options.events)
        outlet.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000)
    parser.add_argument("--only", default=",".join(ROOMS), help=f"some of {', '.join(ROOMS)}")
    for name in ("one", "kafka", "amqp", "stream", "client"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        told: Any = latency(options) if options.one == "latency" else MEASURED[options.one](options)
        print(json.dumps(told))
        sys.stdout.flush()
        import os

        os._exit(0)  # clients take their time to say goodbye
    only = options.only.split(",")
    with (
        tempfile.TemporaryDirectory(prefix="govlab-queues-") as folder,
        services.start("kafka", Path(folder) / "kafka", heap="1g") as kafka,
        services.start("rabbitmq", Path(folder) / "rabbitmq") as rabbit,
    ):
        import pika

        options.kafka, options.amqp, options.stream = kafka.address, rabbit.address, rabbit.addresses["stream"]
        with pika.BlockingConnection(pika.URLParameters(options.amqp)) as connection:
            for queue, kind in QUEUES.items():
                connection.channel().queue_declare(queue, durable=True, arguments={"x-queue-type": kind})
        fill(options, Path(folder))

        def measure(one: str, client: str = "") -> Any:
            arguments = [f"--{name}={getattr(options, name)}" for name in ("events", "kafka", "amqp", "stream")]
            done = subprocess.run(
                [sys.executable, __file__, f"--one={one}", f"--client={client}", *arguments], capture_output=True, text=True
            )
            if done.returncode:
                raise SystemExit(f"{one} failed:\n{done.stderr[-3_000:]}")
            return json.loads(done.stdout.splitlines()[-1])

        raw = 0.0
        print(f"{'':28}{'events per CPU-second':>22}   of raw")
        for one in [one for one in MEASURED if one.split()[0] in only]:
            n, cpu = measure(one)
            rate = n / cpu
            raw = rate if " raw" in one else raw
            print(f"{one:28}{rate:22,.0f}" + (f"   {rate / raw:.2f}" if one.endswith("govlab") else ""), flush=True)
        for client in ("kafka-python", "confluent") if "latency" in only else ():
            found = measure("latency", client)
            print(
                f"latency, {client}: p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f} ms over {found['alerts']:,} alerts",
                flush=True,
            )


if __name__ == "__main__":
    main()
