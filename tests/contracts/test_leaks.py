"""What looks ahead is found, however rarely it does."""

import numpy as np
import pandas as pd
import pytest

import govlab as gl
from govlab.errors import ArgumentError, CheckError, SchemaError
from govlab.testing import leak_check, sample_events


class Peeks(gl.Detector):
    """Scores 1 where the next value is above."""

    above: float = 5.0
    every: int = 1

    def score_learn_many(self, frame):
        after = frame["value"].shift(-1).to_numpy()
        return ((after > self.above) & (np.arange(len(frame)) % self.every == 0)).astype("float64")


class AtTheEnd(gl.Step):
    """Keeps all rows to the end, and scores each then by the next one, or by its own value."""

    own: bool = False

    def start(self):
        self._kept = []

    def process(self, frame):
        self._kept.append(frame)
        return frame.iloc[:0].assign(score=0.0)

    def finish(self):
        rows = pd.concat(self._kept, ignore_index=True)
        score = rows["value"] if self.own else rows["value"].shift(-1) > 20
        return rows.assign(score=score.astype("float64"))


class Knows(gl.Step):
    """Scores an event by its label, whether it is known by then or not."""

    known: dict = None

    def process(self, frame):
        return frame.assign(score=frame["event_id"].map(self.known or {}).fillna(0.0).astype("float64"))


def rare(rows, seed=0):
    """Values of which one in fifty is above 5."""
    frame = sample_events(rows, seed=seed)
    return frame.assign(value=np.where(np.arange(rows) % 50 == 7, 9.0, 1.0))


@pytest.mark.parametrize("seed", range(20))
def test_a_look_at_the_next_value_is_found_whatever_the_seed(seed):
    with pytest.raises(CheckError, match="looks ahead: what came out before row 7 is another when later events are removed"):
        leak_check(Peeks(), rare(400), seed)
    with pytest.raises(CheckError, match="looks ahead"):
        leak_check(Peeks(above=10.0, every=50), seed=seed)


def test_a_look_ahead_in_a_long_frame_is_found_at_the_rows_where_it_shows():
    with pytest.raises(CheckError, match="before row 7 is another"):
        leak_check(Peeks(), rare(5_000))


@pytest.mark.parametrize("seed", range(5))
def test_a_look_ahead_in_what_comes_out_at_the_end_is_found(seed):
    with pytest.raises(CheckError, match="found at the end of the stream"):
        leak_check(AtTheEnd(), seed=seed)
    leak_check(AtTheEnd(own=True), seed=seed)


def test_a_look_at_labels_that_come_later_is_found():
    frame = sample_events(200)
    labels = pd.DataFrame({"event_id": frame["event_id"].unique()[:150], "label": [0, 1, 1] * 50})
    labels["known_at"] = (frame["time"].iloc[: len(labels)] + pd.Timedelta("10min")).dt.as_unit("us")

    def knows(table):
        return Knows(dict(zip(table["event_id"], table["label"].astype(float), strict=True)))

    with pytest.raises(CheckError, match="when later labels are removed"):
        leak_check(knows, frame, labels=labels)
    leak_check(lambda table: gl.detectors.EwmaZ("value"), frame, labels=labels)


def test_windows_that_are_open_at_the_end_are_no_look_ahead():
    leak_check(gl.features.WindowCount("actor", every="5min", size="15min", lateness="10min"))
    leak_check(gl.Pipeline(gl.alerts.Threshold(1.0, entity="actor"), gl.alerts.Merge("30min", by_entity=True)))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: leak_check(Peeks(), sample_events().drop(columns="offset")), SchemaError, "needs a column 'offset'"),
        (lambda: leak_check(Peeks(), sample_events(2)), ArgumentError, "2 rows are too few"),
        (lambda: leak_check(Peeks, sample_events()), ArgumentError, "is no step"),
        (lambda: leak_check(Peeks(), labels=pd.DataFrame({"known_at": []})), ArgumentError, "a function that makes the step"),
    ],
)
def test_mistakes_say_what_to_do(call, error, said):
    with pytest.raises(error, match=said):
        call()
