"""Who wrote a snapshot: the versions on which the meaning of its bytes depends."""

from __future__ import annotations

import dataclasses
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

import govlab
from govlab.errors import StoreError
from govlab.step import Step

__all__ = ["refuse_other", "without_versions", "writer_of"]


def writer_of(steps: Iterable[Step]) -> dict[str, str]:
    """Give the versions of what writes the states of steps: govlab, Python, pandas, numpy, the packages of models, and each step.

    Examples
    --------
    >>> import govlab as gl
    >>> writer_of([gl.detectors.EwmaZ("count")])["step ewma_z"]
    '1'
    """
    found = {
        "govlab": govlab.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "pandas": _minor(pd.__version__),
        "numpy": _minor(np.__version__),
    }
    for part in (part for step in steps for part in _parts(step)):
        if isinstance(part, Step):
            found[f"step {part.name}"] = str(type(part).version)
        else:  # a model or a function: its package decides how it is pickled
            package = sys.modules.get(type(part).__module__.partition(".")[0])
            version = getattr(package, "__version__", None)
            if isinstance(version, str):
                found.setdefault(package.__name__, version)  # type: ignore[union-attr]
    return dict(sorted(found.items()))


def refuse_other(written: Mapping[str, str], reads: Mapping[str, str], what: str, mend: str) -> None:
    """Raise a StoreError that names both where what wrote a state is not what reads it.

    Parameters
    ----------
    written, reads : mapping
        As of :func:`writer_of`.
    what : str
        What is refused, for the message.
    mend : str
        How to begin anew, for the message.
    """
    other = [name for name in dict.fromkeys([*written, *reads]) if written.get(name) != reads.get(name)]
    if other:
        ones, others = (", ".join(f"{name} {of.get(name, 'absent')}" for name in other) for of in (written, reads))
        raise StoreError(
            f"{what} was written by {ones} and would be read by {others}; another version may read it wrongly, so it is not "
            f"opened. Go on with the versions that wrote it, or {mend}."
        )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def without_versions(recipe: Any) -> Any:
    """Give a recipe without the versions of its steps: that of the same run, whichever version plays it."""
    if isinstance(recipe, Mapping):
        return {key: without_versions(item) for key, item in recipe.items() if key != "version" or "step" not in recipe}
    return [without_versions(item) for item in recipe] if isinstance(recipe, list) else recipe


def _parts(value: Any) -> Iterator[Any]:
    """Give a step, the steps inside it, and the models and functions that they were given."""
    if isinstance(value, Step):
        yield value
        inner = [getattr(value, f.name) for f in dataclasses.fields(value) if f.init]
        yield from (part for item in [*inner, getattr(value, "steps", None)] for part in _parts(item))
    elif isinstance(value, Mapping | list | tuple):
        yield from (part for item in (value.values() if isinstance(value, Mapping) else value) for part in _parts(item))
    elif value is not None and not isinstance(value, str | bool | int | float):
        yield value
