"""What happens to a queue of RabbitMQ while it is read is said, and nothing is lost in silence."""

import re
import subprocess
import time

import pika
import pytest
from queues import SCHEMA, bodies, drain, events, queue, same

import govlab as gl
from govlab import frames
from govlab.errors import SourceError
from govlab.sources.rabbitmq import asking as rabbit_asking
from govlab.sources.rabbitmq import following as rabbit_following
from govlab.sources.rabbitmq.asking import end_of, first_of, offset_of
from govlab.sources.rabbitmq.queue import RabbitQueue
from govlab.sources.rabbitmq.range import RabbitRange
from govlab.sources.rabbitmq.stream import RabbitStream

pytestmark = pytest.mark.server
DATA = ["time", "event_id", "actor", "kind", "value"]


def on(server, do):
    with pika.BlockingConnection(pika.URLParameters(server.address)) as connection:
        return do(connection.channel())


def put(server, made, sent, properties=None):
    def do(channel):
        channel.confirm_delivery()
        for body in sent:
            channel.basic_publish("", made, body, properties)

    on(server, do)


def anew(server, made, kind, sent):
    on(server, lambda channel: channel.queue_delete(made))
    on(server, lambda channel: channel.queue_declare(made, durable=True, arguments={"x-queue-type": kind}))
    put(server, made, sent)


def until(reader, wanted):
    """Read on until something is so; gives the rows."""
    parts, end = [frames.empty()], time.monotonic() + 120
    while not (found := wanted()):
        parts.append(reader.read(100))
        assert time.monotonic() < end
    return frames.concat(parts), found


@pytest.mark.parametrize("kind", ["classic", "quorum", "stream"])
@pytest.mark.parametrize("again", [False, True], ids=["for good", "and made anew"])
def test_a_queue_deleted_while_it_is_read_is_an_error(rabbitmq_server, kind, again):
    made = queue(rabbitmq_server, kind, bodies(events(10)))
    source = gl.from_rabbitmq(made, rabbitmq_server.address, SCHEMA)
    drain(source.reader, 10)
    source.reader.commit(source.reader.position())
    if again and kind == "quorum":  # which may not say that it was deleted; then what it holds now is read
        anew(rabbitmq_server, made, kind, bodies(events(50, seed=2)))
        try:
            seen = len(drain(source.reader, 50))
        except SourceError as error:
            seen = 50 if "was deleted" in str(error) else str(error)
        source.reader.close()
        assert 50 == seen
        return
    if again:
        anew(rabbitmq_server, made, kind, bodies(events(50, seed=2)))
    else:
        on(rabbitmq_server, lambda channel: channel.queue_delete(made))
    with pytest.raises(SourceError, match="was deleted"):
        until(source.reader, lambda: False)
    source.reader.close()


@pytest.mark.parametrize("kind", ["classic", "quorum"])
def test_a_queue_purged_behind_a_reader_that_waits_is_reported_with_how_many_messages_went(rabbitmq_server, kind):
    made = queue(rabbitmq_server, kind, bodies(events(100)))
    reader = RabbitQueue(made, rabbitmq_server.address, SCHEMA, prefetch=10)
    drain(reader, 10)
    until(reader, lambda: reader.lag() == {0: 90})
    assert reader.trouble() is None
    on(rabbitmq_server, lambda channel: channel.queue_purge(made))
    _, (state, why) = until(reader, reader.trouble)
    assert "stalled" == state
    assert 80 <= int(re.fullmatch(r"at least (\d+) messages left the queue unread: .*", why)[1]) <= 90
    reader.close()


def test_lag_is_asked_and_never_zero_while_messages_wait(rabbitmq_server):
    made = queue(rabbitmq_server, "quorum", bodies(events(100)))
    reader = RabbitQueue(made, rabbitmq_server.address, SCHEMA, prefetch=10)
    reader.open()
    while not (lag := reader.lag()):
        assert {} == lag
    drain(reader, 4)
    until_s = time.monotonic() + 60
    while reader.lag() != {0: 96}:  # 90 in the queue and 6 here, though nobody reads
        assert time.monotonic() < until_s
    reader.close()


@pytest.mark.parametrize("n", [5, 3_000])
def test_the_lag_of_a_stream_is_asked_while_nobody_reads(rabbitmq_server, n):
    made = queue(rabbitmq_server, "stream", bodies(events(n)))
    reader = RabbitStream(made, rabbitmq_server.address, SCHEMA)
    drain(reader, 3, 3)
    for more in (0, 7):
        put(rabbitmq_server, made, bodies(events(more)))
        until_s = time.monotonic() + 60
        while reader.lag() != {0: n + more - 3}:
            assert time.monotonic() < until_s
    reader.close()


def test_a_range_ends_where_the_stream_ends_though_it_is_a_moment_old(rabbitmq_server):
    for n in (1, 2, 300):
        made = queue(rabbitmq_server, "stream", bodies(events(n)))
        assert n == end_of(made, rabbitmq_server.address, gl.Access())
        reader = RabbitRange(made, rabbitmq_server.address, SCHEMA, order="arrival")
        same(events(n)[DATA], drain(reader)[DATA])
        reader.close()


def test_messages_wanted_from_the_beginning_are_as_many_as_there_are_at_most(rabbitmq_server):
    sent = bodies(events(60))
    made = queue(rabbitmq_server, "stream", sent)
    for wanted in (1, 59, 60, 1_000):
        found = first_of(made, rabbitmq_server.address, gl.Access(), wanted)
        assert sent[:wanted] == [body for _, _, _, body, _ in found]


