"""Following the partitions of Kafka as they fill: a client that is made anew when it fails, and lanes for what it fetches."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from govlab import frames
from govlab.access import Access
from govlab.errors import SourceError
from govlab.frames import Schema
from govlab.sources.cuts import Cuts
from govlab.sources.kafka_clients import CLIENTS, Client, Topic
from govlab.sources.kafka_lookup import Lookup, Watch, number_of
from govlab.sources.lanes import Lane, Order
from govlab.sources.messages import MessageDecoder, Messages
from govlab.sources.reader import Reader

__all__ = ["Following"]

log = logging.getLogger("govlab")
Assign = Callable[[list[int]], tuple[list[int], dict[int, int]]]
MAX_WAITING = 200_000  # rows of a partition that wait for a slower one; what comes beyond that is fetched again later


class _Live(Lane):
    """A partition whose end moves: rows wait only for partitions that have more to read."""

    def __init__(self, topic: Topic, number: int, order: Order, first: int) -> None:
        super().__init__(number, topic[0], order)
        self.topic, self.next, self.end = topic, first, first
        self.rewind = False
        self.moved_s = time.monotonic()

    def free(self) -> int:
        return super().free() if self.next < self.end else self.keys.size

    def bound(self) -> tuple[int, int] | None:
        return super().bound() if self.next < self.end else None


class Following(Reader):
    """What the live reader does below its face."""

    waits = True
    wait_s = 0.02  # for records, where none are there
    topics: list[str] | re.Pattern[str]
    bootstrap: str
    access: Access
    schema: Schema
    group: str | None
    client_name: str
    stall_s: float
    _start: Any
    _alone: bool
    _decoder: MessageDecoder

    def __init__(self) -> None:
        self.on_assign: Assign | None = None  # where a group shares a run, its store is asked first
        self.alone = False  # whether another member of the group may have no partition
        self.tombstones = self.rebuilt = 0
        self.last_error = ""
        self._client: Client | None = None
        self._watch: Watch | None = None
        self._lanes: dict[Topic, _Live] = {}
        self._back_off_s, self._again_s, self._checked_s, self._polled_s = 0.0, 0.0, 0.0, 0.0
        self._stalled: list[str] = []
        self._clear({})

    def _clear(self, position: Mapping[int, int]) -> None:
        self._known = {int(k): int(v) for k, v in position.items()}
        self._taken_up = bool(position)
        self._lanes, self._ready, self._ready_keys = {}, frames.empty(), np.empty(0, "int64")
        self._stalled = []
        self._cuts = Cuts(self._known)

    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin at a position: for each partition its next offset, and under -1 - partition the rows of that message given."""
        self.close()
        self._clear(position or {})
        if self.group is None:
            lookup = Lookup(self.bootstrap, self.access)
            try:
                self._begin(lookup.partitions(self.topics), lookup)
            finally:
                lookup.close()
        self._connect()
        self._watch = Watch(self.bootstrap, self.access)

    def _connect(self) -> None:
        """Make a client that goes on where the lanes stand."""
        make = CLIENTS[self.client_name]
        self._client = make(self.bootstrap, self.access, self.group, bool(self._decoder.envelope), self._where)
        if self.group is None:
            self._client.assign({topic: lane.next for topic, lane in self._lanes.items()})
        else:
            self._client.subscribe(self.topics)
        for lane in self._lanes.values():
            lane.rewind, lane.moved_s = False, time.monotonic()

    def _where(self, topics: Iterable[Topic]) -> dict[Topic, int]:
        """Take up what the group has assigned: partitions that are gone are forgotten, with all that waits of them."""
        assigned = set(topics)
        self._known |= self.position()  # a partition that goes and comes back is read on where it stood
        numbers = {number_of(topic, self._alone): topic for topic in assigned}
        fresh, positions = self.on_assign(sorted(numbers)) if self.on_assign is not None else ([], {})
        for number in fresh:
            self._known = {key: n for key, n in self._known.items() if max(key, -1 - key) != number} | positions
            self._cuts.restart(number, positions)
        gone = set(self._lanes) - assigned
        for topic in gone | {numbers[number] for number in fresh} & set(self._lanes):
            del self._lanes[topic]
        mine = [lane.partition for lane in self._lanes.values()]
        keep = np.isin(self._ready["partition"].to_numpy(), mine)
        self._ready, self._ready_keys = self._ready[keep], self._ready_keys[keep]
        new = sorted(assigned - set(self._lanes))
        if assigned and (new or self.alone):
            lookup = Lookup(self.bootstrap, self.access)
            try:
                if self.alone and assigned != set(lookup.partitions(self.topics)):
                    raise SourceError(
                        f"another member of the group {self.group!r} has partitions of {self.name}, and this run has steps that "
                        "span partitions. Give each run a group of its own; or let them share it: a pipeline of one "
                        "Sharded(..., by='partition'), and one store for all."
                    )
                self._begin(new, lookup)
            finally:
                lookup.close()
        return {topic: self._lanes[topic].next for topic in assigned}

    def _begin(self, topics: list[Topic], lookup: Lookup) -> None:
        firsts, ends = lookup.ends(topics, first=True), lookup.ends(topics)
        begin = dict(firsts)
        unknown = [topic for topic in topics if number_of(topic, self._alone) not in self._known]
        if self._taken_up:
            pass  # partitions that came into being since then are read from their first record
        elif self._start == "latest":
            begin |= {topic: ends[topic] for topic in unknown}
        elif self._start == "committed" and self._client is not None:
            begin |= self._client.committed(unknown)
        elif isinstance(self._start, int):
            begin |= lookup.at(unknown, self._start)
        order = Order("arrival", 0, self.schema)
        for topic in topics:
            number = number_of(topic, self._alone)
            first = self._known.get(number, begin[topic])
            if not firsts[topic] <= first <= ends[topic]:
                what = "are gone (retention?)" if first < firsts[topic] else "are not there (was the topic made anew?)"
                raise SourceError(
                    f"{topic[0]}, partition {topic[1]}: the next offset is {first:,}, but there are {firsts[topic]:,} to "
                    f"{ends[topic]:,}: records {what}. Begin anew with another store, or start='earliest'."
                )
            lane = self._lanes[topic] = _Live(topic, number, order, first)
            lane.end = ends[topic]

    def _fetch(self, most: int) -> None:
        """Put into the lanes what has come. A client that raises is closed, and another made after a while."""
        now = self._polled_s = time.monotonic()
        if self._client is None:
            if now < self._again_s:
                time.sleep(0.02)
                return
            try:
                self._connect()
            except Exception as error:  # whatever a client raises, it is not there
                self._broken(error)
                return
        assert self._client is not None
        try:
            fetched = self._client.poll(most, self.wait_s)
        except SourceError:
            raise
        except Exception as error:
            if "OutOfRange" in str(error) or "OFFSET_OUT_OF_RANGE" in str(error):
                raise SourceError(
                    f"{self.name}: records at the position are gone: {error}. Begin anew with another store."
                ) from error
            self._broken(error)
            return
        for topic, messages in fetched.items():
            lane = self._lanes.get(topic)
            if lane is not None and not lane.rewind:
                self._back_off_s = 0.0
                self._take(lane, messages)
        self._look()

    def _take(self, lane: _Live, messages: Messages) -> None:
        if lane.keys.size > MAX_WAITING:
            lane.rewind = True
            return
        last = messages.offsets[-1]
        if messages.offsets[0] < lane.next:
            return  # from before a seek
        if None in messages.bodies:
            messages, found = messages.without_tombstones()
            self.tombstones += found
        lane.add([self._cuts.skip(lane.partition, self._decoder.block(messages, lane.partition))])
        lane.next, lane.moved_s = last + 1, time.monotonic()

    def _look(self) -> None:
        """See how far each partition has to go, and whether one stands still though it has more to read."""
        assert self._client is not None
        assert self._watch is not None
        self._watch.topics = set(self._lanes)
        now = time.monotonic()
        deep = now - self._checked_s > 0.5
        self._checked_s = now if deep else self._checked_s
        stalled = []
        for topic, lane in self._lanes.items():
            if lane.rewind:
                if lane.keys.size < MAX_WAITING // 2:
                    self._client.seek(topic, lane.next)
                    lane.rewind = False
                continue
            lane.end = max(lane.end, self._client.end(topic) or 0, self._watch.ends.get(topic, 0))
            if lane.next < lane.end and deep:
                at = self._client.position(topic)  # past markers of transactions and what compaction took
                if at is not None and at > lane.next and now - lane.moved_s > 0.5:
                    lane.next, lane.moved_s = at, now
                elif now - lane.moved_s > self.stall_s and self._watch.unreachable_since is None:
                    stalled.append(f"{topic[0]}, partition {topic[1]}: {lane.end - lane.next:,} records wait")
            elif lane.next >= lane.end:
                lane.moved_s = now
        if deep and stalled:
            self._stalled = stalled
            self._broken(SourceError(f"nothing came for {self.stall_s:g} s: {'; '.join(stalled)}"))
        elif deep and self._stalled and not any(now - lane.moved_s > 1 for lane in self._lanes.values()):
            self._stalled = []

    def _broken(self, error: Exception) -> None:
        self.last_error = f"{type(error).__name__}: {error}"
        log.warning("%s: the client is made anew: %s", self.name, self.last_error)
        client, self._client = self._client, None
        self.rebuilt += 1
        self._back_off_s = min(10.0, max(0.2, 2 * self._back_off_s))
        self._again_s = time.monotonic() + self._back_off_s
        if client is not None:
            _quietly(client)

    def assigned(self) -> set[int]:
        """Give the numbers of the partitions that are read."""
        return {lane.partition for lane in self._lanes.values()}

    def rejoin(self) -> None:
        """Leave the group and join it again, so that partitions are assigned anew."""
        client, self._client = self._client, None
        self._again_s = time.monotonic() + 0.2
        if client is not None:
            _quietly(client)

    def close(self) -> None:
        """Leave the group, tell it what is stored, and let go."""
        client, self._client = self._client, None
        if client is not None:
            _quietly(client)
        if self._watch is not None:
            self._watch.close()
            self._watch = None


def _quietly(client: Client) -> None:
    try:
        client.close()
    except Exception as error:  # it is let go of anyway
        log.debug("closing a Kafka client: %s", error)
