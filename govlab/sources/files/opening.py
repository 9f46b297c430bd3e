"""Files of any file system that fsspec knows: opened, and their errors told as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

from govlab.errors import GovlabError, MissingExtraError, SourceError

__all__ = ["opened", "reading", "stamp"]


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
        raise SourceError(f"{path} cannot be read ({type(error).__name__}: {error}).") from error


@contextmanager
def opened(path: str) -> Iterator[Any]:
    """Open a file for reading bytes."""
    with reading(path):
        file = fsspec.open(path, "rb").open()
    try:
        yield file
    finally:
        file.close()


def stamp(path: str) -> list[str]:
    """Give what changes when a file does: its size, and the time or the tag of its last change."""
    with reading(path):
        files, name = fsspec.url_to_fs(path)
        about = files.info(name)
    return [str(about[key]) for key in ("size", "mtime", "LastModified", "ETag", "created") if about.get(key) is not None]
