import math
import pickle

import numpy as np
import pytest
from drawn import column, cuts, frame_of, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_rates import fused

from govlab.detectors import AnomalyLikelihood, Calibrated, EwmaZ, Fused, RobustZ, Spot
from govlab.errors import ArgumentError, SchemaError
from govlab.pipeline import Pipeline
from govlab.prepare import Deduplicate
from govlab.step import Step

INNER = [EwmaZ("value", "key", warm=3), RobustZ("value", window=5, warm=4)]


@given(rows(), cuts, st.integers(2, 20), st.integers(1, 5), st.integers(0, 4), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_it_sums_the_evidence_as_the_naive_twin_does(drawn, cuts, window, warm, record, most):
    frame = frame_of(drawn)
    twin = fused(drawn, [column(step, frame, "score") for step in INNER], window, warm, record, most)
    actual = column(Fused(INNER, "key", window, warm, record, max_entities=most), frame, "score", cuts)
    assert twin == pytest.approx(actual, rel=1e-9, abs=1e-12, nan_ok=True)


def frame(values):
    return frame_of([{"time": 0, "key": None, "value": v, "item": None, "partition": 0, "offset": i} for i, v in enumerate(values)])


noise = np.random.default_rng(0).normal(10, 1, 400).tolist()
BOTH = Fused([EwmaZ("value", tail="both"), RobustZ("value")], warm=50)


def test_what_is_odd_to_all_detectors_scores_highest():
    assert 300 == int(np.nanargmax(column(BOTH, frame([*noise[:300], 30.0, *noise[300:]]), "score")))


def test_a_detector_that_says_nothing_adds_nothing():
    alone, beside = Fused(BOTH.detectors[:1], warm=50), Fused([BOTH.detectors[0], BOTH.detectors[0]], warm=50)
    one, two = (np.array(column(step, frame(noise), "score")) for step in (alone, beside))
    assert np.isnan(one).sum() == 55
    np.testing.assert_array_equal(2 * one, two)


def test_scores_that_are_evidence_already_are_summed_as_they_are():
    one, two = (np.array(column(step, frame(noise), "score")) for step in BOTH.detectors)
    np.testing.assert_array_equal((one + two)[10:], column(Fused(BOTH.detectors, ranked=False), frame(noise), "score")[10:])


def test_with_a_record_only_the_first_row_of_an_event_counts():
    recorded = Fused([EwmaZ("value")], warm=50, record=50)
    scores = np.array(column(recorded, frame([*noise[:300], 40.0, 40.0, 40.0, *noise[300:]]), "score"))
    assert scores[300] > 4 > 0 > scores[301:349].max()


def test_its_recipe_holds_the_recipes_of_its_detectors_and_makes_it_again():
    nested = Fused([RobustZ("value"), Pipeline(EwmaZ("value"), AnomalyLikelihood())], record=20, warm=20)
    again = Step.from_recipe(nested.recipe())
    assert nested.recipe() == again.recipe()
    assert ["robust_z", "govlab.pipeline:Pipeline"] == [part["step"] for part in nested.recipe()["detectors"]]
    np.testing.assert_array_equal(column(nested, frame(noise), "score"), column(again, frame(noise), "score"))


def test_a_fresh_copy_knows_nothing_and_a_pickled_one_goes_on():
    running = BOTH.fresh()
    running.process(frame(noise))
    assert np.isnan(running.fresh().process(frame(noise[:40]))["score"]).all()
    more = pickle.loads(pickle.dumps(running)).process(frame(noise))["score"]
    np.testing.assert_array_equal(running.process(frame(noise))["score"], more)


def test_the_detectors_given_stay_as_they_were():
    given = EwmaZ("value")
    Fused([given], warm=2).process(frame(noise))
    assert math.isnan(given.process(frame([1.0]))["score"].iloc[0])


@pytest.mark.parametrize("part", [Spot(give="p"), Deduplicate(), Pipeline(Deduplicate(), Calibrated())])
def test_a_part_that_gives_no_score_is_refused_as_that_of_a_step_before_would_be_ranked(part):
    with pytest.raises(ArgumentError, match="gives no score; expected instances of Detector"):
        Fused([EwmaZ("value"), part])


def test_a_pipeline_with_a_detector_in_it_gives_a_score():
    nested = Pipeline(EwmaZ("value"), Calibrated())
    np.testing.assert_array_equal(*(column(Fused([p], warm=20), frame(noise), "score") for p in (nested, EwmaZ("value"))))


def test_an_entity_inherits_nothing_though_a_frame_was_refused_in_between():
    step = Fused([EwmaZ("value")], "key", warm=20, max_entities=1)
    known = frame(noise).assign(key="a")
    step.process(known)
    with pytest.raises(SchemaError, match="does not hold numbers"):
        step.process(known.assign(key="b", value="x"))
    assert np.isnan(step.process(known.assign(key="b"))["score"]).sum() == 20


def test_a_detector_that_lacks_its_column_says_which():
    with pytest.raises(SchemaError, match="'nothing'"):
        Fused([EwmaZ("nothing")]).process(frame(noise))
