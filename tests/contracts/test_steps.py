"""Every registered step keeps the contract: a new one is tested by being in its table."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from govlab import registry, testing
from govlab.step import Detector
from govlab.testing.steps import play, same

STEPS = [(room, name) for room in registry.STEP_ROOMS for name in registry.names(room)]
EVENTS = testing.sample_events(150, seed=7, entities=9, span_s=1_500)


@pytest.mark.parametrize(("room", "name"), STEPS)
def test_a_registered_step_keeps_the_contract_of_a_step_and_a_detector_that_of_a_detector(room, name):
    kind = registry.load(room, name)
    check = testing.check_detector if issubclass(kind, Detector) else testing.check_step
    check(kind.example())


@pytest.mark.parametrize(("room", "name"), STEPS)
def test_a_registered_step_does_not_look_ahead(room, name):
    testing.leak_check(registry.load(room, name).example())


@pytest.mark.parametrize("name", registry.names("alerts"))
def test_a_registered_step_of_alerts_alerts_on_every_day_though_scores_are_at_their_cap(name):
    testing.check_alerts(registry.load("alerts", name).example())


@cache
def whole(room, name):
    return play(registry.load(room, name).example(), EVENTS)


@pytest.mark.parametrize(("room", "name"), STEPS)
@given(cuts=st.lists(st.integers(1, 149), max_size=8), resume_at=st.one_of(st.none(), st.integers(1, 149)))
@settings(max_examples=8, deadline=None)
def test_what_a_registered_step_gives_does_not_depend_on_the_cuts(room, name, cuts, resume_at):
    step = registry.load(room, name).example()
    same(step, whole(room, name), play(step, EVENTS, cuts, resume_at), f"cutting at {sorted(cuts)} and resuming at {resume_at}")


@pytest.mark.parametrize(("room", "name"), STEPS)
def test_the_sample_makes_a_registered_step_give_rows(room, name):
    assert len(whole(room, name)[0])
