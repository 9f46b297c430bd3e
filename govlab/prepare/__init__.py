"""Steps that make frames clean."""

from govlab.registry import lazy_room

TABLE = {
    "conform": ("govlab.prepare.conform:Conform", "pip install govlab"),
    "deduplicate": ("govlab.prepare.deduplicate:Deduplicate", "pip install govlab"),
}

__getattr__, __dir__ = lazy_room("prepare", TABLE)
