"""Kafka, live: partitions read as they fill, merged on one clock, committed after the store."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.access import Access
from govlab.errors import ArgumentError, did_you_mean
from govlab.frames import Schema, instant_us
from govlab.sources.cuts import partition_of
from govlab.sources.kafka.clients import CLIENTS
from govlab.sources.kafka.following import Following
from govlab.sources.kafka.lookup import Lookup, number_of
from govlab.sources.kafka.members import alone_in_group, crowded
from govlab.sources.kafka.sampling import Unread, guessed
from govlab.sources.kafka.watch import OPEN_S
from govlab.sources.lanes import merge
from govlab.sources.messages import MessageDecoder, Messages
from govlab.sources.reader import DeadLetter

__all__ = ["KafkaReader", "Topics", "topics_of"]

Topics = str | list[str] | re.Pattern[str]


class KafkaReader(Following):
    """Topics of Kafka, live.

    Delivery: every record from the position on, once into the store of a run (the position is written in the same
    transaction; the group's offsets are committed after it, and a run that is taken up goes by the store). Order: as the
    records stand in a partition; partitions are merged by event time as long as they have more to read, so that one that
    is behind is not overtaken. A bad record becomes a dead letter (topic, partition, offset, reason, bytes) and the rest
    is read; tombstones are left out and counted. Memory: what was fetched (at most 50 MB), and 200,000 rows a partition.
    Back-pressure: a broker is not asked for more than is read. A broker that goes away is waited for (``trouble``).

    What holds for both clients, with and without a group:

    - Committed records only: those of an aborted transaction do not exist, those of an open one are waited for, and
      ``trouble`` says at which offset it blocks.
    - The next record is the one expected. A gap in the offsets is innocent only where the log still begins before it, and the
      topic is compacted or holds transactions, which another client has confirmed; else records at the position are gone,
      which is an error.
    - Partitions that are added, and topics that come to match a pattern, are read from their first record, whatever ``start``
      says, within 30 s; in the lag they are at once. A topic that is deleted before its end, or made anew under its name
      (Kafka gives each an id, which is part of the position), is an error.
    - ``lag`` and the ends are asked of the broker, never remembered; a time-out is an error or unknown, never a number.
    - A client that fails 10 times in a row at one position, though the broker answers, ends with an error.
    - Fields that a guessed schema leaves out are named in ``left_out`` and in the log, those of later messages too.

    Parameters
    ----------
    topics : str, list of str, or compiled pattern
        What to read. With more than one topic, ``partition`` in the frames is a number made of both.
    bootstrap : str
        ``"host:port"``, several with commas.
    schema : Schema, optional
        Guessed from the oldest and the newest messages where it is not given (with ``start="latest"`` mainly the newest).
    group : str, optional
        Join this consumer group: its members share the partitions. Without one, all partitions are read.
    start : {"committed", "earliest", "latest"}, str or Timestamp, optional
        Where to begin when the store has no position: what the group has committed (and the earliest where it has not),
        the first record there is, only new ones, or the records written since a time. By default ``"committed"`` with a
        group, else ``"earliest"``.
    client : {"kafka-python", "confluent"}
        The client underneath. The second waits by the wall clock: where that is set back, for as long as it went back.
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
        self._unread: Unread | None = None  # a schema that was given leaves out what it leaves out
        self.name = self.topics.pattern if isinstance(self.topics, re.Pattern) else ", ".join(self.topics)
        self._alone = isinstance(self.topics, list) and len(self.topics) == 1
        lookup = Lookup(bootstrap, self.access)
        try:
            self._cluster, there = lookup.cluster(), lookup.topics(self.topics)
            self.left_out: dict[str, str] = {}
            if schema is None:
                newest = self._start == "latest"
                schema, self.left_out = guessed(lookup, there.partitions, self.name, client, self.access, newest)
                self._unread = Unread(schema, self.left_out, self.name)
        finally:
            lookup.close()
        self.schema = schema
        self._decoder = MessageDecoder(self.schema, format)
        super().__init__()
        self._changes.meet(there, {})

    @property
    def origin(self) -> str:
        """What is read, in full, whatever the address of the broker and the way in."""
        return json.dumps(["kafka", self._cluster, self.name, self.group, self.schema.recipe(), self._decoder.form])

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

    def position(self) -> dict[int, int]:
        """Give, for each partition, the offset of the next message to give, under -1 - partition its rows given, and the topic."""
        return self.position_before(self._ready.iloc[:0])

    def position_before(self, rows: pd.DataFrame) -> dict[int, int]:
        """Give the position from which ``rows``, the last that were read, come again."""
        following = {lane.partition: lane.next for lane in self._lanes.values()}
        for lane in self._lanes.values():
            if lane.rows is not None and len(lane.rows):
                following[lane.partition] = int(lane.rows["offset"].iloc[0])
        elsewhere = {key: n for key, n in self._known.items() if partition_of(key) not in following}
        return elsewhere | self._cuts.position(following, self._ready, rows) | self._changes.position(list(self._lanes))

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
        """Give, for each partition, how many records are there that were not yet given on; empty where the broker cannot be asked.

        The broker is asked, now or a second ago. Records of open transactions count, and those of new partitions.
        """
        view = self._watch.view(1.0) if self._watch is not None else None
        if view is None:
            return {}
        at, lanes = self.position(), dict(self._lanes)
        lag = {lane.partition: max(0, view.ends[t] - at[lane.partition]) for t, lane in lanes.items() if t in view.ends}
        if self.group is None or lanes:
            new = set(view.ends) - set(lanes) - (self._dealt | set(self._there) if self.group is not None else set())
            lag |= {number_of(topic, self._alone): view.ends[topic] for topic in new}
        return lag

    def trouble(self) -> tuple[str, str] | None:
        """Say what keeps the reader from reading all there is: a state, and why; None when all is well.

        The states: ``"reconnecting"`` (the broker does not answer, or the client is made anew), ``"stalled"``, ``"waiting"``
        (for a transaction to end, or for partitions that other members of the group have), ``"sharing"`` (another source
        of this very process is in the group and has partitions).
        """
        watch, lanes = self._watch, dict(self._lanes)
        if watch is None:
            return None
        if (silent_s := watch.silent_s()) is not None:
            return "reconnecting", f"{self.bootstrap} has not answered for {silent_s:.0f} s{watch.error and f' ({watch.error})'}"
        if self._stalled:
            return "stalled", "; ".join(self._stalled)
        if self._client is None:
            return "reconnecting", self.last_error
        now, view = time.monotonic(), watch.latest
        for topic, (offset, since_s) in view.blocked.items() if view is not None else ():
            if topic in lanes and lanes[topic].next >= offset and now - since_s > OPEN_S:
                return "waiting", (
                    f"{topic[0]}, partition {topic[1]}: an open transaction holds back all from offset {offset:,} on, for "
                    f"{now - since_s:.0f} s"
                )
        if self.group is not None and not lanes:
            return alone_in_group(self, view.members if view is not None else (), now - self._lonely_s)
        return crowded(self)

    def _notice(self, messages: Messages, partition: int) -> None:
        if self._unread is not None:
            self._unread.see(messages, partition)

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
        from govlab.sources.kafka.evidence import read_again

        return read_again(self, self._changes, self._decoder, evidence)


def topics_of(topics: Topics) -> list[str] | re.Pattern[str]:
    """Check topics, and put them in order."""
    if isinstance(topics, re.Pattern):
        return topics
    names = [topics] if isinstance(topics, str) else list(topics)
    if not names or not all(isinstance(name, str) and re.fullmatch(r"[a-zA-Z0-9._-]+", name) for name in names):
        raise ArgumentError(f"topics={topics!r}; expected a name, a list of names, or a pattern such as re.compile('edits-.*').")
    return sorted(set(names))
