"""The tables of what there is: each room lists its own, ``name -> (module:Class, how to install)``.

A name is snake_case (``ewma_z``), its class is CamelCase (``EwmaZ``). Adding a detector is one file, one line in the table of
its room, and its import under ``TYPE_CHECKING`` there; the contract checks, the README and the comparison notebook read the tables.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from govlab.errors import ArgumentError, MissingExtraError, did_you_mean

__all__ = ["ROOMS", "camel", "class_of", "extra", "found", "lazy_room", "load", "name_of", "names"]

ROOMS = ("alerts", "detectors", "engines", "features", "prepare", "services", "sinks", "sources", "stores")
STEP_ROOMS = ("alerts", "detectors", "features", "prepare")
Table = Mapping[str, tuple[str, str]]


def camel(name: str) -> str:
    """Turn the name of a table into the name of its class.

    Examples
    --------
    >>> camel("ewma_z")
    'EwmaZ'
    """
    return "".join(part.title() for part in name.split("_"))


def table(room: str) -> Table:
    """Give the table of a room."""
    if room not in ROOMS:
        raise ArgumentError(f"there is no room {room!r}. {did_you_mean(room, ROOMS)}")
    entries: Table = importlib.import_module(f"govlab.{room}").TABLE
    return entries


def names(room: str) -> list[str]:
    """List the names in a room's table."""
    return sorted(table(room))


def load(room: str, name: str) -> Any:
    """Load what a room lists under a name.

    Raises
    ------
    ArgumentError
        There is no such name; the message has the nearest.
    MissingExtraError
        It needs a package that is not installed; the message has the command.
    """
    entries = table(room)
    if name not in entries:
        raise ArgumentError(f"govlab.{room} has no {name!r}. {did_you_mean(name, entries)}")
    target, how = entries[name]
    return found(f"govlab.{room}.{target.partition(':')[2]}", target, how)


def found(what: str, target: str, how: str) -> Any:
    """Load ``module:attribute``; where a package is missing, the error says what needs it, and how to install it."""
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("govlab"):
            raise
        raise MissingExtraError(f"{what} needs the package {error.name!r}: {how}") from error


def extra(package: str, how: str) -> Any:
    """Import an optional package; where it is missing, the error has the command that installs it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingExtraError(f"the package {package!r} is not installed: {how}") from error


def class_of(name: str) -> type:
    """Find the class of a step by its name in any room, or by ``module:Class`` for one that is in no table."""
    for room in STEP_ROOMS:
        if name in table(room):
            cls: type = load(room, name)
            return cls
    module, colon, path = name.partition(":")
    if colon:
        inner: Any = importlib.import_module(module)
        for part in path.split("."):
            inner = getattr(inner, part)
        cls = inner
        return cls
    every = [known for room in STEP_ROOMS for known in table(room)]
    raise ArgumentError(f"there is no step {name!r}. {did_you_mean(name, every)}")


def name_of(cls: type) -> str:
    """Give the name of a class in the tables, or ``module:Class`` where it is in none."""
    target = f"{cls.__module__}:{cls.__qualname__}"
    for room in STEP_ROOMS:
        for name, (known, _) in table(room).items():
            if known == target:
                return name
    return target


def lazy_room(
    package: str, entries: Table | None = None, more: Mapping[str, str] | None = None
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make ``__getattr__``, ``__dir__`` and ``__all__`` of a package, so that nothing heavy is loaded before it is used.

    Type checkers and editors do not run this: the package imports the same names under ``TYPE_CHECKING``, and a test holds
    the two to each other.

    Parameters
    ----------
    package : str
        The ``__name__`` of the package.
    entries : mapping, optional
        Its table; each class goes by its own name.
    more : mapping of str to str, optional
        What is in no table: ``attribute -> module:attribute``, or ``attribute -> module``.
    """
    room = package.rpartition(".")[2]
    listed = {target.partition(":")[2]: name for name, (target, _) in (entries or {}).items()}
    others = more or {}
    public = sorted([*listed, *others])

    def get(attribute: str) -> Any:
        if attribute in listed:
            return load(room, listed[attribute])
        if attribute not in others:
            raise AttributeError(f"{package} has no {attribute!r}. {did_you_mean(attribute, public)}")
        module, _, inner = others[attribute].partition(":")
        loaded = importlib.import_module(module)
        return getattr(loaded, inner) if inner else loaded

    return get, lambda: public, public
