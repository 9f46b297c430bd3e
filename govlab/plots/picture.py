"""A page as a picture: Chromium, which draws what a person would see, without a window and without a network."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from govlab.errors import MissingExtraError, ServiceError

__all__ = ["png"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WAIT_S = 120.0
# all plots of the page have been drawn
_DRAWN = """Promise.all(Bokeh.documents.map(doc => new Promise(done => doc.is_idle ? done() : doc.idle.connect(() => done()))))
.then(() => document.fonts.ready).then(() => true)"""


def png(page: str, width: int = 1_000) -> bytes:
    """Draw a page of HTML with plots of Bokeh, as wide as ``width`` pixels and as high as it is.

    Raises
    ------
    MissingExtraError
        There is no Chromium on the PATH.
    ServiceError
        It does not answer, or ends, or cannot draw the page.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise MissingExtraError(
            "a plot becomes a PNG file by Chromium, which is not on the PATH; install it (Debian: apt-get install chromium), or "
            "save the plot as .html."
        )
    with tempfile.TemporaryDirectory(prefix="govlab-plot-", ignore_cleanup_errors=True) as folder:
        file = Path(folder) / "plot.html"
        file.write_text(page, encoding="utf-8")
        shown = _Page(browser, folder)
        try:
            shown.open()
            size = {"width": width, "height": 100, "deviceScaleFactor": 2, "mobile": False}
            shown.ask("Emulation.setDeviceMetricsOverride", **size)
            shown.ask("Page.enable")
            shown.ask("Page.navigate", url=file.as_uri())
            shown.until("Page.loadEventFired")
            drawn = shown.ask("Runtime.evaluate", expression=_DRAWN, awaitPromise=True)
            if "exceptionDetails" in drawn:
                raise ServiceError(f"Chromium could not draw the plot: {drawn['exceptionDetails'].get('text')}")
            height = shown.ask("Page.getLayoutMetrics")["cssContentSize"]["height"]
            area = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
            return base64.b64decode(shown.ask("Page.captureScreenshot", clip=area, captureBeyondViewport=True)["data"])
        finally:
            shown.close()


class _Page:
    """A tab of a browser, asked over two pipes (the Chrome DevTools Protocol: JSON texts, each ended by a zero byte)."""

    def __init__(self, browser: str, folder: str) -> None:
        there, here = os.pipe(), os.pipe()
        # above 9, so that they are not in the way of 3 and 4, where Chromium looks for its own ends
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (*there, *here)]
        for fd in (*there, *here):
            os.close(fd)
        self._read, self._write = ends[2], ends[1]
        flags = ["--headless", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        flags += ["--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage"]
        flags += ["--no-sandbox"] * (os.geteuid() == 0)  # Chromium does not start as root with one
        null = os.open(os.devnull, os.O_RDWR)
        ours = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1, 2)]
        ours += [(os.POSIX_SPAWN_DUP2, ends[0], 3), (os.POSIX_SPAWN_DUP2, ends[3], 4)]
        self._pid = os.posix_spawn(browser, [browser, *flags], os.environ, file_actions=ours, setsid=True)
        for fd in (ends[0], ends[3], null):
            os.close(fd)
        self._rest, self._ids, self._session, self._events = b"", itertools.count(1), "", set[str]()
        self._deadline = time.monotonic() + WAIT_S

    def open(self) -> None:
        """Open the tab."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask for something, and give the answer."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        text = json.dumps(message | ({"sessionId": self._session} if self._session else {})).encode() + b"\0"
        try:
            while text:
                text = text[os.write(self._write, text) :]
        except BrokenPipeError as error:
            raise ServiceError("Chromium has ended; does `chromium --headless --version` work?") from error
        while True:
            answer = self._next()
            if answer.get("id") == number:
                if "error" in answer:
                    raise ServiceError(f"Chromium: {method}: {answer['error'].get('message')}")
                result: dict[str, Any] = answer["result"]
                return result

    def until(self, event: str) -> None:
        """Wait for an event."""
        while event not in self._events:
            self._next()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0.0, self._deadline - time.monotonic()))
            if not ready:
                raise ServiceError(f"Chromium has not drawn the plot within {WAIT_S:.0f} s; try again, or save it as .html.")
            part = os.read(self._read, 1 << 16)
            if not part:
                raise ServiceError("Chromium ended before it had drawn the plot; does `chromium --headless --version` work?")
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._events.add(message.get("method", ""))
        return message

    def close(self) -> None:
        """End the browser and all its processes."""
        os.close(self._write)
        os.close(self._read)
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
