"""Figures of a report as a person wants to read them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from govlab.alerts.alert import name_of_entity

__all__ = ["column", "duration", "figure", "named", "number", "unit"]


def unit(most_s: float) -> tuple[float, str]:
    """Choose the unit in which a time is said."""
    return (86_400.0, "days") if most_s > 172_800 else (3_600.0, "hours") if most_s > 7_200 else (60.0, "minutes")


def number(value: Any, sign: str = "") -> str:
    """Say a number; what is not known is a dash."""
    if not _known(value):
        return "-"
    return f"{value:{sign},.0f}" if float(value).is_integer() and abs(value) >= 1 else f"{value:{sign}.3g}"


def figure(value: Any, interval: Any, sign: str = "") -> str:
    """Say a number with its interval."""
    if not isinstance(interval, tuple):
        return number(value, sign)
    return f"{number(value, sign)} ({number(interval[0], sign)} to {number(interval[1], sign)})"


def duration(seconds: Any) -> str:
    """Say a number of seconds in the unit that a person would use."""
    if not _known(seconds):
        return "-"
    per, name = unit(float(seconds))
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / per:.3g} {name}"


def named(count: int, names: tuple[Any, ...]) -> str:
    """Say how many there are, and name the first few."""
    few = ", ".join(map(name_of_entity, names[:3])) + ", ..." * (count > 3)
    return f"{count:,} ({few})" if count else "0"


def column(values: pd.Series) -> list[str]:
    """Give a column of the incidents as a person wants to read it."""
    if values.name == "entities":
        return [named(len(names), names) if isinstance(names, tuple) else "the platform" for names in values]
    if str(values.name).endswith("delay_s"):
        return [duration(value) for value in values]
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return ["-" if value is pd.NaT else f"{value:%Y-%m-%d %H:%M:%S}" for value in values]
    return [("yes" if value else "no") if isinstance(value, bool | np.bool_) else str(value) for value in values]


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))
