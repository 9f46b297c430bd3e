"""Values that no detector of numbers can reckon with."""

import numpy as np
import pytest
from drawn import START, column, frame_of

from govlab import detectors
from govlab.frames import event_frame, measures

NOISE = np.abs(np.random.default_rng(5).normal(20, 3, 700)).round(1)
HUGE = [1e160, 1e308, -1e308, 1.7e308]
DETECTORS = [
    detectors.Adwin(),
    detectors.AnomalyLikelihood("value"),
    detectors.Bocpd(),
    detectors.Bocpd(hold=0),
    detectors.CadOse(),
    detectors.ConformalKnn(),
    detectors.EwmaZ("value", tail="both"),
    detectors.FuzzyArt(),
    detectors.Hddm("value", high=40.0),
    detectors.PageHinkley(),
    detectors.PageHinkley(units="raw", hold=0),
    detectors.RobustZ("value"),
    detectors.SeasonalCount("value"),
    detectors.Spot("value", tail="both"),
    detectors.Spot("value", tail="both", drift=50),
]


def scored(detector, values):
    rows = [{"time": START, "key": None, "value": float(v), "item": None, "partition": 0, "offset": 0} for v in values]
    return np.array(column(detector, frame_of(rows), "score"))


def test_a_number_that_cannot_be_squared_is_missing():
    frame = event_frame({"time": ["2026-03-02T00:00:00Z"] * 6, "value": [1.0, 1e150, -1e150, 1.1e150, -np.inf, np.nan]})
    np.testing.assert_array_equal([1.0, 1e150, -1e150, np.nan, np.nan, np.nan], measures(frame, "value"))


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_value_beyond_1e150_leaves_no_trace(detector):
    at = np.array([3, 8, 300, 301])
    scores = scored(detector, np.insert(NOISE, at, HUGE))
    wild = at + np.arange(4)
    assert np.isnan(scores[wild]).all()
    np.testing.assert_array_equal(np.delete(scores, wild), scored(detector, NOISE))


@pytest.mark.parametrize("detector", DETECTORS)
def test_values_up_to_1e150_give_finite_scores_in_the_end_too(detector):
    wild = np.resize([1e150, 1.0, -1e150, 1e149, -1e-150, 1e150, 0.0], 100)
    scores = scored(detector, [*wild[:50], *NOISE[:300], *wild, *NOISE])
    assert not np.isinf(scores).any()
    assert np.isfinite(scores[-100:]).sum() > 20
