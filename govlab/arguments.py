"""Checks of arguments: of a step's parameters, for its ``check()``, and of calls whose arguments are not those that there are."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from govlab.errors import ArgumentError, CallError, did_you_mean

if TYPE_CHECKING:
    from govlab.step import Step

__all__ = ["above", "at_least", "column_name", "fitting", "one_of", "refuse_unfit", "yes_or_no"]

P = ParamSpec("P")
R = TypeVar("R")


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
    whole = any(f.name == field and f.type in (int, "int") for f in dataclasses.fields(step))  # type: ignore[arg-type]
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


def refuse_unfit(name: str, function: Callable[..., Any], args: tuple[Any, ...], named: Mapping[str, Any]) -> None:
    """Raise a CallError unless a function can be called with some arguments; for a method they begin with the object.

    Examples
    --------
    >>> refuse_unfit("mean", lambda column, by=None: None, (), {"colum": "count"})
    Traceback (most recent call last):
    ...
    govlab.errors.CallError: mean has no argument 'colum'. Did you mean 'column'? There are: by, column.
    """
    known = inspect.signature(function)
    try:
        known.bind(*args, **named)
    except TypeError as error:
        parameters = list(known.parameters.values())
        if parameters and parameters[0].name in ("self", "cls"):
            parameters, args = parameters[1:], args[1:]
        fixed = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        names = [p.name for p in fixed]
        ordered = [p.name for p in fixed if p.kind is not p.KEYWORD_ONLY]
        unknown = [key for key in named if key not in names]
        if unknown and not any(p.kind is p.VAR_KEYWORD for p in parameters):
            raise CallError(f"{name} has no argument {unknown[0]!r}. {did_you_mean(unknown[0], names)}") from None
        if len(args) > len(ordered) and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
            more = [key for key in names if key not in ordered]
            only = f"; give by name: {', '.join(more)}" if more else ""
            raise CallError(
                f"{name} takes at most {len(ordered)} arguments without a name ({', '.join(ordered) or 'none'}), and was given "
                f"{len(args)}{only}."
            ) from None
        raise CallError(f"{name}: {error}. There are: {', '.join(names) or 'none'}.") from None


def fitting(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function that is called with arguments that it does not have name the nearest one, and all."""

    @functools.wraps(function)
    def called(*args: P.args, **named: P.kwargs) -> R:
        try:
            return function(*args, **named)
        except TypeError:
            refuse_unfit(function.__name__, function, args, named)
            raise  # it was something within

    return called
