"""Stores: alerts, dead letters and snapshots, kept so that writing the same thing twice changes nothing."""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

TABLE = {
    "sqlite": ("govlab.stores.sqlite:Sqlite", "pip install govlab"),
}

if TYPE_CHECKING:
    from govlab.stores.sqlite import Sqlite as Sqlite
    from govlab.stores.store import Snapshot as Snapshot
    from govlab.stores.store import Store as Store
else:
    __getattr__, __dir__, __all__ = lazy_room(
        __name__, TABLE, {"Snapshot": "govlab.stores.store:Snapshot", "Store": "govlab.stores.store:Store"}
    )
