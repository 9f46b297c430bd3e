import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest

from govlab.errors import ArgumentError
from govlab.evaluation.nab import PROFILES, nab_score

PUBLISHED = json.loads(gzip.decompress((Path(__file__).parents[2] / "data/nab/published.json.gz").read_bytes()))


def sigma(y):
    return -1.0 if y > 3 else 2 / (1 + math.exp(5 * y)) - 1


def marked(n, *rows):
    scores = np.zeros(n)
    scores[list(rows)] = 1.0
    return scores


def naive_raw(scores, windows, profile, threshold):
    """Add up the score detection by detection, as NAB's rules are written."""
    tp, fn, fp = PROFILES[profile]
    total = 0.0
    for name, values in scores.items():
        best = [-fn] * len(windows[name])
        for i in range(min(int(0.15 * len(values)), 750), len(values)):
            if not values[i] >= threshold:
                continue
            closed = [(left, right) for left, right in windows[name] if right < i]
            inside = [k for k, (left, right) in enumerate(windows[name]) if left <= i <= right]
            if inside:
                left, right = windows[name][inside[0]]
                worth = tp * sigma(-(right - i + 1) / (right - left + 1)) / sigma(-1)
                best[inside[0]] = max(best[inside[0]], worth)
            elif closed:
                left, right = closed[-1]
                total += fp * sigma((i - right) / (right - left))
            else:
                total -= fp
        total += sum(best)
    return total


def test_a_detection_at_the_first_row_of_the_only_window_scores_100():
    # y = -(14 - 10 + 1) / 5 = -1, so the window is worth sigma(-1) / sigma(-1) = 1 of 1.
    assert nab_score({"a": marked(20, 10)}, {"a": [(10, 14)]}).score == 100.0


def test_a_detection_at_the_last_row_of_a_window_is_worth_less():
    # y = -(14 - 14 + 1) / 5 = -0.2; sigma(-0.2) = 2 / (1 + e^-1) - 1 = 0.462117;
    # sigma(-1) = 2 / (1 + e^-5) - 1 = 0.986614; 0.462117 / 0.986614 = 0.468387;
    # 100 (0.468387 + 1) / 2 = 73.4193.
    assert round(nab_score({"a": marked(20, 14)}, {"a": [(10, 14)]}).score, 4) == 73.4193


def test_only_the_best_detection_in_a_window_counts():
    assert nab_score({"a": marked(20, 10, 12, 14)}, {"a": [(10, 14)]}).score == 100.0


def test_a_false_detection_before_any_window_costs_all_of_its_price():
    # 100 (1 - 0.11 + 1) / 2 = 94.5; at twice the price 89; with misses at 2: 100 (1 - 0.11 + 2) / 3 = 96.3333.
    scores, windows = {"a": marked(20, 5, 10)}, {"a": [(10, 14)]}
    assert [round(nab_score(scores, windows, profile).score, 4) for profile in PROFILES] == [94.5, 89.0, 96.3333]


def test_a_false_detection_soon_after_a_window_costs_less():
    # y = (15 - 14) / (5 - 1) = 0.25; sigma = 2 / (1 + e^1.25) - 1 = -0.554600;
    # 100 (1 - 0.11 x 0.5546 + 1) / 2 = 96.9497.
    assert round(nab_score({"a": marked(20, 10, 15)}, {"a": [(10, 14)]}).score, 4) == 96.9497


def test_a_false_detection_long_after_a_window_costs_all_of_its_price():
    # y = (30 - 14) / 4 = 4 > 3, so sigma = -1.
    assert nab_score({"a": marked(40, 10, 30)}, {"a": [(10, 14)]}).score == 94.5


def test_rows_in_probation_are_never_scored():
    # 15 % of 20 = 3 rows: the marks in rows 0 to 2 cost nothing, the one in row 3 does.
    windows = {"a": [(10, 14)]}
    assert nab_score({"a": marked(20, 0, 1, 2, 10)}, windows).score == 100.0
    assert nab_score({"a": marked(20, 0, 1, 3, 10)}, windows).score == 94.5


def test_probation_is_750_rows_at_most():
    windows = {"a": [(8000, 8009)]}
    assert nab_score({"a": marked(10_000, 749, 8000)}, windows).score == 100.0
    assert nab_score({"a": marked(10_000, 750, 8000)}, windows).score == 94.5


def test_never_to_detect_scores_zero():
    never = nab_score({"a": np.full(20, np.nan)}, {"a": [(10, 14)]})
    assert (never.score, never.threshold, never.found, never.detections) == (0.0, np.inf, 0, 0)


