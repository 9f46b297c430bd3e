"""Watching a Kafka broker while its records are read: what there is, how far it goes, whether it answers."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from govlab.access import Access
from govlab.sources.kafka.client import Topic
from govlab.sources.kafka.lookup import Described, Lookup

__all__ = ["View", "Watch"]

log = logging.getLogger("govlab")
EVERY_S, PATIENCE_S = 2.0, 5.0
OPEN_S = 5.0  # a transaction that is open for longer is said to block


@dataclass(frozen=True)
class View:
    """What there was when the broker was last asked.

    Attributes
    ----------
    at_s : float
        When it was asked (``time.monotonic``).
    topics : Described
        The topics, and their partitions.
    ends, stable : dict
        The end offsets, with and without what open transactions hold back.
    blocked : dict
        For partitions that an open transaction holds back: where it begins, and since when that is known.
    members : list of str
        Who is in the group; asked only where the reader has no partition.
    """

    at_s: float
    topics: Described
    ends: Mapping[Topic, int]
    stable: Mapping[Topic, int]
    blocked: Mapping[Topic, tuple[int, float]] = field(default_factory=dict)
    members: tuple[str, ...] = ()


class Watch:
    """Asks what there is every two seconds, and when somebody wants to know, on a thread and a connection of its own.

    Parameters
    ----------
    bootstrap, access, topics
        As of the reader.
    group : str, optional
        The group, whose members are asked for while ``lonely`` is set.
    """

    def __init__(
        self,
        bootstrap: str,
        access: Access,
        topics: list[str] | re.Pattern[str],
        group: str | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self.latest: View | None = None
        self.unreachable_since: float | None = None
        self.error = ""
        self.lonely = False  # whether the reader has no partition
        self._bootstrap, self._access, self._topics, self._group, self._every_s = bootstrap, access, topics, group, every_s
        self._began_s = time.monotonic()
        self._told = threading.Condition()
        self._wanted = self._ended = False
        self._failed = 0
        self._thread = threading.Thread(target=self._run, name=f"govlab watch {bootstrap}", daemon=True)
        self._thread.start()

    def view(self, age_s: float) -> View | None:
        """Give a view that is so old at most, asking now if there is none; None where the broker does not answer."""
        least = time.monotonic() - age_s

        def seen() -> bool:
            return self.latest is not None and self.latest.at_s >= least

        with self._told:
            if not seen():
                failed, patience_s = self._failed, PATIENCE_S if self.unreachable_since is None else 1.0
                self._wanted = True
                self._told.notify_all()
                self._told.wait_for(lambda: seen() or self._ended or self._failed > failed, patience_s)
            return self.latest if seen() else None

    def silent_s(self) -> float | None:
        """Give for how long the broker has not answered; None where it does."""
        if self.unreachable_since is not None:
            return time.monotonic() - self.unreachable_since
        age = time.monotonic() - (self.latest.at_s if self.latest is not None else self._began_s)
        return age if age > self._every_s + PATIENCE_S else None

    def _run(self) -> None:
        lookup: Lookup | None = None
        while not self._ended:
            try:
                lookup = lookup or Lookup(self._bootstrap, self._access)
                self._hear(self._look(lookup), None)
            except Exception as error:  # whatever it is, the broker cannot be asked
                self._hear(None, error)
                if lookup is not None:
                    lookup.close()
                    lookup = None
            with self._told:
                self._told.wait_for(lambda: self._wanted or self._ended, self._every_s)
                self._wanted = False
        if lookup is not None:
            lookup.close()

    def _hear(self, view: View | None, error: Exception | None) -> None:
        with self._told:
            if view is not None:
                if self.unreachable_since is not None:
                    log.warning("%s answers again", self._bootstrap)
                self.latest, self.unreachable_since, self.error = view, None, ""
            else:
                if self.unreachable_since is None:
                    self.unreachable_since = time.monotonic()
                    log.warning("%s", error)
                self.error, self._failed = str(error), self._failed + 1
            self._told.notify_all()

    def _look(self, lookup: Lookup) -> View:
        began = time.monotonic()
        topics = lookup.describe(self._topics)
        stable = lookup.stable(topics.partitions)
        ends = lookup.ends(topics.partitions)
        before = self.latest.blocked if self.latest is not None else {}
        blocked = {}
        for topic, offset in stable.items():
            if offset < ends[topic]:
                since = before.get(topic, (-1, began))
                blocked[topic] = since if since[0] == offset else (offset, began)
        members = tuple(lookup.members(self._group)) if self._group is not None and self.lonely else ()
        return View(began, topics, ends, stable, blocked, members)

    def close(self) -> None:
        """End the thread; it may take a while where the broker does not answer, so it is not waited for long."""
        with self._told:
            self._ended = True
            self._told.notify_all()
        self._thread.join(3.0)
