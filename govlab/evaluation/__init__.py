"""Judging pipelines against what is known, with so many alerts a day to look at; the scoring of NAB and of change points."""

from govlab.registry import lazy_room

__getattr__, __dir__ = lazy_room(
    "evaluation",
    {},
    {
        "Labels": "govlab.evaluation.labels:Labels",
        "Report": "govlab.evaluation.report:Report",
        "backtest": "govlab.evaluation.backtesting:backtest",
        "caught": "govlab.evaluation.incidents:caught",
        "change_point_f1": "govlab.evaluation.change_points:change_point_f1",
        "compare": "govlab.evaluation.backtesting:compare",
        "covering": "govlab.evaluation.change_points:covering",
        "detection_curve": "govlab.evaluation.intervals:detection_curve",
        "nab_score": "govlab.evaluation.nab:nab_score",
        "precision": "govlab.evaluation.incidents:precision",
        "tune": "govlab.evaluation.tuning:tune",
        "with_labels": "govlab.evaluation.feedback:with_labels",
    },
)
