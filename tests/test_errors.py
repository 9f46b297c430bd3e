import copy
import dataclasses
import inspect
import math
import pickle

import pytest
from sklearn.ensemble import IsolationForest

import govlab as gl
from govlab import errors, registry
from govlab.arguments import fitting
from govlab.errors import ArgumentError, CallError, SchemaError, did_you_mean
from govlab.testing import sample_events

COUNTS = [0, -1, 1.5, "3", None, True, math.nan]
NAMES = [
    ("column", [None, ["x"], 5], "expected the name of a column"),
    ("by", [["x"], 5], "expected the name of a column, or None"),
]
DURATIONS = ["", "soon", "-5s", None, 5, "5 bananas", "3600", "1.5", " 60 "]
TAIL = [("tail", ["top", None, 1], "expected one of 'upper', 'lower', 'both'")]
MODEL = IsolationForest(n_estimators=2, random_state=1)


def counts(*names, wrong=COUNTS):
    return [(name, wrong, "expected a whole number of at least") for name in names]


def durations(*names, zero=False, none=False):
    wrong = [d for d in DURATIONS if not (none and d is None) and not (zero and d == 5)]
    return [
        (name, wrong if zero else [*wrong, "0s"], "(is not a duration; expected text such as|must be (zero or )?more)")
        for name in names
    ]


ALPHA = [("alpha", [0, -0.1, 1.1, "1", None, math.nan, True], "expected a number above 0 and at most 1")]
FLOOR = [("floor", [0, -1, 1e-170, 1e160, "1", None, math.nan, math.inf], "expected a number above 1e-150 and at most")]
COLUMNS = [("columns", ["x", [], None], "expected a list of columns, such as")]
CATEGORIES = [("categories", ["x", None, 3], "expected a list of columns, such as")]
GUARD = [("guard", [-0.1, 0.6, "1", None, math.nan], "expected"), ("patience", [10], "expected a whole number of at least")]
SEED = [("seed", [-1, 1.5, "1", None, True], "expected a whole number of at least")]


def names(*fields, wrong=(None, "", 3, ["x"])):
    return [(name, wrong, "expected the name of a column") for name in fields]


LARGE = [2**63, 10**30]

