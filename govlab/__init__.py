"""govlab: a workbench for people who keep a platform healthy.

One pipeline, one answer: the same alerts, bit for bit, whatever the speed, the cut into batches, the source, the engine,
or the crash in between. ``import govlab as gl`` loads nothing heavy; each name is loaded when it is first used.
"""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

__version__ = "0.1.0"

if TYPE_CHECKING:
    from govlab import alerts as alerts
    from govlab import clock as clock
    from govlab import datasets as datasets
    from govlab import detectors as detectors
    from govlab import engines as engines
    from govlab import errors as errors
    from govlab import evaluation as evaluation
    from govlab import features as features
    from govlab import plots as plots
    from govlab import prepare as prepare
    from govlab import registry as registry
    from govlab import services as services
    from govlab import sinks as sinks
    from govlab import sources as sources
    from govlab import stores as stores
    from govlab import testing as testing
    from govlab.access import Access as Access
    from govlab.engines.streams import from_reader as from_reader
    from govlab.engines.streams import from_replay as from_replay
    from govlab.engines.streams import run as run
    from govlab.engines.streams.queues import from_kafka as from_kafka
    from govlab.engines.streams.queues import from_rabbitmq as from_rabbitmq
    from govlab.evaluation.backtesting import backtest as backtest
    from govlab.evaluation.backtesting import compare as compare
    from govlab.evaluation.tuning import tune as tune
    from govlab.frames import Schema as Schema
    from govlab.frames import event_frame as event_frame
    from govlab.pipeline import Pipeline as Pipeline
    from govlab.pipeline import Result as Result
    from govlab.sharded import Sharded as Sharded
    from govlab.step import Detector as Detector
    from govlab.step import Step as Step
    from govlab.summary import Summary as Summary
else:
    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        more={
            "Access": "govlab.access:Access",
            "Detector": "govlab.step:Detector",
            "Pipeline": "govlab.pipeline:Pipeline",
            "Result": "govlab.pipeline:Result",
            "Schema": "govlab.frames:Schema",
            "Sharded": "govlab.sharded:Sharded",
            "Step": "govlab.step:Step",
            "Summary": "govlab.summary:Summary",
            "alerts": "govlab.alerts",
            "backtest": "govlab.evaluation.backtesting:backtest",
            "clock": "govlab.clock",
            "compare": "govlab.evaluation.backtesting:compare",
            "datasets": "govlab.datasets",
            "detectors": "govlab.detectors",
            "engines": "govlab.engines",
            "errors": "govlab.errors",
            "evaluation": "govlab.evaluation",
            "event_frame": "govlab.frames:event_frame",
            "features": "govlab.features",
            "from_kafka": "govlab.engines.streams.queues:from_kafka",
            "from_rabbitmq": "govlab.engines.streams.queues:from_rabbitmq",
            "from_reader": "govlab.engines.streams:from_reader",
            "from_replay": "govlab.engines.streams:from_replay",
            "plots": "govlab.plots",
            "prepare": "govlab.prepare",
            "registry": "govlab.registry",
            "run": "govlab.engines.streams:run",
            "services": "govlab.services",
            "sinks": "govlab.sinks",
            "sources": "govlab.sources",
            "stores": "govlab.stores",
            "testing": "govlab.testing",
            "tune": "govlab.evaluation.tuning:tune",
        },
    )
    __all__.append("__version__")