def test_more_messages_than_the_broker_sends_at_once_are_read_to_the_end(rabbitmq_server, monkeypatch):
    monkeypatch.setattr(rabbit_asking, "PREFETCH", 7)
    sent = bodies(events(500))
    made = queue(rabbitmq_server, "stream", sent)
    assert 500 == len(first_of(made, rabbitmq_server.address, gl.Access(), 1_000))
    assert 500 == end_of(made, rabbitmq_server.address, gl.Access())


def test_an_empty_stream_is_an_error_for_a_range_and_no_answer(rabbitmq_server, monkeypatch):
    monkeypatch.setattr(rabbit_asking, "PATIENCE_S", 2.0)
    made = queue(rabbitmq_server, "stream")
    with pytest.raises(SourceError, match="has given no message in 2 s: it is empty, or its broker is too slow"):
        RabbitRange(made, rabbitmq_server.address, SCHEMA).open()
    with pytest.raises(SourceError, match="has given no message"):
        gl.from_rabbitmq(made, rabbitmq_server.address)
    live = RabbitStream(made, rabbitmq_server.address, SCHEMA)
    assert (0, {}) == (len(live.read(10)), live.lag())
    put(rabbitmq_server, made, bodies(events(3)))
    assert 3 == len(drain(live, 3))
    live.close()


@pytest.mark.parametrize("n", [3, 10, 50])
def test_a_stream_made_anew_is_not_taken_for_the_one_that_was_read(rabbitmq_server, monkeypatch, n):
    monkeypatch.setattr(rabbit_following, "PATIENCE_S", 5.0)
    made = queue(rabbitmq_server, "stream", bodies(events(10)))
    live = RabbitStream(made, rabbitmq_server.address, SCHEMA)
    drain(live, 8, 8)
    position = live.position()
    live.close()
    whole = RabbitRange(made, rabbitmq_server.address, SCHEMA)
    drain(whole, 4, 4)
    part = whole.position()
    whole.close()
    anew(rabbitmq_server, made, "stream", bodies(events(n, seed=2)))
    with pytest.raises(SourceError, match="made anew"):
        live.open(position)
    live.close()
    whole.open(part)
    with pytest.raises(SourceError, match="made anew"):
        drain(whole)
    whole.close()


def test_retention_that_overtakes_a_reader_is_an_error(rabbitmq_server):
    def do(channel):
        arguments = {"x-queue-type": "stream", "x-max-length-bytes": 500_000, "x-stream-max-segment-size-bytes": 100_000}
        channel.queue_declare(made, durable=True, arguments=arguments)

    made = queue(rabbitmq_server, "stream")
    on(rabbitmq_server, lambda channel: channel.queue_delete(made))
    on(rabbitmq_server, do)
    sent = bodies(events(3_000))
    put(rabbitmq_server, made, sent[:100])
    reader = RabbitStream(made, rabbitmq_server.address, SCHEMA)
    drain(reader, 50, 10)
    position = reader.position()
    reader.close()
    for _ in range(20):
        put(rabbitmq_server, made, sent)
        if offset_of(first_of(made, rabbitmq_server.address, gl.Access(), 1)[0]) > 100:
            break
    with pytest.raises(SourceError, match=r"the messages before [\d,]+ are gone"):
        reader.open(position)
    reader.close()
    by_offset = RabbitStream(made, rabbitmq_server.address, SCHEMA, start=5)
    with pytest.raises(SourceError, match=r"the messages before [\d,]+ are gone"):
        until(by_offset, lambda: False)
    by_offset.close()
    with pytest.raises(SourceError, match=r"the messages before [\d,]+ are gone"):
        by_offset.fetch("0:5-7")


def control(server, *command):
    environment = server.command()[1]
    program = "/usr/lib/rabbitmq/bin/rabbitmqctl"
    subprocess.run([program, "-n", "govlab@localhost", *command], env={"PATH": "/usr/bin:/bin", **environment}, check=True)


def test_a_broker_short_of_memory_that_blocks_is_reported_by_readers_that_write_and_by_sinks(tmp_path, caplog):
    with gl.services.start("rabbitmq", tmp_path / "rabbit") as server:
        made, dead = queue(server, "quorum", [b"?", *bodies(events(20))]), queue(server)
        on(server, lambda channel: channel.exchange_declare("bad", "fanout"))
        on(server, lambda channel: channel.queue_bind(dead, "bad"))
        reader = RabbitQueue(made, server.address, SCHEMA, dead_letter_exchange="bad")
        drain(reader, 10)
        control(server, "set_vm_memory_high_watermark", "absolute", "1MB")
        rows = [len(reader.read(100))]
        reader.commit(reader.position())  # publishes the bad message
        _, (state, why) = until(reader, reader.trouble)
        assert ("stalled", True) == (state, "the broker blocks the connection" in why)
        sink = gl.sinks.RabbitSink(queue=made, url=server.address)
        sink.send(events(5))
        with pytest.raises(gl.errors.SinkError, match="the broker blocks the connection"):
            sink.flush(10.0)
        control(server, "set_vm_memory_high_watermark", "absolute", "2GB")
        until(reader, lambda: reader.trouble() is None)
        assert 10 == sum(rows)
        sink.close()
        reader.close()
