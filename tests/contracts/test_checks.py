"""The checks themselves: a detector that breaks a rule is told which."""

import numpy as np
import pytest

import govlab as gl
from govlab import testing
from govlab.errors import ArgumentError, CheckError, SchemaError
from govlab.frames import numbers


class Good(gl.Detector):
    """Scores by the distance from the mean of all before."""

    column: str = "value"

    def start(self):
        self.n, self.total = 0, 0.0

    def one(self, x):
        score = abs(x - self.total / self.n) if self.n and abs(x) < 1e9 else np.nan
        if abs(x) < 1e9:
            self.n, self.total = self.n + 1, self.total + x
        return score

    def score_learn_many(self, frame):
        return np.array([self.one(x) for x in numbers(frame, self.column)])


class ByFrame(Good):
    def score_learn_many(self, frame):
        return numbers(frame, self.column) - numbers(frame, self.column).mean()


class Changes(Good):
    def score_learn_many(self, frame):
        frame["value"] = 0.0
        return super().score_learn_many(frame)


class Unseeded(Good):
    def score_learn_many(self, frame):
        return np.random.default_rng().random(len(frame))


class Grows(Good):
    def one(self, x):
        self.seen = [*getattr(self, "seen", []), x]
        return super().one(x)


class Infinite(Good):
    def one(self, x):
        return 1.0 / x if x and x != 5.0 else np.inf if x else 0.0


class Poisoned(Good):
    def one(self, x):
        if np.isnan(x):
            return x
        self.n, self.total = self.n + 1, self.total + min(abs(x), 1e150) ** 2
        return round(abs(x) / (self.total / self.n) ** 0.5, 6) if abs(x) < 1e9 and self.total else 0.0


class Blank(Good):
    def one(self, x):
        self.total = self.total if np.isnan(x) else self.total + float(x) * 10
        return self.total - self.total + x if np.isfinite(x) else np.nan


class Drops(Good):
    def process(self, frame):
        return super().process(frame).query("offset % 2 == 0")


class Integers(Good):
    def process(self, frame):
        return super().process(frame).assign(score=1)


class Vague(Good):
    def score_learn_many(self, frame):
        try:
            return super().score_learn_many(frame)
        except KeyError:
            raise KeyError("something is missing") from None


class Lenient(Good):
    def score_learn_many(self, frame):
        return super().score_learn_many(frame) if self.column in frame else np.full(len(frame), np.nan)


class LearnsFirst(Good):
    """Has no score at the first row as there is nothing, but says 0 of itself."""

    def one(self, x):
        if abs(x) < 1e9:
            self.n, self.total = self.n + 1, self.total + x
        return abs(x - self.total / self.n) if self.n and abs(x) < 1e9 else np.nan


class WarmedByItself(LearnsFirst):
    """Learns first, and hides it by its warm-up."""

    warm: int = 5

    def one(self, x):
        score = super().one(x)
        return score if self.n >= self.warm else np.nan


class SpreadOfItself(Good):
    """Warms up as it should, and divides by a spread in which the row itself is."""

    warm: int = 5

    def start(self):
        super().start()
        self.squares = 0.0

    def one(self, x):
        if not abs(x) < 1e9:
            return np.nan
        early = self.n < self.warm
        self.n, self.total, self.squares = self.n + 1, self.total + x, self.squares + x * x
        mean = self.total / self.n
        spread = max(self.squares / self.n - mean * mean, 1e-9) ** 0.5
        return np.nan if early else abs(x - mean) / spread


class DistanceToItself(Good):
    """The distance to the nearest of the last values, which the row itself is among."""

    def start(self):
        self.n, self.last = 0, []

    def one(self, x):
        if not abs(x) < 1e9:
            return np.nan
        self.n, self.last = self.n + 1, [*self.last[-50:], x]
        near = [abs(x - y) for y in self.last]
        return np.nan if self.n < 3 else float(round(min(near), 6) + (abs(x) % 1) * 1e-6)


class Turned(Good):
    def score_learn_many(self, frame):
        return -super().score_learn_many(frame)


