"""A queue of RabbitMQ, live: acknowledged after the store, and each message once though it may be delivered twice."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pika

from govlab import frames
from govlab.access import Access, PrivateUrl, masked
from govlab.errors import ArgumentError, SourceError
from govlab.frames import Schema
from govlab.sources.cuts import Cuts
from govlab.sources.lanes import Block
from govlab.sources.messages import MessageDecoder
from govlab.sources.rabbitmq.asking import OFFSET, Delivery, look_at
from govlab.sources.rabbitmq.consumer import Consumer
from govlab.sources.rabbitmq.messages import identity_of, messages_of
from govlab.sources.rabbitmq.redelivery import Unacknowledged
from govlab.sources.reader import RAW_LIMIT, DeadLetter, LiveReader

__all__ = ["RabbitQueue"]

log = logging.getLogger("govlab")
VANISHED_S = 60.0


class RabbitQueue(LiveReader):
    """A quorum (or classic) queue of RabbitMQ, live.

    Delivery: every message, once into the store of a run: it is acknowledged after the store has it. A message is taken for
    one that was read before only if the broker marks it as delivered before (``redelivered``, of quorum queues
    ``x-delivery-count``) and its ``message_id``, or without one its body, is that of a message that was read and whose
    acknowledgement the broker is not known to have. Equal messages are each read (but for those that a run read and did not
    store, if it was killed within seconds of acknowledging as many equal ones). Order: as delivered. A bad record becomes a
    dead letter, and goes to ``dead_letter_exchange`` with the reason in the header ``x-govlab-reason``. The ``offset`` of a
    row counts the messages of the run. Messages published over MQTT and STOMP are read in the same way.

    The broker takes messages back that are not acknowledged for 30 minutes (its ``consumer_timeout``). A quorum queue drops a
    message (or dead-letters it, where it has a dead letter exchange) that was taken back more often than its
    ``x-delivery-limit``, by default 20 times since RabbitMQ 4: that many starts of a lab that never gets to store anything.
    From half of ``delivery_limit`` on ``trouble()`` and the log say so. Messages that leave the queue without being read
    (purged, expired, over its length) are reported too, and a queue that is deleted while it is read is an error.

    Parameters
    ----------
    queue : str
        Its name.
    url : str
        ``"amqp://user@host:port/vhost"``, or ``"env:NAME"``.
    schema : Schema
        The columns.
    prefetch : int
        The broker sends at most N messages before they are acknowledged.
    format : {"json", "ndjson", "arrow"}
        How messages are written.
    access : Access, optional
        User, password, certificates.
    dead_letter_exchange : str, optional
        Where bad messages go, besides to the dead letters of the run.
    stall_s : float
        A queue that holds messages and gives none for this long is stalled.
    kind : {"classic", "quorum"}, optional
        Of which kind the queue is; the broker is asked where it is not given.
    delivery_limit : int
        The ``x-delivery-limit`` of the queue.

    Raises
    ------
    SourceError
        Nobody answers, the login is refused, or there is no such queue.
    """

    consumes = True
    schema: Schema

    def __init__(
        self,
        queue: str,
        url: str = "amqp://guest:guest@localhost:5672/",
        schema: Schema | None = None,
        prefetch: int = 10_000,
        format: str = "json",
        access: Access | None = None,
        dead_letter_exchange: str | None = None,
        stall_s: float = 20.0,
        kind: str | None = None,
        delivery_limit: int = 20,
    ) -> None:
        if not isinstance(schema, Schema):
            raise ArgumentError(
                f"schema={schema!r}; a queue cannot be looked into before it is read, so give "
                "schema=gl.Schema({'time': 'timestamp', 'actor': 'string', ...})."
            )
        if isinstance(prefetch, bool) or not isinstance(prefetch, int) or not 1 <= prefetch <= 65_535:
            raise ArgumentError(f"prefetch={prefetch!r}; expected a whole number from 1 to 65535.")
        if dead_letter_exchange == "":
            raise ArgumentError("dead_letter_exchange='' would put bad messages back into their queue; name an exchange.")
        self.queue = self.name = queue
        self.schema, self.prefetch, self.dead_letter_exchange, self.stall_s = schema, prefetch, dead_letter_exchange, stall_s
        self.made, self.delivery_limit = masked(self.made, url), delivery_limit
        self._url, self._access = PrivateUrl(url), access or Access()
        self._decoder = MessageDecoder(schema, format)
        found, self._cluster = look_at(queue, self._url, self._access, kind)
        if found == "stream":
            raise ArgumentError(f"{queue!r} is a stream, which keeps its messages: read it with gl.from_rabbitmq or RabbitStream.")
        self._consumer: Consumer | None = None
        self.redelivered = 0
        self._clear({})

    @property
    def origin(self) -> str:
        """What is read, in full, whatever the address of the broker and the way in."""
        return json.dumps(["rabbitmq", self._cluster, self.queue, self.schema.recipe(), self._decoder.form])

    def _clear(self, position: Mapping[int, int]) -> None:
        self._number = position.get(0, 0)  # of the next message
        self._cuts = Cuts({key: n for key, n in position.items() if key in (0, -1)})
        self._partial = position.get(-2), position.get(-1, 0)  # a message of which some rows were given
        self._known = Unacknowledged(position, self.prefetch)
        self._session, self._moved_s, self._often = 0, time.monotonic(), (0, 0)
        # deliveries that are not acknowledged: the connection, the tag, and the number of the next message after it
        self._out: deque[tuple[int, int, int]] = deque()
        self._settled, self._tag = (0, 0), 0  # what the broker has taken as acknowledged, and the last tag that it was sent
        self._acknowledged = self._committed = self._number
        self._ready, self._letters = frames.empty(), list[DeadLetter]()
        self._burials: dict[int, tuple[Delivery, str, int]] = {}  # bad messages to be published, by number

    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin at a position; what the broker gives again of what lies before it is left out."""
        self.close()
        self._clear({int(k): int(v) for k, v in (position or {}).items()})
        self._consumer = Consumer(self.queue, self._url, self._access, self.prefetch)
        self._consumer.start()

    # -- reading -------------------------------------------------------------------------------------------------------

    def read(self, max_rows: int) -> pd.DataFrame:
        """Give the next rows; waits 20 ms at most when there are none."""
        if self._consumer is None:
            self.open()
        assert self._consumer is not None
        if not len(self._ready):
            session, taken = self._consumer.take(max_rows, self.wait_s)
            self._ready = self._take(session, taken) if taken else self._ready
        rows, self._ready = frames.cut(self._ready, 0, max_rows), self._ready.iloc[max_rows:]
        self._cuts.give(rows)
        return rows

    def _take(self, session: int, taken: list[Delivery]) -> pd.DataFrame:
        self._moved_s = time.monotonic()
        assert self._consumer is not None
        if OFFSET in (taken[0][2].headers or {}):
            raise SourceError(f"{self.queue!r} is a stream, and is read with kind='stream'.")
        if session != self._session:
            self._known.reconnect(self._consumer.alone)
            self._session, self._tag = session, 0
        fresh = self._known.fresh(taken, session)
        self.redelivered += len(taken) - len(fresh)
        first = self._number
        self._number += len(fresh)
        self._watch(taken)
        # each by itself, so that also what was given of those that came together is acknowledged
        self._out.extend((session, delivery[0], first + i + 1) for i, delivery in enumerate(fresh))
        self._out.append((session, taken[-1][0], self._number))
        if self._number <= self._committed and taken[-1][0] - self._tag >= self.prefetch:
            self.commit({0: self._committed})  # all that may be out was acknowledged in vain: nobody else gets a row to do it
        if not fresh:
            return self._ready
        self._known.add(first, fresh, session)
        messages = messages_of(fresh, range(first, self._number), self.queue, bool(self._decoder.envelope))
        rows, bad = self._without_given(self._decoder.block(messages, 0), fresh, first)
        for offset, reason, raw in bad:
            self._letters.append(DeadLetter(self.queue, 0, offset, reason, raw[:RAW_LIMIT]))
            if self.dead_letter_exchange is not None:
                self._burials[offset] = fresh[offset - first], reason, 0
        return rows

    def _watch(self, taken: list[Delivery]) -> None:
        """Keep the message that was delivered most often, until it is acknowledged."""
        often = max(int((properties.headers or {}).get("x-delivery-count") or 0) for _, _, properties, _, _ in taken)
        if 2 * often >= self.delivery_limit and often > self._often[0]:
            self._often = often, self._number
            log.warning("rabbitmq %s: %s", self.queue, self._nearly())

    def _nearly(self) -> str:
        return (
            f"a message was delivered {self._often[0]} times before without being acknowledged; a quorum queue drops or "
            f"dead-letters it after its x-delivery-limit ({self.delivery_limit}, as the reader was made)"
        )

    def _without_given(self, block: Block, fresh: list[Delivery], first: int) -> Block:
        """Drop the first rows of the message of which they were given."""
        key, given = self._partial
        if not given:
            return block
        at = next((i for i, delivery in enumerate(fresh) if identity_of(delivery) == key), None)
        if at is None:
            return block
        self._partial = None, 0
        rows, bad = block
        mine = (rows["offset"] == first + at).to_numpy().nonzero()[0][:given]
        return rows.drop(index=mine.tolist()).reset_index(drop=True), bad

    def _bury(self, number: int, session: int) -> None:
        """Publish a bad message to the exchange for those, with the reason; where the connection is lost, again by the next."""
        delivery, reason, ordered = self._burials[number]
        if ordered == session or self._consumer is None:
            return
        _, key, properties, body, _ = delivery
        headers = (properties.headers or {}) | {"x-govlab-reason": reason[:1_000], "x-govlab-queue": self.queue}
        copy = pika.BasicProperties(headers=headers, delivery_mode=2, message_id=properties.message_id)

        def publish(channel: Any) -> None:
            channel.basic_publish(self.dead_letter_exchange, key, body, copy)
            self._burials.pop(number, None)

        self._burials[number] = delivery, reason, session
        self._consumer.order(session, publish)

    # -- where it stands -----------------------------------------------------------------------------------------------

    def position(self) -> dict[int, int]:
        """Give the number of messages given, and which of the last ones may be delivered again."""
        return self.position_before(self._ready.iloc[:0])

    def position_before(self, rows: pd.DataFrame) -> dict[int, int]:
        """Give the position from which ``rows``, the last that were read, come again."""
        if self._consumer is not None and self._consumer.settled != self._settled:
            self._settled = self._consumer.settled
            self._known.settle(*self._settled)
        position = self._cuts.position({0: self._number}, self._ready, rows)
        if -1 in position:
            position[-2] = self._known.identity_at(position[0])
        return position | self._known.before(position[0])

    def commit(self, position: Mapping[int, int]) -> None:
        """Acknowledge all before a position."""
        tag: tuple[int, int] | None = None
        self._committed = position[0]
        while self._out and self._out[0][2] <= position[0]:
            session, last, self._acknowledged = self._out.popleft()
            tag = session, last
        if self._often[1] <= self._acknowledged:
            self._often = 0, 0
        for number in [number for number in self._burials if number < position[0]]:
            self._bury(number, self._session)
        if tag is not None and self._consumer is not None:
            self._tag = tag[1] if tag[0] == self._session else self._tag
            self._consumer.ack(*tag)

    @property
    def wants_commit(self) -> bool:
        """Whether half of what may be out is: the broker gives no more until some is acknowledged."""
        return bool(self._out) and 2 * (self._out[-1][1] - self._tag) >= self.prefetch

    def lag(self) -> dict[int, int]:
        """Give how many messages wait, in the queue (asked every other second) and here; empty where that is not known."""
        consumer = self._consumer
        if consumer is None or consumer.waiting is None or not consumer.fresh:
            return {}
        return {0: consumer.waiting + consumer.here + len(self._ready)}

    def trouble(self) -> tuple[str, str] | None:
        """Say what keeps the reader from reading, or what is lost meanwhile."""
        consumer = self._consumer
        if consumer is None:
            return None
        if (found := consumer.trouble()) is not None:
            return found
        now = time.monotonic()
        if consumer.waiting and not consumer.here and not self.wants_commit and now - self._moved_s > self.stall_s:
            return "stalled", f"{consumer.waiting:,} messages wait, and none came for {self.stall_s:g} s"
        if consumer.vanished and now - consumer.vanished_s < VANISHED_S:
            gone = f"at least {consumer.vanished:,} messages left the queue unread"
            return "stalled", f"{gone}: purged, expired, over its length, or fetched by another client"
        return ("stalled", self._nearly()) if self._often[0] else None

    def take_dead_letters(self) -> list[DeadLetter]:
        """Hand over the records that could not be read since the last call."""
        letters, self._letters = self._letters, []
        return letters

    def redrive(self, letters: list[tuple[DeadLetter, bytes]]) -> tuple[pd.DataFrame, list[DeadLetter]]:
        """Read corrected messages; gives their rows and those that are still bad."""
        return self._decoder.redrive(letters)

    def close(self) -> None:
        """Let go; what is not acknowledged is delivered again, to whoever reads next."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()
