"""Which day it is where the people are who look at the alerts."""

from __future__ import annotations

import difflib
import zoneinfo

import numpy as np

from govlab.errors import ArgumentError
from govlab.frames import from_us
from govlab.step import Step

__all__ = ["DAY_US", "check_zone", "local_days"]

DAY_US = 86_400_000_000


def check_zone(step: Step, field: str) -> None:
    """Raise an ArgumentError unless a field of a step names a time zone (IANA)."""
    value = getattr(step, field)
    try:
        if not isinstance(value, str):
            raise ValueError(value)
        zoneinfo.ZoneInfo(value)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        near = difflib.get_close_matches(str(value), sorted(zoneinfo.available_timezones()), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ArgumentError(
            f"{type(step).__name__}: {field}={value!r}; expected the name of a time zone, such as 'Europe/Berlin'.{hint}"
        ) from error


def local_days(times: np.ndarray, zone: str) -> np.ndarray:
    """Give the number of the day (since 1970-01-01) on which each time falls in a zone.

    Examples
    --------
    >>> late = np.array([1_772_494_200_000_000])  # 2026-03-02, half past eleven at night in UTC
    >>> int(local_days(late, "Europe/Berlin")[0] - local_days(late, "UTC")[0])
    1
    """
    if zone != "UTC":
        times = from_us(times).dt.tz_convert(zone).dt.tz_localize(None).to_numpy("datetime64[us]").view("int64")
    days: np.ndarray = times // DAY_US
    return days