class ByRow(gl.Detector):
    """The distance from the last value, row by row."""

    column: str = "value"

    def start(self):
        self.last = np.nan

    def score_one(self, x):
        return abs(x[self.column] - self.last) if abs(x[self.column]) < 1e9 else np.nan

    def learn_one(self, x):
        self.last = x[self.column] if abs(x[self.column]) < 1e9 else self.last


class LearnsInScoring(ByRow):
    def score_one(self, x):
        score = super().score_one(x)
        self.learn_one(x)
        return score


class OtherOrder(ByRow):
    """Learns a row before it scores the next but one."""

    def score_learn_many(self, frame):
        return super().score_learn_many(frame) * 2


def test_a_detector_that_keeps_the_contract_passes_by_the_row_too():
    testing.check_detector(ByRow())


def test_a_rule_from_which_a_detector_is_exempt_needs_a_name_and_a_reason():
    testing.check_detector(Turned(), exempt={"sign": "it is turned on purpose"})
    for exempt in ({"sgin": "it is turned"}, {"sign": ""}):
        with pytest.raises(ArgumentError, match="expected a rule with a reason"):
            testing.check_detector(Turned(), exempt=exempt)


def test_a_detector_that_keeps_the_contract_passes():
    testing.check_detector(Good())


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (ByFrame, "ByFrame: cutting into single rows changes what comes out"),
        (Changes, "changed the frame that it took"),
        (Unseeded, "running it again changes what comes out"),
        (Grows, "its state grows without bound"),
        (Infinite, "scores are infinite for constant values"),
        (Poisoned, "or all with the same"),
        (Blank, "leaves rows long after it without a score"),
        (Drops, "rows were taken, but"),
        (Integers, "with a float64 score"),
        (Vague, "the error for a missing column must name it"),
        (Lenient, "a missing column 'value' must be an error"),
        (LearnsFirst, "the first row of all scores 0, and nothing was learned before it"),
        (WarmedByItself, "warm=5, and row 4 has a score when 4 rows were learned before it"),
        (SpreadOfItself, "the score comes to a limit, as the row itself was learned before"),
        (DistanceToItself, "a higher score is more anomalous"),
        (Turned, "a higher score is more anomalous"),
        (LearnsInScoring, "score_one must not learn"),
        (OtherOrder, "score_learn_many must say what score_one and then learn_one say"),
    ],
)
def test_a_detector_that_breaks_a_rule_is_told_which(broken, says):
    with pytest.raises(CheckError, match=says):
        testing.check_detector(broken())


@pytest.mark.parametrize(
    "step", [gl.detectors.Calibrated(by="k", max_entities=1, warm=2), gl.features.EntityRate("k", value="score", max_entities=1)]
)
def test_an_entity_inherits_nothing_though_a_frame_was_refused_in_between(step):
    def rows(key, score):
        return gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * len(score), "k": [key] * len(score), "score": score})

    running, alone = step.fresh(), step.fresh()
    running.process(rows("a", [1.0, 2.0, 3.0, 4.0]))
    with pytest.raises(SchemaError):
        running.process(rows("b", ["x"]))
    given = [
        one.process(rows("b", [1.0, 9.0, 3.0]))[step.into if hasattr(step, "into") else "p"].to_numpy() for one in (running, alone)
    ]
    np.testing.assert_array_equal(*given)


class Strictly(gl.alerts.Budget):
    """Alerts only above the highest score of the past."""

    def start(self):
        super().start()
        self.most = 0.0

    def process(self, frame):
        before = np.maximum.accumulate(np.append(self.most, numbers(frame, "score")))
        self.most = before[-1]
        return super().process(frame[numbers(frame, "score") > before[:-1]])


def test_a_step_whose_alerts_stop_at_the_cap_of_the_scores_is_told_so():
    with pytest.raises(CheckError, match=r"there is no alert on day 1, 2, 3.* a score that can be no higher must be enough"):
        testing.check_alerts(Strictly(30, warm="0s"))
