"""Checks of a step's parameters, for its ``check()``: each raises an ArgumentError that names the field and what is expected."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from govlab.errors import ArgumentError

if TYPE_CHECKING:
    from govlab.step import Step

__all__ = ["above", "at_least", "column_name", "one_of", "yes_or_no"]


def _number(step: Step, field: str, whole: bool) -> Any:
    """Give a field of a step if it is a number, as one of Python, else NaN; none is taken that 64 bits cannot hold."""
    value = getattr(step, field)
    if isinstance(value, np.integer if whole else np.number):
        value = value.item()
        setattr(step, field, value)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return math.nan
    if isinstance(value, float) and not math.isfinite(value):
        return math.nan
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ArgumentError(f"{type(step).__name__}: {field}={value!r}; expected a {'whole ' * whole}number below 2**63.")
    return value


def at_least(step: Step, field: str, least: float) -> None:
    """Raise an ArgumentError unless a field of a step is a finite number of at least ``least``, whole if the field is an int."""
    whole = any(f.name == field and f.type in (int, "int") for f in dataclasses.fields(step))
    if not _number(step, field, whole) >= least:
        expected = f"a {'whole ' * whole}number of at least {least}"
        raise ArgumentError(f"{type(step).__name__}: {field}={getattr(step, field)!r}; expected {expected}.")


def above(step: Step, field: str, low: float, most: float | None = None) -> None:
    """Raise an ArgumentError unless a field of a step is a finite number above ``low`` and at most ``most``."""
    value = _number(step, field, whole=False)
    if not low < value or (most is not None and value > most):
        bound = f" and at most {most}" if most is not None else ""
        raise ArgumentError(f"{type(step).__name__}: {field}={getattr(step, field)!r}; expected a number above {low}{bound}.")


def column_name(step: Step, field: str, none: bool = False) -> None:
    """Raise an ArgumentError unless a field of a step names a column: text that is not empty, or None if there may be none."""
    value = getattr(step, field)
    if not (isinstance(value, str) and value) and not (none and value is None):
        raise ArgumentError(f"{type(step).__name__}: {field}={value!r}; expected the name of a column{', or None' * none}.")


def yes_or_no(step: Step, field: str) -> None:
    """Raise an ArgumentError unless a field of a step is True or False."""
    if not isinstance(getattr(step, field), bool):
        raise ArgumentError(f"{type(step).__name__}: {field}={getattr(step, field)!r}; expected True or False.")


def one_of(step: Step, field: str, choices: tuple[str, ...]) -> None:
    """Raise an ArgumentError unless a field of a step is one of some words."""
    value = getattr(step, field)
    if value not in choices:
        raise ArgumentError(f"{type(step).__name__}: {field}={value!r}; expected one of {', '.join(map(repr, choices))}.")
