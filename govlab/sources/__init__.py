"""Readers: from where event frames come. No engine is known here; any thread that owns a reader may use it."""

from govlab.registry import lazy_room

TABLE = {
    "replay": ("govlab.sources.replay:ReplayReader", "pip install govlab"),
}

__getattr__, __dir__ = lazy_room(
    "sources",
    {},
    {
        "DeadLetter": "govlab.sources.reader:DeadLetter",
        "EndOfStream": "govlab.sources.reader:EndOfStream",
        "Reader": "govlab.sources.reader:Reader",
        "ReplayReader": "govlab.sources.replay:ReplayReader",
    },
)
