"""Paths, folders, patterns and URLs to files: which there are, and what the names of folders say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import fsspec

from govlab.errors import ArgumentError, SourceError
from govlab.sources.files.formats import is_known
from govlab.sources.files.opening import private, reading

__all__ = ["find", "locate"]

_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


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
        text = private(str(path))
        with reading(text):
            names, root = _named(str.__str__(text))
        if not names:
            raise SourceError(f"there is no file at {text!r}; give a path, a folder, a pattern such as 'logs/*.csv.gz', or a URL.")
        for name, full in names.items():
            full = private(full)
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
        names = [name for name in system.find(root) if is_known(name) and name.rsplit("/", 1)[-1][0] not in "_."]
    else:
        root = expanded[0].rpartition("/")[0]
        names = [name for name in expanded if system.exists(name)]
    local = "file" in ([system.protocol] if isinstance(system.protocol, str) else system.protocol)
    return {name: name if local else system.unstrip_protocol(name) for name in names}, root


def _folder_keys(below: str) -> dict[str, str | None]:
    parts = [folder.partition("=") for folder in below.split("/")[:-1]]
    return {unquote(key): None if value == _NO_VALUE else unquote(value) for key, sign, value in parts if key and sign}
