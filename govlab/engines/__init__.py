"""Engines: what carries frames through a pipeline. Thin: no logic of the analysis lives in one."""

import importlib
from typing import Any

TABLE = {
    "flink": ("govlab.engines.flink:Flink", "pip install govlab"),
    "local": ("govlab.engines.local:Local", "pip install govlab"),
    "streams": ("govlab.engines.streams:Streams", "pip install govlab"),
}


def __getattr__(name: str) -> Any:
    if name in TABLE:
        return importlib.import_module(f"govlab.engines.{name}")
    from govlab.errors import did_you_mean

    raise AttributeError(f"govlab.engines has no {name!r}. {did_you_mean(name, TABLE)}")
