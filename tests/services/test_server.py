"""What the base class does for every server, shown with one that only sleeps."""

import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sleeper import Sleeper

from govlab.errors import ServiceError
from govlab.services.statefile import FILE


@pytest.fixture
def sleeper(tmp_path):
    with Sleeper(tmp_path / "sleeper").start() as server:
        yield server


def test_one_that_was_never_started_says_so(tmp_path):
    server = Sleeper(tmp_path)
    assert "stopped" == server.state
    assert "not started" in repr(server)
    server.stop()
    with pytest.raises(ServiceError, match=r"was never started in .*: use start\(\)"):
        server.restart()


def test_it_is_the_same_for_whoever_finds_its_state_file(sleeper):
    other = Sleeper(sleeper.folder)
    assert (sleeper.pid, sleeper.ports, "running") == (other.pid, other.ports, other.state)
    other.kill()
    assert "stopped" == sleeper.state
    other.restart()
    assert (sleeper.state, sleeper.pid) == ("running", other.pid)
    sleeper.suspend()
    assert "suspended" == other.state
    other.resume()
    sleeper.stop()
    assert ("stopped", 0.0) == (other.state, other.memory_mb())


def test_it_comes_back_with_the_same_ports_and_settings(sleeper):
    ports = dict(sleeper.ports)
    sleeper.stop()
    (sleeper.folder / "settings").write_text("changed by hand")
    sleeper.restart()
    assert (ports, "changed by hand") == (sleeper.ports, (sleeper.folder / "settings").read_text())


def test_one_that_is_started_anew_keeps_its_ports_and_gets_new_settings_and_ports(sleeper):
    sleeper.stop()
    with Sleeper(sleeper.folder, said="I am ready too", names=("main", "other", "third")).start() as again:
        assert sleeper.ports == {name: again.ports[name] for name in ("main", "other")}
        assert 3 == len(set(again.ports.values()))
        assert "I am ready too" == (again.folder / "settings").read_text()


def test_a_folder_is_that_of_one_server_at_a_time(sleeper):
    with pytest.raises(ServiceError, match=rf"runs already in .* \(pid {sleeper.pid}\): stop it"):
        Sleeper(sleeper.folder).start()
    with pytest.raises(ServiceError, match="is the folder of sleeper; choose another for waker"):
        type("Waker", (Sleeper,), {"name": "waker"})(sleeper.folder).start()


def test_of_two_that_are_started_at_once_in_a_folder_one_is_refused(tmp_path):
    def start(_):
        try:
            return Sleeper(tmp_path).start()
        except ServiceError as error:
            return str(error)

    with ThreadPoolExecutor(2) as pool:
        [server, refused] = sorted(pool.map(start, range(2)), key=str)
    with server if isinstance(server, Sleeper) else refused:
        assert "x" == (tmp_path / "starts").read_text()


def test_a_process_that_has_the_number_of_an_ended_one_is_not_taken_for_it(sleeper):
    state = json.loads((sleeper.folder / FILE).read_text())
    sleeper.stop()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (sleeper.folder / FILE).write_text(json.dumps(state | {"pid": stranger.pid, "since": state["since"] - 3600}))
        other = Sleeper(sleeper.folder)
        assert not other.running
        other.stop()
        other.kill()
        assert stranger.poll() is None
        stranger.communicate(b"\n")
    assert 0 == stranger.returncode


def test_a_log_tells_why_one_did_not_start(tmp_path):
    said = "ERROR the moon is full\n" + "and so on\n" * 40 + "the end"
    with pytest.raises(ServiceError, match=r"(?s)ended before it was ready; from its log .*the moon is full.*and so on.*the end"):
        Sleeper(tmp_path, said=said, lasts=0).start()


def test_one_that_is_not_ready_in_time_is_ended(tmp_path):
    server = Sleeper(tmp_path, said="soon")
    server.patience_s = 0.2
    with pytest.raises(ServiceError, match=r"(?s)was not ready after 0.2 s; .*soon"):
        server.start()
    assert not server.running


def test_a_program_that_is_not_there_is_named(tmp_path):
    server = Sleeper(tmp_path)
    server.command = lambda: (["/no/such/program"], {})
    with pytest.raises(ServiceError, match=r"sleeper cannot be started: .*/no/such/program"):
        server.start()


def test_a_wanted_port_is_had_or_the_error_names_it(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"port {port} \(main\) cannot be had"):
            Sleeper(tmp_path / "one", port=port).start()
    with Sleeper(tmp_path / "one", port=port).start() as server:
        assert port == server.ports["main"]


def test_free_ports_are_none_that_outgoing_connections_are_given(sleeper):
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(sleeper.ports.values()) < min(first, 32_768)


def test_removing_deletes_the_folder_unless_it_held_something_else_before(tmp_path, sleeper):
    sleeper.remove()
    assert not sleeper.folder.exists()
    (tmp_path / "thesis.txt").write_text("years of work")
    server = Sleeper(tmp_path).start()
    with pytest.raises(ServiceError, match="is not deleted: it had other files in it before"):
        server.remove()
    assert not server.running
    assert "years of work" == (tmp_path / "thesis.txt").read_text()


def test_a_fork_of_the_process_that_started_it_does_not_stop_it(sleeper):
    sleeper._end(owner=1)
    assert sleeper.running
