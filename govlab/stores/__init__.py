"""Stores: alerts, dead letters and snapshots, kept so that writing the same thing twice changes nothing."""

from govlab.registry import lazy_room

TABLE = {
    "sqlite": ("govlab.stores.sqlite:Sqlite", "pip install govlab"),
}

__getattr__, __dir__ = lazy_room(
    "stores", TABLE, {"Snapshot": "govlab.stores.store:Snapshot", "Store": "govlab.stores.store:Store"}
)
