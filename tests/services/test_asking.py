"""Names, options and what is to be installed: all that is said before a server starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from govlab import services
from govlab.commands import main as cli
from govlab.errors import ArgumentError, ServiceError
from govlab.services import installing, known

FAKE_MAVEN = """#!/bin/sh
echo x >> "$COUNT"
for option in "$@"; do
  case "$option" in -DoutputDirectory=*) mkdir -p "${option#*=}" && touch "${option#*=}/one.jar" ;; esac
done
exit "${STATUS:-0}"
"""


def program(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with an empty cache, on which the only programs are those that the test puts there."""
    monkeypatch.setenv("GOVLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    return tmp_path / "bin"


def test_a_name_that_is_not_known_says_what_there_is(tmp_path, capsys):
    with pytest.raises(ArgumentError, match=r"Did you mean 'kafka'\? There are: flink, kafka, rabbitmq"):
        services.start("kafak", tmp_path)
    assert 1 == cli.main(["services", "up", "kafak"])
    assert "Did you mean 'kafka'?" in capsys.readouterr().err


def test_where_java_is_missing_and_cannot_be_installed_the_command_is_named(machine, tmp_path):
    with pytest.raises(ServiceError, match=r"Java 17 or newer is not installed .* Install it: sudo apt-get install .*default-jre"):
        services.start("kafka", tmp_path / "kafka")


def test_a_java_that_is_too_old_is_named(machine, tmp_path):
    program(machine, "java", "#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    with pytest.raises(ServiceError, match=r"bin/java is Java 11\.0\.2, but 17 or newer is needed: put one first on PATH"):
        services.start("kafka", tmp_path / "kafka")


def test_jars_are_there_whole_or_not_at_all(machine, monkeypatch):
    program(machine, "mvn", FAKE_MAVEN)
    monkeypatch.setenv("PATH", f"{machine}:{os.defpath}")
    monkeypatch.setenv("STATUS", "1")
    with pytest.raises(ServiceError, match=r"kafka [0-9.]+ cannot be installed: .*mvn"):
        installing.jars("kafka")
    assert ["lock"] == os.listdir(installing.cache())
    monkeypatch.setenv("STATUS", "0")
    assert ["one.jar"] == os.listdir(installing.jars("kafka"))


def test_two_processes_that_install_at_once_do_it_once(machine, monkeypatch):
    program(machine, "mvn", FAKE_MAVEN.replace("echo x", "sleep 0.3; echo x"))
    monkeypatch.setenv("PATH", f"{machine}:{os.defpath}")
    code = "from govlab.services import installing; print(installing.jars('kafka'))"
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0].splitlines()[-1] for process in both]
    assert said[0] == said[1]
    assert ["one.jar"] == os.listdir(said[0])
    assert "x\n" == Path(os.environ["COUNT"]).read_text()


def test_what_keeps_debian_from_starting_servers_is_put_back(tmp_path, monkeypatch):
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(installing, "POLICY", policy)
    with installing._no_system_service():
        assert 101 == subprocess.run([policy], check=False).returncode
    assert not policy.exists()
    policy.write_text("as it was")
    policy.chmod(0o700)
    with installing._no_system_service():
        assert 101 == subprocess.run([policy], check=False).returncode
    assert ("as it was", 0o700) == (policy.read_text(), policy.stat().st_mode & 0o777)


def test_the_settings_of_each_server_come_with_the_package():
    for name in services.TABLE:
        assert (installing.files(name) / "README.md").is_file()


def test_certificates_that_are_missing_are_named(tmp_path):
    (tmp_path / "ca.pem").touch()
    with pytest.raises(ArgumentError, match=r"has no server\.pem and no server\.key; it must be a folder with ca\.pem"):
        services.start("rabbitmq", tmp_path / "rabbitmq", tls=tmp_path)


@pytest.mark.parametrize("password", ["", "two words", 'a "quote"', "back\\slash", "pässword"])
def test_a_password_that_kafka_cannot_hold_is_refused_and_not_shown(tmp_path, password):
    with pytest.raises(ArgumentError, match="cannot hold 'ann' or its password") as refused:
        services.start("kafka", tmp_path, users={"ann": password})
    assert not password or password not in str(refused.value)


def test_the_command_line_says_when_there_is_no_server(tmp_path, capsys):
    for action in ("status", "down"):
        assert 0 == cli.main(["services", action, "--folder", str(tmp_path)])
        assert "there is no server in" in capsys.readouterr().out


def test_a_port_is_for_one_server(capsys):
    assert 1 == cli.main(["services", "up", "--port", "9092"])
    assert "--port is for one server: name it" in capsys.readouterr().err


def test_servers_are_in_the_folder_that_the_environment_names(tmp_path, monkeypatch):
    monkeypatch.setenv("GOVLAB_SERVICES", str(tmp_path))
    assert tmp_path / "kafka" == known.make("kafka").folder
    monkeypatch.delenv("GOVLAB_SERVICES")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert tmp_path / "state" / "govlab" / "services" / "kafka" == known.make("kafka").folder
