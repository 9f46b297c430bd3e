"""What a field may hold is declared on it: each registered step refuses what is beyond, takes what is within, and documents it."""

import dataclasses
import functools
import inspect
import math
import re
from typing import Annotated, Literal, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

import govlab as gl
from govlab import fields, registry
from govlab.detectors.events.review_learner import _MOST_FEATURES
from govlab.errors import ArgumentError
from govlab.zones import Zone

STEPS = [(room, name) for room in registry.STEP_ROOMS for name in registry.names(room)]
RULED = [(room, name, field) for room, name in STEPS for field, rule in registry.load(room, name)._rules.items() if rule]

# what no annotation can say: (step, wrong arguments beside those of its example, what the message must say)
RELATED = [
    ("anomaly_likelihood", {"short": 20}, "short=20 must not be above long=20 nor warm=5"),
    ("bocpd", {"lag": 10}, "warm=5; expected a whole number of at least 11"),
    ("budget", {"warm": "2d", "memory": "1d"}, "warm='2d' is longer than memory='1d'"),
    *(("callable", {"function": wrong}, "expected a function of a row") for wrong in ("f", None, 3)),
    ("cad_ose", {"history": 8}, "history=8; expected a whole number of at least 9"),
    ("cad_ose", {"places": 127}, "places=127; expected an even number"),
    *(("conform", {"schema": wrong}, "expected gl.Schema") for wrong in ({}, "int64")),
    ("conform", {"ranges": {"x": 1}}, r"ranges\['x'\]=1; expected"),
    *(("conform", {"ranges": {"x": wrong}}, "expected two numbers, the lower first") for wrong in ((2, 1), ("a", None))),
    *(("conform", {"allowed": {"x": wrong}}, "expected a list of values") for wrong in ("a", 5)),
    ("conformal_knn", {"history": 5}, "history=5; expected a whole number of at least 6"),
    ("conformal_knn", {"warm": 8}, "warm=8; expected a whole number of at least 9"),
    *((name, {"columns": [], "categories": []}, "expected a list of columns") for name in ("decayed_histogram", "input_drift", "mstream", "rs_hash")),
    *(("derive", {"columns": wrong}, "expected a mapping such as") for wrong in ("x = 1", None, 3)),
    ("derive", {"columns": {"x": ""}}, r"columns\['x'\]=''; expected an expression"),
    *(("entity_rate", {"into": wrong}, "expected the name of a new column") for wrong in ("time", "partition", "offset")),
    *(("fused", {"detectors": wrong}, "Fused") for wrong in ([], [gl.detectors.EwmaZ], ["ewma_z"], None, "ewma_z", 5)),
    ("fuzzy_art", {"scales": 3}, "warm=8; expected a whole number of at least 32"),
    ("fuzzy_art", {"history": 8}, "history=8; expected a whole number of at least 9"),
    *((name, {"guard": 1e-7}, "expected 0, or at least 1e-6") for name in ("half_space_trees", "kitnet", "loda")),
    *((name, {"guard": 0.05, "patience": 10}, "patience=10; expected a whole number of at least 20") for name in ("decayed_histogram", "mstream", "rs_hash")),
    ("hddm", {"low": 20}, "high=20.0; expected a number above low=20"),
    ("input_drift", {"block": 3, "window": 20}, "window=20; expected a whole number of at least 30"),
    ("input_drift", {"block": 3, "window": 31}, "block=3; expected a divisor of window=31 and reference=30"),
    ("input_drift", {"memory": 29}, "memory=29; expected a whole number of at least 30"),
    ("kitnet", {"mapping": 40}, "warm=40; expected a whole number of at least 41"),
    ("midas", {"ticks": "1min"}, "ticks='1min'; expected a list of durations"),
    ("midas", {"ticks": []}, r"ticks=\[\]; expected a list of durations"),
    *(("midas", {"ticks": [wrong]}, f"ticks='{wrong}' is not a duration") for wrong in ("soon", "3600")),
    ("near_duplicate", {"shingle": 4}, "least=3; expected a whole number of at least 4"),
    ("near_duplicate", {"most": 2}, "most=2; expected a whole number of at least 3"),
    *(("random", {"seed": wrong}, "expected a whole number") for wrong in (1.5, "1", None, True)),
    *(("rename", {"names": wrong}, "expected a mapping such as") for wrong in ("x", None, {"x": ""}, ["x"])),
    ("review_learner", {"audit": 0.6}, "audit=0.6 is part of share=0.5, so at most that"),
    ("review_learner", {"columns": [f"c{i}" for i in range(400)]}, f"81,002 features, .* takes 49 GiB; expected at most {_MOST_FEATURES:,}"),
    *(("river", {"model": wrong}, "expected score_one") for wrong in (3, "forest")),
    ("select", {"drop": ["x"]}, r"give columns=\[...\] to keep, or drop"),
    *(("sklearn", {"model": wrong}, "(expected one with fit|give it one)") for wrong in (None, 3, IsolationForest())),
    ("spot", {"guard": 0.3}, r"guard=0.3 must be below 1 - level=0.2"),
    *(("threshold", {"above": wrong}, "expected a number") for wrong in ("6", math.nan, True)),
    ("threshold", {"above": None}, "give either above=<score> or p_below=<probability>"),
    ("threshold", {"p_below": 0.1}, "give either above"),
    *(("where", {"condition": wrong}, "expected an expression such as") for wrong in (None, 3, "", " ")),
    *(("where", {"side": wrong}, "expected the name of a side") for wrong in ("", 3)),
    ("window_count", {"size": "90s"}, "size='90s' must be a multiple of every='1min'"),
    ("window_count", {"size": "10001min"}, "is over 10,000 times every='1min'"),
    ("window_count", {"every": "7h", "size": None, "zone": "Europe/Berlin"}, "expected whole days, or a length that divides a day"),
]  # fmt: skip
# fields without a rule, which the table above checks, but for the last: any number is a score
FREE = {
    ("callable", "function"), ("conform", "allowed"), ("conform", "ranges"), ("conform", "schema"), ("fused", "detectors"), ("midas", "ticks"),
    ("random", "seed"), ("river", "model"), ("sklearn", "model"), ("threshold", "above"), ("derive", "columns"), ("rename", "names"),
    ("where", "condition"), ("where", "side"), ("budget", "least"),
}  # fmt: skip


