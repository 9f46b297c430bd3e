"""The formats of files, by the ends of their names."""

from __future__ import annotations

from govlab.errors import SourceError
from govlab.sources.files.csv_file import CsvFile, TsvFile
from govlab.sources.files.file import File, Keys
from govlab.sources.files.ndjson_file import NdjsonFile
from govlab.sources.files.parquet_file import ParquetFile
from govlab.sources.files.unpack import ZSTD_WINDOW

__all__ = ["FORMATS", "file_of", "is_known"]

FORMATS: dict[str, type[File]] = {
    "csv": CsvFile,
    "json": NdjsonFile,
    "jsonl": NdjsonFile,
    "ndjson": NdjsonFile,
    "parquet": ParquetFile,
    "pq": ParquetFile,
    "tsv": TsvFile,
}
_PACKED = {"gz": "gz", "zst": "zst", "zstd": "zst"}


def file_of(path: str, keys: Keys | None = None, window: int = ZSTD_WINDOW) -> File:
    """Make the file at a path, in the format and the packing that its name tells; parameters as of :class:`File`."""
    kind, packed = _format_of(path)
    if kind is None:
        raise SourceError(
            f"cannot tell the format of {path!r} by its name; known are .csv, .ndjson, .jsonl, .parquet, with .gz or .zst."
        )
    return kind(path, packed, keys, window)


def is_known(path: str) -> bool:
    """Tell whether a file of this name is in a format that can be read."""
    return _format_of(path)[0] is not None


def _format_of(path: str) -> tuple[type[File] | None, str | None]:
    parts = path.rsplit("/", 1)[-1].lower().split(".")
    packed = _PACKED.get(parts[-1])
    return FORMATS.get(parts[-2] if packed and len(parts) > 1 else parts[-1]), packed
