"""Kafka, live: partitions read as they fill, merged on one clock, committed after the store."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.access import Access
from govlab.errors import ArgumentError, SourceError, did_you_mean
from govlab.frames import Schema, instant_us
from govlab.sources.cuts import Cuts
from govlab.sources.infer import infer_messages
from govlab.sources.kafka_clients import CLIENTS, Client, Topic
from govlab.sources.kafka_lookup import Lookup, Watch, number_of
from govlab.sources.lanes import Lane, Order, merge
from govlab.sources.messages import MessageDecoder, Messages
from govlab.sources.reader import DeadLetter, Reader

__all__ = ["KafkaReader", "Topics", "topics_of"]

log = logging.getLogger("govlab")
Assign = Callable[[list[int]], tuple[list[int], dict[int, int]]]
MAX_WAITING = 200_000  # rows of a partition that wait for a slower one; what comes beyond that is fetched again later
Topics = str | list[str] | re.Pattern[str]


class _Live(Lane):
    """A partition whose end moves: rows wait only for partitions that have more to read."""

    def __init__(self, topic: Topic, number: int, order: Order, first: int) -> None:
        super().__init__(number, topic[0], order)
        self.topic, self.next, self.end = topic, first, first
        self.rewind = False
        self.moved_s = time.monotonic()

    def bound(self) -> tuple[int, int] | None:
        return super().bound() if self.next < self.end else None


class KafkaReader(Reader):
    """Topics of Kafka, live.

    Delivery: every record from the position on, once into the store of a run (the position is written in the same
    transaction; the group's offsets are committed after it, and a run that is taken up goes by the store). Order: as the
    records stand in a partition; partitions are merged by event time as long as they have more to read, so that one that
    is behind is not overtaken. A bad record becomes a dead letter (topic, partition, offset, reason, bytes) and the rest
    is read; tombstones are left out and counted. Memory: what was fetched (at most 50 MB), and 200,000 rows a partition.
    Back-pressure: a broker is not asked for more than is read. A broker that goes away is waited for (``trouble``).

    Parameters
    ----------
    topics : str, list of str, or compiled pattern
        What to read. With more than one topic, ``partition`` in the frames is a number made of both.
    bootstrap : str
        ``"host:port"``, several with commas.
    schema : Schema, optional
        Guessed from the first messages where it is not given.
    group : str, optional
        Join this consumer group: its members share the partitions. Without one, all partitions are read.
    start : {"committed", "earliest", "latest"}, str or Timestamp, optional
        Where to begin when the store has no position: what the group has committed (and the earliest where it has not),
        the first record there is, only new ones, or the records written since a time. By default ``"committed"`` with a
        group, else ``"earliest"``.
    client : {"kafka-python", "confluent"}
        The client underneath.
    format : {"json", "ndjson", "arrow"}
        How messages are written.
    access : Access, optional
        User, password, certificates.
    stall_s : float
        A partition that has more to read and gives nothing for so long is stalled: reported, and the client made anew.

    Raises
    ------
    SourceError
        The broker does not answer, does not let us in, or has no such topic; records at the position are gone.
    """

    waits = True

    def __init__(
        self,
        topics: Topics,
        bootstrap: str = "localhost:9092",
        schema: Schema | None = None,
        group: str | None = None,
        start: Any = None,
        client: str = "kafka-python",
        format: str = "json",
        access: Access | None = None,
        stall_s: float = 20.0,
    ) -> None:
        self.topics = topics_of(topics)
        if client not in CLIENTS:
            raise ArgumentError(f"client={client!r} is not known. {did_you_mean(client, CLIENTS)}")
        start = ("committed" if group else "earliest") if start is None else start
        if start == "committed" and not group:
            raise ArgumentError("start='committed' needs a group; give group='name', or start='earliest', 'latest' or a time.")
        self._start = start if start in ("committed", "earliest", "latest") else instant_us(start, "start")
        self.bootstrap, self.group, self.client_name = bootstrap, group, client
        self.access, self.stall_s = access or Access(), stall_s
        self.name = self.topics.pattern if isinstance(self.topics, re.Pattern) else ", ".join(self.topics)
        self._alone = isinstance(self.topics, list) and len(self.topics) == 1
        lookup = Lookup(bootstrap, self.access)
        try:
            self._cluster, found = lookup.cluster(), lookup.partitions(self.topics)
            self.schema = schema or infer_messages(lookup.sample(found), self.name)
        finally:
            lookup.close()
        self._decoder = MessageDecoder(self.schema, format)
        self.on_assign: Assign | None = None  # where a group shares a run, its store is asked first
        self.alone = False  # whether another member of the group may have no partition
        self.tombstones = self.rebuilt = 0
        self.last_error = ""
        self._client: Client | None = None
        self._watch: Watch | None = None
        self._lanes: dict[Topic, _Live] = {}
        self._letters: list[DeadLetter] = []
        self._back_off_s, self._again_s, self._checked_s, self._polled_s = 0.0, 0.0, 0.0, 0.0
        self._stalled: list[str] = []
        self._clear({})

    @property
    def origin(self) -> str:
        """What is read, in full, whatever the address of the broker and the way in."""
        return json.dumps(["kafka", self._cluster, self.name, self.group, self.schema.recipe(), self._decoder.form])

    def _clear(self, position: Mapping[int, int]) -> None:
        self._known = {int(k): int(v) for k, v in position.items()}
        self._taken_up = bool(position)
        self._lanes, self._ready, self._ready_keys = {}, frames.empty(), np.empty(0, "int64")
        self._letters, self._stalled = [], []
        self._cuts = Cuts(self._known)

    # -- opening -------------------------------------------------------------------------------------------------------

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
        if new:
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

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, max_rows: int) -> pd.DataFrame:
        """Give the next rows; waits 20 ms at most when there are none. ``last_keys`` then holds the clock's time of each."""
        if self._watch is None:
            self.open()
        if not len(self._ready):
            self._fetch(max(max_rows, 500))
            self._ready, self._ready_keys = merge(sorted(self._lanes.values(), key=lambda lane: lane.partition))
        n = min(max_rows, len(self._ready))
        rows, self.last_keys = frames.cut(self._ready, 0, n), self._ready_keys[:n]
        self._ready, self._ready_keys = self._ready.iloc[n:], self._ready_keys[n:]
        self._cuts.give(rows)
        return rows

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
            fetched = self._client.poll(most, 0.02)
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

    def rejoin(self) -> None:
        """Leave the group and join it again, so that partitions are assigned anew."""
        client, self._client = self._client, None
        self._again_s = time.monotonic() + 0.2
        if client is not None:
            _quietly(client)

    # -- where it stands -----------------------------------------------------------------------------------------------

    def position(self) -> dict[int, int]:
        """Give, for each partition, the offset of the next message to give, and under -1 - partition its rows given."""
        return self.position_before(self._ready.iloc[:0])

    def position_before(self, rows: pd.DataFrame) -> dict[int, int]:
        """Give the position from which ``rows``, the last that were read, come again."""
        following = {lane.partition: lane.next for lane in self._lanes.values()}
        for lane in self._lanes.values():
            if lane.rows is not None and len(lane.rows):
                following[lane.partition] = int(lane.rows["offset"].iloc[0])
        elsewhere = {key: n for key, n in self._known.items() if max(key, -1 - key) not in following}
        return elsewhere | self._cuts.position(following, self._ready, rows)

    def commit(self, position: Mapping[int, int]) -> None:
        """Tell the group how far all is stored; where that fails it is said later again."""
        self._commit(position, wait=False)

    def _commit(self, position: Mapping[int, int], wait: bool) -> None:
        if self.group is None or self._client is None:
            return
        self._known |= position
        offsets = {t: position[lane.partition] for t, lane in self._lanes.items() if lane.partition in position}
        try:
            if offsets:
                self._client.commit(offsets, wait)
        except Exception as error:  # the store has the position; the broker hears of it next time
            self.last_error = f"{type(error).__name__}: {error}"

    def lag(self) -> dict[int, int]:
        """Give, for each partition, how many records are there that were not yet given on."""
        at = self.position()
        return {lane.partition: max(0, lane.end - at[lane.partition]) for lane in self._lanes.values()}

    def trouble(self) -> tuple[str, str] | None:
        """Tell what keeps the reader from reading: (``"reconnecting"`` or ``"stalled"``, why); None when all is well."""
        now, watch = time.monotonic(), self._watch
        if watch is not None and watch.unreachable_since is not None:
            return "reconnecting", f"{self.bootstrap} has not answered for {now - watch.unreachable_since:.0f} s"
        if self._stalled:
            return "stalled", "; ".join(self._stalled)
        if watch is not None and self._client is None:
            return "reconnecting", self.last_error
        return None

    def take_dead_letters(self) -> list[DeadLetter]:
        """Hand over the records that could not be read, of those that the position has passed."""
        waiting = dict(zip(*np.unique(self._ready["partition"].to_numpy(), return_counts=True), strict=True))
        letters = []
        for lane in self._lanes.values():
            while lane.letters and lane.letters[0][0] <= lane.given - waiting.get(lane.partition, 0):
                letters.append(lane.letters.popleft()[1])
        return letters

    def redrive(self, letters: list[tuple[DeadLetter, bytes]]) -> tuple[pd.DataFrame, list[DeadLetter]]:
        """Read corrected messages; gives their rows and those that are still bad."""
        return self._decoder.redrive(letters)

    def fetch(self, evidence: str) -> pd.DataFrame:
        """Read again the rows of an alert's evidence, ``partition:first-last`` ranges."""
        from govlab.sources.kafka_range import read_again

        return read_again(self.topics, self._alone, self.bootstrap, self.access, self._decoder, evidence)

    def close(self) -> None:
        """Leave the group, tell it what is stored, and let go."""
        client, self._client = self._client, None
        if client is not None:
            _quietly(client)
        if self._watch is not None:
            self._watch.close()
            self._watch = None


def topics_of(topics: Topics) -> list[str] | re.Pattern[str]:
    """Check topics, and put them in order."""
    if isinstance(topics, re.Pattern):
        return topics
    names = [topics] if isinstance(topics, str) else list(topics)
    if not names or not all(isinstance(name, str) and re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in names):
        raise ArgumentError(f"topics={topics!r}; expected a name, a list of names, or a pattern such as re.compile('edits-.*').")
    return sorted(set(names))


def _quietly(client: Client) -> None:
    try:
        client.close()
    except Exception as error:  # it is let go of anyway
        log.debug("closing a Kafka client: %s", error)
