import math

import numpy as np
import pytest
from drawn import START, column
from naive_events import Scale
from river import anomaly
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from govlab.detectors import Callable, River, Sklearn
from govlab.errors import ArgumentError, SchemaError, StepError
from govlab.frames import event_frame, from_us

VALUES = np.random.default_rng(0).normal(100, 20, 300)


def events(values):
    return event_frame({"time": from_us([START] * len(values)), "x": values})


def test_river_scores_each_row_before_it_is_learned_on_features_scaled_by_the_rows_before():
    model, scale, expected = anomaly.HalfSpaceTrees(n_trees=3, height=4, window_size=50, seed=1), Scale(), []
    for n, x in enumerate(VALUES):
        scaled = {"x": scale.squashed([x])[0]}
        expected.append(model.score_one(scaled) if n >= 20 else math.nan)
        model.learn_one(scaled)
        scale.learn([x])
    step = River(anomaly.HalfSpaceTrees(n_trees=3, height=4, window_size=50, seed=1), ["x"], warm=20)
    assert expected == pytest.approx(column(step, events(VALUES), "score"), nan_ok=True, rel=1e-12)


def test_the_model_given_learns_nothing_so_that_a_second_run_is_equal():
    step = River(anomaly.HalfSpaceTrees(n_trees=3, window_size=50, seed=1), ["x"], warm=0)
    first = column(step, events(VALUES), "score")
    assert first == column(step, events(VALUES), "score")


@pytest.mark.parametrize("gap", [math.nan, math.inf])
@pytest.mark.parametrize(
    "make", [lambda: River(anomaly.HalfSpaceTrees(window_size=30, seed=1), ["x"], warm=9), lambda: Sklearn(forest(), ["x"], warm=9)]
)
def test_a_row_with_a_gap_scores_nan_and_is_not_learned(make, gap):
    scores = column(make(), events(np.insert(VALUES[:80], 40, gap)), "score")
    assert math.isnan(scores.pop(40))
    assert column(make(), events(VALUES[:80]), "score")[9:] == scores[9:]


def forest():
    return IsolationForest(n_estimators=5, random_state=1)


def test_scikit_learn_is_fitted_to_the_window_before_each_fixed_number_of_rows():
    scores, expected = column(Sklearn(forest(), ["x"], refit=100, window=60, warm=50, scale=False), events(VALUES), "score"), []
    for start, end, past in ((50, 150, VALUES[:50]), (150, 250, VALUES[90:150]), (250, 300, VALUES[190:250])):
        expected += (-forest().fit(past[:, None]).score_samples(VALUES[start:end, None])).tolist()
    assert all(map(math.isnan, scores[:50]))
    assert expected == pytest.approx(scores[50:], rel=1e-12)


def test_a_model_whose_runs_could_not_be_repeated_is_refused():
    with pytest.raises(ArgumentError, match="no random_state, so no run could be repeated; give it one"):
        Sklearn(IsolationForest(), ["x"])
    with pytest.raises(ArgumentError, match="no random_state"):
        Sklearn(make_pipeline(StandardScaler(), IsolationForest()), ["x"])
    with pytest.raises(ArgumentError, match="no seed, so no run could be repeated; give it one"):
        River(anomaly.HalfSpaceTrees(), ["x"])


def test_a_model_that_cannot_score_is_refused_with_what_to_do():
    with pytest.raises(ArgumentError, match="LocalOutlierFactor needs novelty=True"):
        Sklearn(LocalOutlierFactor(), ["x"])
    with pytest.raises(ArgumentError, match="expected score_one\\(x\\) and learn_one\\(x\\)"):
        River("forest", ["x"])


def test_a_function_gets_each_row_as_a_dict():
    assert [2.0, 4.0] == column(Callable(lambda x: 2 * x["x"]), events([1.0, 2.0]), "score")


def test_a_function_that_raises_is_reported_with_the_row():
    with pytest.raises(StepError, match=r"callable raised ZeroDivisionError: .* \(on rows 0:2\)"):
        Callable(lambda x: 1 / x["x"]).process(events([1, 2, 0, 4]))


def test_a_column_that_is_missing_is_named():
    with pytest.raises(SchemaError, match="River needs a column 'y'"):
        River(anomaly.HalfSpaceTrees(seed=1), ["y"]).process(events([1.0]))
