"""Judging alerts against what is known: incidents caught, delay, precision; the scoring of NAB."""

from govlab.registry import lazy_room

__getattr__, __dir__ = lazy_room(
    "evaluation",
    {},
    {
        "caught": "govlab.evaluation.incidents:caught",
        "nab_score": "govlab.evaluation.nab:nab_score",
        "precision": "govlab.evaluation.incidents:precision",
    },
)
