"""Real servers, started by the project's own code when a test first asks for one, a real browser, and ``--busy N`` loops."""

import contextlib
import os
import shutil
import subprocess

import pytest
from adverse.busy import busy

from govlab import services

# these import PyFlink, which lives in an environment of its own
collect_ignore = ["govlab/engines/flink/operators.py", "govlab/engines/flink/program.py", "govlab/engines/flink/query.py"]


CHROMIUM = "apt-get update && apt-get install -y --no-install-recommends chromium fonts-dejavu-core"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return Debian's chromium, installed when this is root on Debian; a browser test is never skipped."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(CHROMIUM, shell=True, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = shutil.which("chromium")
    if found is None:
        pytest.fail(f"the browser tests need chromium; as root run: {CHROMIUM}")
    return found


def pytest_addoption(parser):
    parser.addoption("--busy", type=int, default=0, metavar="N", help="run the tests beside N busy loops")
    parser.addoption("--delay", type=float, default=None, metavar="S", help="how long the slow proxy holds a packet at most")


def pytest_configure(config):
    loops = contextlib.ExitStack()
    loops.enter_context(busy(config.getoption("--busy")))
    config.add_cleanup(loops.close)


def pytest_collection_modifyitems(items):
    """Keep the tests that start servers, browsers or loops apart from the pure ones, which run on all cores."""
    for item in items:
        if {"browser", "services", "adverse"} & set(item.path.parts):
            item.add_marker("server")


def pytest_report_header(config):
    loops = config.getoption("--busy")
    return f"beside {loops} busy loops" if loops else None


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory):
    with services.start("kafka", tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server(tmp_path_factory):
    with services.start("rabbitmq", tmp_path_factory.mktemp("rabbitmq")) as server:
        yield server
