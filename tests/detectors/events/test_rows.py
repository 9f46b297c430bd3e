import math

import numpy as np
import pandas as pd
import pytest
from drawn_events import burst
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_events import Guard, Histogram

from govlab import hashing
from govlab.detectors import DecayedHistogram
from govlab.detectors.events import rows
from govlab.errors import SchemaError

finite = st.one_of(st.floats(-1e3, 1e3), st.integers(-3, 3).map(float), st.sampled_from([1e12, -1e100, 1e150]))


def guard(share, patience):
    step = DecayedHistogram(["x"], guard=share, patience=patience)
    return step._ring, step._watch


def admitted(scores, share=0.1, patience=40):
    ring, state = guard(share, patience)
    return [bool(rows.admit(float(s), share, ring, state)) for s in scores]


@given(st.lists(st.one_of(finite, st.just(math.nan)), max_size=150), st.sampled_from([0, 0.1, 0.5]), st.sampled_from([10, 24]))
@settings(max_examples=40, deadline=None)
def test_the_guard_admits_what_the_naive_twin_does(scores, share, patience):
    twin = Guard(share, patience)
    assert [twin.admits(s) for s in scores] == admitted(scores, share, patience)


def test_the_guard_refuses_about_its_share_in_quiet_times():
    quiet = np.random.default_rng(1).normal(size=20_000)
    assert [0.01, 0.1] == [pytest.approx(np.mean(~np.array(admitted(quiet, share, 1_000))), rel=0.2) for share in (0.01, 0.1)]


def test_the_guard_refuses_a_burst_and_admits_what_comes_after_it():
    learned = admitted(burst(700, 2_000), 0.01, 1_000)
    assert 0 == sum(learned[2_000:2_700])
    assert sum(learned[2_700:]) >= 190


@pytest.mark.parametrize("patience", [400, 1_000, 2_000])
def test_the_guard_opens_to_what_stays_after_about_its_patience(patience):
    quiet = np.random.default_rng(1).normal(size=3 * patience)
    learned = admitted([*quiet, *[9.0] * 3 * patience], 0.05, patience)[len(quiet) :]
    assert 0.75 * patience <= learned.index(True) <= 1.3 * patience
    assert all(learned[learned.index(True) :])


def test_a_guard_of_zero_admits_all():
    assert all(admitted(burst(100), 0))


def test_equal_scores_are_all_admitted():
    assert all(admitted([0.1 + 0.2, 0.3] * 500))


@given(st.lists(st.floats(-20, 20), max_size=30), st.floats(-20, 20))
@settings(max_examples=40, deadline=None)
def test_the_bins_are_those_of_the_naive_twin(learned, asked):
    twin, bins = Histogram(), np.zeros(rows.BINS)
    for x in learned:
        twin.add(x, 2.0)
        rows.add(bins, rows.position(x), 2.0)
    assert twin.read(asked) == pytest.approx(rows.read(bins, rows.position(asked)), abs=1e-9)
    assert len(learned) * 2.0 == pytest.approx(bins.sum())


def test_a_missing_category_is_a_category_and_hashes_do_not_depend_on_the_frame():
    frame = pd.DataFrame({"kind": ["post", None, "like"]})
    hashes = rows.codes(frame, ["kind"], "Test")
    assert [hashing.hash_text("post"), int(hashing.NULL_HASH)] == hashes[:2, 0].tolist()
    assert hashes[2:].tolist() == rows.codes(frame.iloc[2:], ["kind"], "Test").tolist()


def test_text_in_a_column_of_numbers_is_refused_by_name():
    with pytest.raises(SchemaError, match="column 'kind' does not hold numbers"):
        rows.matrix(pd.DataFrame({"kind": ["post"]}), ["kind"], "Test")


@pytest.mark.parametrize(
    ("value", "expected"), [(math.nan, False), (math.inf, False), (-math.inf, False), (1e151, False), (1e150, True), (0.0, True)]
)
def test_a_row_with_a_missing_or_boundless_value_is_not_whole(value, expected):
    assert expected == rows.whole(np.array([[1.0, value]]), 0)
