import itertools
import math
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import conformal_knn

from govlab.detectors.metrics.conformal_knn import ConformalKnn
from govlab.errors import SchemaError
from govlab.frames import event_frame

SMALL = {"k": 2, "shape": 4, "history": 30, "calibration": 25, "record": 5, "warm": 12}


def frame_of(values, **columns):
    times = pd.date_range("2026-03-02", periods=len(values), freq="5min", tz="UTC")
    return event_frame({"time": times, "value": values, **columns})


def noisy(n, seed=0):
    return np.random.default_rng(seed).normal(size=n)


def run(detector, frame, cuts=()):
    edges = [0, *sorted(cuts), len(frame)]
    return np.concatenate([detector.score_learn_many(frame.iloc[a:b]) for a, b in itertools.pairwise(edges)])


# whole numbers tie often, tenths add rounding, None is missing; 200 rows wrap every ring and move the past often
numbers = st.lists(
    st.one_of(st.integers(0, 3).map(float), st.floats(-5, 5).map(lambda v: round(v, 1)), st.none()),
    min_size=0,
    max_size=200,
)


@given(numbers)
@settings(deadline=None)
def test_it_scores_as_the_naive_twin_does(values):
    scores = ConformalKnn(**SMALL).score_learn_many(pd.DataFrame({"value": pd.Series(values, dtype="float64")}))
    np.testing.assert_allclose(scores, conformal_knn(values, **SMALL), rtol=1e-12, atol=1e-12)


@given(numbers, st.data())
@settings(deadline=None)
def test_the_scores_do_not_depend_on_the_cut(values, data):
    who = [data.draw(st.sampled_from(["a", "b", "c", None])) for _ in values]
    frame = pd.DataFrame({"value": pd.Series(values, dtype="float64"), "who": pd.Series(who, dtype="object")})
    cuts = data.draw(st.lists(st.integers(0, len(values)), max_size=5))
    recipe = SMALL | {"by": "who", "max_entities": 3}
    whole, cut = ConformalKnn(**recipe), ConformalKnn(**recipe)
    assert run(whole, frame).tobytes() == run(cut, frame, cuts).tobytes()
    assert pickle.dumps(whole._entities) == pickle.dumps(cut._entities)


def test_one_row_at_a_time_scores_as_all_rows_at_once():
    frame = frame_of(noisy(300))
    assert run(ConformalKnn(**SMALL), frame).tobytes() == run(ConformalKnn(**SMALL), frame, range(1, 300)).tobytes()


def test_score_one_and_learn_one_score_as_the_fast_way_does():
    frame = frame_of(noisy(150), who=["a", "b", "b"] * 50)
    slow, fast = ConformalKnn(**SMALL, by="who"), ConformalKnn(**SMALL, by="who")
    scores = []
    for row in frame.to_dict("records"):
        scores.append(slow.score_one(row))
        slow.learn_one(row)
    assert np.array(scores).tobytes() == fast.score_learn_many(frame).tobytes()


def test_score_one_changes_nothing():
    detector = ConformalKnn(**SMALL)
    detector.score_learn_many(frame_of(noisy(90)))
    before = pickle.dumps(detector._entities)
    first = detector.score_one({"value": 7.0})
    assert (detector.score_one({"value": 7.0}), pickle.dumps(detector._entities)) == (first, before)


def test_a_later_value_does_not_change_an_earlier_score():
    values = noisy(200)
    changed = np.append(values[:150], values[150:] * 1e6)
    before, after = (ConformalKnn(**SMALL).score_learn_many(frame_of(v))[:150] for v in (values, changed))
    assert before.tobytes() == after.tobytes()


def test_it_goes_on_exactly_after_pickling():
    frame = frame_of(noisy(200), who=["a", "b"] * 100)
    detector = ConformalKnn(**SMALL, by="who")
    whole = ConformalKnn(**SMALL, by="who").score_learn_many(frame)
    first = detector.score_learn_many(frame.iloc[:77])
    second = pickle.loads(pickle.dumps(detector)).score_learn_many(frame.iloc[77:])
    assert np.append(first, second).tobytes() == whole.tobytes()


def test_it_gives_nan_until_warm():
    scores = ConformalKnn().score_learn_many(frame_of(noisy(200)))
    assert np.isnan(scores[:150]).all()
    assert not np.isnan(scores[150:]).any()


@pytest.mark.parametrize("gap", [math.nan, math.inf, -math.inf, 1e160])
def test_a_value_that_is_not_finite_scores_nan_and_is_not_learned(gap):
    values = noisy(100)
    detector, other = ConformalKnn(**SMALL), ConformalKnn(**SMALL)
    scores = detector.score_learn_many(frame_of(np.insert(values, 60, gap)))
    assert math.isnan(scores[60])
    assert np.delete(scores, 60).tobytes() == other.score_learn_many(frame_of(values)).tobytes()
    assert math.isnan(detector.score_one({"value": gap}))


