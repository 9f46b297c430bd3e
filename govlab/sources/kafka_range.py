"""A stretch of Kafka topics: replayed as files are, merged on one clock, without joining a group and without committing."""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Generator, Mapping
from typing import Any

import pandas as pd

from govlab import frames
from govlab.access import Access
from govlab.errors import ArgumentError, SourceError, did_you_mean
from govlab.frames import Schema, duration_us
from govlab.sources.infer import infer_messages
from govlab.sources.kafka import Topics, topics_of
from govlab.sources.kafka_clients import CLIENTS, Client, Topic
from govlab.sources.kafka_lookup import Lookup, number_of
from govlab.sources.lanes import Block
from govlab.sources.messages import MessageDecoder, Messages
from govlab.sources.pieces import Piece, in_turn
from govlab.sources.ranged import RangedReader, spans_of
from govlab.sources.reader import DeadLetter

__all__ = ["KafkaRange", "read_again"]

log = logging.getLogger("govlab")
BLOCK, MAX_WAITING, PATIENCE_S = 16_384, 200_000, 60.0
_END = -(2**40)  # under _END - partition, a position holds the end offset of the stretch


class KafkaRange(RangedReader):
    """A stretch of Kafka topics, as a replay.

    Delivery: every row once, from wherever it is opened. Order: by (time, partition, offset) with ``order="event"``; by
    arrival, each partition as it stands, with ``order="arrival"``. A bad record becomes a dead letter (topic, partition,
    offset, reason, bytes); tombstones are left out and counted. What the stretch is (its offsets) is settled when it is
    first opened and part of the position. No group is joined, nothing is committed.

    Parameters
    ----------
    topics, bootstrap, schema, client, format, access
        As of :class:`govlab.sources.KafkaReader`.
    start, stop : str or Timestamp
        The stretch of event time, ``start`` included; ``start="earliest"`` is the first record, ``stop="now"`` the last
        one when it is first opened.
    order, look_ahead
        As of :class:`govlab.sources.ReplayReader`.
    slack : str, default "1h"
        How far the time at which a record was written may be from the time of its event.
    """

    sticky = True

    def __init__(
        self,
        topics: Topics,
        bootstrap: str = "localhost:9092",
        schema: Schema | None = None,
        start: Any = "earliest",
        stop: Any = "now",
        client: str = "kafka-python",
        format: str = "json",
        access: Access | None = None,
        order: str = "event",
        look_ahead: int = 65_536,
        slack: str = "1h",
    ) -> None:
        self.topics = topics_of(topics)
        if client not in CLIENTS:
            raise ArgumentError(f"client={client!r} is not known. {did_you_mean(client, CLIENTS)}")
        self.bootstrap, self.client_name, self.access = bootstrap, client, access or Access()
        self.name = self.topics.pattern if isinstance(self.topics, re.Pattern) else ", ".join(self.topics)
        self._alone = isinstance(self.topics, list) and len(self.topics) == 1
        lookup = Lookup(bootstrap, self.access)
        try:
            self._cluster, found = lookup.cluster(), lookup.partitions(self.topics)
            schema = schema or infer_messages(lookup.sample(found), self.name)
        finally:
            lookup.close()
        ends = None if start == "earliest" else start, None if stop == "now" else stop
        super().__init__(schema, order, *ends, look_ahead)
        self._slack_us = duration_us(slack, "slack", zero=True)
        self._decoder = MessageDecoder(self.schema, format)
        self.tombstones = 0
        self._client: Client | None = None
        self._topics: dict[int, Topic] = {}
        self._stretch: dict[Topic, tuple[int, int]] = {}
        self._followed: dict[Topic, int] = {}  # where the last piece of a partition ended

    @property
    def origin(self) -> str:
        """What is read, in full, whatever the address of the broker and the way in."""
        clock = [self.order, self.start_us, self.stop_us]
        return json.dumps(["kafka range", self._cluster, self.name, self.schema.recipe(), self._decoder.form, *clock])

    def _partitions(self, position: Mapping[int, int]) -> dict[int, str]:
        lookup = Lookup(self.bootstrap, self.access)
        try:
            topics = lookup.partitions(self.topics)
            firsts, ends = lookup.ends(topics, first=True), lookup.ends(topics)
            begin = firsts if self.start_us is None else lookup.at(topics, self.start_us - self._slack_us)
            end = ends if self.stop_us is None else lookup.at(topics, self.stop_us + self._slack_us)
        finally:
            lookup.close()
        self._topics = {number_of(topic, self._alone): topic for topic in topics}
        self._stretch = {}
        for number, topic in self._topics.items():
            stretch = position.get(-1 - number, begin[topic]), position.get(_END - number, end[topic])
            if position and -1 - number not in position:
                stretch = (0, 0)  # a partition that was not there when the stretch was settled
            if stretch[0] < min(firsts[topic], stretch[1]):
                raise SourceError(
                    f"{topic[0]}, partition {topic[1]}: the run began at offset {stretch[0]:,}, but the records before "
                    f"{firsts[topic]:,} are gone (retention?). Begin anew with another store."
                )
            self._stretch[topic] = stretch
        self._at = {topic: first for topic, (first, last) in self._stretch.items() if last > first}
        self._waiting: dict[Topic, deque[Messages]] = {topic: deque() for topic in self._at}
        self._rewind: set[Topic] = set()
        return {number: topic[0] for number, topic in self._topics.items()}

    def position(self) -> dict[int, int]:
        """Give the rows given of each partition, and what the stretch is."""
        ends = {-1 - n: self._stretch[topic][0] for n, topic in self._topics.items()}
        return super().position() | ends | {_END - n: self._stretch[topic][1] for n, topic in self._topics.items()}

    def _blocks(self, partition: int) -> Generator[Block, None, None]:
        topic = self._topics[partition]
        if topic not in self._at:
            return
        while (messages := self._next(topic)) is not None:
            yield self._decoded(messages, partition)

    def _decoded(self, messages: Messages, partition: int) -> Block:
        if None in messages.bodies:
            messages, found = messages.without_tombstones()
            self.tombstones += found
        return self._decoder.block(messages, partition)

    def pieces(self, rows: int) -> tuple[dict[int, str], list[Piece]]:
        """Cut the stretch into spans of offsets; what it is, is settled now."""
        names = self._partitions({})
        lanes = []
        for number, topic in self._topics.items():
            first, end = self._stretch[topic]
            spans = [(a, min(a + rows, end)) for a in range(first, end, rows)] or [(first, first)]
            lanes.append([(Piece(number, i, a, b, b >= end), None) for i, (a, b) in enumerate(spans)])
        return names, in_turn(lanes, math.ceil(self.look_ahead / rows) + 1 if self.order == "event" else 1)

    def piece(self, piece: Piece) -> Generator[Block, None, int]:
        """Give the rows of a piece; quickest where the pieces of a partition are asked for one after the other."""
        if not self._topics:
            self._partitions({})
            self._at.clear()
        topic = self._topics[piece.partition]
        if self._followed.get(topic) != piece.first:
            if topic in self._at:
                self._rewind.add(topic)
            else:
                self._let_go()  # the next client reads this partition too
            self._at[topic], self._waiting[topic] = piece.first, deque()
        self._stretch[topic] = piece.first, 2**62
        messages = self._fill(topic, sys.maxsize, piece.last)
        rest = messages.some(range(bisect_left(messages.offsets, piece.last), len(messages.offsets)))
        self._waiting[topic].extend([rest] if rest.offsets else [])
        self._followed[topic] = piece.last
        yield self._decoded(messages.before(piece.last), piece.partition)
        return 0

    def _next(self, topic: Topic) -> Messages | None:
        """Give the next messages of a partition, about a block of them; those of others that come along wait."""
        end = self._stretch[topic][1]
        whole = self._fill(topic, BLOCK, end)
        if not whole.offsets:
            return None
        return whole if whole.offsets[-1] < end else whole.before(end)

    def _fill(self, topic: Topic, rows: int, end: int) -> Messages:
        mine = self._waiting[topic]
        patience = time.monotonic() + PATIENCE_S
        while sum(len(part.offsets) for part in mine) < rows and self._at[topic] < end:
            try:
                before = self._at[topic]
                self._poll(topic)
                if self._at[topic] > before:
                    patience = time.monotonic() + PATIENCE_S
            except Exception as error:
                self._let_go()
                if time.monotonic() > patience:
                    raise SourceError(f"{self.name}: {type(error).__name__}: {error}") from error
                log.warning("%s: the client is made anew: %s", self.name, error)
                time.sleep(0.5)
            if time.monotonic() > patience:
                raise SourceError(
                    f"{topic[0]}, partition {topic[1]}: nothing came for {PATIENCE_S:g} s after offset {self._at[topic]:,}, of "
                    f"{end:,}; is {self.bootstrap} there?"
                )
        whole = Messages.joined(list(mine)) if mine else Messages()
        mine.clear()
        return whole

    def _poll(self, topic: Topic) -> None:
        if self._client is None:
            make = CLIENTS[self.client_name]
            self._client = make(self.bootstrap, self.access, None, bool(self._decoder.envelope), lambda topics: {})
            self._client.assign(self._at)
            self._rewind = set()
        if topic in self._rewind:
            self._client.seek(topic, self._at[topic])
            self._rewind.discard(topic)
        fetched = self._client.poll(BLOCK, 0.2)
        for other, messages in fetched.items():
            if other in self._rewind or messages.offsets[0] < self._at[other]:
                continue  # from before a seek
            if self._at[other] >= self._stretch[other][1]:
                continue
            if other != topic and sum(len(part.offsets) for part in self._waiting[other]) > MAX_WAITING:
                self._rewind.add(other)  # it is far ahead: fetched again when its turn comes
                continue
            self._waiting[other].append(messages)
            self._at[other] = messages.offsets[-1] + 1
        if topic not in fetched and (at := self._client.position(topic)) is not None and at > self._at[topic]:
            self._at[topic] = at  # markers of transactions, or what compaction took

    def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except Exception as error:  # it is let go of anyway
                log.debug("closing a Kafka client: %s", error)

    def redrive(self, letters: list[tuple[DeadLetter, bytes]]) -> tuple[pd.DataFrame, list[DeadLetter]]:
        """Read corrected messages; gives their rows and those that are still bad."""
        return self._decoder.redrive(letters)

    def fetch(self, evidence: str) -> pd.DataFrame:
        """Read again the rows of an alert's evidence, ``partition:first-last`` ranges."""
        return read_again(self.topics, self._alone, self.bootstrap, self.access, self._decoder, evidence)

    def close(self) -> None:
        """Let go of what waits and of the connection."""
        super().close()
        self._let_go()


def read_again(
    topics: list[str] | re.Pattern[str], alone: bool, bootstrap: str, access: Access, decoder: MessageDecoder, evidence: str
) -> pd.DataFrame:
    """Read the rows at ``partition:first-last`` ranges."""
    lookup = Lookup(bootstrap, access)
    try:
        known = {number_of(topic, alone): topic for topic in lookup.partitions(topics)}
    finally:
        lookup.close()
    client = CLIENTS["kafka-python"](bootstrap, access, None, bool(decoder.envelope), lambda topics: {})
    parts = [frames.empty()]
    try:
        for number, first, last in spans_of(evidence):
            if number not in known:
                raise SourceError(f"evidence {evidence!r}: there is no partition {number}.")
            client.assign({known[number]: first})
            at, end = first, time.monotonic() + PATIENCE_S
            while at <= last and time.monotonic() < end:
                messages = client.poll(BLOCK, 0.2).get(known[number])
                if messages is None:
                    at = max(at, client.position(known[number]) or 0)
                    continue
                at = messages.offsets[-1] + 1
                parts.append(decoder.block(messages.before(last + 1).without_tombstones()[0], number)[0])
    finally:
        client.close()
    return frames.concat(parts)
