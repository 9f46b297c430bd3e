"""Contract checks, shipped: for the steps, readers, sinks, stores and engines of govlab, and for your own.

Each raises :class:`~govlab.errors.CheckError` with what was broken, or gives nothing.
"""

from typing import Any

_NAMES = {
    "ScriptedReader": "govlab.testing.doubles:ScriptedReader",
    "LIVE_SCHEMA": "govlab.testing.live:LIVE_SCHEMA",
    "SINK_SCHEMA": "govlab.testing.sinks:SINK_SCHEMA",
    "check_alerts": "govlab.testing.alerts:check_alerts",
    "check_detector": "govlab.testing.steps:check_detector",
    "check_engine": "govlab.testing.engines:check_engine",
    "check_live_reader": "govlab.testing.live:check_live_reader",
    "check_reader": "govlab.testing.readers:check_reader",
    "check_sink": "govlab.testing.sinks:check_sink",
    "check_step": "govlab.testing.steps:check_step",
    "check_store": "govlab.testing.stores:check_store",
    "leak_check": "govlab.testing.leaks:leak_check",
    "live_events": "govlab.testing.live:live_events",
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
