"""Paths, folders, patterns and URLs to files: which there are, of what format, and what the names of folders say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import fsspec

from govlab.errors import ArgumentError, GovlabError, MissingExtraError, SourceError

__all__ = ["find", "format_of", "locate", "opened", "reading", "stamp"]

_FORMATS = {
    "csv": "csv",
    "tsv": "csv",
    "json": "ndjson",
    "jsonl": "ndjson",
    "ndjson": "ndjson",
    "parquet": "parquet",
    "pq": "parquet",
}
_PACKED = {"gz": "gz", "zst": "zst", "zstd": "zst"}
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_LOGIN = re.compile(r"(?<=://)(?:[^/?#@]*|[^/?#:]*:[^/?#]*[^/?#\d][^?#]*)@(?:[^?#]*@)?")  # a password may hold a slash
_QUERY = re.compile(r"(?<=\?)[^#]+")


class _Private(str):
    """The URL of a file, which masks its login and its query wherever it is written into a text: they may be secrets."""

    def __str__(self) -> str:
        text = str.__str__(self)
        return _QUERY.sub("***", _LOGIN.sub("***@", text))

    def __repr__(self) -> str:
        return repr(str(self))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def mask(self, text: str) -> str:
        """Mask its secrets in what somebody else says of it."""
        whole = str.__str__(self)
        for part in (whole, *_LOGIN.findall(whole), *_QUERY.findall(whole)):
            text = text.replace(part, str(self) if part is whole else "***")
        return text


def _private(text: str) -> str:
    url = _Private(text)
    return url if str(url) != text and not text.startswith("file:") else text


@contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn whatever a file system or a library raises about a file into a SourceError that names the file."""
    try:
        yield
    except GovlabError:
        raise
    except ImportError as error:
        raise MissingExtraError(f"{path} needs a package that is not installed ({error}).") from error
    except Exception as error:  # each file system has errors of its own
        if isinstance(path, _Private):  # and may name the whole URL in them
            raise SourceError(f"{path} cannot be read ({type(error).__name__}: {path.mask(str(error))}).") from None
        raise SourceError(f"{path} cannot be read ({type(error).__name__}: {error}).") from error


@contextmanager
def opened(path: str) -> Iterator[Any]:
    """Open a file for reading bytes."""
    with reading(path):
        file = fsspec.open(str.__str__(path), "rb").open()
    try:
        yield file
    finally:
        file.close()


def find(paths: Any) -> list[str]:
    """Give the files that paths, folders and patterns name, each once, sorted; the place in the list is the partition."""
    return list(locate(paths))


def locate(paths: Any) -> dict[str, dict[str, str | None]]:
    """Find the files that paths, folders and patterns name, sorted, each with what the folders below the one named say of it.

    A folder below it that is called ``key=value`` (as Hive, Spark and pyarrow write them) says that the column ``key`` has
    this value in all rows.

    Raises
    ------
    ArgumentError
        They are no paths.
    SourceError
        Nothing is there under one of the names.
    """
    found: dict[str, dict[str, str | None]] = {}
    several = [paths] if isinstance(paths, str) or hasattr(paths, "__fspath__") else paths
    table = hasattr(paths, "__arrow_c_stream__") or not isinstance(several, Iterable)
    several = [] if table else list(several)
    if table or not all(isinstance(one, str) or hasattr(one, "__fspath__") for one in several):
        raise ArgumentError(f"paths: {type(paths).__name__} names no files; expected a path, a pattern or URL, or a list of them.")
    for path in several:
        text = _private(str(path))
        with reading(text):
            names, root = _named(str.__str__(text))
        if not names:
            raise SourceError(f"there is no file at {text!r}; give a path, a folder, a pattern such as 'logs/*.csv.gz', or a URL.")
        for name, full in names.items():
            full = _private(full)
            found[full] = _folder_keys(name.removeprefix(root)) | found.get(full, {})
    if not found:
        raise SourceError("there is no file to read: the list of paths is empty.")
    return dict(sorted(found.items()))


def _named(text: str) -> tuple[dict[str, str], str]:
    """Give the files that one text names, with their full addresses, and the folder in which they were looked for."""
    system, _, expanded = fsspec.get_fs_token_paths(text)
    if any(sign in text for sign in "*?["):
        bare = system._strip_protocol(text)
        names = expanded or [name for name in [bare] if system.exists(name)]
        root = re.split(r"[*?\[]", bare)[0].rpartition("/")[0]
    elif system.isdir(expanded[0]):
        root = expanded[0]
        # what begins with _ or . is not data: manifests, and what is being written
        names = [name for name in system.find(root) if _split_name(name)[0] and name.rsplit("/", 1)[-1][0] not in "_."]
    else:
        root = expanded[0].rpartition("/")[0]
        names = [name for name in expanded if system.exists(name)]
    local = "file" in ([system.protocol] if isinstance(system.protocol, str) else system.protocol)
    return {name: name if local else system.unstrip_protocol(name) for name in names}, root


def _folder_keys(below: str) -> dict[str, str | None]:
    parts = [folder.partition("=") for folder in below.split("/")[:-1]]
    return {unquote(key): None if value == _NO_VALUE else unquote(value) for key, sign, value in parts if key and sign}


def _split_name(path: str) -> tuple[str | None, str | None]:
    parts = path.rsplit("/", 1)[-1].lower().split(".")
    packed = _PACKED.get(parts[-1])
    return _FORMATS.get(parts[-2] if packed and len(parts) > 1 else parts[-1]), packed


def format_of(path: str) -> tuple[str, str | None]:
    """Give the format and the packing of a file, by its name."""
    kind, packed = _split_name(path)
    if kind is None:
        raise SourceError(
            f"cannot tell the format of {path!r} by its name; known are .csv, .ndjson, .jsonl, .parquet, with .gz or .zst."
        )
    return kind, packed


def stamp(path: str) -> list[str]:
    """Give what changes when a file does: its size, and the time or the tag of its last change."""
    with reading(path):
        files, name = fsspec.url_to_fs(str.__str__(path))
        about = files.info(name)
    return [str(about[key]) for key in ("size", "mtime", "LastModified", "ETag", "created") if about.get(key) is not None]