def test_nan_is_never_a_detection():
    scores = marked(20, 10)
    scores[scores == 0] = np.nan
    result = nab_score({"a": scores}, {"a": [(10, 14)]}, threshold=-np.inf)
    assert (result.score, result.detections) == (100.0, 1)


def test_one_threshold_is_chosen_for_all_files():
    # At 0.5 both windows are found and 3 rows are false: (2 - 0.33 + 2) / 4; at 0.9 one is: (1 - 1 + 2) / 4.
    a, b = marked(20, 10) * 0.9, marked(20, 4, 5, 6, 10) * 0.5
    result = nab_score({"a": a, "b": b}, {"a": [(10, 14)], "b": [(10, 14)]})
    assert (round(result.score, 4), result.threshold) == (91.75, 0.5)
    assert (result.found, result.windows, result.detections, result.false_detections) == (2, 2, 5, 3)


def test_rows_of_equal_score_are_detected_together_or_not_at_all():
    scores, windows = {"a": np.ones(20)}, {"a": [(10, 14)]}
    result = nab_score(scores, windows)
    assert (result.detections, result.found, result.false_detections) == (17, 1, 12)
    assert result.score == pytest.approx(100 * (naive_raw(scores, windows, "standard", 1.0) + 1) / 2)


def test_a_given_threshold_is_used_and_a_chosen_one_is_called_oracle():
    scores, windows = {"a": marked(20, 5, 10) * np.linspace(1, 2, 20)}, {"a": [(10, 14)]}
    given = nab_score(scores, windows, threshold=1.0)
    assert (given.oracle, given.threshold, given.detections) == (False, 1.0, 2)
    assert nab_score(scores, windows).oracle


@pytest.mark.parametrize("profile", PROFILES)
def test_the_sweep_finds_what_trying_every_threshold_finds(profile):
    rng = np.random.default_rng(5)
    windows = {"a": [(20, 30), (60, 61)], "b": [], "c": [(0, 3), (9, 30), (31, 40)]}
    for _ in range(10):
        scores = {name: np.round(rng.random(n), 2) for name, n in {"a": 100, "b": 40, "c": 50}.items()}
        levels = {*np.concatenate(list(scores.values())).tolist(), math.inf}
        best = max(naive_raw(scores, windows, profile, level) for level in levels)
        tp, fn, _ = PROFILES[profile]
        result = nab_score(scores, windows, profile)
        assert result.score == pytest.approx(100 * (best + 5 * fn) / (5 * (tp + fn)))
        raw = naive_raw(scores, windows, profile, 0.7)
        at = nab_score(scores, windows, profile, threshold=0.7)
        assert at.score == pytest.approx(100 * (raw + 5 * fn) / (5 * (tp + fn)))


@pytest.mark.parametrize(
    ("scores", "windows", "profile", "says"),
    [
        ({"a": marked(20)}, {"a": [(1, 2)]}, "standart", "Did you mean 'standard'"),
        ({"a": marked(20)}, {"b": [(1, 2)]}, "standard", "same files"),
        ({"a": marked(20)}, {"a": []}, "standard", "undefined"),
        ({"a": marked(20)}, {"a": [(10, 20)]}, "standard", r"window \(10, 20\)"),
        ({"a": marked(20)}, {"a": [(3, 9), (9, 12)]}, "standard", r"window \(9, 12\)"),
        ({"a": marked(20).astype("float32")}, {"a": [(1, 2)]}, "standard", "float64"),
    ],
)
def test_an_argument_that_is_wrong_is_named(scores, windows, profile, says):
    with pytest.raises(ArgumentError, match=says):
        nab_score(scores, windows, profile)


def test_a_threshold_that_is_no_number_is_refused():
    with pytest.raises(ArgumentError, match="threshold is NaN"):
        nab_score({"a": np.zeros(20)}, {"a": [(10, 14)]}, threshold=float("nan"))


@pytest.mark.parametrize("detector", PUBLISHED["detectors"])
def test_a_published_result_comes_out_to_four_decimals_from_the_published_scores(detector):
    published, windows = PUBLISHED["detectors"][detector], {}
    scores = {name: np.full(file["rows"], np.nan) for name, file in PUBLISHED["files"].items()}
    for name, file in PUBLISHED["files"].items():
        windows[name] = [tuple(span) for span in file["windows"]]
        for row, score in published["scores"].get(name, {}).items():
            scores[name][int(row)] = score
    for profile, (threshold, score) in published["published"].items():
        assert round(nab_score(scores, windows, profile, threshold).score, 4) == round(score, 4)
