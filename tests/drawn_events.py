"""Rows of features and categories, for the detectors of rows."""

import numpy as np
from drawn import START, S, column, frame_of, rows
from hypothesis import strategies as st

# few values, so that bins fill; gaps and wild ones
small = st.one_of(st.integers(-3, 3).map(float), st.floats(-10, 10), st.sampled_from([0.0, 1e6, -1e12]), st.none())
drawn_rows = rows(values=small)
recipes = st.fixed_dictionaries(
    {
        "halflife": st.sampled_from([3, 50]),
        "warm": st.integers(1, 12),
        "guard": st.sampled_from([0, 0.1, 0.5]),
        "patience": st.sampled_from([10, 20]),
    }
)


def points_of(drawn):
    return [[row["value"], float(row["offset"] % 5)] for row in drawn]


def kinds_of(drawn):
    return [[row["key"], row["item"]] for row in drawn]


def events(drawn):
    """Make a frame with the numbers ``value`` and ``other`` and the categories ``key`` and ``item``."""
    frame = frame_of(drawn)
    frame["other"] = [point[1] for point in points_of(drawn)]
    return frame


def scored(step, values, other=None, key=None, step_s=1):
    """Score rows one ``step_s`` apart; gives the scores as an array."""
    drawn = [
        {
            "time": START + i * step_s * S,
            "key": None if key is None else key[i],
            "value": v,
            "item": None,
            "partition": 0,
            "offset": i,
        }
        for i, v in enumerate(values)
    ]
    frame = frame_of(drawn)
    frame["other"] = 0.0 if other is None else other
    return np.array(column(step, frame, "score"))


normal = np.random.default_rng(0).normal(size=3_000).tolist()


def burst(length, quiet=1_000, ordinary=normal, strange=9.0):
    """Give ordinary values, a burst of equal strange ones, and ordinary ones again."""
    return [*ordinary[:quiet], *[strange] * length, *ordinary[quiet : quiet + 200]]
