"""streamz: readers as sources, pipelines and sinks as nodes, and ``run``, which plays sources to the end."""

from govlab.engines.streams.engine import Streams, from_reader, from_replay
from govlab.engines.streams.outlets import Outlet
from govlab.engines.streams.running import run
from govlab.engines.streams.source import Source
from govlab.engines.streams.through import Through

__all__ = ["Outlet", "Source", "Streams", "Through", "from_reader", "from_replay", "run"]
