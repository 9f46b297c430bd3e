"""The made-up community: the same for a seed, lifelike where it matters, with the incidents it says it has."""

import json

import pandas as pd
import pytest

from govlab import datasets
from govlab.errors import ArgumentError

SECOND = pd.Timedelta("1s")


@pytest.fixture(scope="module")
def happened(day):
    return day.events.drop_duplicates("event_id").sort_values("event_id", ignore_index=True)


def test_same_seed_gives_the_same_bytes_and_another_seed_others():
    size = {"users": 200, "events": 1_000}
    first, second, other = (datasets.community(seed=seed, **size) for seed in (3, 3, 4))
    for one, two in zip(first, second, strict=True):
        assert one.to_csv() == two.to_csv()
    assert first.events.to_csv() != other.events.to_csv()


def test_columns_have_the_declared_types_in_the_declared_order(day):
    columns = ["time", "arrival", "event_id", "kind", "actor", "target", "text", "ip", "ok"]
    assert columns == list(day.events.columns)
    moments = [day.events["time"], day.events["arrival"], day.labels["known_at"]]
    moments += [day.incidents[name] for name in ("start", "end", "known_at")]
    assert {"datetime64[us, UTC]"} == {str(column.dtype) for column in moments}
    assert "bool" == str(day.events["ok"].dtype)


def test_rows_are_in_order_of_arrival_and_arrive_after_they_happen(day):
    in_order = day.events.sort_values(["arrival", "event_id"], ignore_index=True)
    pd.testing.assert_frame_equal(in_order, day.events)
    assert (day.events["arrival"] >= day.events["time"]).all()


def test_about_one_event_in_a_hundred_is_late_by_up_to_ten_minutes(day):
    first = day.events.drop_duplicates("event_id")
    delay = first["arrival"] - first["time"]
    assert 0.007 < (delay > 4 * SECOND).mean() < 0.013
    assert 120 * SECOND < delay.max() < 700 * SECOND


def test_about_one_event_in_two_hundred_is_delivered_twice_and_unchanged_but_for_its_arrival(day):
    twice = day.events[day.events["event_id"].duplicated(keep=False)].sort_values(["event_id", "arrival"])
    first, again = twice.iloc[::2].reset_index(drop=True), twice.iloc[1::2].reset_index(drop=True)
    assert 0.003 < len(again) / day.events["event_id"].nunique() < 0.007
    pd.testing.assert_frame_equal(first.drop(columns="arrival"), again.drop(columns="arrival"))
    assert (again["arrival"] > first["arrival"]).all()


def test_evening_is_busier_than_the_time_before_dawn(happened):
    by_hour = happened.groupby(happened["time"].dt.hour).size()
    assert by_hour[[19, 20, 21]].sum() > 3 * by_hour[[3, 4, 5]].sum()


def test_few_members_make_many_events_and_addresses_belong_to_members(happened):
    share = happened["actor"].value_counts(normalize=True)
    assert 0.2 < share.head(40).sum() < 0.35
    usual = happened[happened["kind"] != "login"].groupby("actor")["ip"].nunique()
    assert usual.max() <= 2


def test_addresses_are_from_documentation_ranges_only(happened):
    known = ("2001:db8:", "192.0.2.", "198.51.100.", "203.0.113.")
    assert happened["ip"].str.startswith(known).all()


def test_posts_and_comments_have_texts_and_some_hold_markup_and_other_scripts(happened):
    written = happened["kind"].isin(["post", "comment"])
    assert happened["text"].notna().tolist() == written.tolist()
    texts = happened.loc[written, "text"]
    assert texts.str.contains("<script>", regex=False).any()
    assert texts.str.contains("[^\x00-\x7f]").any()


def test_targets_fit_the_kind(happened):
    target = happened.set_index("kind")["target"]
    assert target["login"].isna().all()
    assert target["follow"].str.startswith("user_").all()
    assert pd.concat([target["post"], target["comment"], target["like"]]).str.startswith("post_").all()
    assert target["post"].is_unique
    assert not (happened["actor"] == happened["target"]).any()


def test_every_label_names_an_event_and_an_incident_and_counts_agree(day):
    assert set(day.labels["event_id"]) <= set(day.events["event_id"])
    assert day.labels["event_id"].is_unique
    counted = day.labels["incident_id"].value_counts().reindex(day.incidents["incident_id"], fill_value=0)
    assert day.incidents["n_events"].tolist() == counted.tolist()


