import math

import numpy as np
import pytest
from drawn import START, S, column, cuts, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_coordination import role_shift

from govlab.detectors import RoleShift
from govlab.errors import SchemaError
from govlab.frames import event_frame, from_us


def frame_of(edges):
    """Edges are (seconds, source, target)."""
    times, sources, targets = zip(*edges, strict=True) if edges else ((), (), ())
    return event_frame({"time": from_us([START + int(t * S) for t in times]), "source": list(sources), "target": list(targets)})


def scored(edges, **recipe):
    return column(RoleShift(**{"warm": 50} | recipe), frame_of(edges), "score")


accounts = st.sampled_from(["a", "b", "c", "d", None])


@given(rows(step_s=200, keys=accounts), st.lists(accounts, min_size=60, max_size=60), cuts, st.integers(2, 20), st.integers(2, 5))
@settings(max_examples=40, deadline=None)
def test_it_scores_as_the_naive_twin_does(drawn, targets, cuts, memory, most):
    edges = [{"time": r["time"], "source": r["key"], "target": v} for r, v in zip(drawn, targets, strict=False)]
    frame = event_frame({"time": from_us([e["time"] for e in edges])} | {n: [e[n] for e in edges] for n in ("source", "target")})
    twin = role_shift(edges, 300 * S, memory, 5, most)
    step = RoleShift(halflife="5min", memory=memory, warm=5, max_entities=most)
    assert twin == pytest.approx(column(step, frame, "score", cuts), rel=1e-9, abs=1e-9, nan_ok=True)


rng = np.random.default_rng(1)
friends = [f"u{i}" for i in range(20)]
ordinary = [(3_600 * i, *rng.choice(friends, 2, replace=False).tolist()) for i in range(400)]
# an account that never acted is acted on by many, who were not there before
pile = [(3_600 * 400 + 60 * i, f"new{i}", "quiet") for i in range(10)]


def test_an_account_on_which_many_newcomers_act_at_once_scores_above_all_but_a_few_ordinary_ones():
    scores = scored(ordinary + pile)
    assert np.quantile(scores[200:400], 0.98) < min(scores[400:])


def test_an_answer_scores_below_a_first_move():
    first, answer = (
        scored([*ordinary, *before, (3_600 * 402, "u1", "late")])[-1] for before in ([], [(3_600 * 401, "late", "u1")])
    )
    assert answer < first


def test_the_unit_of_time_does_not_matter_if_the_halflife_has_it():
    days = [(24 * t, u, v) for t, u, v in ordinary + pile]
    assert scored(ordinary + pile, halflife="7h")[50:] == scored(days, halflife="7d")[50:]


def test_it_gives_nan_until_so_many_edges_are_learned():
    assert 50 == sum(map(math.isnan, scored(ordinary)))


def test_a_row_that_is_no_edge_scores_nan_and_is_not_learned():
    scores = scored([*ordinary[:100], (3_600 * 100, None, "u1"), (3_600 * 100, "u1", None), *ordinary[100:]])
    assert [True, True] == [math.isnan(s) for s in scores[100:102]]
    assert scored(ordinary)[100:] == scores[102:]


def test_an_account_is_the_same_as_source_and_as_target_also_if_one_column_has_a_gap():
    numbered = [(t, int(u[1:]), int(v[1:])) for t, u, v in ordinary]
    gap = [(0, None, 3)]
    assert scored(numbered)[50:] == scored(gap + numbered)[51:]


@pytest.mark.parametrize("gone", ["source", "target"])
def test_a_missing_column_is_named(gone):
    with pytest.raises(SchemaError, match=f"RoleShift needs a column '{gone}'"):
        RoleShift().process(frame_of(ordinary).drop(columns=gone))
