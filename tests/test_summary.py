import numpy as np
import pandas as pd
import pytest
from drawn import pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import fingerprint

import govlab as gl
from govlab.summary import Fingerprint, Summary

texts = st.one_of(st.sampled_from(["a", "b", "ann", ""]), st.none())
numbers = st.one_of(st.integers(-5, 5).map(float), st.floats(-1e3, 1e3), st.none())
tables = st.lists(st.tuples(texts, numbers, numbers), max_size=20)


def frame_of(rows):
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    kinds = {"actor": "str", "value": "float64", "count": "float64"}
    return pd.DataFrame({name: pd.Series(list(c), dtype=kinds[name]) for name, c in zip(kinds, columns, strict=True)})


def print_of(taken, given=None, recipe=None):
    whole = Fingerprint()
    for frame in taken:
        whole.take(frame)
    for frame in given or ():
        whole.give(frame)
    return whole.digest(recipe or {})


@given(tables, tables)
@settings(max_examples=40, deadline=None)
def test_the_fingerprint_is_that_of_the_naive_twin(taken, given_on):
    rows = [[dict(zip(("actor", "value", "count"), row, strict=True)) for row in part] for part in (taken, given_on)]
    for part in rows:
        for row in part:
            row |= {"value": row["value"] and row["value"] + 0.0, "count": row["count"] and row["count"] + 0.0}
            row |= {name: 0.0 for name in ("value", "count") if row[name] == 0}
    assert fingerprint({"step": "x"}, *rows) == print_of([frame_of(taken)], [frame_of(given_on)], {"step": "x"})


@given(tables, st.lists(st.integers(0, 20), max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_it_depends_neither_on_the_order_of_the_rows_nor_on_their_cut(rows, cuts, chance):
    shuffled = chance.sample(rows, len(rows))
    edges = [0, *sorted(c for c in cuts if c < len(rows)), len(rows)]
    assert print_of([frame_of(rows)]) == print_of([frame_of(shuffled).iloc[a:b] for a, b in pairs(edges)])


@given(tables.filter(len), st.data())
@settings(max_examples=60, deadline=None)
def test_one_bit_makes_another(rows, data):
    frame = frame_of(rows)
    other, i = frame.copy(), data.draw(st.integers(0, len(rows) - 1))
    bits = np.nan_to_num(frame["value"].to_numpy(), nan=1.0)[i : i + 1].view("uint64") ^ np.uint64(
        1 << data.draw(st.integers(0, 51))
    )
    other.loc[i, "value"] = bits.view("float64")[0]
    assert print_of([frame]) != print_of([other])


def test_an_int_column_read_as_float_is_the_same():
    assert print_of([pd.DataFrame({"n": [1, 2, 2**52]})]) == print_of([pd.DataFrame({"n": [1.0, 2.0, 2.0**52]})])


def test_a_column_that_is_all_missing_is_as_none():
    one = pd.DataFrame({"n": [1, 2]})
    for missing in (None, np.nan, pd.NA, pd.NaT):
        assert print_of([one]) == print_of([one.assign(m=missing)])


def test_where_a_row_was_read_from_does_not_matter():
    one = pd.DataFrame({"n": [1, 2]})
    assert print_of([one]) == print_of([one.assign(partition=3, offset=[7, 8], evidence="x", first_offset=0, last_offset=1)])


@pytest.mark.parametrize(
    "other",
    [pd.DataFrame({"n": [1, 1]}), pd.DataFrame({"m": [1, 2]}), pd.DataFrame({"n": [1, 2, 2]}), pd.DataFrame({"n": [1, 2], "m": [1, 2]}), pd.DataFrame({"n": ["1", "2"]})],
)  # fmt: skip
def test_other_rows_or_names_or_types_make_another(other):
    assert print_of([pd.DataFrame({"n": [1, 2]})]) != print_of([other])


def test_a_value_that_is_the_name_of_another_column_is_not_that_column():
    assert print_of([pd.DataFrame({"x": ["y"]})]) != print_of([pd.DataFrame({"y": ["x"]})])


def test_values_that_change_places_make_another():
    assert print_of([pd.DataFrame({"n": [1, 2], "m": [2, 1]})]) != print_of([pd.DataFrame({"n": [2, 1], "m": [2, 1]})])


def test_what_is_taken_and_what_is_given_are_told_apart_and_so_is_the_recipe():
    one, two = pd.DataFrame({"n": [1]}), pd.DataFrame({"n": [2]})
    assert 4 == len({print_of([one], [two]), print_of([two], [one]), print_of([one, two]), print_of([one], [two], {"step": "y"})})


def test_a_summary_says_what_was_done_in_words():
    events = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 3, "event_id": ["a", "a", "b"]})
    summary = gl.Pipeline(gl.prepare.Deduplicate(), gl.detectors.Always()).run(events).summary
    lines = str(summary).splitlines()
    assert [
        "finished: 3 events from 2026-03-02 00:00:00+00:00 to 2026-03-02 00:00:00+00:00 -> 2 rows",
        "  deduplicate: 3 taken, 2 given, 1 aside",
        "  always: 2 taken, 2 given",
        "  duplicate: 1",
    ] == lines[:4]
    assert summary == Summary(**summary.to_dict())


def test_a_summary_shows_no_html_of_the_data():
    assert "<script>" not in Summary(sides={"<script>": 1})._repr_html_()
