import numpy as np
import pandas as pd
from drawn import START, column, cuts
from hypothesis import given, settings
from hypothesis import strategies as st

from govlab.detectors import Always, Never, Random, Volume
from govlab.frames import event_frame, from_us

EVENTS = event_frame({"time": from_us([START] * 60), "count": pd.array([None, *range(59)], dtype="Int64")})


def test_never_scores_zero_and_always_one():
    assert ([0.0] * 60, [1.0] * 60) == (column(Never(), EVENTS, "score"), column(Always(), EVENTS, "score"))


@given(cuts, st.integers(-(2**70), 2**70))
@settings(max_examples=20, deadline=None)
def test_a_random_score_depends_on_the_seed_and_the_number_of_the_row_only(cuts, seed):
    assert column(Random(seed), EVENTS, "score") == column(Random(seed), EVENTS, "score", cuts)


def test_random_scores_are_even_between_zero_and_one():
    scores = np.array(column(Random(3), pd.concat([EVENTS] * 200, ignore_index=True), "score"))
    assert np.allclose(np.quantile(scores, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.02)
    assert 0 <= scores.min() < scores.max() < 1


def test_another_seed_gives_other_scores():
    assert column(Random(1), EVENTS, "score") != column(Random(2), EVENTS, "score")


def test_volume_is_the_column_as_it_is_and_a_missing_value_is_nan():
    scores = column(Volume("count"), EVENTS, "score")
    assert (True, [float(i) for i in range(59)]) == (bool(np.isnan(scores[0])), scores[1:])
