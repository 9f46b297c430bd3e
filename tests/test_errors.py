import copy
import dataclasses
import inspect
import pickle

import pytest

import govlab as gl
from govlab import errors, registry
from govlab.arguments import fitting
from govlab.errors import ArgumentError, CallError, SchemaError, did_you_mean
from govlab.testing import sample_events

STEPS = [(room, name) for room in registry.STEP_ROOMS for name in registry.names(room)]


@pytest.mark.parametrize(("room", "name"), STEPS)
def test_an_argument_that_does_not_exist_is_refused_with_the_nearest_and_all(room, name):
    kind = registry.load(room, name)
    fields = [field.name for field in dataclasses.fields(kind) if field.init]
    for field in fields or ["column"]:
        wrong = field + field[-1]
        with pytest.raises(ArgumentError) as caught:
            kind(**{wrong: "x"})
        assert f"{kind.__name__} has no argument {wrong!r}. {did_you_mean(wrong, fields)}" == str(caught.value)
        assert not fields or f"Did you mean {field!r}?" in str(caught.value)
    with pytest.raises(TypeError, match=f"{kind.__name__} takes at most {len(fields)} arguments without a name"):
        kind(*range(len(fields) + 1))
    with pytest.raises(CallError):
        kind(colum="x")  # whoever caught Python's TypeError still does


FUNCTIONS = [
    *(function for name in gl.__all__ if inspect.isfunction(function := getattr(gl, name))), gl.engines.flink.submit,
    gl.testing.check_step, gl.testing.check_detector, gl.testing.leak_check, gl.engines.local.Local.run, gl.engines.streams.Streams.run,
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__qualname__)
def test_a_public_function_names_the_nearest_argument_and_all(function):
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):  # they are those of the readers
        assert function is gl.from_rabbitmq
        return
    names = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
    for name in names:
        wrong = name + name[-1]
        with pytest.raises(CallError) as caught:
            function(**{wrong: 1})
        assert f"{function.__name__} has no argument {wrong!r}. {did_you_mean(wrong, names)}" == str(caught.value)
    if function is not gl.run:  # which takes any number of sources
        with pytest.raises(CallError, match="arguments without a name"):
            function(*range(len(names) + 2))


@pytest.mark.parametrize("name", registry.names("sources"))
def test_a_reader_names_the_nearest_argument_before_it_asks_a_server(name):
    kind = registry.load("sources", name)
    with pytest.raises(CallError, match=f"{kind.__name__} has no argument 'shema'. Did you mean 'schema'?"):
        kind("edits", shema=gl.Schema({"time": "timestamp"}))


def test_options_that_a_function_hands_on_are_named_where_they_are_taken():
    with pytest.raises(CallError, match=r"run has no argument 'max_row'\. Did you mean 'max_rows'\?"):
        gl.Pipeline(gl.detectors.Always()).run(sample_events(3), max_row=2)
    with pytest.raises(CallError, match=r"Pipeline has no argument 'ahed'\. Did you mean 'ahead'\?"):
        gl.Pipeline(gl.detectors.Always(), ahed="1h")


def test_an_argument_that_is_missing_or_given_twice_is_named_with_all():
    with pytest.raises(CallError, match=r"backtest: missing a required argument: 'labels'\. There are: pipeline, source, labels"):
        gl.backtest(gl.detectors.Always(), sample_events(3))
    with pytest.raises(CallError, match=r"EwmaZ: multiple values for argument 'column'\. There are: column, by"):
        gl.detectors.EwmaZ("value", column="count")


def test_a_type_error_from_within_a_function_stays_what_it_was():
    def factory(source):
        raise TypeError("of the user's own")

    with pytest.raises(TypeError, match="of the user's own") as caught:
        fitting(factory)("x")
    assert TypeError is caught.type


