"""Following a stream queue of RabbitMQ from an offset: nothing is skipped in silence, and another stream is noticed."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Any

import pandas as pd

from govlab import frames
from govlab.access import Access, PrivateUrl
from govlab.errors import SourceError
from govlab.sources.messages import MessageDecoder
from govlab.sources.rabbitmq.asking import OFFSET, PATIENCE_S, Delivery, first_of, offset_of
from govlab.sources.rabbitmq.consumer import Consumer
from govlab.sources.rabbitmq.messages import content_of, messages_of
from govlab.sources.ranged import spans_of

__all__ = ["PREFETCH", "Anchor", "Stream", "read_again"]

log = logging.getLogger("govlab")
PREFETCH = 5_000
Anchor = tuple[int, int]  # the offset of a message, and what it holds


class Stream:
    """A consumer of a stream that stands at an offset, also after its connection was lost.

    Parameters
    ----------
    queue, url, access
        Where, and how to get in.
    begin : int, str or datetime
        Where to begin.
    anchor : tuple of int, optional
        A message at or before ``begin`` as it was read once: each connection begins there, and sees that it is the same.
    """

    def __init__(self, queue: str, url: PrivateUrl, access: Access, begin: Any, anchor: Anchor | None = None) -> None:
        self.queue, self._url, self._access = queue, url, access
        self.next: Any = begin
        self.anchors = deque([anchor] if anchor else [], maxlen=64)
        self._checked, self._seen, self._since_s = 0, 0, 0.0  # the last connection that began as expected, and the last one
        self._ahead: list[Delivery] = []
        self.consumer = Consumer(queue, url, access, PREFETCH, self._arguments)
        self.consumer.start()

    def _arguments(self) -> dict[str, Any]:
        return {OFFSET: self.anchors[-1][0] if self.anchors else self.next}

    @property
    def following(self) -> Any:
        """The offset of the next message to hand over; those that ``check`` has read are not handed over yet."""
        return offset_of(self._ahead[0]) if self._ahead else self.next

    def check(self) -> None:
        """Wait until the stream has shown that it is the one that was read before.

        Raises
        ------
        SourceError
            It is another one, what comes next is gone, or nothing came in 60 s.
        """
        while self.anchors and not self._checked:
            self._ahead += self.take(PREFETCH, 0.05)

    def take(self, most: int, timeout_s: float) -> list[Delivery]:
        """Hand over the next messages.

        Raises
        ------
        SourceError
            The messages that come next are gone, or it is another stream than was read before.
        """
        if self._ahead:
            taken, self._ahead = self._ahead[:most], self._ahead[most:]
            return taken
        session, taken = self.consumer.take(most, timeout_s)
        if taken and OFFSET not in (taken[0][2].headers or {}):
            raise SourceError(f"{self.queue!r} is no stream: its messages have no offset; leave kind, start and stop out.")
        fresh = []
        for delivery in taken:
            offset = offset_of(delivery)
            if self.anchors and offset == self.anchors[-1][0] and content_of(delivery) != self.anchors[-1][1]:
                raise self._another(f"at offset {offset:,} is another message than was read there")
            if isinstance(self.next, int):
                if offset < self.next:
                    continue
                if offset > self.next:
                    self._gap(offset)
            fresh.append(delivery)
            self.next = offset + 1
        if taken:
            self._checked = session
        elif session != self._checked and self.anchors:
            self._silent(session)
        if fresh:
            self.anchors.append((offset_of(fresh[-1]), content_of(fresh[-1])))
        return fresh

    def _silent(self, session: int) -> None:
        """See that a connection which begins at a message that was read gets it."""
        if self.consumer.error is not None or session != self._seen:
            self._seen, self._since_s = session, time.monotonic()
        elif time.monotonic() - self._since_s > PATIENCE_S:
            raise self._another(f"the message at offset {self.anchors[-1][0]:,}, which was read, did not come in {PATIENCE_S:g} s")

    def _another(self, why: str) -> SourceError:
        return SourceError(f"{self.queue}: {why}: the stream was deleted and made anew? Begin anew with another store.")

    def _gap(self, offset: int) -> None:
        """See whether offsets that did not come are gone; some are no messages, or cannot be read over AMQP."""
        first = offset_of(first_of(self.queue, self._url, self._access, 1)[0])
        if first > self.next:
            raise SourceError(
                f"{self.queue}: the next offset is {self.next:,}, but the messages before {first:,} are gone (retention?). "
                "Begin anew with another store, or where they do not matter at start='first'."
            )
        log.warning(
            "rabbitmq %s: offsets %s to %s are no messages for AMQP (offsets kept by other clients, or compressed batches)",
            self.queue, f"{self.next:,}", f"{offset - 1:,}",
        )  # fmt: skip

    def anchor_before(self, offset: int) -> Anchor | None:
        """Give the last message known that is before an offset."""
        return next((anchor for anchor in reversed(self.anchors) if anchor[0] < offset), None)

    def close(self) -> None:
        """Let go of the connection."""
        self.consumer.close()


def read_again(queue: str, url: PrivateUrl, access: Access, decoder: MessageDecoder, evidence: str) -> pd.DataFrame:
    """Read the rows at ``0:first-last`` ranges.

    Raises
    ------
    SourceError
        They are gone, or did not come in 60 s.
    """
    parts = [frames.empty()]
    for _, first, last in spans_of(evidence):
        stream = Stream(queue, url, access, first)
        try:
            end = time.monotonic() + PATIENCE_S
            while stream.next <= last:
                taken = [delivery for delivery in stream.take(PREFETCH, 0.05) if offset_of(delivery) <= last]
                if taken:
                    messages = messages_of(taken, map(offset_of, taken), queue, bool(decoder.envelope))
                    parts.append(decoder.block(messages, 0)[0])
                    end = time.monotonic() + PATIENCE_S
                elif time.monotonic() > end:
                    raise SourceError(f"{queue}: offsets {stream.next:,} to {last:,} did not come in {PATIENCE_S:g} s.")
        finally:
            stream.close()
    return frames.concat(parts)
