"""Days are local: windows begin when the clocks of a zone say so, whatever is done to these."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from drawn import cuts, frame_of, rows, run
from hypothesis import given, settings
from hypothesis import strategies as st

import govlab as gl
from govlab.errors import ArgumentError
from govlab.features import WindowCount
from govlab.frames import event_frame, from_us, time_us
from govlab.testing import check_detector, check_step, sample_events
from govlab.zones import LocalWindows, local_us

S = 1_000_000
HOUR, DAY = 3_600 * S, 86_400 * S
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "UTC",
]
LENGTHS = {"1h": 3_600, "2h": 7_200, "6h": 21_600, "15min": 900, "1d": 86_400, "7d": 604_800}


def local(us, zone):
    return datetime.fromtimestamp(us // S, ZoneInfo(zone)).replace(tzinfo=None)


@given(st.sampled_from(ZONES), st.integers(-2_000_000_000, 4_000_000_000))
@settings(max_examples=300, deadline=None)
def test_the_clocks_of_a_zone_say_what_zoneinfo_says(zone, second):
    says = datetime(1970, 1, 1) + timedelta(seconds=int(local_us(np.array([second * S]), zone)[0]) // S)
    assert datetime.fromtimestamp(second, ZoneInfo(zone)).replace(tzinfo=None, fold=0) == says


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("length", LENGTHS)
def test_windows_follow_each_other_without_a_gap_and_begin_when_clocks_say_a_multiple_or_leap_over_one(zone, length):
    every = LENGTHS[length]
    windows = LocalWindows(zone, every * S)
    numbers = np.arange(*windows.number(np.array([1_000_000_000 * S, 1_000_000_000 * S + max(400 * DAY, 300 * every * S)])))
    starts = windows.start(numbers)
    assert numbers.tolist() == windows.number(starts).tolist()
    assert (numbers - 1).tolist() == windows.number(starts - 1).tolist()
    for start in starts.tolist():
        says, before = local(start, zone), local(start - S, zone) + timedelta(seconds=1)
        since = says - datetime(1970, 1, 1)
        assert since.total_seconds() % every == 0 or since // timedelta(seconds=every) > (
            before - datetime(1970, 1, 1) - timedelta(seconds=1)
        ) // timedelta(seconds=every)


def days(zone, first, last, **more):
    """Count the events of a stream with one a minute in days of a zone."""
    us = [int(datetime(*d, tzinfo=ZoneInfo(zone)).timestamp()) * S for d in (first, last)]
    events = event_frame({"time": from_us(np.arange(us[0], us[1], 60 * S))})
    return gl.Pipeline(WindowCount(every="1d", zone=zone, **more)).run(events, max_rows=997).rows


@pytest.mark.parametrize("fill", [False, True])
@pytest.mark.parametrize(
    ("zone", "first", "last", "hours"),
    [
        ("Europe/Berlin", (2026, 3, 27), (2026, 4, 1), [24, 24, 23, 24, 24]),
        ("Europe/Berlin", (2026, 10, 24), (2026, 10, 27), [24, 25, 24]),
        ("America/New_York", (2026, 3, 7), (2026, 3, 10), [24, 23, 24]),
        ("Australia/Lord_Howe", (2026, 4, 4), (2026, 4, 7), [24, 24.5, 24]),
        ("Asia/Kolkata", (2026, 3, 28), (2026, 3, 30), [24, 24]),
        ("America/Sao_Paulo", (2018, 11, 3), (2018, 11, 6), [24, 23, 24]),  # midnight is left out
        ("America/Sao_Paulo", (2018, 2, 17), (2018, 2, 19), [25, 24]),  # the hour before midnight comes twice
    ],
)
def test_a_day_begins_at_local_midnight_and_has_23_or_25_hours_when_clocks_are_changed(zone, first, last, hours, fill):
    rows = days(zone, first, last, fill=fill)
    assert [60 * h for h in hours] == rows["count"].tolist()
    assert [h * 3_600 for h in hours] == (rows["time"] - rows["start"]).dt.total_seconds().tolist()
    assert datetime(*first) == local(time_us(rows, "start")[0], zone)


def test_two_days_slide_over_the_change_of_clocks():
    rows = days("Europe/Berlin", (2026, 3, 28), (2026, 4, 1), size="2d", lateness="3h")
    assert [24, 47, 47, 48, 24] == (rows["count"] // 60).tolist()


@pytest.mark.parametrize("every", [2, 24])
@given(
    rows(step_s=20_000, late_s=30_000, most=60),
    cuts,
    st.sampled_from(ZONES),
    st.sampled_from([0, 3 * 3_600]),
    st.sampled_from([1, 2]),
    st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_it_counts_as_by_hand_wherever_the_rows_are_cut(every, drawn, cuts, zone, lateness, sizes, fill):
    # 2026-03-28, before clocks are changed in Europe
    drawn = [row | {"time": row["time"] + 26 * DAY} for row in drawn]
    step = WindowCount(
        "key", f"{every}h", f"{every * sizes}h", f"{lateness}s", zone=zone, max_entities=50, fill=fill, expire="1000d"
    )
    windows = LocalWindows(zone, every * HOUR)
    newest, shut, expected, late = -(2**62), -(2**62), {}, []
    for row in drawn:
        newest = max(newest, row["time"])
        shut = max(shut, int(windows.number(np.array([newest - lateness * S]))[0]) - sizes + 1)
        last = int(windows.number(np.array([row["time"]]))[0])
        if last < shut:
            late.append(row["offset"])
        for w in range(max(shut, last - sizes + 1), last + 1):
            start, end = windows.start(np.array([w, w + sizes])).tolist()
            expected[start, end, row["key"]] = expected.get((start, end, row["key"]), 0) + 1
    out, sides = run(step, frame_of(drawn), cuts)
    keys = out["key"].astype("object").where(out["key"].notna(), None).tolist()
    found = zip(time_us(out, "start").tolist(), time_us(out).tolist(), keys, out["count"].tolist(), strict=True)
    assert expected == {(start, end, key): n for start, end, key, n in found if n}
    assert late == (sides["late"]["offset"].tolist() if "late" in sides else [])


def test_steps_with_a_zone_keep_the_contract():
    events = sample_events(400, span_s=200_000)
    check_step(WindowCount("actor", "6h", "12h", "1h", zone="Europe/Berlin", max_entities=8), events)
    check_step(WindowCount("actor", "1d", fill=True, zone="America/New_York", max_entities=8), events)
    check_detector(gl.detectors.SeasonalCount("count", "actor", warm=5, max_entities=8, zone="Europe/Berlin"))


def test_an_hour_of_the_week_stays_one_when_clocks_are_changed():
    t = np.arange(1_767_571_200 * S, 1_776_643_200 * S, HOUR)  # 2026-01-05 to 2026-04-20
    at = [local(us, "Europe/Berlin") for us in t.tolist()]
    busy = np.array([8 <= moment.hour < 18 and moment.weekday() < 5 for moment in at])
    counts = np.random.default_rng(1).poisson(np.where(busy, 200, 10))
    events = event_frame({"time": from_us(t), "count": counts})
    far = [
        int((gl.Pipeline(gl.detectors.SeasonalCount("count", **zone)).run(events).rows["score"] > 4).sum())
        for zone in ({}, {"zone": "Europe/Berlin"})
    ]
    assert (True, 0) == (far[0] > 0, far[1])


def test_a_zone_is_part_of_the_recipe_only_where_it_is_not_utc():
    for kind in (WindowCount, gl.detectors.SeasonalCount):
        assert "zone" not in kind().recipe()
        assert "zone" not in kind(zone="UTC").recipe()
        again = gl.Step.from_recipe(kind(zone="Asia/Tokyo").recipe())
        assert ("Asia/Tokyo", "Asia/Tokyo") == (again.zone, again.recipe()["zone"])


@pytest.mark.parametrize("zone", ["Europe/Berlim", "", None, 1, "../etc/passwd", "CEST+1"])
@pytest.mark.parametrize("kind", [WindowCount, gl.detectors.SeasonalCount])
def test_what_is_no_zone_is_refused(kind, zone):
    with pytest.raises(ArgumentError, match=f"{kind.__name__}: zone=.* is no time zone; expected an IANA name"):
        kind(zone=zone)


def test_windows_of_a_zone_that_do_not_fit_its_days_are_refused():
    with pytest.raises(ArgumentError, match="expected whole days, or a length that divides a day"):
        WindowCount(every="7h", zone="Europe/Berlin")
