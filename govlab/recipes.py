"""Recipes as plain values, and their hash."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["code_of", "plain", "recipe_hash"]


def plain(value: Any) -> Any:
    """Give a value of a recipe as one that JSON can write."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "recipe"):
        return value.recipe()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return f"{value.__module__}:{value.__qualname__} {code_of(value)}"
    if hasattr(value, "get_params"):
        return {"model": type(value).__qualname__, **plain(value.get_params())}
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def code_of(thing: Any) -> str:
    """Hash the source of a class or function of the user's own, so that editing it makes another recipe."""
    known: str | None = vars(thing).get("_govlab_code") if hasattr(thing, "__dict__") else None
    if known is not None:
        return known  # it came from another process, which had its source
    try:
        text = textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        # typed into a shell: the compiled form has to do
        functions = [thing, *vars(thing).values()] if isinstance(thing, type) else [thing]
        codes = [f.__code__ for f in functions if hasattr(f, "__code__")]
        text = repr([(code.co_code, code.co_names, repr(code.co_consts).partition(" at 0x")[0]) for code in codes])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def recipe_hash(recipe: Mapping[str, Any]) -> str:
    """Give the first 16 hex digits of the sha256 of a recipe."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
