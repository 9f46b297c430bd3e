"""Interrupts from the keyboard at chosen rows, ways to play a source, and a sink that keeps what came out."""

import os
import signal
import sys

import numpy as np
import pandas as pd

import govlab as gl
from govlab.frames import event_frame, from_us
from govlab.testing import ScriptedReader

START, SECOND, ROWS = 1_772_409_600_000_000, 1_000_000, 120


def few(examples):
    """How many examples of a test to try: a quarter of them, or all with GOVLAB_LONG, as in ``make test-adverse``."""
    return examples if os.environ.get("GOVLAB_LONG") else examples // 4


class Bell:
    """Rings (SIGINT) at chosen calls: ``{call: times}``; each rings once, also when a row is played again."""

    def __init__(self):
        self.set({})

    def set(self, rings):
        self.rings, self.calls, self.rung = dict(rings), 0, 0

    def tick(self):
        self.calls += 1
        for _ in range(self.rings.pop(self.calls, 0)):
            self.rung += 1
            signal.raise_signal(signal.SIGINT)


BELL = Bell()


class Ringing(gl.Detector):
    """Scores a row by the sum of the values before it, so that a row lost or played twice shows in all that follow."""

    def start(self):
        self.total = 0.0

    def score_one(self, x):
        BELL.tick()
        return self.total

    def learn_one(self, x):
        BELL.tick()
        self.total += x["value"]


def frame():
    rng = np.random.default_rng(3)
    times = START + np.arange(ROWS) * SECOND
    return event_frame({
        "time": from_us(times), "actor": [f"u{a}" for a in rng.integers(0, 3, ROWS)], "value": rng.integers(1, 9, ROWS).astype(float)
    })  # fmt: skip


SCHEMA = gl.Schema({"time": "timestamp", "actor": "string", "value": "float64"})


def write(folder):
    """Write the events as a file, with a bad line among them."""
    rows = frame()
    lines = [f"{t.isoformat()},{a},{v}" for t, a, v in zip(rows["time"], rows["actor"], rows["value"], strict=True)]
    lines.insert(40, "yesterday,u1,1.0")
    path = folder / "events.csv"
    path.write_text("\n".join(["time,actor,value", *lines, ""]))
    return path


def reader(kind, path):
    if kind == "file":
        return gl.sources.ReplayReader(str(path), SCHEMA)
    rows = frame()
    script = [None, rows.iloc[:7], rows.iloc[7:8], None, rows.iloc[8:60], None, None, rows.iloc[60:]]
    return ScriptedReader([part if part is None else part.reset_index(drop=True) for part in script])


def alerting():
    """A pipeline that holds rows, rings too, and gives alerts."""
    windows = gl.features.WindowCount(every="5s", by="actor", lateness="1s")
    return gl.Pipeline(windows, gl.detectors.EwmaZ("count", by="actor"), gl.alerts.Threshold(0.7, entity="actor"))


class Bench:
    """A source with two branches, each with a sink that keeps rows and drops what is wound back."""

    def __init__(self, kind, path, max_rows):
        self.source = gl.from_reader(reader(kind, path), max_rows=max_rows)
        self.scored, self.alerts, self.wound = [], [], False
        self.node = self.source.through(gl.Pipeline(Ringing(), ahead=None))  # holds nothing back, so that each row shows at once
        self.watch = self.source.through(alerting())
        self.node.sink(self.scored.append)
        self.watch.sink(self.alerts.append)
        self.source.rewound.sink(self._drop)

    def _drop(self, moment):
        self.scored[:] = [part[part["time"] < moment] for part in self.scored]
        self.wound = True

    def rows(self):
        """What the first branch has given so far: time and score, which has all rows before it."""
        return [pair for part in self.scored for pair in zip(part["time"], part["score"], strict=True)]

    def ids(self):
        """The ids of the alerts; after winding back each once, as a store would keep them (a window closes later than it ends)."""
        ids = [one for part in self.alerts for one in part["id"]]
        return list(dict.fromkeys(ids)) if self.wound else ids


def at(k):
    return pd.Timestamp(START + int(k * SECOND), unit="us", tz="UTC")


def play(source, way, k, **more):
    """Play in one way; ``k`` says how far."""
    k = max(k, 1)
    if way == "run":
        gl.run(source, progress=False, max_events=k, **more)
    elif way == "run to the time":
        gl.run(source, progress=False, until=at(k), **more)
    elif way == "step":
        source.step(k)
    elif way == "run_until a time":
        source.run_until(at(k))
    elif way == "run_until an alert":
        source.run_until("alert")
    elif way == "seek":
        source.seek(at(k))
    elif way == "start":
        begun = source.events
        source.start()
        try:
            while source.state == "running" and source.events < begun + k:
                source.background.join(0.002)
        finally:
            patiently(source.stop)


def patiently(call):
    """Call again after an interrupt, until it is done; then pass the interrupt on."""
    stopped = None
    while True:
        try:
            call()
            break
        except KeyboardInterrupt as error:
            stopped = error
    if stopped is not None:
        raise stopped


class AtLine:
    """Rings before the n-th line of govlab's own code that runs in this thread from now on."""

    def __init__(self, n):
        self.left = n

    def __enter__(self):
        sys.settrace(self._call)
        return self

    def __exit__(self, *_):
        sys.settrace(None)

    def _call(self, frame, event, _):
        name = frame.f_code.co_filename
        return self._line if self.left > 0 and "/govlab/" in name and "/tests/" not in name else None

    def _line(self, frame, event, _):
        if event == "line" and self.left > 0:
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGINT)
        return self._line