def test_steps_and_readers_are_copied_and_pickled_although_they_look_at_their_arguments():
    step, reader = gl.detectors.River(type("Model", (), {"score_one": 0, "learn_one": 0})(), ["x"]), gl.sources.FrameReader([])
    assert (step.columns, reader.made) == (copy.copy(step).columns, copy.copy(reader).made)
    threshold = gl.alerts.Threshold(above=3.0)
    assert threshold.recipe() == pickle.loads(pickle.dumps(threshold)).recipe()


def needs(step):
    named = [getattr(step, field, None) for field in ("column", "by", "value", "distinct", "id", "score", "entity")]
    several = [getattr(step, field, None) for field in ("columns", "categories")]
    named += [c for some in several if isinstance(some, tuple) for c in some]
    return sorted({c for c in named if isinstance(c, str)})


@pytest.mark.parametrize(("room", "name"), [step for step in STEPS if needs(registry.load(*step).example())])
def test_a_column_that_is_missing_is_named_with_the_step_and_the_nearest(room, name):
    step, events = registry.load(room, name).example(), sample_events(20)
    for column in needs(step):
        with pytest.raises(SchemaError, match=f"{type(step).__name__} needs a column '{column}'. Did you mean '{column}_'"):
            step.fresh().process(events.rename(columns={column: f"{column}_"}))


def test_every_error_is_in_the_tree_and_may_be_caught_as_what_python_calls_it():
    made = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]
    assert all(issubclass(kind, errors.GovlabError) for kind in made)
    assert (True, True, True, True, True) == (
        issubclass(CallError, TypeError), issubclass(ArgumentError, ValueError), issubclass(SchemaError, ValueError), issubclass(errors.MissingExtraError, ImportError),
        issubclass(errors.CheckError, AssertionError),
    )  # fmt: skip
    assert set(made) == {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)}


def test_the_hint_names_the_nearest_word_and_all_words():
    assert "Did you mean 'count'? There are: count, time." == did_you_mean("cout", ["time", "count"])
    assert "There are: none." == did_you_mean("x", [])


def test_a_name_that_is_in_no_table_is_refused_with_the_nearest():
    with pytest.raises(ArgumentError, match=r"govlab.detectors has no 'ewma'\. Did you mean 'ewma_z'\?"):
        registry.load("detectors", "ewma")
    with pytest.raises(ArgumentError, match=r"there is no room 'detector'\. Did you mean 'detectors'\?"):
        registry.names("detector")


def test_the_package_that_is_missing_is_named_with_the_command(monkeypatch):
    monkeypatch.setitem(registry.table("detectors"), "absent", ("no_such_package:Absent", "pip install 'govlab[absent]'"))
    with pytest.raises(
        errors.MissingExtraError,
        match=r"govlab.detectors.Absent needs the package 'no_such_package': pip install 'govlab\[absent\]'",
    ):
        registry.load("detectors", "absent")


def test_an_error_in_a_notebook_is_its_message_and_the_users_own_line_and_the_trace_is_one_call_away(capsys):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.run_cell("import govlab as gl")
    capsys.readouterr()
    shell.run_cell("x = 1\ngl.from_replay('nowhere.csv')")
    shown = capsys.readouterr().out.strip().splitlines()
    assert 3 == len(shown)
    assert shown[0].startswith("SourceError: there is no file at 'nowhere.csv'")
    assert "in line 2 of the cell: gl.from_replay('nowhere.csv')" in shown[1]
    errors.show_trace()
    trace = capsys.readouterr().out
    assert "Traceback (most recent call last)" in trace
    assert "govlab/sources/" in trace
    InteractiveShell.clear_instance()


def test_an_error_of_a_step_of_ones_own_shows_the_line_that_raised():
    import govlab as gl

    class Bad(gl.Step):
        def process(self, frame):
            return 1 / 0

    with pytest.raises(errors.StepError) as caught:
        gl.Pipeline(Bad()).run(sample_events(5))
    assert any("of process: return 1 / 0" in line for line in caught.value._render_traceback_())
