"""Calls whose arguments are not those that there are."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from govlab.errors import CallError, did_you_mean

__all__ = ["fitting", "refuse_unfit"]

P = ParamSpec("P")
R = TypeVar("R")


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