def test_a_value_never_seen_scores_highest():
    values = np.tile([1.0, 2.0, 3.0, 2.0], 100)
    values[350] = 9.0
    assert np.nanargmax(ConformalKnn().score_learn_many(frame_of(values))) == 350


def test_known_values_in_a_new_order_score_highest():
    values = np.tile([1.0, 2.0, 3.0, 4.0], 100)
    values[350:370] = 2.0
    assert np.nanargmax(ConformalKnn(shape=4).score_learn_many(frame_of(values))) in range(350, 370)


def test_a_row_that_is_no_local_record_scores_zero_or_less():
    values = noisy(600)
    values[300:330] = 50.0
    scores = ConformalKnn().score_learn_many(frame_of(values))
    assert scores[300] > 0
    assert (scores[301:330] > 0).sum() <= 3  # the third neighbour of the fourth strange value is strange itself


def test_all_values_equal_are_nowhere_a_record_after_the_first_score():
    scores = ConformalKnn().score_learn_many(frame_of(np.full(400, 5.0)))
    assert (scores[150:] <= 0).all()


def test_huge_values_give_no_nan_and_do_not_spoil_later_scores():
    values = noisy(600)
    values[200] = 1e149
    scores = ConformalKnn().score_learn_many(frame_of(values))
    assert scores[200] > 0
    assert not np.isnan(scores[150:]).any()


def test_the_scale_of_the_values_does_not_matter():
    values = noisy(300)
    scores = [ConformalKnn().score_learn_many(frame_of(values * scale)).tobytes() for scale in (1.0, 2.0**10)]
    assert scores[0] == scores[1]


def test_entities_do_not_touch_each_other():
    a, b = noisy(200, 1), noisy(200, 2)
    both = frame_of(np.column_stack([a, b]).ravel(), who=["a", "b"] * 200)
    scores = ConformalKnn(**SMALL, by="who").score_learn_many(both)
    assert scores[::2].tobytes() == ConformalKnn(**SMALL).score_learn_many(frame_of(a)).tobytes()


def test_an_entity_beyond_the_bound_scores_nan_and_is_not_kept():
    frame = frame_of(noisy(300), who=["a", "b", "c"] * 100)
    detector = ConformalKnn(**SMALL, by="who", max_entities=2)
    scores = detector.score_learn_many(frame)
    assert np.isnan(scores[2::3]).all()
    assert not np.isnan(scores[60:][np.arange(240) % 3 < 2]).any()
    assert list(detector._entities) == ["a", "b"]


def test_memory_is_bounded():
    detector = ConformalKnn(**SMALL)
    sizes = set()
    for _ in range(20):
        detector.score_learn_many(frame_of(noisy(500)))
        sizes.add(len(pickle.dumps(detector)))
    assert max(sizes) - min(sizes) < 20  # counts of more digits
    assert max(sizes) < 3000


def test_process_adds_the_score_and_leaves_the_frame_alone():
    frame = frame_of(noisy(20))
    out = ConformalKnn(**SMALL).process(frame)
    assert (list(out.columns), list(frame.columns)) == (
        ["time", "value", "partition", "offset", "score"],
        ["time", "value", "partition", "offset"],
    )


@pytest.mark.parametrize("dtype", ["int64", "Int64", "float32", "bool", "object"])
def test_numbers_of_any_type_are_taken(dtype):
    values = pd.Series([0, 1] * 100).astype(dtype)
    assert not np.isnan(ConformalKnn().score_learn_many(pd.DataFrame({"value": values}))[150:]).any()


def test_columns_that_cannot_be_read_are_refused_with_what_to_do():
    twice = pd.DataFrame([[1.0, 2.0]], columns=["value", "value"])
    with pytest.raises(SchemaError, match="more than one column 'value'"):
        ConformalKnn().score_learn_many(twice)
    for name in (["a"], {"a"}):
        with pytest.raises(SchemaError, match="'who' holds values that name no entity"):
            ConformalKnn(by="who").score_learn_many(pd.DataFrame({"value": [1.0], "who": pd.Series([name])}))


def test_a_missing_object_is_a_gap():
    values = pd.Series([*noisy(200), pd.NA], dtype="object")
    assert np.isnan(ConformalKnn().score_learn_many(pd.DataFrame({"value": values}))[-1])


def test_an_empty_frame_gives_no_scores():
    assert ConformalKnn(by="who").score_learn_many(frame_of([], who=[])).shape == (0,)


def test_a_column_that_is_missing_or_holds_text_is_named():
    with pytest.raises(SchemaError, match="Did you mean 'value'"):
        ConformalKnn(column="valu").score_learn_many(frame_of([1.0]))
    with pytest.raises(SchemaError, match="'who' does not hold numbers"):
        ConformalKnn(column="who").score_learn_many(frame_of([1.0], who=["ann"]))


def test_with_a_record_of_0_every_row_counts():
    frame = frame_of(noisy(200))
    every, recorded = (ConformalKnn(**SMALL | {"record": r}).score_learn_many(frame) for r in (0, 5))
    assert (every[12:] > 0).all()
    np.testing.assert_array_equal(every[recorded > 0], recorded[recorded > 0])
