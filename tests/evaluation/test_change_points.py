import numpy as np
import pytest

from govlab.errors import ArgumentError
from govlab.evaluation import change_point_f1, covering


def test_the_same_segments_cover_and_score_1():
    known = {"a": [3, 7], "b": [3, 7]}
    assert (1.0, 1.0) == (covering(known, [7, 3], 10), change_point_f1(known, [3, 7], 10, margin=0))


def test_no_prediction_covers_as_one_segment():
    # segments 0-3 (3 rows), 4 rows, 3 rows; each against all 10: .3 * .3 + .4 * .4 + .3 * .3
    assert pytest.approx(0.34) == covering({"a": [3, 7]}, [], 10)


def test_a_segment_takes_its_best_overlap():
    # [0, 4) with [0, 5): 4/5; [4, 10) with [5, 10): 5/6; (4 * .8 + 6 * 5/6) / 10
    assert pytest.approx(0.82) == covering({"a": [4]}, [5], 10)


def test_the_covering_is_the_mean_over_annotators():
    # one sees no change: [0, 10) with [0, 5) is .5; the other the very change: 1
    assert 0.75 == covering([[], [5]], [5], 10)


def test_a_change_point_at_row_0_changes_no_segment():
    assert covering({"a": [4]}, [5], 10) == covering({"a": [0, 4]}, [0, 5], 10)


def test_no_change_seen_and_none_told_is_f1_1():
    assert 1.0 == change_point_f1({"a": [], "b": []}, [], 50)


def test_a_prediction_counts_within_the_margin_and_not_beyond():
    # beyond it: 1 of 2 predictions (row 0) and 1 of 2 points are right
    assert [1.0, 1.0, 0.5] == [change_point_f1({"a": [50]}, [at], 100) for at in (45, 55, 56)]


def test_a_prediction_counts_for_one_point_only():
    # points 0, 20, 24 and predictions 0, 22: precision 2/2, recall 2/3; F1 = 2 * 1 * 2/3 / (5/3)
    assert pytest.approx(0.8) == change_point_f1({"a": [20, 24]}, [22], 100)


def test_a_point_near_the_start_does_not_take_row_0_from_itself():
    # points 0 and 3, prediction 0 only: row 0 is taken by point 0, so point 3 is missed: 1 and 1/2
    assert pytest.approx(2 / 3) == change_point_f1({"a": [3]}, [], 100)


def test_precision_is_against_all_annotators_and_recall_is_their_mean():
    # predictions 0, 20, 60: 0 and 20 are right, precision 2/3; recall (2/2 + 1/2) / 2 = 3/4
    assert pytest.approx(2 * 2 / 3 * 0.75 / (2 / 3 + 0.75)) == change_point_f1({"a": [20], "b": [40]}, [20, 60], 100)


@pytest.mark.parametrize("score", [covering, change_point_f1])
@pytest.mark.parametrize(
    ("known", "told", "says"),
    [
        ({}, [], "no annotator"),
        ({"a": [10]}, [], r"\[10\] are not rows"),
        ({"a": []}, [-1], r"\[-1\] are not rows"),
        ({"a": [5.9]}, [], "a change point is 5.9"),
        ({"a": []}, [float("nan")], "a change point is nan"),
        ({"a": []}, np.arange(10) == 5, "of a mask: np.flatnonzero"),
    ],
)
def test_what_cannot_be_judged_is_an_error(score, known, told, says):
    with pytest.raises(ArgumentError, match=says):
        score(known, told, 10)


def test_arguments_out_of_their_range_are_named():
    with pytest.raises(ArgumentError, match="n=0"):
        covering({"a": []}, [], 0)
    with pytest.raises(ArgumentError, match="margin=-1"):
        change_point_f1({"a": [5]}, [5], 10, margin=-1)


def test_rows_may_be_given_as_an_array():
    assert 1.0 == covering({"a": np.array([5.0])}, np.array([5]), np.int64(10))
