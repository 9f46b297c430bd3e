"""Judging alerts against what is known: incidents caught, delay, precision; change points; the scoring of NAB."""

from govlab.registry import lazy_room

__getattr__, __dir__ = lazy_room(
    "evaluation",
    {},
    {
        "caught": "govlab.evaluation.incidents:caught",
        "change_point_f1": "govlab.evaluation.change_points:change_point_f1",
        "covering": "govlab.evaluation.change_points:covering",
        "nab_score": "govlab.evaluation.nab:nab_score",
        "precision": "govlab.evaluation.incidents:precision",
    },
)
