"""Judging pipelines against what is known, with so many alerts a day to look at; the scoring of NAB and of change points."""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

if TYPE_CHECKING:
    from govlab.evaluation.backtesting import backtest as backtest
    from govlab.evaluation.backtesting import compare as compare
    from govlab.evaluation.change_points import change_point_f1 as change_point_f1
    from govlab.evaluation.change_points import covering as covering
    from govlab.evaluation.feedback import with_labels as with_labels
    from govlab.evaluation.incidents import caught as caught
    from govlab.evaluation.incidents import precision as precision
    from govlab.evaluation.intervals import detection_curve as detection_curve
    from govlab.evaluation.labels import Labels as Labels
    from govlab.evaluation.nab import nab_score as nab_score
    from govlab.evaluation.report import Report as Report
    from govlab.evaluation.tuning import tune as tune
else:
    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        more={
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
