import math

import numpy as np
import pytest
from drawn import START, S, column, cuts, frame_of, huge, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import mid_tails, seasonal_count
from scipy import special, stats

from govlab.detectors.metrics import seasonal_count as kernel
from govlab.detectors.metrics.seasonal_count import SeasonalCount
from govlab.errors import SchemaError
from govlab.frames import event_frame, from_us

counts = st.one_of(st.integers(0, 40).map(float), st.sampled_from([1e6, 0.5, -1.0, 0.0]), huge, st.none())


@given(
    rows(values=counts, step_s=5_000, most=120, keys=st.sampled_from(["a", "a", "a", "b", None])),
    cuts,
    st.sampled_from(["upper", "lower", "both"]),
    st.integers(1, 6),
    st.sampled_from([9_000, 10**7]),
    st.sampled_from([1, 2, 6, 40]),
)
@settings(max_examples=50, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, cuts, tail, most, expire, warm):
    step = SeasonalCount("value", "key", 0.1, warm, tail, most, f"{expire}s")
    twin = seasonal_count(drawn, 0.1, warm, tail, most, expire * S)
    assert twin == pytest.approx(column(step, frame_of(drawn), "score", cuts), rel=1e-6, abs=1e-9, nan_ok=True)


@given(st.integers(0, 5_000), st.floats(1e-3, 5e3), st.floats(1e-2, 1e4))
@settings(max_examples=300, deadline=None)
def test_the_tails_are_those_of_scipy(x, mu, size):
    expected, actual = mid_tails(x, mu, size), kernel.mid_tails(float(x), mu, size)
    assert expected == pytest.approx(actual, rel=1e-6, abs=1e-290)


@given(st.floats(0.01, 1e5), st.floats(0.01, 1e5), st.floats(0, 1, allow_subnormal=False))
@settings(max_examples=300, deadline=None)
def test_the_incomplete_beta_function_is_that_of_scipy(a, b, x):
    assert special.betainc(a, b, x) == pytest.approx(kernel.beta_inc(a, b, x), rel=1e-7, abs=1e-11)


@pytest.mark.parametrize(
    ("x", "mu", "size"), [(0, 1e7, 1e4), (1e7, 1e7, 1e4), (2e7, 1e7, 1e4), (1e9, 1e-3, 1.0), (1e12, 1e12, 10.0), (1e15, 1.0, 1e4)]
)
def test_the_tails_of_huge_counts_are_probabilities_that_add_up_to_one(x, mu, size):
    below, above = kernel.mid_tails(x, mu, size)
    assert 0 <= below <= 1 + 1e-9
    assert 0 <= above <= 1 + 1e-9
    assert 1 == pytest.approx(below + above, rel=1e-2)  # the logarithms of the factorials cancel


@pytest.mark.parametrize("mu", [1e10, 1e15, 1e149])
@pytest.mark.parametrize("size", [0.5, 10.0, 1e4])
@pytest.mark.parametrize("share", [0.9, 1.0, 1.02, 2.0])
def test_the_tails_of_huge_counts_are_those_of_the_gamma_distribution_that_they_follow(mu, size, share):
    gamma = stats.gamma(size, scale=1 / size)
    assert (gamma.cdf(share), gamma.sf(share)) == pytest.approx(kernel.mid_tails(share * mu, mu, size), rel=1e-3, abs=1e-290)


def hourly(values):
    return event_frame({"time": from_us(START + np.arange(len(values)) * 3600 * S), "count": values})


def test_what_is_usual_at_its_hour_is_not_anomalous_though_it_would_be_at_another():
    weeks = np.tile(np.where(np.arange(168) % 24 == 9, 10, 4), 10)
    usual = column(SeasonalCount("count"), hourly(weeks), "score")[-168 + 9]
    weeks[-1] = 10  # Sunday, 23 h
    assert usual < 0.7 < 1.3 < column(SeasonalCount("count"), hourly(weeks), "score")[-1]


@pytest.mark.parametrize("gap", [None, math.nan, -1.0, math.inf])
def test_a_count_that_is_none_scores_nan_and_is_not_learned(gap):
    drawn = [{"time": START, "key": None, "value": v, "item": None, "partition": 0, "offset": 0} for v in (3.0, 5.0, gap, 4.0)]
    step = SeasonalCount("value", warm=1)
    scores, without = column(step, frame_of(drawn), "score"), column(step, frame_of([drawn[i] for i in (0, 1, 3)]), "score")
    assert math.isnan(scores[2])
    assert without[1:] == [scores[1], scores[3]]


def test_one_wild_count_while_it_warms_up_does_not_hide_a_burst():
    values = np.random.default_rng(0).poisson(10, 210).astype("float64")
    values[200] = 100
    for at in (0, 3, 29, 40):
        wild = values.copy()
        wild[at] = 1e6
        assert column(SeasonalCount("count"), hourly(wild), "score")[200] > 10


def test_counts_of_1e15_that_are_usual_score_low_and_a_burst_of_them_high():
    values = np.random.default_rng(0).normal(1e15, 1e13, 400)
    values[-1] *= 3
    scores = column(SeasonalCount("count"), hourly(values), "score")
    assert np.nanmax(scores[:-1]) < 6 < 20 < scores[-1]


def test_a_start_that_is_no_time_is_refused():
    with pytest.raises(SchemaError, match="takes the hour from 'start', where there is such a column: column 'start' is int64"):
        SeasonalCount("count").process(hourly(np.ones(3)).assign(start=1))


def test_a_score_is_never_below_zero():
    scores = column(SeasonalCount("count", warm=1, tail="upper"), hourly(np.random.default_rng(1).poisson(0.01, 2_000)), "score")
    assert min(scores[1:]) >= 0


def test_the_hour_is_that_of_the_start_of_a_window():
    values = np.where(np.arange(24 * 60) % 24 == 9, 100, 4)
    windows = hourly(values).assign(start=lambda f: f["time"])
    windows["time"] += np.timedelta64(3600, "s")
    assert column(SeasonalCount("count"), hourly(values), "score")[48:] == column(SeasonalCount("count"), windows, "score")[48:]
