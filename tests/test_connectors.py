"""A system is one folder, one entry in the table of connectors, and at most one extra."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from govlab import registry
from govlab.addresses import Address
from govlab.commands import main as cli
from govlab.connectors import CONNECTORS, SCHEMES, options_of

ROOT = Path(__file__).resolve().parents[1]
ADDRESSED = sorted({one.name for one in SCHEMES.values()})


def test_each_folder_of_sources_is_a_connector_and_each_connector_a_folder():
    folders = {path.parent.name for path in (ROOT / "govlab" / "sources").glob("*/__init__.py")}
    assert folders == set(CONNECTORS), "a system is a folder in govlab/sources and an entry in govlab/connectors.py"


def test_what_a_connector_needs_is_an_extra_that_can_be_installed():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set() == {one.extra for one in CONNECTORS.values() if one.extra} - set(extras)


@pytest.mark.parametrize("name", sorted(CONNECTORS))
def test_the_tables_of_sources_and_sinks_list_what_stands_in_the_folder_of_a_system(name):
    one = CONNECTORS[name]
    for room, parts in (("sources", one.readers), ("sinks", one.sinks)):
        for part in parts:
            assert registry.load(room, part).__module__.startswith(f"govlab.sources.{name}.")


@pytest.mark.parametrize("name", ADDRESSED)
def test_a_system_with_addresses_has_examples_that_are_some_and_opens_them(name):
    one = CONNECTORS[name]
    for example in one.schemes.values():
        assert (name, one) == (Address.of(example).kind, Address.of(example).connector)
        assert Address.of(example).name in example
    assert callable(one.load("reader_at"))
    assert callable(one.load("sink_at"))
    assert one.hint.startswith("gl.from_")


@pytest.mark.parametrize(("use", "command"), [("reading", "record"), ("writing", "play")])
def test_the_command_line_has_the_options_of_all_systems_and_says_whose_they_are(use, command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for name, given in options_of(use).items():
        assert f"--{name} " in said
        assert given["help"].split(":")[0] in {one.title for one in CONNECTORS.values()}


def test_an_option_that_two_systems_have_is_told_of_both():
    assert "Kafka: where" in options_of("reading")["start"]["help"]
    assert "; RabbitMQ: of a stream" in options_of("reading")["start"]["help"]


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ("gl.sources.RabbitStream", "govlab.sources.RabbitStream"),
        ("gl.sinks.RabbitSink", "govlab.sinks.RabbitSink"),
        ("gl.from_rabbitmq('q')", "RabbitMQ"),
    ],
)
def test_a_system_whose_package_is_missing_is_told_with_its_command_wherever_it_is_asked_for(call, what):
    code = f"import sys; sys.modules['pika'] = None; import govlab as gl\ntry: {call}\nexcept gl.errors.MissingExtraError as e: print(e)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"{what} needs the package 'pika': pip install 'govlab[rabbitmq]'" == ran.stdout.strip()
