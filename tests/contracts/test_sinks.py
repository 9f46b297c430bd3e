"""Every registered sink keeps the contract of sinks, on its real origin: a new one needs a factory here. A broken one is told which rule."""

import re

import pandas as pd
import pytest
from origins import Queue, Topic, reads_back, what_to_do

from govlab import frames, registry
from govlab.errors import CheckError, SinkError
from govlab.sinks import Sink
from govlab.sources.kafka.reader import KafkaReader
from govlab.sources.rabbitmq.connect import reader_at
from govlab.testing import SINK_SCHEMA, check_sink

EXEMPT = {}


def kafka_sink(made, request, client):
    topic = Topic(request.getfixturevalue("kafka_server"), 3)
    reader = KafkaReader(topic.name, topic.address, SINK_SCHEMA)
    check_sink(lambda: made(topic.name, topic.address, client=client), reads_back(reader))
    reader.close()


def rabbit_sink(made, request, kind):
    queue = Queue(request.getfixturevalue("rabbitmq_server"), kind)
    reader = reader_at(queue.name, queue.address, schema=SINK_SCHEMA)
    check_sink(lambda: made(url=queue.address, queue=queue.name), reads_back(reader))
    reader.close()


FACTORIES = {
    "kafka_sink": (kafka_sink, [{"client": client} for client in ("kafka-python", "confluent")]),
    "rabbit_sink": (rabbit_sink, [{"kind": kind} for kind in ("quorum", "stream")]),
}
WAYS = [
    pytest.param(name, way, id="-".join([name, *way.values()]), marks=pytest.mark.server)
    for name, (_, ways) in FACTORIES.items()
    for way in ways
]


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_a_registered_sink_keeps_the_contract_of_a_sink(request, name, way):
    FACTORIES[name][0](registry.load("sinks", name), request, **way)


def test_every_registered_sink_has_a_factory_or_a_reason():
    assert what_to_do("sinks", FACTORIES, EXEMPT) is None


def test_a_new_sink_without_a_factory_is_told_what_to_do():
    assert "rabbit_sink has no factory for its contract check" in what_to_do("sinks", {"kafka_sink": 1}, EXEMPT)


class Listed(Sink):
    """Writes rows to a list, at a flush."""

    name = "list"

    def __init__(self, place):
        self.place, self.waiting, self.closed = place, [], False

    def send(self, frame):
        if self.closed:
            raise SinkError("the list is closed.")
        self.waiting += self.written(frame)

    def written(self, frame):
        rows = frame.to_dict("records")
        for row in rows:
            if row["reason"] == "\ud800":
                raise SinkError(f"row {row['partition']}:{row['offset']}: 'reason' cannot be written.")
        return rows

    def flush(self, timeout_s=60.0):
        self.place += self.waiting
        self.waiting = []

    def close(self):
        self.flush()
        self.closed = True


class FlushesLate(Listed):
    def flush(self, timeout_s=60.0):
        self.place += self.waiting[:-1]
        self.waiting = self.waiting[-1:]


class FlushesAgain(Listed):
    def flush(self, timeout_s=60.0):
        self.place += self.waiting


class ForgetsAtTheEnd(Listed):
    def close(self):
        self.closed = True


class ClosedTwice(Listed):
    def close(self):
        if self.closed:
            raise RuntimeError("closed")
        super().close()


class Unsorted(Listed):
    def written(self, frame):
        return super().written(frame)[::-1]


class Rounds(Listed):
    def written(self, frame):
        return super().written(frame.assign(score=frame["score"].round(3)))


class OtherIds(Listed):
    def written(self, frame):
        return super().written(frame.assign(message_id=["0"] * len(frame)))


class Scatters(Listed):
    def written(self, frame):
        return super().written(frame.assign(partition=[i % 2 for i in range(len(frame))]))


class Lenient(Listed):
    def written(self, frame):
        return super().written(frame[[one != "\ud800" for one in frame["reason"]]])


class Vague(Listed):
    def written(self, frame):
        try:
            return super().written(frame)
        except SinkError:
            raise SinkError("a row cannot be written.") from None


class Raw(Listed):
    def written(self, frame):
        [one.encode() for one in frame["reason"].dropna()]
        return super().written(frame)


class NeverAgain(Listed):
    """Refuses all after a row that cannot be written."""

    def written(self, frame):
        try:
            return [] if getattr(self, "broken", False) else super().written(frame)
        except SinkError:
            self.broken = True
            raise


class Swallows(Listed):
    def send(self, frame):
        if not self.closed:
            super().send(frame)


def checked(kind):
    place, read = [], [0]

    def read_back(n):
        rows, read[0] = place[read[0] :], len(place)
        return frames.event_frame(pd.DataFrame(rows).assign(offset=range(len(rows)))) if rows else frames.empty()

    check_sink(lambda: kind(place), read_back)


def test_a_sink_that_keeps_the_contract_passes():
    checked(Listed)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (FlushesLate, "flush() waits until all is there; of 120 rows 1 are lost"),
        (FlushesAgain, "a flush asked again, and close(), write nothing again"),
        (ForgetsAtTheEnd, "close() flushes first"),
        (ClosedTwice, "close() may be asked twice"),
        (Unsorted, "are not in the order in which they were sent"),
        (Rounds, "rows are not read back as they were sent"),
        (OtherIds, "the id of an alert is kept beside it"),
        (Scatters, "are in several partitions, so their order is lost"),
        (Lenient, "a row that cannot be written must be an error."),
        (Vague, "the error for a row that cannot be written says which"),
        (Raw, "a row that cannot be written must be an error of govlab's tree"),
        (NeverAgain, "rows after one that was refused are written"),
        (Swallows, "what is taken after close() is written, or an error"),
    ],
)
def test_a_sink_that_breaks_a_rule_is_told_which(broken, rule):
    with pytest.raises(CheckError, match=re.escape(rule)):
        checked(broken)
