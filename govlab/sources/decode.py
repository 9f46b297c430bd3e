"""The decoders of text, and the frame of what they read."""

from __future__ import annotations

from govlab.sources.columns import frame_of
from govlab.sources.csv_values import CsvDecoder
from govlab.sources.json_lines import JsonDecoder
from govlab.sources.records import Bad, Record

__all__ = ["Bad", "CsvDecoder", "JsonDecoder", "Record", "frame_of"]