@pytest.mark.parametrize("seed", [7, 1, 2, 3])
def test_one_incident_of_each_kind_lies_inside_the_day_and_none_overlap(seed):
    made = datasets.community(seed=seed, users=400, events=3_000).incidents
    assert ["account_takeover", "brigade", "coordinated_likes", "outage", "spam_wave"] == sorted(made["kind"])
    begin = pd.Timestamp("2026-03-02", tz="UTC")
    assert (made["start"] >= begin).all()
    assert (made["end"] <= begin + pd.Timedelta("24h")).all()
    assert (made["start"] < made["end"]).all()
    assert (made["start"].to_numpy()[1:] > made["end"].to_numpy()[:-1]).all()


def test_incidents_become_known_after_their_start_with_a_delay_of_their_kind(day):
    delay = (day.incidents["known_at"] - day.incidents["start"]).set_axis(day.incidents["kind"])
    assert delay.min() > pd.Timedelta("5min")
    order = ["outage", "brigade", "spam_wave", "account_takeover", "coordinated_likes"]
    assert order == delay.sort_values().index.tolist()


def test_no_label_is_known_before_its_event_arrived(day):
    arrival = day.events.drop_duplicates("event_id").set_index("event_id")["arrival"]
    assert (day.labels.set_index("event_id")["known_at"] >= arrival.reindex(day.labels["event_id"])).all()


def test_labelled_events_lie_within_their_incident_and_touch_its_entities(day, happened):
    marked = happened.merge(day.labels, on="event_id").merge(day.incidents, on="incident_id")
    assert ((marked["time"] >= marked["start"]) & (marked["time"] <= marked["end"])).all()
    entities = {one.incident_id: set(json.loads(one.entities)) for one in day.incidents.itertuples()}
    assert all({row.actor, row.target, row.ip} & entities[row.incident_id] for row in marked.itertuples())


def test_outage_leaves_almost_no_events_for_twenty_minutes(day, happened):
    outage = day.incidents.set_index("kind").loc["outage"]
    length = outage["end"] - outage["start"]
    before = happened["time"].between(outage["start"] - length, outage["start"]).sum()
    during = happened["time"].between(outage["start"], outage["end"]).sum()
    assert pd.Timedelta("20min") == length
    assert during < before / 10


@pytest.fixture(scope="module")
def of_kind(day, happened):
    incident_of = happened["event_id"].map(day.labels.set_index("event_id")["incident_id"])
    return {one.kind: happened[incident_of == one.incident_id] for one in day.incidents.itertuples()}


def test_spam_comes_from_accounts_that_did_nothing_before(of_kind, happened):
    wave = of_kind["spam_wave"]
    earlier = happened[happened["time"] < wave["time"].min()]
    assert {"post"} == set(wave["kind"])
    assert not set(wave["actor"]) & set(earlier["actor"])
    assert wave["text"].str.startswith("Earn ").all()


def test_the_ring_likes_the_same_posts_within_minutes(of_kind):
    likes = of_kind["coordinated_likes"]
    assert likes.groupby("target")["actor"].nunique().eq(likes["actor"].nunique()).all()
    assert likes["time"].max() - likes["time"].min() < pd.Timedelta("7min")


def test_the_brigade_is_a_crowd_on_one_member_and_one_post(of_kind):
    attack = of_kind["brigade"]
    assert {"comment", "report"} == set(attack["kind"])
    assert 2 == attack["target"].nunique()
    assert attack["actor"].nunique() > 50


def test_takeovers_are_failures_then_at_most_one_success_from_few_addresses(of_kind):
    tries = of_kind["account_takeover"].sort_values("time")
    assert tries["ip"].nunique() <= 5
    assert tries["actor"].nunique() > 50
    by_victim = [victim["ok"].tolist() for _, victim in tries.groupby("actor")]
    assert all(not any(ok[:-1]) and len(ok) >= 2 for ok in by_victim)
    assert any(ok[-1] for ok in by_victim)


def test_without_incidents_the_tables_are_empty_and_keep_their_columns(day):
    quiet = datasets.community(users=200, events=1_000, incidents=False)
    assert (0, 0) == (len(quiet.incidents), len(quiet.labels))
    assert list(day.incidents.dtypes) == list(quiet.incidents.dtypes)


def test_every_day_begun_has_incidents():
    assert 10 == len(datasets.community(hours=30, users=200, events=2_000).incidents)


@pytest.mark.parametrize("wrong", [{"hours": 0}, {"users": 10}, {"events": 1}, {"events": 1e3}])
def test_sizes_that_are_too_small_or_not_whole_are_named(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        datasets.community(**wrong)
