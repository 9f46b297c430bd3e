"""What editors and type checkers see of the API, without running it and with it."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import jedi
import pytest
from streamz import Stream

import govlab as gl

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LAZY = [file for file in sorted((ROOT / "govlab").rglob("__init__.py")) if "lazy_room(" in file.read_text()]


def package(file):
    return importlib.import_module(".".join(file.parent.relative_to(ROOT).parts))


def typed(file):
    """The names that a package imports for type checkers, with what each is."""
    (block,) = (node for node in ast.parse(file.read_text()).body if isinstance(node, ast.If))
    assert "TYPE_CHECKING" == ast.unparse(block.test)
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.name == alias.asname, "only `import x as x` passes a name on to others"
            found[alias.asname] = getattr(importlib.import_module(node.module), alias.name)
    return found


@pytest.mark.parametrize("file", LAZY, ids=lambda file: file.parent.name)
def test_type_checkers_see_what_runs(file):
    room = package(file)
    expected = {name: getattr(room, name) for name in dir(room) if name != "__version__"}
    assert expected == typed(file)


def test_every_package_whose_names_are_loaded_late_does_it_in_the_one_way():
    other = [file for file in (ROOT / "govlab").rglob("*.py") if re.search(r"^def __(getattr|dir)__", file.read_text(), re.M)]
    assert [] == other
    assert 14 <= len(LAZY)


@pytest.mark.parametrize("file", LAZY, ids=lambda file: file.parent.name)
def test_no_name_is_also_that_of_a_module_which_would_take_its_place_once_it_is_loaded(file):
    room = package(file)
    modules = {module.name for module in pkgutil.iter_modules([str(file.parent)])}
    assert [] == [
        n for n in sorted(modules & set(dir(room))) if getattr(room, n) is not importlib.import_module(f"{room.__name__}.{n}")
    ]


@pytest.mark.parametrize("file", LAZY, ids=lambda file: file.parent.name)
def test_a_name_that_is_not_there_is_answered_with_the_nearest_and_all(file):
    room = package(file)
    name = next(name for name in dir(room) if len(name) > 3)
    every = ", ".join(sorted(dir(room)))
    with pytest.raises(AttributeError) as caught:
        getattr(room, name[:-1])
    assert f"{room.__name__} has no {name[:-1]!r}. Did you mean" in str(caught.value)
    assert str(caught.value).endswith(f"There are: {every}.")


def test_a_type_checker_passes_right_calls_and_names_each_wrong_line(tmp_path):
    wrong = {
        number: line.partition("# wrong: ")[2]
        for number, line in enumerate((HERE / "wrong.py").read_text().splitlines(), 1)
        if "# wrong: " in line
    }
    # as for an installed package: no settings of ours, and no errors in files of ours
    command = [sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent", f"--cache-dir={tmp_path}"]
    ran = subprocess.run([*command, HERE / "right.py", HERE / "wrong.py"], cwd=ROOT, capture_output=True, text=True)
    found = re.findall(r"^(\S+):(\d+): error: (.*)$", ran.stdout, re.M)
    assert {("wrong.py", number) for number in wrong} == {(Path(file).name, int(number)) for file, number, _ in found}, ran.stdout
    assert [] == [(number, said) for _, number, said in found if wrong[int(number)] not in said]


def completed(code):
    return [one.name for one in jedi.Script(f"import govlab as gl\n{code}").complete()]


def test_an_editor_completes_names_and_shows_signatures_without_running_anything():
    assert "EwmaZ" in completed("gl.detectors.Ew")
    assert ["run_until"] == completed("gl.from_replay('edits.csv').run_u")
    assert ["sides"] == completed("gl.from_replay('edits.csv').through(gl.Pipeline()).side")
    (signature,) = jedi.Script("import govlab as gl\ngl.detectors.EwmaZ(").get_signatures()
    assert (
        'EwmaZ(column: ColumnName="count", by: ColumnName | None=None, alpha: Annotated[float, Above(0, most=1)]=0.1'
        in signature.to_string()
    )


def test_dir_of_the_package_is_its_public_names():
    expected = [
        "Access", "Detector", "Pipeline", "Result", "Schema", "Sharded", "Step", "Summary", "__version__", "alerts", "backtest",
        "clock", "compare", "datasets", "detectors", "engines", "errors", "evaluation", "event_frame", "features", "from_kafka",
        "from_rabbitmq", "from_reader", "from_replay", "plots", "prepare", "registry", "run", "services", "sinks", "sources",
        "stores", "testing", "tune",
    ]  # fmt: skip
    assert expected == dir(gl)


def test_dir_of_a_source_is_how_to_play_it_and_what_may_follow_it():
    source = gl.from_replay(gl.datasets.path("wiki_edits"))
    playing = {"evidence", "pause", "redrive", "resume", "run_until", "seek", "start", "status", "step", "stop"}
    telling = {"clock", "dead", "error", "event_us", "events", "letters", "position", "reader", "rewound", "state"}
    following = {"accumulate", "filter", "map", "sink", "sink_to_list", "through", "to_kafka", "to_rabbitmq", "union", "visualize"}
    shown = set(dir(source))
    assert playing | telling | following <= shown
    assert all(hasattr(source, name) for name in shown)
    streamz = shown - playing - telling - following
    assert all(hasattr(Stream, name) for name in streamz - {"name", "downstreams", "upstreams"})
    assert not {"advance", "from_iterable", "give", "mend", "register_api", "tick", "unsaved", "update"} & shown
    assert 50 > len(shown)


def test_dir_of_a_pipeline_on_a_stream_has_its_sides_and_no_playing():
    shown = set(dir(gl.from_replay(gl.datasets.path("wiki_edits")).through(gl.alerts.Threshold(3.0))))
    assert {"sides", "state", "error", "through", "map", "sink"} <= shown
    assert not {"start", "seek", "snapshot", "muted", "restore"} & shown


def test_dir_of_a_node_shows_what_a_user_adds_to_streamz(monkeypatch):
    def to_nowhere(upstream):
        return upstream

    source = gl.from_replay(gl.datasets.path("wiki_edits"))
    assert "to_nowhere" not in dir(source)
    monkeypatch.setattr(Stream, "to_nowhere", None, raising=False)  # so that it is gone afterwards
    Stream.register_api()(to_nowhere)
    assert "to_nowhere" in dir(source)
