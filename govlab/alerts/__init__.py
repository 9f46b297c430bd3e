"""Steps that turn scores into alerts: what a person should look at."""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

TABLE = {
    "budget": ("govlab.alerts.budget:Budget", "pip install govlab"),
    "cooldown": ("govlab.alerts.cooldown:Cooldown", "pip install govlab"),
    "merge": ("govlab.alerts.merge:Merge", "pip install govlab"),
    "threshold": ("govlab.alerts.threshold:Threshold", "pip install govlab"),
}

if TYPE_CHECKING:
    from govlab.alerts.budget import Budget as Budget
    from govlab.alerts.cooldown import Cooldown as Cooldown
    from govlab.alerts.merge import Merge as Merge
    from govlab.alerts.threshold import Threshold as Threshold
    from govlab.spreadsheet import save as save
else:
    __getattr__, __dir__, __all__ = lazy_room(__name__, TABLE, {"save": "govlab.spreadsheet:save"})
