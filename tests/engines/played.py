"""What the tests of playing and winding play: a hundred events, a second apart, and a detector in which each leaves its trace."""

import numpy as np
import pandas as pd

import govlab as gl
from govlab.clock import VirtualClock
from govlab.frames import event_frame, from_us
from govlab.sources import FrameReader

START = 1_772_409_600_000_000
SECOND = 1_000_000


class Running(gl.Detector):
    """Scores a row by the sum of all values before it, so that every row leaves its trace in the state."""

    poison: float = -1.0

    def start(self):
        self.total = 0.0

    def score_learn_many(self, frame):
        values = frame["value"].to_numpy()
        if (values == self.poison).any():
            raise ZeroDivisionError("poison")
        totals = self.total + np.cumsum(values)
        self.total = totals[-1] if len(totals) else self.total
        return totals - values


def events(n=100, step_s=1.0, seed=0):
    times = START + (np.arange(n) * step_s * SECOND).astype("int64")
    return event_frame(
        {"time": from_us(times), "actor": "ann", "value": np.random.default_rng(seed).integers(1, 9, n).astype(float)}
    )


def at(seconds):
    return pd.Timestamp(START + int(seconds * SECOND), unit="us", tz="UTC")


def playing(frame=None, max_rows=7, pipeline=None, clock=None, speed=None):
    source = gl.from_reader(FrameReader(events() if frame is None else frame), speed, max_rows, clock or VirtualClock())
    return source, source.through(pipeline or Running())


def total(node):
    return node.carrier.pipeline.steps[0].total
