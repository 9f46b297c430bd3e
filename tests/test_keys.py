import pickle
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from drawn import START, pairs
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import Entities as NaiveEntities
from naive import hash_value

from govlab.detectors import EwmaZ
from govlab.entities import Entities
from govlab.errors import ArgumentError, SchemaError
from govlab.frames import event_frame
from govlab.hashing import hash_column, hash_text
from govlab.keys import KeyIndex

texts = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.none())
numbers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.booleans())
floats = st.one_of(st.floats(), st.integers(-(2**53), 2**53).map(float), st.none())


@given(st.lists(texts, max_size=20))
@settings(max_examples=60, deadline=None)
def test_text_is_hashed_as_by_the_naive_twin(values):
    for column in (
        pd.Series(values, dtype="str"),
        pd.Series(values, dtype="object"),
        pa.array(values, pa.string()),
        pd.Series(values, dtype="category"),
    ):
        assert [hash_value(v) for v in values] == hash_column(column).tolist()


@given(st.lists(numbers, max_size=20), st.lists(floats, max_size=20))
@settings(max_examples=60, deadline=None)
def test_numbers_are_hashed_as_by_the_naive_twin(whole, real):
    assert [hash_value(int(v)) for v in whole] == hash_column(pd.Series([int(v) for v in whole], dtype="int64")).tolist()
    assert [hash_value(v if v else None if v is None else 0.0) for v in real] == hash_column(
        pd.Series(real, dtype="float64")
    ).tolist()


@given(
    st.lists(
        st.one_of(texts, st.integers(-9, 9), st.booleans(), st.floats(), st.just([1]), st.just({"a": 1}), st.just({"b": "x"})),
        min_size=1,
        max_size=9,
    )
)
@settings(max_examples=100, deadline=None)
def test_the_hash_of_a_value_does_not_depend_on_its_neighbours(values):
    column = pd.Series(values, dtype="object")
    assert [hash_column(column.iloc[i : i + 1])[0] for i in range(len(column))] == hash_column(column).tolist()


def test_hashes_never_change():
    assert 198367012849983736 == hash_text("a")
    assert [6238072747940578789, 198367012849983736] == hash_column(pd.Series([1, "a"])).tolist()


@pytest.mark.parametrize(
    "values",
    [
        pa.array([3, None], pa.int8()), pa.array([3, None], pa.float32()), pa.array([3.0, None]), pd.Series([3, None], dtype="Int64"),
        pd.Series([3, None], dtype="float64"), pa.array([3, None], pa.uint64()),
    ],
)  # fmt: skip
def test_a_whole_number_is_hashed_the_same_from_any_type(values):
    assert [hash_value(3), hash_value(None)] == hash_column(values).tolist()


@pytest.mark.parametrize(
    "kind",
    [
        pa.null(),
        pa.date32(),
        pa.time64("us"),
        pa.duration("s"),
        pa.decimal128(5, 2),
        pa.string_view(),
        pa.bool_(),
        pa.timestamp("us"),
        pa.binary(),
    ],
)
def test_a_missing_value_of_any_type_has_the_hash_of_a_missing_value(kind):
    assert [hash_value(None)] * 2 == hash_column(pd.Series(pd.array([None, None], dtype=pd.ArrowDtype(kind)))).tolist()


def test_a_slice_of_an_arrow_array_is_hashed_as_its_values():
    assert [hash_value("b"), hash_value(None)] == hash_column(pa.array(["a", "b", None, "c"])[1:3]).tolist()


kinds = {
    "str": st.one_of(st.sampled_from(["a", "b", "", "é"]), st.none()),
    "Int64": st.one_of(st.integers(-2, 2), st.none()),
    "float64": st.one_of(st.integers(-2, 2).map(float), st.none()),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.one_of(st.booleans(), st.none()),
}


@pytest.mark.parametrize("dtype", kinds)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_keys_are_numbered_in_the_order_in_which_they_first_came(dtype, data):
    index, known = KeyIndex(), {}
    for _ in range(data.draw(st.integers(1, 4))):
        values = data.draw(st.lists(kinds[dtype], max_size=12))
        expected = [known.setdefault(value, len(known)) for value in values]
        assert expected == index.encode(pd.Series(values, dtype=dtype)).tolist()
        index = pickle.loads(pickle.dumps(index))
    assert (list(known), len(known)) == (index.names, len(index))


def test_many_keys_keep_their_numbers_while_the_index_grows():
    index, keys = KeyIndex(), pd.Series([f"key number {i}" * (i % 5) for i in range(30_000)])
    numbers = index.encode(keys)
    again = index.encode(keys[::-1])[::-1]
    assert numbers.tolist() == again.tolist()
    assert 24_001 == len(index) == len(set(keys))
    assert keys.tolist() == index.take(numbers).tolist()


