"""Steps that make frames clean."""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

TABLE = {
    "conform": ("govlab.prepare.conform:Conform", "pip install govlab"),
    "deduplicate": ("govlab.prepare.deduplicate:Deduplicate", "pip install govlab"),
    "derive": ("govlab.prepare.shape:Derive", "pip install govlab"),
    "rename": ("govlab.prepare.shape:Rename", "pip install govlab"),
    "select": ("govlab.prepare.shape:Select", "pip install govlab"),
    "where": ("govlab.prepare.where:Where", "pip install govlab"),
}

if TYPE_CHECKING:
    from govlab.prepare.conform import Conform as Conform
    from govlab.prepare.deduplicate import Deduplicate as Deduplicate
    from govlab.prepare.shape import Derive as Derive
    from govlab.prepare.shape import Rename as Rename
    from govlab.prepare.shape import Select as Select
    from govlab.prepare.where import Where as Where
else:
    __getattr__, __dir__, __all__ = lazy_room(__name__, TABLE)
