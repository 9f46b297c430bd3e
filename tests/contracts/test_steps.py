"""Every registered step keeps the contract: a new one is tested by being in its table."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from govlab import registry, testing
from govlab.errors import CheckError
from govlab.step import Detector
from govlab.testing.samples import calm_events
from govlab.testing.scores import RULES, check_scores, planted
from govlab.testing.steps import play, same

STEPS = [(room, name) for room in registry.STEP_ROOMS for name in registry.names(room)]
EVENTS = testing.sample_events(150, seed=7, entities=9, span_s=1_500)

BASELINE = "a baseline that learns nothing: it says the same of the first row as of any other"
DRIFT = "tests all values up to now, the newest included, for a move of their mean, from the value with the number warm on"
EXEMPT = {
    "always": {"first": BASELINE},
    "callable": {"first": "the function of the example learns nothing"},
    "hddm": {"warm": DRIFT},
    "never": {"first": BASELINE},
    "page_hinkley": {"warm": DRIFT},
    "random": {"first": BASELINE},
    "volume": {"first": BASELINE},
}
# these look for a move of the level and pass over a single outlier
SHIFTED = ("adwin", "bocpd", "hddm", "input_drift", "page_hinkley", "review_learner")


@pytest.mark.parametrize(("room", "name"), STEPS)
def test_a_registered_step_keeps_the_contract_of_a_step_and_a_detector_that_of_a_detector(room, name):
    step = registry.load(room, name).example()
    if isinstance(step, Detector):
        odd = (planted(step, calm_events(), 2.0, 60), 60) if name in SHIFTED else None
        testing.check_detector(step, odd=odd, exempt=EXEMPT.get(name))
    else:
        testing.check_step(step)


def test_every_exemption_of_a_detector_is_needed_and_of_a_detector_in_the_table():
    assert sorted({*EXEMPT, *SHIFTED} - set(registry.names("detectors"))) == []
    for name, rules in EXEMPT.items():
        for rule in rules:
            with pytest.raises(CheckError):
                check_scores(registry.load("detectors", name).example(), exempt=dict.fromkeys(set(RULES) - {rule}, "another rule"))


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
