"""Judging pipelines against what is known: what a person with so many alerts a day would have caught; the scoring of NAB."""

from govlab.registry import lazy_room

__getattr__, __dir__ = lazy_room(
    "evaluation",
    {},
    {
        "Labels": "govlab.evaluation.labels:Labels",
        "Report": "govlab.evaluation.report:Report",
        "backtest": "govlab.evaluation.backtesting:backtest",
        "caught": "govlab.evaluation.incidents:caught",
        "compare": "govlab.evaluation.backtesting:compare",
        "detection_curve": "govlab.evaluation.intervals:detection_curve",
        "nab_score": "govlab.evaluation.nab:nab_score",
        "precision": "govlab.evaluation.incidents:precision",
        "tune": "govlab.evaluation.tuning:tune",
    },
)
