"""Rows drawn at random, for kernel against twin: late and tied times, few keys, missing and extreme values, any cuts."""

import itertools

import pandas as pd
from hypothesis import strategies as st

from govlab.frames import event_frame, from_us
from govlab.testing.steps import play

START = 1_772_409_600_000_000  # 2026-03-02, a Monday
S = 1_000_000

plain = st.floats(-1e3, 1e3, allow_nan=False)
extreme = st.sampled_from([0.0, -0.0, 1e-300, -1e12, 1e12, 1e100])
huge = st.sampled_from([1e160, 1e308, -1e308])
values = st.one_of(plain, extreme, st.integers(-3, 3).map(float), st.none())
keys = st.sampled_from(["a", "b", "c", "d", None])


@st.composite
def rows(draw, most=60, values=values, span_s=600, late_s=120, step_s=40, keys=keys):
    """Draw events as dicts; event time moves on by up to ``step_s``, some are late by up to ``late_s``."""
    out, now = [], START + draw(st.integers(0, span_s)) * S
    for i in range(draw(st.integers(0, most))):
        now += draw(st.sampled_from([0, 0, 1, 7, step_s, draw(st.integers(0, step_s))])) * S
        late = draw(st.sampled_from([0, 0, 0, 1, late_s, draw(st.integers(0, late_s))])) * S
        out.append(
            {
                "time": now - late, "key": draw(keys), "value": draw(values), "item": draw(st.sampled_from(["x", "y", "z", "", None])),
                "partition": draw(st.sampled_from([0, 0, 0, 1])), "offset": i,
            }
        )  # fmt: skip
    return out


cuts = st.lists(st.integers(0, 60), max_size=6)


def frame_of(rows):
    """Make an event frame of rows."""
    columns = {name: [row[name] for row in rows] for name in ("key", "value", "item", "partition", "offset")}
    kinds = {"key": "str", "value": "float64", "item": "str", "partition": "int32", "offset": "int64"}
    data = {name: pd.Series(column, dtype=kinds[name]) for name, column in columns.items()}
    more = {name: [row[name] for row in rows] for name in rows[0] if name not in data} if rows else {}
    return event_frame(data | more | {"time": from_us([row["time"] for row in rows])})


def run(step, frame, cuts=()):
    """Run a fresh copy of a step over a frame that is cut; gives the rows (index: at which row each came out) and the sides."""
    return play(step, frame, cuts)


def column(step, frame, name, cuts=()):
    """Give a column of what comes out, as a list."""
    return run(step, frame, cuts)[0][name].tolist()


def pairs(edges):
    return itertools.pairwise(edges)
