"""A real JupyterLab, a real kernel and a real browser, all of them on this machine only."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, sync_playwright

ROOT = Path(__file__).parents[2]
TOKEN = "for-this-test-only"
LOOPBACK = ("127.0.0.1", "localhost", "::1")

# Cells out of view are not in the page by default; a test cannot read what is not there.
OVERRIDES = {
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}


# All plots of a page as [{x: last time drawn, rows, titles}], the lengths taken from the data that Bokeh really has.
PLOTS = """() => (window.Bokeh ? Bokeh.documents : []).filter(doc => doc.roots().length).map(doc => {
    const sources = [...doc._all_models.values()].filter(m => m.type == 'ColumnDataSource')
    const times = sources.flatMap(s => Array.from(s.data.time ?? []))
    const titles = [...doc._all_models.values()].filter(m => m.type == 'Title').map(m => m.text)
    return {rows: times.length, x: times.length ? Math.max(...times) : null, titles: titles}
})"""


@dataclass
class Lab:
    """A running JupyterLab."""

    url: str
    folder: Path

    def end_kernels(self) -> None:
        """End all kernels; they would play on, and slow down all tests that follow."""
        with urllib.request.urlopen(f"{self.url}/api/kernels?token={TOKEN}", timeout=300) as told:
            kernels = json.load(told)
        for kernel in kernels:
            request = urllib.request.Request(f"{self.url}/api/kernels/{kernel['id']}?token={TOKEN}", method="DELETE")
            urllib.request.urlopen(request, timeout=300).close()

    def address(self, notebook: Path) -> str:
        """Return where a notebook in the lab's folder opens, in a workspace of its own."""
        path = notebook.relative_to(self.folder)
        return f"{self.url}/lab/workspaces/{notebook.stem}/tree/{path}?token={TOKEN}&reset"


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Start JupyterLab on a free loopback port, with a home and settings of its own, and stop it by its process."""
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("notebooks")
    settings = home / "app-settings"
    settings.mkdir()
    (settings / "overrides.json").write_text(json.dumps(OVERRIDES))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "JPY", "GOVLAB"))}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT)}
    environment |= {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    flags = ["--allow-root", "--no-browser", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    flags += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    flags += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None", f"--LabApp.app_settings_dir={settings}"]
    flags += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    log = home / "lab.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "jupyter", "lab", *flags]
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/api/status?token={TOKEN}", process, log)
        yield Lab(url, folder)
    finally:
        process.terminate()  # the server ends its kernels
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1_800):  # a busy machine takes minutes
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """Start the browser once."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@dataclass
class Traffic:
    """What a page asked for, and what went wrong in it."""

    urls: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def note(self, request: Request) -> None:
        """Write a request down."""
        self.urls.append(request.url)

    @property
    def outside(self) -> list[str]:
        """The requests that left this machine, or would have."""
        parts = [(url, urlsplit(url)) for url in self.urls]
        return [url for url, part in parts if part.scheme not in ("data", "blob", "file") and part.hostname not in LOOPBACK]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Open a page of its own; ``page.traffic`` has what it asked for."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    opened = context.new_page()
    opened.set_default_timeout(120_000)
    traffic = Traffic()
    context.on("request", traffic.note)
    opened.on("websocket", lambda socket: traffic.urls.append(socket.url))
    opened.on("pageerror", lambda error: traffic.errors.append(str(error)))
    opened.traffic = traffic  # type: ignore[attr-defined]
    yield opened
    context.close()


class NotebookPage:
    """Drives one notebook.

    Parameters
    ----------
    page : Page
        The browser's page.
    url : str
        Where the notebook opens.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)
        self.ready()

    def ready(self) -> None:
        """Wait until the notebook is open and its kernel is there."""
        self.wait("() => window.jupyterapp")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        session = "window.jupyterapp.shell.currentWidget?.sessionContext"
        self.wait(f"() => {session}?.isReady && {session}.session?.kernel?.status == 'idle'")

    def run_all(self, timeout_s: float = 60) -> None:
        """Run > Run All Cells, then wait until every cell has ended."""
        self.menu("Run", "Run All Cells")
        self._ended(timeout_s)

    def run_cell(self, number: int, timeout_s: float = 60) -> None:
        """Run one cell again, with the keys that a person would press."""
        self.page.locator(".jp-CodeCell .jp-InputArea-editor").nth(number).click()
        self.page.keyboard.press("Control+Enter")
        self._ended(timeout_s)

    def save(self) -> None:
        """Save the notebook, outputs and all."""
        self.page.keyboard.press("Control+s")
        self.wait("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")

    def menu(self, *path: str) -> None:
        """Click through the menu bar."""
        self.page.locator(".lm-MenuBar-itemLabel", has_text=path[0]).first.click()
        for item in path[1:]:
            self.page.locator(".lm-Menu-itemLabel", has_text=item).first.click()

    def _ended(self, timeout_s: float) -> None:
        prompts = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(e => e.textContent.trim())"
        self.page.wait_for_timeout(100)  # a click has to arrive before its effect can be waited for
        failed = "document.querySelector('[data-mime-type=\"application/vnd.jupyter.error\"]')"
        self.wait(f"() => {failed} || {prompts}.every(text => /^\\[\\d+\\]:$/.test(text))", timeout_s)
        assert self.errors() == []

    def wait(self, condition: str, timeout_s: float = 30) -> None:
        """Wait until a JavaScript condition holds."""
        self.page.wait_for_function(condition, timeout=timeout_s * 1000)

    def plots(self) -> list[dict[str, Any]]:
        """Return what Bokeh draws now, one entry a displayed plot."""
        return self.page.evaluate(PLOTS)

    def moving(self, for_s: float = 60.0) -> list[dict[str, Any]]:
        """Return the plots whose data change within a time."""
        before = self.plots()
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            self.page.wait_for_timeout(200)
            now = self.plots()
            changed = [new for old, new in zip(before, now, strict=False) if old != new]
            if changed:
                self.page.wait_for_timeout(800)
                now = self.plots()
                return [new for old, new in zip(before, now, strict=False) if old != new]
        return []

    def errors(self) -> list[str]:
        """Return the tracebacks and warnings that cells show."""
        shown = ".jp-RenderedText[data-mime-type='application/vnd.jupyter.error'], "
        shown += ".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']"
        return self.page.locator(shown).all_inner_texts()

    def scroll_to(self, number: int) -> None:
        """Bring a cell to the top of the view."""
        self.page.evaluate("n => document.querySelectorAll('.jp-CodeCell')[n].scrollIntoView()", number)

    def screenshot(self, path: Path | str) -> None:
        """Take a picture of the page as it is."""
        self.page.screenshot(path=str(path))


@pytest.fixture
def open_notebook(page: Page, lab: Lab) -> Iterator[Callable[[Path], NotebookPage]]:
    """Give a function that opens a notebook; one from elsewhere is copied, with the data beside it as in the project."""

    def opened(path: Path) -> NotebookPage:
        if not path.is_relative_to(lab.folder):
            home = lab.folder / "notebooks"
            home.mkdir(exist_ok=True)
            for link in (lab.folder / "data", home / "data"):
                if not link.exists():
                    link.symlink_to(ROOT / "data")
            path = Path(shutil.copy(path, home))
        return NotebookPage(page, lab.address(path))

    yield opened
    lab.end_kernels()


@pytest.fixture
def write_notebook(lab: Lab) -> Callable[..., Path]:
    """Return a function that writes cells of code as a notebook into the lab's folder."""

    def write(name: str, *cells: str) -> Path:
        import nbformat

        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = lab.folder / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    return write