def rule_of(alias):
    return get_args(alias)[-1]


DURATIONS = ["", "soon", "-5s", 5, "5 bananas", "3600", "1.5", " 60 "]
LISTS = ["x", None, 3, [1]]
WORDS = {
    rule_of(fields.ColumnName): ["", 3, ["x"]],
    rule_of(fields.Columns): LISTS,
    rule_of(fields.SomeColumns): [*LISTS, []],
    rule_of(fields.Duration): [*DURATIONS, "0s"],
    rule_of(fields.Wait): DURATIONS,
    rule_of(Zone): ["Europe/Berlim", "", 1, "../etc"],
}


def bare(rule):
    """A rule without the None that it lets pass, and whether it lets it."""
    return (rule.args[0], True) if isinstance(rule, functools.partial) and rule.args else (rule, False)


def beyond(rule):
    """Draw what is just out of a range, or is no number at all."""
    low, odd = math.floor(rule.low), ["3", [1], True, math.nan, math.inf, -math.inf, 2**63, 10**30]
    drawn = [
        st.sampled_from(odd),
        st.integers(max_value=low - 1),
        st.floats(max_value=rule.low, exclude_max=isinstance(rule, fields.AtLeast)),
    ]
    if isinstance(rule, fields.Above):
        drawn.append(st.just(rule.low))
    if rule.whole:
        drawn = [*drawn[:2], st.sampled_from([low + 0.5, float(low + 2)])]
    if (high := rule.most if rule.most is not None else rule.below) is not None:
        drawn.append(
            st.integers(min_value=high + 1) if rule.whole else st.floats(min_value=high, exclude_min=rule.most is not None)
        )
    return st.one_of(drawn)


def within(rule):
    """Draw what is just in a range: large sizes would only take memory."""
    if rule.whole:
        high = min(rule.low + 40, *(edge for edge in (rule.most,) if edge is not None), 2**63)
        return st.integers(rule.low + isinstance(rule, fields.Above), high).flatmap(lambda n: st.sampled_from([n, np.int32(n)]))
    high = rule.most if rule.most is not None else rule.below
    return st.floats(
        rule.low, high, allow_nan=False, allow_infinity=False, exclude_min=isinstance(rule, fields.Above), exclude_max=rule.below is not None,
    )  # fmt: skip


