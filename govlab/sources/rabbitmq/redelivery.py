"""Which messages of a queue of RabbitMQ were read and may be delivered again."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

from govlab.sources.rabbitmq.asking import Delivery
from govlab.sources.rabbitmq.messages import IDENTITIES, identity_of

__all__ = ["Unacknowledged"]


@dataclass
class _Read:
    number: int
    identity: int
    session: int  # the connection and tag by which it came last
    tag: int


class Unacknowledged:
    """The messages that were read and whose acknowledgement the broker is not known to have.

    A delivery is one of them only if the broker says that it was delivered before: an equal message is another message.
    What was delivered before may come late (after a crash of the broker, behind messages that were not), so a message is
    remembered until it has come, or until all that could be it have come.

    Parameters
    ----------
    position : mapping of int to int
        The position of the reader; keys from ``IDENTITIES`` downwards are messages, with how often each was read.
    prefetch : int
        How many messages the broker sends before they are acknowledged.
    """

    def __init__(self, position: Mapping[int, int], prefetch: int) -> None:
        self._prefetch = prefetch
        before = Counter({key: n for key, n in position.items() if key <= IDENTITIES})
        self._read = deque(_Read(position.get(0, 0) - 1, key, 0, 0) for key in before.elements())
        self._expected: dict[int, deque[_Read]] = {}  # those that are to come again, by identity
        self._left: int | None = None  # deliveries among which they are, where that is known

    def reconnect(self, alone: int | None) -> None:
        """Begin with a new connection: what was not acknowledged comes again, among the first ``alone`` messages if given."""
        self._expected = {}
        for read in self._read:
            self._expected.setdefault(read.identity, deque()).append(read)
        self._left = alone
        if alone == 0:
            self._forget_expected()

    def fresh(self, taken: list[Delivery], session: int) -> list[Delivery]:
        """Leave out what was read before."""
        fresh = []
        for delivery in taken:
            waiting = self._expected.get(identity_of(delivery)) if delivery[4] and self._expected else None
            if waiting:
                read = waiting.popleft()
                read.session, read.tag = session, delivery[0]
            else:
                fresh.append(delivery)
            if self._left is not None:
                self._left -= 1
                if self._left == 0:
                    self._forget_expected()
        return fresh

    def _forget_expected(self) -> None:
        gone = {id(read) for waiting in self._expected.values() for read in waiting}
        self._read = deque(read for read in self._read if id(read) not in gone)
        self._expected = {}

    def add(self, first: int, fresh: list[Delivery], session: int) -> None:
        """Remember messages that are read now, numbered from ``first``."""
        self._read.extend(_Read(first + i, identity_of(delivery), session, delivery[0]) for i, delivery in enumerate(fresh))
        while len(self._read) > 4 * self._prefetch + len(fresh):
            self._read.popleft()

    def settle(self, session: int, tag: int) -> None:
        """Forget what the broker is known to have taken as acknowledged: all of a connection up to a tag."""
        self._read = deque(read for read in self._read if read.session != session or read.tag > tag)

    def identity_at(self, number: int) -> int:
        """Give the identity of the message with a number."""
        return next(read.identity for read in self._read if read.number == number)

    def before(self, number: int) -> Counter[int]:
        """Give, as keys of a position, the messages before a number."""
        found = [read.identity for read in self._read if read.number < number]
        return Counter(found[-2 * self._prefetch :])
