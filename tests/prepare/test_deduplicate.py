import pickle

from drawn import START, S, cuts, frame_of, rows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import deduplicate

from govlab.frames import event_frame, from_us
from govlab.prepare import Deduplicate

ids = st.one_of(st.integers(0, 6).map("e{}".format), st.integers(0, 60).map("e{}".format), st.none())


@given(rows(keys=ids), cuts, st.sampled_from([1, 60, 3600]), st.sampled_from([2, 3, 5, 1000]))
@settings(max_examples=60, deadline=None)
def test_it_finds_the_doubles_that_the_naive_twin_finds(drawn, cuts, within, most):
    twice = deduplicate([{"time": row["time"], "id": row["key"]} for row in drawn], within * S, most)
    out, sides = run(Deduplicate("key", f"{within}s", most), frame_of(drawn), cuts)
    assert [i for i, t in enumerate(twice) if not t] == out["offset"].tolist()
    assert [i for i, t in enumerate(twice) if t] == (sides["duplicate"]["offset"].tolist() if "duplicate" in sides else [])


def test_many_ids_make_the_table_grow_and_none_is_lost():
    n = 20_000
    events = event_frame({"time": from_us([START] * (2 * n)), "event_id": [f"e{i}" for i in [*range(n), *range(n)]]})
    out, sides = run(Deduplicate(), events, [7_000, 23_000])
    assert (list(range(n)), n) == (out["offset"].tolist(), len(sides["duplicate"]))


def test_at_the_bound_the_older_half_is_forgotten_as_by_the_twin():
    drawn = [{"time": START + i, "id": f"e{i % 700}"} for i in range(3_000)]
    events = event_frame({"time": from_us([row["time"] for row in drawn]), "event_id": [row["id"] for row in drawn]})
    expected = [i for i, twice in enumerate(deduplicate(drawn, 3600 * S, 500)) if not twice]
    assert expected == run(Deduplicate(max_entities=500), events, [999])[0]["offset"].tolist()
    assert len(set(range(700))) < len(expected) <= 3_000


def test_ids_that_are_too_old_to_matter_take_no_place():
    step = Deduplicate(within="1min")
    for hour in range(40):
        step.process(
            event_frame({"time": from_us([START + hour * 3600 * S] * 500), "event_id": [f"{hour} {i}" for i in range(500)]})
        )
    assert step._table.size <= 2_048


def test_an_id_may_come_again_after_the_time_and_not_just_within_it():
    events = event_frame({"time": from_us([START, START + 60 * S, START + 120 * S + 1]), "event_id": ["a", "a", "a"]})
    assert [0, 2] == run(Deduplicate(within="60s"), events)[0]["offset"].tolist()


def test_rows_without_an_id_are_all_given_on():
    events = event_frame({"time": from_us([START] * 3), "event_id": [None, None, "a"]})
    assert [0, 1, 2] == run(Deduplicate(), events)[0]["offset"].tolist()


def test_a_duplicate_is_put_aside_with_the_reason():
    events = event_frame({"time": from_us([START] * 2), "event_id": [5, 5]})
    assert ["event_id was seen within 1h"] == run(Deduplicate(), events)[1]["duplicate"]["reason"].tolist()


def test_the_state_pickles_without_the_air_in_it():
    step = Deduplicate()
    step.process(event_frame({"time": from_us([START] * 5_000), "event_id": list(range(5_000))}))
    assert len(pickle.dumps(step)) < 5_000 * 16 + 2_000
    again = event_frame({"time": from_us([START] * 5_000), "event_id": list(range(5_000))})
    assert 0 == len(pickle.loads(pickle.dumps(step)).process(again))
