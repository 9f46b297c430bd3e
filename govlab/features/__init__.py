"""Steps that make features of events."""

from govlab.registry import lazy_room

TABLE = {
    "entity_rate": ("govlab.features.entity_rate:EntityRate", "pip install govlab"),
    "window_count": ("govlab.features.window_count:WindowCount", "pip install govlab"),
}

__getattr__, __dir__ = lazy_room("features", TABLE)
