"""Files of any file system that fsspec knows: opened, and their errors told as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec

from govlab.errors import GovlabError, MissingExtraError, SourceError

__all__ = ["opened", "private", "reading", "stamp"]

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


def private(text: str) -> str:
    """Give the URL of a file, masked in texts if it holds what may be a secret."""
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


def stamp(path: str) -> list[str]:
    """Give what changes when a file does: its size, and the time or the tag of its last change."""
    with reading(path):
        files, name = fsspec.url_to_fs(str.__str__(path))
        about = files.info(name)
    return [str(about[key]) for key in ("size", "mtime", "LastModified", "ETag", "created") if about.get(key) is not None]
