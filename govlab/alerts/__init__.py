"""Steps that turn scores into alerts: what a person should look at."""

from govlab.registry import lazy_room

TABLE = {
    "budget": ("govlab.alerts.budget:Budget", "pip install govlab"),
    "cooldown": ("govlab.alerts.cooldown:Cooldown", "pip install govlab"),
    "merge": ("govlab.alerts.merge:Merge", "pip install govlab"),
    "threshold": ("govlab.alerts.threshold:Threshold", "pip install govlab"),
}

__getattr__, __dir__ = lazy_room("alerts", TABLE, {"save": "govlab.alerts.spreadsheet:save"})
