"""govlab: a workbench for people who keep a platform healthy.

One pipeline, one answer: the same alerts, bit for bit, whatever the speed, the cut into batches, the source, the engine,
or the crash in between. ``import govlab as gl`` loads nothing heavy; each name is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from govlab import (
        alerts,
        clock,
        datasets,
        detectors,
        engines,
        errors,
        evaluation,
        features,
        plots,
        prepare,
        registry,
        services,
        sinks,
        sources,
        stores,
        testing,
    )
    from govlab.access import Access
    from govlab.engines.queues import from_kafka, from_rabbitmq
    from govlab.engines.streams import from_reader, from_replay, run
    from govlab.evaluation.backtesting import backtest, compare
    from govlab.evaluation.tuning import tune
    from govlab.frames import Schema, event_frame
    from govlab.pipeline import Pipeline, Result
    from govlab.sharded import Sharded
    from govlab.step import Detector, Step
    from govlab.summary import Summary

__version__ = "0.1.0"

_NAMES = {
    "Access": "govlab.access",
    "Detector": "govlab.step",
    "Pipeline": "govlab.pipeline",
    "Result": "govlab.pipeline",
    "Schema": "govlab.frames",
    "Sharded": "govlab.sharded",
    "Step": "govlab.step",
    "Summary": "govlab.summary",
    "backtest": "govlab.evaluation.backtesting",
    "compare": "govlab.evaluation.backtesting",
    "event_frame": "govlab.frames",
    "from_kafka": "govlab.engines.queues",
    "from_rabbitmq": "govlab.engines.queues",
    "from_reader": "govlab.engines.streams",
    "from_replay": "govlab.engines.streams",
    "run": "govlab.engines.streams",
    "tune": "govlab.evaluation.tuning",
}
_ROOMS = (
    "alerts", "clock", "datasets", "detectors", "engines", "errors", "evaluation", "features", "plots", "prepare", "registry",
    "services", "sinks", "sources", "stores", "testing",
)  # fmt: skip

__all__ = [
    "Access", "Detector", "Pipeline", "Result", "Schema", "Sharded", "Step", "Summary", "__version__", "alerts", "backtest",
    "clock", "compare", "datasets", "detectors", "engines", "errors", "evaluation", "event_frame", "features", "from_kafka",
    "from_rabbitmq", "from_reader", "from_replay", "plots", "prepare", "registry", "run", "services", "sinks", "sources",
    "stores", "testing", "tune",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        found = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _ROOMS:
        found = importlib.import_module(f"govlab.{name}")
    else:
        from govlab.errors import did_you_mean

        raise AttributeError(f"govlab has no {name!r}. {did_you_mean(name, [*_NAMES, *_ROOMS])}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
