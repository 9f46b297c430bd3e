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

from govlab.access import Access
from govlab.errors import ArgumentError, SourceError, did_you_mean
from govlab.frames import Schema, duration_us
from govlab.sources.kafka.changes import Changes
from govlab.sources.kafka.client import Client, OutOfRangeError, Topic
from govlab.sources.kafka.clients import CLIENTS
from govlab.sources.kafka.evidence import read_again
from govlab.sources.kafka.gaps import Gaps, first_gap, gone
from govlab.sources.kafka.lookup import Lookup, UnansweredError, number_of
from govlab.sources.kafka.reader import Topics, topics_of
from govlab.sources.kafka.sampling import guessed
from govlab.sources.kafka.stretch import settled
from govlab.sources.lanes import Block
from govlab.sources.messages import MessageDecoder, Messages
from govlab.sources.pieces import Piece, in_turn
from govlab.sources.ranged import RangedReader
from govlab.sources.reader import DeadLetter, EndOfStream

__all__ = ["KafkaRange"]

log = logging.getLogger("govlab")
BLOCK, MAX_WAITING, PATIENCE_S = 16_384, 200_000, 60.0
_END = -1 - 2**40  # under _END - partition, a position holds the end offset


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
        How far the time at which a record was written may be from the time of its event. Kafka finds records by the time of
        writing only: samples of each partition are looked at, and where one is further from its event, all offsets are read.
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
        self.left_out: dict[str, str] = {}
        lookup = Lookup(bootstrap, self.access)
        try:
            self._cluster, there = lookup.cluster(), lookup.topics(self.topics)
            if schema is None:
                schema, self.left_out = guessed(lookup, there.partitions, self.name, client, self.access)
        finally:
            lookup.close()
        ends = None if start == "earliest" else start, None if stop == "now" else stop
        super().__init__(schema, order, *ends, look_ahead)
        self._slack_us = duration_us(slack, "slack", zero=True)
        self._decoder = MessageDecoder(self.schema, format)
        self.tombstones = 0
        self._gaps = Gaps(client, bootstrap, self.access)
        self._changes = Changes(self._alone)
        self._changes.meet(there, {})
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
            there = lookup.topics(self.topics)
            self._changes = Changes(self._alone)
            self._changes.meet(there, position)
            topics = there.partitions
            firsts, ends = lookup.firsts(topics), lookup.ends(topics)
            rule = (self.start_us, self.stop_us), self._slack_us, self._decoder, self.client_name, self.access
            stretches = {} if position else settled(lookup, topics, *rule)
        finally:
            lookup.close()
        self._topics = {number_of(topic, self._alone): topic for topic in topics}
        self._changes.complete(position)
        self._stretch = {}
        for number, topic in self._topics.items():
            # a partition that was not there when the range was settled is none of it
            rest = ends[topic] if -1 - number in position else 0
            stretch = stretches.get(topic) or (position.get(-1 - number, 0), position.get(_END - number, rest))
            if stretch[0] < min(firsts[topic], stretch[1]):
                raise SourceError(
                    f"{topic[0]}, partition {topic[1]}: the run began at offset {stretch[0]:,}, but the records before "
                    f"{firsts[topic]:,} are gone (retention?). Begin anew with another store."
                )
            if stretch[1] > ends[topic]:
                raise gone(topic, stretch[1], firsts[topic], ends[topic])
            self._stretch[topic] = stretch
        self._at = {topic: first for topic, (first, last) in self._stretch.items() if last > first}
        self._waiting: dict[Topic, deque[Messages]] = {topic: deque() for topic in self._at}
        self._rewind: set[Topic] = set()
        self._checked = False
        return {number: topic[0] for number, topic in self._topics.items()}

    def read(self, max_rows: int) -> pd.DataFrame:
        """Give the next rows; at the end, sees that the topics are still those that it began with."""
        try:
            return super().read(max_rows)
        except EndOfStream:
            if not self._checked:
                self._changes.meet(self._gaps.asked().topics(self.topics), {})
                self._checked = True
            raise

    def position(self) -> dict[int, int]:
        """Give the rows given of each partition, what the stretch is, and of which topics."""
        ends = {-1 - n: self._stretch[topic][0] for n, topic in self._topics.items()}
        ends |= {_END - n: self._stretch[topic][1] for n, topic in self._topics.items()}
        return super().position() | ends | self._changes.position(self._topics.values())

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
        return whole.before(end) if whole.offsets else None

    def _fill(self, topic: Topic, rows: int, end: int) -> Messages:
        mine = self._waiting[topic]
        patience = time.monotonic() + PATIENCE_S
        while sum(len(part.offsets) for part in mine) < rows and self._at[topic] < end:
            try:
                before = self._at[topic]
                self._poll(topic)
                if self._at[topic] > before:
                    patience = time.monotonic() + PATIENCE_S
            except OutOfRangeError as error:
                self._let_go()
                self._gaps.bounds({one: at for one, at in self._at.items() if at < self._stretch[one][1]})
                log.warning("%s: the client is made anew: %s", self.name, error)
            except UnansweredError as error:
                self._again(error, patience)
            except SourceError:
                self._let_go()
                raise
            except Exception as error:
                self._again(error, patience)
            if time.monotonic() > patience:
                raise SourceError(
                    f"{topic[0]}, partition {topic[1]}: nothing came for {PATIENCE_S:g} s after offset {self._at[topic]:,}, of "
                    f"{end:,}; is {self.bootstrap} there?"
                )
        whole = Messages.joined(list(mine)) if mine else Messages()
        mine.clear()
        return whole

    def _again(self, error: Exception, patience: float) -> None:
        """Let go of a client that failed, to make another, as long as there is patience."""
        self._let_go()
        if time.monotonic() > patience:
            raise SourceError(f"{self.name}: {type(error).__name__}: {error}") from error
        log.warning("%s: the client is made anew: %s", self.name, error)
        time.sleep(0.5)

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
            if other in self._rewind or self._at[other] >= self._stretch[other][1]:
                continue
            if other != topic and sum(len(part.offsets) for part in self._waiting[other]) > MAX_WAITING:
                self._rewind.add(other)  # it is far ahead: fetched again when its turn comes
                continue
            messages = messages.since(self._at[other])  # what is before it is from before a seek
            gap = first_gap(messages, self._at[other]) if messages.offsets else None
            if gap is not None and not self._gaps.innocent(other, *gap):
                self._rewind.add(other)
                messages = messages.before(gap[1])
            if messages.offsets:
                self._waiting[other].append(messages)
                self._at[other] = messages.offsets[-1] + 1
        if topic not in fetched and (at := self._client.position(topic)) is not None and at > self._at[topic]:
            if self._gaps.innocent(topic, self._at[topic], at):
                self._at[topic] = at  # markers of transactions, or what compaction took
            else:
                self._rewind.add(topic)

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
        return read_again(self, self._changes, self._decoder, evidence)

    def close(self) -> None:
        """Let go of what waits and of the connection."""
        super().close()
        self._let_go()
        self._gaps.close()
