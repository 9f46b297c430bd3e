"""What holds for the project as a whole."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from govlab import registry
from govlab.commands.main import markdown_table

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "govlab"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# imports go downwards only: what stands further right may import what stands to its left, and nothing of its own column but itself
CONTRACTS = {
    "arguments",
    "access",
    "errors",
    "fields",
    "hashing",
    "markup",
    "schema",
    "frames",
    "ahead",
    "ahead_kernel",
    "cells",
    "event_clock",
    "zones",
    "scored",
    "keys",
    "entities",
    "recipes",
    "registry",
    "spreadsheet",
    "step",
    "pipeline",
    "sharded",
    "summary",
    "tally",
    "clock",
    "connectors",
    "sinks",
}
ROOMS = {"sources", "prepare", "features", "detectors", "alerts", "stores", "review", "plots", "datasets", "services"}
ABOVE = ["addresses", "evaluation", "engines", "testing", "recording", "commands"]


def modules():
    return sorted(path for path in PACKAGE.rglob("*.py"))


def imported(path):
    """The govlab modules that a file imports when it is loaded or when it runs, without those for type checking only."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "govlab":
            names = [node.module] if node.module != "govlab" else [f"govlab.{alias.name}" for alias in node.names]
            yield from names
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "govlab")


def room(name):
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def level(name):
    return 0 if name in CONTRACTS else 1 if name in ROOMS else 2 + ABOVE.index(name) if name in ABOVE else None


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downwards_and_never_to_a_sibling_room(path):
    mine = room(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if mine in ("__init__", "__main__"):
        return
    assert level(mine) is not None, f"{path} is in no known room"
    for name in imported(path):
        other = room(name)
        if other in ("", mine):
            continue
        assert level(other) is not None, name
        assert level(other) < level(mine) or (mine in CONTRACTS and other in CONTRACTS), f"{mine} imports {name}"


def test_importing_govlab_and_looking_around_in_it_loads_nothing_but_itself_and_the_standard_library():
    code = (
        "import sys; before = set(sys.modules)\n"
        "import govlab as gl; print(sorted(n for n in set(sys.modules) - before if n.startswith('govlab')))\n"
        f"[dir(getattr(gl, name)) for name in {sorted({*registry.ROOMS, 'datasets', 'evaluation', 'plots', 'testing'})!r}]\n"
        "tops = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(tops - set(sys.stdlib_module_names)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ["['govlab', 'govlab.errors', 'govlab.registry']", "['govlab']"] == ran.stdout.splitlines()


def test_the_conda_environment_lists_what_pyproject_lists():
    extras = PROJECT["optional-dependencies"]
    expected = {
        f"python{PROJECT['requires-python']}",
        *PROJECT["dependencies"],
        *(line for name, lines in extras.items() if name != "dev" for line in lines),
    }
    actual = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert expected == {line for line in actual if isinstance(line, str)} - {"pip"}


def test_the_constraints_name_versions_and_no_addresses():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if "==" not in line or "/" in line or "@" in line] == []


def test_the_table_of_the_readme_is_that_of_the_registry():
    assert markdown_table() in (ROOT / "README.md").read_text()


def test_the_tables_are_sorted_and_their_classes_are_named_after_them():
    for name in registry.ROOMS:
        entries = registry.table(name)
        assert sorted(entries) == list(entries)
        for entry, (target, how) in entries.items():
            assert how.startswith("pip install ")
            if name in registry.STEP_ROOMS:
                assert registry.camel(entry) == target.partition(":")[2]


def test_no_module_is_longer_than_300_lines():
    assert [str(path) for path in modules() if len(path.read_text().splitlines()) > 300] == []


def private(path):
    """The private attributes that a file sets on ``self``, and those that it touches on anything else."""
    found = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute) and node.attr[0] == "_"]
    mine = [node for node in found if ast.unparse(node.value) == "self"]
    stored = {node.attr for node in mine if isinstance(node.ctx, ast.Store)}
    return stored, {node.attr for node in found} - {node.attr for node in mine}


def test_no_engine_touches_a_private_attribute_of_another_module():
    known = {path: private(path) for path in modules()}
    for path, (_, touched) in known.items():
        if room(".".join(path.relative_to(ROOT).with_suffix("").parts)) == "engines":
            others = {name for other, (mine, _) in known.items() if other != path for name in mine}
            assert [] == sorted(touched & others), path


def test_unknown_names_say_what_there_is():
    import govlab as gl

    for where, name, near in ((gl, "Pipelin", "Pipeline"), (gl.detectors, "Ewma", "EwmaZ"), (gl.plots, "TimeLine", "Timeline")):
        with pytest.raises(AttributeError, match=near):
            getattr(where, name)


def test_a_missing_extra_names_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "river", None)
    from govlab.detectors.adapters import River

    with pytest.raises(ImportError, match=r"pip install 'govlab\[river\]'"):
        River(columns=["value"])


def test_the_code_of_the_readme_runs(tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    script = tmp_path / "readme.py"
    script.write_text("\n".join([*blocks, "print(len(watch.run(gl.sources.ReplayReader('data/wiki_edits_2015.csv.gz')).rows))"]))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=ROOT)
    assert 0 == done.returncode, done.stderr
    assert 0 < int(done.stdout.splitlines()[-1]) < 100
