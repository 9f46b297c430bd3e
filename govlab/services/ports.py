"""Choosing ports on this machine."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Mapping

from govlab.errors import ServiceError

__all__ = ["choose"]

# Below where Linux takes the ports of outgoing connections (32768 and up): a client that calls again and again while its server
# is down would otherwise be given the server's own port one day, be connected to itself, and keep the server from coming back.
FREE = range(15_000, 32_000)


def choose(wanted: Mapping[str, int | None]) -> dict[str, int]:
    """Give a port for each name: the one that is wanted, or any that is free where that is None.

    Raises
    ------
    ServiceError
        A wanted one is taken.
    """
    ports: dict[str, int] = {}
    with contextlib.ExitStack() as held:  # all are held until all are chosen, so that none is given twice
        for name in sorted(wanted, key=lambda name: wanted[name] is None):
            port = wanted[name]
            while name not in ports:
                probe = held.enter_context(socket.socket())
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port or random.choice(FREE)))
                    ports[name] = probe.getsockname()[1]
                except OSError as error:
                    if port:
                        raise ServiceError(
                            f"port {port} ({name}) cannot be had ({error.strerror}): end what has it, or name another with port=."
                        ) from None
    return {name: ports[name] for name in wanted}