# for each step: what more it needs, and (field, wrong values, what the message must say was expected)
ZONE = [("zone", ["Europe/Berlim", "", None, 1, "../etc"], "is no time zone; expected an IANA name")]
WRONG = {
    "adwin": ({}, counts("every", "buckets", "warm", "max_entities") + durations("expire") + [("delta", [0, 1, -1, "1", None], "expected a number"), ("span", [0, "1", math.nan], "expected a number above 0"), ("hold", [-1, 1.5], "expected a whole number")]),
    "always": ({}, []),
    "anomaly_likelihood": ({}, counts("short", "long", "warm", "max_entities") + FLOOR + durations("expire")),
    "bocpd": ({}, counts("lag", "runs", "memory", "warm", "max_entities") + durations("expire") + [("every", [1, "1", None, math.nan], "expected a number above 1"), ("run_length", ["yes", 1], "expected True or False"), ("hold", [-1, 1.5], "expected a whole number")]),
    "budget": ({}, counts("per_day") + durations("memory") + durations("warm", zero=True) + durations("cooldown", zero=True, none=True)),
    "cad_ose": ({}, counts("bits", "history", "places", "warm", "max_entities") + durations("expire") + [("record", [-1, 1.5], "expected a whole number")]),
    "calibrated": ({}, counts("window", "warm", "max_entities") + NAMES[1:]),
    "callable": ({}, [("function", ["f", None, 3], "expected a function of a row")]),
    "co_action": ({}, counts("least", "warm", "named", "max_per_object", "max_entities", "max_pairs", "max_members", "max_campaigns") + durations("window", "halflife") + [("join", [0, "1", None], "expected a number above 0"), ("join", LARGE, "below 2"), ("least", [2**63], "below 2")] + names("actor", "object")),
    "conform": ({}, [("schema", [{}, "int64"], "expected gl.Schema"), ("ranges", [{"x": 1}, {"x": (2, 1)}], "expected"), ("allowed", [{"x": "a"}], "expected a list")]),
    "conformal_knn": ({}, counts("k", "shape", "history", "calibration", "warm", "max_entities") + counts("record", wrong=[-1, 1.5, "3", None, True])),
    "cooldown": ({}, durations("per")),
    "decayed_histogram": ({}, counts("halflife", "warm", "patience") + COLUMNS + CATEGORIES + GUARD),
    "deduplicate": ({}, counts("max_entities") + durations("within")),
    "derive": ({}, [("columns", ["x = 1", None, 3], "expected a mapping such as")]),
    "entity_rate": ({}, counts("max_entities") + NAMES[1:] + durations("halflife", "per", "expire") + [("into", ["", "time"], "expected the name of a new column")]),
    "ewma_z": ({}, counts("warm", "max_entities") + ALPHA + FLOOR + TAIL + durations("expire")),
    "fused": ({"detectors": [registry.load("detectors", "ewma_z")("value")]}, [*counts("window", "warm", "max_entities"), ("ranked", ["yes", 1], "expected True or False"), ("record", [-1, 1.5], "expected a whole number")]),
    "fuzzy_art": ({}, counts("scales", "categories", "warm", "history", "max_entities") + durations("expire") + [("vigilance", [0, 2, "1", None], "expected a number above 0")]),
    "half_space_trees": ({}, [*counts("trees", "depth", "window"), ("depth", [16], "expected at most 15"), *COLUMNS, GUARD[0], *counts("patience")]),
    "hddm": ({}, counts("warm", "max_entities") + TAIL + durations("expire") + [("level", [0, 1, 1e-320, "1", None], "expected a number"), ("low", [-1e308, None], "expected a number above"), ("high", [0, 1e308], "expected a number above"), ("hold", [-1, 1.5], "expected a whole number")]),
    "input_drift": ({"columns": ["x"]}, [*counts("window", "reference", "every", "block", "bins"), *SEED, ("columns", ["x", 5, None], "expected a list of columns"), ("categories", ["x", 5, None], "expected a list of columns"), ("level", [0, 1e-200, 0.6, "1", None], "expected a number above 1e-100 and at most 0.5"), ("memory", [999], "expected a whole number of at least 1000")]),
    "kitnet": ({}, counts("group", "mapping", "warm", "patience") + COLUMNS + GUARD + SEED + [(field, [0, -1, 1.5, "1", None, math.nan], "expected a number above 0 and at most 1") for field in ("hidden", "rate")]),
    "loda": ({}, counts("projections", "halflife", "warm", "patience") + COLUMNS + GUARD + SEED),
    "merge": ({}, durations("within")),
    "midas": ({}, [*counts("rows", "width"), ("ticks", ["1min", [], None], "expected a list of durations, such as"), ("alpha", [-0.1, 1, math.nan], "expected a number"), ("threshold", [0, "1", None], "expected a number above 0"), ("threshold", LARGE, "below 2"), *names("source", "target")]),
    "mstream": ({}, counts("halflife", "warm", "patience") + durations("every") + COLUMNS + CATEGORIES + GUARD + SEED + [("alpha", [0, 1, -0.1, "1", None, math.nan], "expected a number above 0 and at most 0.999")]),
    "near_duplicate": ({}, counts("shingle", "memory", "warm") + durations("window") + [("join", [0, 2, "1"], "expected a number above 0 and at most 1"), ("background", [1, "1", None], "expected a number above 1"), ("background", LARGE, "below 2"), ("join", LARGE, "below 2"), ("memory", [2**63], "below 2")] + names("text") + names("author", wrong=["", 3])),
    "never": ({}, []),
    "page_hinkley": ({}, [*counts("warm", "max_entities"), ("tail", ["top", None, 1], "expected one of 'both', 'upper', 'lower'"), *durations("expire"), ("units", ["metres", None], "expected one of 'deviations', 'raw'"), ("threshold", [0, 1e-200, "1", None], "expected a number above 1e-150"), ("delta", [-1, math.inf, "1"], "expected a number of at (least 0|most)"), ("alpha", [0, 2], "expected a number above 0 and at most 1")]),
    "random": ({}, [("seed", [1.5, "1", None, True], "expected a whole number")]),
    "rename": ({}, [("names", ["x", None, {"x": ""}, ["x"]], "expected a mapping such as")]),
    "review_learner": ({}, counts("window", "warm", "max_pending") + counts("early", "halflife", wrong=[-1, 1.5, "3", None]) + COLUMNS + SEED + [("share", [0, 1.1, "1", None, math.nan], "expected a number above 0 and at most 1"), ("audit", [-0.1, "1", None, math.nan], "expected a number of at least 0"), ("audit", [0.06], "at most that"), ("clip", [0.5, "1", None, math.nan], "expected a number of at least 1"), ("clip", LARGE, "below 2"), ("products", ["no", 0, None], "expected True or False")] + names("id", "label") + names("prior", wrong=["", 3])),
    "river": ({"model": type("Model", (), {"score_one": 0, "learn_one": 0})(), "columns": ["x"]}, counts("warm", wrong=[-1, 1.5, "3", None]) + COLUMNS + [("model", [None, 3], "expected score_one")]),
    "robust_z": ({}, counts("window", "warm", "max_entities") + FLOOR + TAIL + durations("expire")),
    "role_shift": ({}, counts("memory", "warm", "max_entities", "max_pairs") + durations("halflife") + [("memory", [2**63], "below 2")] + names("source", "target")),
    "rs_hash": ({}, counts("components", "sample", "halflife", "warm", "patience") + COLUMNS + CATEGORIES + GUARD + SEED),
    "select": ({}, [(field, ["x", [""], [3]], "expected a list of names of columns") for field in ("columns", "drop")]),
    "seasonal_count": ({}, counts("warm", "max_entities") + ALPHA + TAIL + durations("expire") + ZONE),
    "sklearn": ({"model": MODEL, "columns": ["x"]}, counts("refit", "window", "warm") + COLUMNS + [("model", [None, 3, IsolationForest()], "(expected one with fit|give it one)")]),
    "spot": ({}, counts("window", "warm", "refit", "max_entities") + TAIL + durations("expire") + [("level", [0, 2, "1", None], "expected a number above 0"), ("give", ["q", None], "expected one of 'score', 'p'"), ("guard", [0, "1"], "expected a number above 0")]),
    "threshold": ({}, [("above", ["6", math.nan, True], "expected a number"), ("p_below", [0, 2, "1"], "expected a number above 0 and at most 1")]),
    "volume": ({}, []),
    "where": ({"condition": "x == 1"}, [("condition", [None, 3, "", " "], "expected an expression such as"), ("side", ["", 3], "expected the name of a side")]),
    "window_count": ({}, counts("max_entities") + durations("every", "expire") + durations("size", none=True) + durations("lateness", zero=True) + [("size", ["90s"], "must be a multiple of every='1min'")] + ZONE),
}  # fmt: skip
for _name in (
    "adwin",
    "anomaly_likelihood",
    "bocpd",
    "cad_ose",
    "conformal_knn",
    "ewma_z",
    "fuzzy_art",
    "hddm",
    "page_hinkley",
    "robust_z",
    "seasonal_count",
    "spot",
):
    WRONG[_name][1].extend(NAMES)
STEPS = [(room, name) for room in registry.STEP_ROOMS for name in registry.names(room)]
CASES = [
    (room, name, field, value, says)
    for room, name in STEPS
    for field, wrong, says in WRONG.get(name, ({}, []))[1]
    for value in wrong
]


@pytest.mark.parametrize(("room", "name"), STEPS)
def test_every_registered_step_is_in_the_table_of_wrong_arguments(room, name):
    assert name in WRONG


@pytest.mark.parametrize(("room", "name", "field", "value", "says"), CASES)
def test_a_wrong_argument_is_refused_with_what_was_given_and_what_is_expected(room, name, field, value, says):
    kind = registry.load(room, name)
    with pytest.raises(ArgumentError, match=says) as caught:
        kind(**WRONG[name][0] | {field: value})
    shown = repr(value) if not isinstance(value, dict) or field == "schema" else repr(next(iter(value.values())))
    assert str(caught.value).startswith(f"{kind.__name__}: {field}")
    assert shown in str(caught.value)


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
