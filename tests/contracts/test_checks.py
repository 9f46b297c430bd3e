"""The checks themselves: a detector that breaks a rule is told which."""

import numpy as np
import pytest

import govlab as gl
from govlab import testing
from govlab.errors import CheckError, SchemaError
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
