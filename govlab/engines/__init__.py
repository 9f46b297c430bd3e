"""Engines: what carries frames through a pipeline. Thin: no logic of the analysis lives in one."""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

TABLE = {
    "flink": ("govlab.engines.flink:Flink", "pip install govlab"),
    "local": ("govlab.engines.local:Local", "pip install govlab"),
    "streams": ("govlab.engines.streams:Streams", "pip install govlab"),
}

if TYPE_CHECKING:
    from govlab.engines import flink as flink
    from govlab.engines import local as local
    from govlab.engines import streams as streams
    from govlab.engines.flink import Flink as Flink
    from govlab.engines.local import Local as Local
    from govlab.engines.streams import Streams as Streams
else:
    __getattr__, __dir__, __all__ = lazy_room(
        __name__, TABLE, {"flink": "govlab.engines.flink", "local": "govlab.engines.local", "streams": "govlab.engines.streams"}
    )
