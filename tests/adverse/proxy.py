"""A TCP proxy in front of a real server: delays what passes, cuts connections, or stands still."""

import contextlib
import queue
import random
import socket
import threading
import time

PACKET, BULK = 16_384, 2_000


class Proxy:
    """Passes bytes on between clients and a server, each packet after a delay of its own, in order.

    Parameters
    ----------
    target : tuple of str and int, optional
        Where the server is; may be set later (``proxy.target = ...``).
    seed : int
        Other seeds give other delays.

    Attributes
    ----------
    delay_s : tuple of float
        The least and the most that a packet is held, now.
    drip_s : float
        How long after the packet ahead of it a packet of more than 2,000 bytes is passed on at the earliest, now.
    address : str
        Where clients connect.
    passed : int
        Packets passed on so far.
    """

    def __init__(self, target=None, seed=0):
        self.target, self.delay_s, self.drip_s, self.passed = target, (0.0, 0.0), 0.0, 0
        self._rng, self._going, self._ended = random.Random(seed), threading.Event(), False
        self._going.set()
        self._sockets, self._lock = set(), threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def stall(self):
        """Accept connections and take bytes, and pass nothing on."""
        self._going.clear()

    def go_on(self):
        """Pass on what was held."""
        self._going.set()

    @contextlib.contextmanager
    def stalled(self):
        self.stall()
        try:
            yield self
        finally:
            self.go_on()

    @contextlib.contextmanager
    def slow(self, least_s, most_s):
        self.delay_s = (least_s, most_s)
        try:
            yield self
        finally:
            self.delay_s = (0.0, 0.0)

    @contextlib.contextmanager
    def dripping(self, drip_s):
        """Answer small questions at once, and send what is large bit by bit, with silence before each bit."""
        self.drip_s = drip_s
        try:
            yield self
        finally:
            self.drip_s = 0.0

    def cut(self):
        """Cut all connections; gives how many there were."""
        with self._lock:
            gone, self._sockets = self._sockets, set()
        for one in gone:
            with contextlib.suppress(OSError):  # the other side may have closed it
                one.shutdown(socket.SHUT_RDWR)
        return len(gone) // 2

    def close(self):
        self._ended = True
        self._listener.close()
        self._going.set()
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while not self._ended:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self.target, 10)
                server.settimeout(None)  # of connecting alone: a connection may be silent for long
            except OSError:
                if self._ended:
                    return
                client.close()  # the server is not there: neither is its proxy
                continue
            with self._lock:
                self._sockets |= {client, server}
            for one, other in ((client, server), (server, client)):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                held = queue.SimpleQueue()
                threading.Thread(target=self._take, args=(one, held), daemon=True).start()
                threading.Thread(target=self._pass, args=(held, one, other), daemon=True).start()

    def _take(self, one, held):
        """Take packets, and settle when each is passed on: never before the one ahead of it."""
        due = 0.0
        while True:
            try:
                packet = one.recv(PACKET)
            except OSError:
                packet = b""
            now = time.monotonic()
            due = max(due, now + self._rng.uniform(*self.delay_s))
            due = max(due, now) + self.drip_s if len(packet) > BULK else due
            held.put((due, packet))
            if not packet:
                return

    def _pass(self, held, one, other):
        while True:
            due, packet = held.get()
            time.sleep(max(0.0, due - time.monotonic()))
            self._going.wait()
            try:
                if packet:
                    other.sendall(packet)
                    self.passed += 1
                    continue
                other.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # closed meanwhile
            with self._lock:
                self._sockets.discard(one)
            return
