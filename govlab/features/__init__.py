"""Steps that make features of events."""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

TABLE = {
    "entity_rate": ("govlab.features.entity_rate:EntityRate", "pip install govlab"),
    "window_count": ("govlab.features.window_count:WindowCount", "pip install govlab"),
}

if TYPE_CHECKING:
    from govlab.features.entity_rate import EntityRate as EntityRate
    from govlab.features.window_count import WindowCount as WindowCount
else:
    __getattr__, __dir__, __all__ = lazy_room(__name__, TABLE)
