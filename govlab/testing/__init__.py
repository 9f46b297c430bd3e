"""Contract checks, shipped: for the steps, readers, sinks, stores and engines of govlab, and for your own.

Each raises :class:`~govlab.errors.CheckError` with what was broken, or gives nothing.
"""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

if TYPE_CHECKING:
    from govlab.testing.alerts import check_alerts as check_alerts
    from govlab.testing.doubles import ScriptedReader as ScriptedReader
    from govlab.testing.engines import check_engine as check_engine
    from govlab.testing.leaks import leak_check as leak_check
    from govlab.testing.live import LIVE_SCHEMA as LIVE_SCHEMA
    from govlab.testing.live import check_live_reader as check_live_reader
    from govlab.testing.live import live_events as live_events
    from govlab.testing.readers import check_reader as check_reader
    from govlab.testing.samples import sample_events as sample_events
    from govlab.testing.sinks import SINK_SCHEMA as SINK_SCHEMA
    from govlab.testing.sinks import check_sink as check_sink
    from govlab.testing.steps import check_detector as check_detector
    from govlab.testing.steps import check_step as check_step
    from govlab.testing.stores import check_store as check_store
else:
    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        more={
            "LIVE_SCHEMA": "govlab.testing.live:LIVE_SCHEMA",
            "SINK_SCHEMA": "govlab.testing.sinks:SINK_SCHEMA",
            "ScriptedReader": "govlab.testing.doubles:ScriptedReader",
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
        },
    )
