import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_events import Scale

from govlab.detectors.events import scale

few = st.integers(-3, 3).map(float)
finite = st.one_of(st.floats(-1e3, 1e3), few, few, st.sampled_from([1e12, -1e100, 1e150]))
NORMAL = np.random.default_rng(0).normal(10, 2, 5_000)


def learned(values):
    found, array = scale.new_scale(1), np.array(values, "float64")[:, None]
    for i in range(len(array)):
        scale.learn_scale(array, i, 1e4, found)
    return found[0, scale.MEAN], math.sqrt(found[0, scale.VARIANCE])


@given(
    st.lists(st.lists(st.tuples(finite, few), max_size=40), max_size=5).map(lambda runs: [p for r in runs for p in r]),
    st.sampled_from([5.0, 1e3]),
)
@settings(max_examples=100, deadline=None)
def test_the_scale_is_that_of_the_naive_twin(points, memory):
    twin, array, found, place = Scale(memory), np.array(points), scale.new_scale(2), np.zeros(2)
    for i, point in enumerate(points):
        scale.place(array, i, found, place)
        assert twin.stretched(point) == pytest.approx(place.tolist(), rel=1e-9, abs=1e-12)
        scale.learn_scale(array, i, memory, found)
        twin.learn(point)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("at", [0, 5, 29, 30, 500])
@pytest.mark.parametrize("wild", [1e6, -1e12, 1e150])
def test_one_wild_value_does_not_blow_up_the_scale_wherever_it_comes(at, wild):
    mean, deviation = learned([*NORMAL[:at], wild, *NORMAL[at:1_000]])
    assert abs(mean - 10) < 0.7
    assert 1.5 < deviation < 3


def test_a_wild_value_after_a_constant_past_does_not_hide_what_comes_later():
    mean, deviation = learned([*[0.0] * 1_000, 1e9, *[0.0] * 100, *np.resize([0.0] * 9 + [1.0], 1_000)])
    assert 0 <= mean < 0.3
    assert 0.1 < deviation < 1


@pytest.mark.parametrize("change", [lambda v: v * 100, lambda v: v + 2_000])
def test_another_unit_or_level_is_the_scale_after_some_hundred_rows(change):
    mean, deviation = learned([*NORMAL[:2_000], *change(NORMAL[2_000:2_500])])
    assert mean == pytest.approx(change(NORMAL).mean(), rel=0.2)
    assert deviation == pytest.approx(change(NORMAL).std(), rel=0.5)


def test_a_constant_has_no_scale_and_what_differs_from_it_is_8_deviations_off():
    found, array = scale.new_scale(1), np.full((40, 1), 5.0)
    for i in range(40):
        scale.learn_scale(array, i, 1e4, found)
    assert [0.0, 8.0, -8.0] == [scale.z_of(x, found[0]) for x in (5.0, 5.1, -1e9)]
