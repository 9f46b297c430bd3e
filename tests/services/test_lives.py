"""What holds for each kind of real server: found, left, ended, without a trace."""

import os
import signal
import subprocess
import sys

import pytest
from there_and_back import processes_of

from govlab import services

pytestmark = pytest.mark.server


def govlab(*arguments):
    return subprocess.run([sys.executable, "-m", "govlab", *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def test_several_run_at_once(full, kafka_server, rabbitmq_server):
    ports = [port for server in (full, kafka_server, rabbitmq_server) for port in server.ports.values()]
    assert len(set(ports)) == len(ports)
    assert full.running
    assert kafka_server.running
    assert rabbitmq_server.running


def test_one_that_runs_is_found_by_another_process(full):
    lines = govlab("services", "status", "--folder", full.folder).splitlines()
    name, state, pid, megabytes, address, folder = lines[1].split()
    assert (full.name, "running", str(full.pid), full.address, str(full.folder)) == (name, state, pid, address, folder)
    assert 50 < int(megabytes) < 4000
    assert [full.folder] == [server.folder for server in services.running(full.folder.parent)]


def test_one_that_is_suspended_says_so_and_goes_on(full):
    full.suspend()
    try:
        assert "suspended" == full.state
        assert "suspended" in govlab("services", "status", "--folder", full.folder)
    finally:
        full.resume()
    assert "running" == full.state


def test_passwords_are_in_private_files_only(full, users, capfd):
    secrets = [*users.values(), "BEGIN PRIVATE KEY"]
    shown = [repr(full), *map(str, (full.addresses, full.ports)), *processes_command_lines(), *capfd.readouterr()]
    assert [] == [text for text in shown if any(secret in text for secret in secrets)]
    for file in full.folder.iterdir():
        text = file.read_bytes() if file.is_file() else b""
        if any(secret.encode() in text for secret in secrets):
            assert 0o600 == file.stat().st_mode & 0o777, file.name
            assert file.name not in ("log.txt", "govlab-service.json")


def processes_command_lines():
    import psutil

    return [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]


@pytest.mark.parametrize("name", ["kafka", "rabbitmq"])
def test_one_that_the_command_line_starts_stays_until_it_is_put_down_and_leaves_no_process(tmp_path, name):
    folder = tmp_path / "here"
    said = govlab("services", "up", name, "--folder", folder)
    [server] = services.running(folder)
    assert all(address in said for address in server.addresses.values())
    assert "runs already" in govlab("services", "up", name, "--folder", folder)
    assert processes_of(folder)
    assert "is stopped" in govlab("services", "down", name, "--folder", folder)
    assert [] == processes_of(folder)
    assert "stopped" in govlab("services", "status", "--folder", folder)
    server.remove()
    assert not folder.exists()


@pytest.mark.parametrize("name", ["kafka", "rabbitmq"])
def test_one_that_a_program_starts_ends_with_it(tmp_path, name):
    folder = tmp_path / "here"
    code = "import sys; from govlab import services; print(services.start(*sys.argv[1:]).pid)"
    done = subprocess.run([sys.executable, "-c", code, name, str(folder)], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout)
    assert [] == processes_of(folder)


def test_one_that_crashed_leaves_nothing_when_it_is_put_down(tmp_path):
    folder = tmp_path / "here"
    govlab("services", "up", "rabbitmq", "--folder", folder)
    [server] = services.running(folder)
    os.kill(server.pid, signal.SIGKILL)
    assert "did not run" in govlab("services", "down", "rabbitmq", "--folder", folder)
    assert [] == processes_of(folder)