def refusal(room, name, **arguments):
    """What a step says when it is made with other arguments than those of its example; None if it takes them."""
    try:
        dataclasses.replace(registry.load(room, name).example(), **arguments)
    except ArgumentError as error:
        return str(error)
    return None


def wrong_values(rule):
    rule, may_be_none = bare(rule)
    if isinstance(rule, fields.AtLeast):
        values = beyond(rule)
    elif isinstance(rule, functools.partial):
        values = st.sampled_from(["top", 1, ""])
    else:
        values = st.sampled_from(WORDS.get(rule, ["yes", 1, 0]))
    return values.filter(lambda value: value is not None) if may_be_none else st.one_of(st.none(), values)


@pytest.mark.parametrize(("room", "name", "field"), RULED)
@given(data=st.data())
@settings(max_examples=12, deadline=None)
def test_a_value_beyond_the_rule_of_a_field_is_refused_with_what_was_given_and_what_is_expected(room, name, field, data):
    kind = registry.load(room, name)
    value = data.draw(wrong_values(kind._rules[field]))
    said = refusal(room, name, **{field: value})
    assert said is not None
    assert said.startswith(f"{kind.__name__}: {field}={value!r}")
    assert re.search("expected .+|must be more than zero|must be zero or more", said)


BOUNDED = [
    (room, name, field)
    for room, name, field in RULED
    if isinstance(bare(registry.load(room, name)._rules[field])[0], fields.AtLeast)
]


@pytest.mark.parametrize(("room", "name", "field"), BOUNDED)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_a_value_within_the_range_of_a_field_is_taken_or_does_not_go_with_another_field(room, name, field, data):
    rule = bare(registry.load(room, name)._rules[field])[0]
    value = data.draw(within(rule))
    said = refusal(room, name, **{field: value})
    assert said is None or name in {step for step, _, _ in RELATED}
    assert f"number {'of ' * (not isinstance(rule, fields.Above))}{rule}." not in (said or "")
    kept = rule(value, "x: y")
    assert (value, False) == (kept, isinstance(kept, np.generic))


@pytest.mark.parametrize(("room", "name", "field"), BOUNDED)
def test_the_docstring_says_the_range_of_a_field(room, name, field):
    kind = registry.load(room, name)
    rule = bare(kind._rules[field])[0]
    declared = re.search(rf"^(?:\w+, )*{field}(?:, \w+)* : (.*)$", inspect.getdoc(kind), re.MULTILINE)
    assert declared
    assert f"{'int' if rule.whole else 'float'}, {rule}" in declared[1]


@pytest.mark.parametrize(("name", "arguments", "says"), RELATED, ids=str)
def test_what_does_not_go_together_is_refused_with_what_is_expected(name, arguments, says):
    (room,) = (room for room, known in STEPS if known == name)
    said = refusal(room, name, **arguments)
    assert said is not None
    assert re.search(says, said)


def test_each_field_of_a_registered_step_has_a_rule_or_is_one_that_its_check_looks_at():
    every = {(name, field.name) for room, name in STEPS for field in dataclasses.fields(registry.load(room, name)) if field.init}
    assert every - {(name, field) for _, name, field in RULED} == FREE
    assert {(name, field) for name, arguments, _ in RELATED for field in arguments} >= FREE - {("budget", "least")}


def test_a_step_of_ones_own_has_rules_too_and_a_subclass_may_change_them():
    class Loud(gl.Step):
        least: Annotated[float, fields.AtLeast(0)] | None = None
        side: Literal["left", "right"] = "left"

        def process(self, frame):
            return frame

    class Louder(Loud):
        least: float = -5.0

    with pytest.raises(ArgumentError, match=r"Loud: least=-1; expected a number of at least 0, or None\."):
        Loud(-1)
    with pytest.raises(ArgumentError, match=r"Louder: side='up'; expected one of 'left', 'right'\."):
        Louder(-1, "up")
    assert (None, 3) == (Loud(None).least, Loud(np.int64(3)).recipe()["least"])


def test_a_range_that_cannot_be_read_where_the_class_is_made_is_an_error_and_another_annotation_is_not():
    def made(annotation):
        return type("Loud", (gl.Step,), {"__annotations__": {"x": annotation}, "x": 1, "process": None, "__module__": __name__})

    assert made("Sequence[Unknown]")._rules == {"x": None}
    with pytest.raises(ArgumentError, match=r"Loud: x: Annotated.* cannot be read when the class is made"):
        made("Annotated[int, Unknown(1)]")
