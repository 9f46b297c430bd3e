"""What a field of a step may hold, declared on the field itself and refused before the step starts.

``alpha: Annotated[float, Above(0, most=1)] = 0.1``, ``warm: Annotated[int, AtLeast(1)] = 5``, ``tail: Tail = "both"``,
``column: ColumnName = "value"``, ``by: ColumnName | None = None``, ``expire: Duration = "30d"``. Words (``Literal``) and
``bool`` need nothing more. What relates several fields is in the step's ``check()``.
"""

from __future__ import annotations

import inspect
import math
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NoReturn, Union, get_args, get_origin

import numpy as np

from govlab.errors import ArgumentError
from govlab.frames import duration_us

if TYPE_CHECKING:
    from govlab.step import Step

__all__ = [
    "Above", "AtLeast", "ColumnName", "Columns", "Duration", "Is", "Rule", "SomeColumns", "Tail", "Wait", "at_least", "rules_of",
    "some_columns",
]  # fmt: skip

Rule = Callable[[Any, str], Any]
"""Takes the value of a field and what it is called, and gives the value to keep; raises an ArgumentError."""


def _refuse(value: Any, where: str, expected: str) -> NoReturn:
    raise ArgumentError(f"{where}={value!r}; expected {expected}.")


@dataclass(frozen=True)
class AtLeast:
    """A finite number of at least ``low``, and at most ``most`` or below ``below``; whole if the field is an int.

    Examples
    --------
    >>> str(AtLeast(0, below=1))
    'at least 0 and below 1'
    >>> AtLeast(1, whole=True)(0, "EwmaZ: warm")
    Traceback (most recent call last):
    ...
    govlab.errors.ArgumentError: EwmaZ: warm=0; expected a whole number of at least 1.
    """

    low: float
    _: KW_ONLY
    most: float | None = None
    below: float | None = None
    whole: bool = False
    least: ClassVar[str] = "at least"

    def __str__(self) -> str:
        """Give the range in words, as docstrings have it."""
        high = "".join(f" and {word} {end}" for word, end in (("at most", self.most), ("below", self.below)) if end is not None)
        return f"{self.least} {self.low}{high}"

    def __call__(self, value: Any, where: str) -> Any:
        """Give the value as a number of Python's own."""
        value = value.item() if isinstance(value, np.integer if self.whole else np.number) else value
        number = isinstance(value, int if self.whole else int | float) and not isinstance(value, bool)
        if number and isinstance(value, int) and abs(value) >= 2**63:
            _refuse(value, where, f"a {'whole ' * self.whole}number below 2**63")
        if not (
            number
            and math.isfinite(value)
            and (value > self.low or (value == self.low and self.least == AtLeast.least))
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        ):
            _refuse(value, where, f"a {'whole ' * self.whole}number {'of ' * (self.least == AtLeast.least)}{self}")
        return value


@dataclass(frozen=True)
class Above(AtLeast):
    """A finite number above ``low``, and at most ``most`` or below ``below``; whole if the field is an int."""

    least: ClassVar[str] = "above"


@dataclass(frozen=True)
class Is:
    """Any other rule: a function of the value and of what the field is called."""

    rule: Rule

    def __call__(self, value: Any, where: str) -> Any:
        """Give the value to keep."""
        return self.rule(value, where)


def _column(value: Any, where: str) -> Any:
    return value if isinstance(value, str) and value else _refuse(value, where, "the name of a column")


def _columns(value: Any, where: str, least: int = 0) -> tuple[str, ...]:
    listed = isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(name, str) for name in value)
    if not listed or len(value) < least:
        _refuse(value, where, "a list of columns, such as ['words', 'links']")
    return tuple(value)


def _duration(value: Any, where: str, zero: bool = False) -> Any:
    duration_us(value, where, zero)
    return value


def _word(value: Any, where: str, words: tuple[Any, ...]) -> Any:
    return value if value in words else _refuse(value, where, f"one of {', '.join(map(repr, words))}")


def _yes_or_no(value: Any, where: str) -> bool:
    return bool(value) if isinstance(value, bool | np.bool_) else _refuse(value, where, "True or False")


ColumnName = Annotated[str, Is(_column)]
Columns = Annotated[Sequence[str], Is(_columns)]
SomeColumns = Annotated[Sequence[str], Is(partial(_columns, least=1))]
Duration = Annotated[str, Is(_duration)]
Wait = Annotated[str, Is(partial(_duration, zero=True))]  # a duration that may be zero
Tail = Literal["upper", "lower", "both"]


def _or_none(rule: Rule, value: Any, where: str) -> Any:
    if value is None:
        return None
    try:
        return rule(value, where)
    except ArgumentError as error:
        raise ArgumentError(str(error).removesuffix(".") + ", or None.") from error.__cause__


def _rule(hint: Any) -> Rule | None:
    """Give the rule that an annotation holds, if there is one."""
    if get_origin(hint) in (Union, types.UnionType) and type(None) in get_args(hint) and len(get_args(hint)) == 2:
        rule = next(_rule(option) for option in get_args(hint) if option is not type(None))
        return rule and partial(_or_none, rule)
    if get_origin(hint) is Annotated:
        kind, *marks = get_args(hint)
        mark = next((mark for mark in marks if isinstance(mark, AtLeast | Is)), None)
        return replace(mark, whole=kind is int) if isinstance(mark, AtLeast) else mark
    if get_origin(hint) is Literal:
        return partial(_word, words=get_args(hint))
    return _yes_or_no if hint is bool else None


def rules_of(cls: type) -> dict[str, Rule | None]:
    """Give the rules of the fields that a class itself declares; None for one without."""
    rules: dict[str, Rule | None] = {}
    for name, hint in inspect.get_annotations(cls).items():
        if isinstance(hint, str):
            try:
                hint = eval(hint, dict(vars(sys.modules[cls.__module__])))
            except Exception as error:  # of names that are there for type checkers only
                if "Annotated" in hint:
                    raise ArgumentError(
                        f"{cls.__name__}: {name}: {hint} cannot be read when the class is made: {error}."
                    ) from error
        rules[name] = _rule(hint)
    return rules


def some_columns(step: Any) -> None:
    """Raise an ArgumentError if a step has neither ``columns`` nor ``categories``."""
    if not step.columns and not getattr(step, "categories", ()):
        _refuse([], f"{type(step).__name__}: columns", "a list of columns, such as ['words', 'links']")


def at_least(step: Step, field: str, least: int) -> None:
    """Raise an ArgumentError unless a field of a step is a whole number of at least what another field demands."""
    AtLeast(least, whole=True)(getattr(step, field), f"{type(step).__name__}: {field}")
