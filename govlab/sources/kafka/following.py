"""Following the partitions of Kafka as they fill: a client that is made anew when it fails, and lanes for what it fetches."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from govlab import frames
from govlab.access import Access
from govlab.errors import SourceError
from govlab.frames import Schema
from govlab.sources.cuts import Cuts, partition_of
from govlab.sources.kafka.changes import Changes
from govlab.sources.kafka.client import Client, OutOfRangeError, Topic, TruncatedError
from govlab.sources.kafka.clients import CLIENTS
from govlab.sources.kafka.gaps import Gaps, first_gap
from govlab.sources.kafka.lanes import Live, begun
from govlab.sources.kafka.lookup import Lookup, UnansweredError, number_of
from govlab.sources.kafka.members import enter, leave
from govlab.sources.kafka.moves import compare, truncated
from govlab.sources.kafka.watch import Watch
from govlab.sources.messages import MessageDecoder, Messages
from govlab.sources.reader import SharedReader

__all__ = ["Following"]

log = logging.getLogger("govlab")
MAX_WAITING = 200_000  # rows of a partition that wait for a slower one; what comes beyond that is fetched again later
FAILURES = 10  # a client that fails so often in a row, while the broker answers, will not mend


class Following(SharedReader):
    """What the live reader does below its face."""

    topics: list[str] | re.Pattern[str]
    bootstrap: str
    access: Access
    schema: Schema
    client_name: str
    stall_s: float
    _start: Any
    _alone: bool
    _decoder: MessageDecoder

    def __init__(self) -> None:
        self.tombstones = self.rebuilt = 0
        self.last_error = ""
        self._client: Client | None = None
        self._watch: Watch | None = None
        self._gaps = Gaps(self.client_name, self.bootstrap, self.access)
        self._lanes: dict[Topic, Live] = {}
        self._back_off_s, self._again_s, self._checked_s, self._failures = 0.0, 0.0, 0.0, 0
        self._clear({})

    def _clear(self, position: Mapping[int, int]) -> None:
        self._known = {int(k): int(v) for k, v in position.items()}
        self._taken_up = bool(position)
        self._lanes, self._ready, self._ready_keys = {}, frames.empty(), np.empty(0, "int64")
        self._stalled: list[str] = []
        self._changes = Changes(self._alone)
        self._there: dict[Topic, int] = {}  # the ends when it was opened
        self._dealt: set[Topic] = set()  # partitions of which the group knew when it last dealt them out
        self._rejoined: set[Topic] = set()
        self._joined = False
        self._viewed, self._lonely_s, self._dealt_s = 0.0, time.monotonic(), time.monotonic()
        self._cuts = Cuts(self._known)

    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin at a position: for each partition its next offset, and under -1 - partition the rows of that message given."""
        self.close()
        self._clear(position or {})
        lookup = Lookup(self.bootstrap, self.access)
        try:
            topics = lookup.topics(self.topics)
            self._changes.meet(topics, self._known)
            self._there = lookup.ends(topics.partitions)
            if self.group is None:
                self._begin(list(topics.partitions), lookup)
        finally:
            lookup.close()
        self._connect()
        self._watch = Watch(self.bootstrap, self.access, self.topics, self.group)
        enter(self)

    def _connect(self) -> None:
        """Make a client that goes on where the lanes stand."""
        make = CLIENTS[self.client_name]
        self._client = make(self.bootstrap, self.access, self.group, bool(self._decoder.envelope), self._where)
        if self.group is None:
            self._assign()
        else:
            self._client.subscribe(self.topics)
        for lane in self._lanes.values():
            lane.rewind, lane.moved_s = False, time.monotonic()

    def _assign(self) -> None:
        assert self._client is not None
        self._client.assign({topic: lane.next for topic, lane in self._lanes.items()})
        for lane in self._lanes.values():
            lane.rewind = False

    def _where(self, topics: Iterable[Topic]) -> dict[Topic, int]:
        """Take up what the group has assigned: partitions that are gone are forgotten, with all that waits of them."""
        assigned = set(topics)
        self._known |= self.position()  # a partition that goes and comes back is read on where it stood
        numbers = {number_of(topic, self._alone): topic for topic in assigned}
        fresh, positions = self.on_assign(sorted(numbers)) if self.on_assign is not None else ([], {})
        for number in fresh:
            self._known = {key: n for key, n in self._known.items() if partition_of(key) != number} | positions
            self._cuts.restart(number, positions)
        for topic in (set(self._lanes) - assigned) | {numbers[number] for number in fresh} & set(self._lanes):
            del self._lanes[topic]
        mine = [lane.partition for lane in self._lanes.values()]
        keep = np.isin(self._ready["partition"].to_numpy(), mine)
        self._ready, self._ready_keys = self._ready[keep], self._ready_keys[keep]
        self._dealt = assigned | set(self._watch.latest.topics.partitions if self._watch and self._watch.latest else ())
        new = sorted(assigned - set(self._lanes))
        if assigned and (new or self.alone):
            lookup = Lookup(self.bootstrap, self.access)
            try:
                there = lookup.describe(self.topics)
                self._changes.meet(there, self._known)
                if self.alone and assigned != set(there.partitions) & (set(self._there) | assigned):
                    raise SourceError(
                        f"another member of the group {self.group!r} has partitions of {self.name}, and this run has steps that "
                        "span partitions. Give each run a group of its own; or let them share it: a pipeline of one "
                        "Sharded(..., by='partition'), and one store for all."
                    )
                self._begin(new, lookup)
            finally:
                lookup.close()
        self._joined = self._joined or bool(assigned)
        return {topic: self._lanes[topic].next for topic in assigned}

    def _begin(self, topics: list[Topic], lookup: Lookup) -> None:
        # after a position, partitions that are not in it came into being since then
        start = "earliest" if self._taken_up else self._start
        stands = self._client.committed if self.group is not None and self._client is not None else None
        # what another member had is read on where that one stood
        committed = stands if self._joined or start == "committed" else None
        self._lanes |= begun(lookup, topics, self.schema, self._alone, self._known, start, self._there, committed, stands)

    def _fetch(self, most: int) -> None:
        """Put into the lanes what has come. A client that raises is closed, and another made after a while."""
        if self._client is None:
            if time.monotonic() < self._again_s:
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
            for topic, messages in fetched.items():
                lane = self._lanes.get(topic)
                if lane is not None and not lane.rewind:
                    self._back_off_s, self._failures = 0.0, 0
                    self._take(lane, messages)
            self._look()
        except UnansweredError as error:
            self._broken(error)
        except SourceError:
            raise
        except TruncatedError as error:
            truncated(self, error)
        except OutOfRangeError as error:
            try:
                self._gaps.bounds({topic: lane.next for topic, lane in self._lanes.items()})
            except UnansweredError as unanswered:
                self._broken(unanswered)
            else:
                self._broken(error)
        except Exception as error:  # whatever a client raises, another one may do better
            self._broken(error)

    def _take(self, lane: Live, messages: Messages) -> None:
        if lane.keys.size > MAX_WAITING:
            lane.rewind = True
            return
        messages = messages.since(lane.next)  # what is before it is from before a seek
        if not messages.offsets:
            return
        gap = first_gap(messages, lane.next)
        if gap is not None and not self._gaps.innocent(lane.topic, *gap):
            messages, lane.rewind = messages.before(gap[1]), True
            if not messages.offsets:
                return
        last = messages.offsets[-1]
        if None in messages.bodies:
            messages, found = messages.without_tombstones()
            self.tombstones += found
        self._notice(messages, lane.partition)
        lane.add([self._cuts.skip(lane.partition, self._decoder.block(messages, lane.partition))])
        lane.next, lane.moved_s = last + 1, time.monotonic()

    def _notice(self, messages: Messages, partition: int) -> None:
        """See whether messages have fields that a guessed schema does not read."""

    def _look(self) -> None:
        """See how far each partition has to go, and whether one stands still though it has more to read."""
        assert self._client is not None
        assert self._watch is not None
        self._watch.lonely = self.group is not None and not self._lanes
        now, view = time.monotonic(), self._watch.latest
        self._lonely_s = now if self._lanes else self._lonely_s
        if view is not None and view.at_s > self._viewed:
            self._viewed = view.at_s
            compare(self, view)
            if self._client is None:
                return
        deep = now - self._checked_s > 0.5
        self._checked_s = now if deep else self._checked_s
        stalled = []
        for topic, lane in self._lanes.items():
            if lane.rewind:
                if lane.keys.size < MAX_WAITING // 2:
                    self._client.seek(topic, lane.next)
                    lane.rewind = False
                continue
            if view is not None and topic in view.blocked:
                lane.end = view.stable[topic]
            else:
                seen = view.stable.get(topic, 0) if view is not None else 0
                lane.end = max(lane.end, self._client.end(topic) or 0, seen)
            if lane.next < lane.end and deep:
                at = self._client.position(topic)  # past markers of transactions and what compaction took
                if at is not None and at > lane.next and now - lane.moved_s > 0.5:
                    if self._gaps.innocent(topic, lane.next, at):
                        lane.next, lane.moved_s = at, now
                    else:
                        lane.rewind = True
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
        answers = self._watch is not None and self._watch.silent_s() is None
        self._failures = self._failures + 1 if answers and not self._stalled else 0
        if self._failures >= FAILURES:
            raise SourceError(
                f"{self.name}: the client {self.client_name} failed {self._failures} times in a row at the same position, though "
                f"{self.bootstrap} answers: {self.last_error}"
            ) from error

    def assigned(self) -> set[int]:
        """Give the numbers of the partitions that are read."""
        return {lane.partition for lane in list(self._lanes.values())}

    def rejoin(self) -> None:
        """Leave the group and join it again, so that partitions are assigned anew."""
        client, self._client = self._client, None
        self._again_s = time.monotonic() + 0.2
        if client is not None:
            _quietly(client)

    def close(self) -> None:
        """Leave the group, tell it what is stored, and let go."""
        leave(self)
        client, self._client = self._client, None
        if client is not None:
            _quietly(client)
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._gaps.close()


def _quietly(client: Client) -> None:
    try:
        client.close()
    except Exception as error:  # it is let go of anyway
        log.debug("closing a Kafka client: %s", error)