def test_keys_that_are_kept_are_numbered_anew_and_the_others_forgotten():
    index = KeyIndex()
    index.encode(pd.Series(["a", None, "b", "c"]))
    assert [-1, 0, -1, 1] == index.keep(np.array([1, 3])).tolist()
    assert ([1, 0, 2], [None, "c", "a"]) == (index.encode(pd.Series(["c", None, "a"])).tolist(), index.names)


def test_a_column_of_keys_that_changes_its_type_is_an_error_that_says_so():
    index = KeyIndex()
    index.encode(pd.Series([1], name="actor"))
    with pytest.raises(SchemaError, match="keys of column 'actor' were numbers and are text now"):
        index.encode(pd.Series(["a"], name="actor"))


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(-5, 20)), max_size=60),
    st.integers(1, 5),
    st.integers(0, 15),
    st.lists(st.integers(0, 60)),
)
@settings(max_examples=100, deadline=None)
def test_places_are_given_and_taken_as_by_the_naive_twin(moves, most, expire, cuts):
    twin, state, now, times = NaiveEntities(most, object, expire), [], START, []
    for key, step in moves:
        now += step
        times.append(now)
        state.append((twin.of(key, now), twin.fresh))
    entities, slots, fresh = Entities(most, expire), [], []
    column, edges = pd.Series([key for key, _ in moves], dtype="str"), [0, *sorted(c for c in cuts if c < len(moves)), len(moves)]
    for a, b in pairs(edges):
        given_slots, given_fresh = entities.place(column.iloc[a:b], np.array(times[a:b], "int64"))
        slots, fresh = slots + given_slots.tolist(), fresh + given_fresh.tolist()
        entities = pickle.loads(pickle.dumps(entities))
    assert [new for _, new in state] == fresh
    holder = {}
    for (mine, _), slot, new in zip(state, slots, fresh, strict=True):
        if new:
            holder[slot] = mine  # a state starts in this slot, and is found there until another one starts
        assert holder[slot] is mine
    assert max(slots, default=0) < most


def test_the_names_of_entities_without_a_place_are_forgotten():
    entities = Entities(100)
    for start in range(0, 30_000, 1_000):
        slots, fresh = entities.place(pd.Series([f"k{i}" for i in range(start, start + 1_000)]), np.full(1_000, start))
        assert fresh.all()
        assert 99 == slots.max()
    assert len(entities._index) <= 2_200
    _, fresh = entities.place(pd.Series(["k29999", "k29900", "k29899"]), np.full(3, 30_000))
    assert [False, False, True] == fresh.tolist()


def test_a_bound_below_one_is_refused():
    with pytest.raises(ArgumentError, match="max_entities=0 must be at least 1"):
        Entities(0)


MIXED = [1, "a", 2.5, True, None, 2**63 + 1, 2**70, Decimal("1.5"), Decimal("1.25"), "\ud800", {1: 2, "a": 3}, 1 + 2j, b"a"]


@pytest.mark.parametrize("kind", ["object", "category"])
def test_the_hash_of_a_value_does_not_depend_on_the_types_of_its_neighbours(kind):
    values = [value for value in MIXED if kind == "object" or not isinstance(value, dict | str)]
    alone = [int(hash_column(pd.Series([value], dtype=kind))[0]) for value in values]
    assert alone == hash_column(pd.Series(values, dtype=kind)).tolist()


def test_a_decimal_is_hashed_by_its_value():
    assert 1 == len(set(hash_column(pd.Series([Decimal("1.5"), Decimal("1.50")], dtype="object")).tolist()))


@pytest.mark.parametrize("keys", [[1, "a"], [True, 2.5], [1, 10**30]])
def test_keys_of_several_types_are_refused_however_the_rows_are_cut(keys):
    with pytest.raises(SchemaError, match="give the column one type"):
        KeyIndex().encode(pd.Series(keys, dtype="object", name="key"))
    index = KeyIndex()
    index.encode(pd.Series(keys[:1], dtype="object", name="key"))
    with pytest.raises(SchemaError, match="give the column one type"):
        index.encode(pd.Series(keys[1:], dtype="object", name="key"))


def test_a_row_without_a_time_does_not_start_its_entity_afresh():
    places, us = Entities(2, 1_000), np.array([np.iinfo("int64").min, 500, np.iinfo("int64").min, 1_400, 3_000])
    assert [True, False, False, False, True] == places.place(pd.Series(["a"] * 5), us)[1].tolist()


def test_an_entity_inherits_nothing_though_a_frame_was_refused_in_between():
    def frame(key, value):
        return event_frame({"time": ["2026-03-02T00:00:00Z"] * 8, "key": [key] * 8, "count": [value] * 8})

    step = EwmaZ("count", "key", max_entities=1)
    step.process(frame("a", 1.0))
    with pytest.raises(SchemaError, match="does not hold numbers"):
        step.process(frame("b", "x"))
    assert step.process(frame("b", 1.0))["score"].isna().sum() == 5
