"""Steps that make frames clean."""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

TABLE = {
    "conform": ("govlab.prepare.conform:Conform", "pip install govlab"),
    "deduplicate": ("govlab.prepare.deduplicate:Deduplicate", "pip install govlab"),
}

if TYPE_CHECKING:
    from govlab.prepare.conform import Conform as Conform
    from govlab.prepare.deduplicate import Deduplicate as Deduplicate
else:
    __getattr__, __dir__, __all__ = lazy_room(__name__, TABLE)
