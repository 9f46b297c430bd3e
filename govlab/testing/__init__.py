"""Contract checks, shipped: for the steps, readers and stores of govlab, and for your own.

Each raises :class:`~govlab.errors.CheckError` with what was broken, or gives nothing.
"""

from typing import Any

_NAMES = {
    "ScriptedReader": "govlab.testing.doubles:ScriptedReader",
    "check_alerts": "govlab.testing.alerts:check_alerts",
    "check_detector": "govlab.testing.steps:check_detector",
    "check_reader": "govlab.testing.readers:check_reader",
    "check_step": "govlab.testing.steps:check_step",
    "check_store": "govlab.testing.stores:check_store",
    "leak_check": "govlab.testing.leaks:leak_check",
    "sample_events": "govlab.testing.samples:sample_events",
}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"govlab.testing has no {name!r}; there are {', '.join(_NAMES)}.")
    import importlib

    module, _, attribute = _NAMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(_NAMES)
