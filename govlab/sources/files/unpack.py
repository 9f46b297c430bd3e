"""The bytes of a text file: unpacked, in blocks, cut between lines."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import Any

import zstandard

from govlab.errors import SourceError
from govlab.sources.files.opening import reading
from govlab.sources.reader import RAW_LIMIT

__all__ = ["LINE_LIMIT", "ZSTD_WINDOW", "Bytes", "Span", "lines"]

LINE_LIMIT = 8 << 20
ZSTD_WINDOW = 128 << 20  # what the zstd command itself allows; such a window is kept in memory while the file is read
_FRAME_HEADER = 18  # bytes, at most


class Bytes:
    """The bytes of a file, unpacked, in blocks; ``broken`` then says why they ended too soon, if they did.

    Parameters
    ----------
    raw : file
        What to read.
    path : str
        Its name, for messages.
    packed : {"gz", "zst"} or None
        How it is packed.
    size : int
        Bytes a block.
    window : int
        The largest window of zstd, in bytes.

    Raises
    ------
    SourceError
        The file cannot be read, or has a larger window.
    """

    def __init__(self, raw: Any, path: str, packed: str | None, size: int, window: int = ZSTD_WINDOW) -> None:
        self.broken: str | None = None
        self._path, self._size, self._window = path, size, window
        self._pieces = {"gz": self._gz, "zst": self._zst, None: self._plain}[packed](raw)

    def __iter__(self) -> Iterator[bytes]:
        held: list[bytes] = []
        piece: bytes | None = b""
        while piece is not None:
            with reading(self._path):
                try:
                    piece = next(self._pieces, None)
                except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
                    self.broken, piece = str(error), None
            held.append(piece or b"")
            if piece is None or sum(map(len, held)) >= self._size:
                whole, held = b"".join(held), []
                size = min(self._size, LINE_LIMIT)
                yield from (whole[i : i + size] for i in range(0, len(whole), size))

    @staticmethod
    def _plain(raw: Any) -> Iterator[bytes]:
        yield from iter(lambda: raw.read(1 << 20), b"")

    @staticmethod
    def _gz(raw: Any) -> Iterator[bytes]:
        # read1 hands over what was unpacked before a break; read would lose it
        with gzip.GzipFile(fileobj=raw) as file:
            yield from iter(lambda: file.read1(1 << 20), b"")

    def _zst(self, raw: Any) -> Iterator[bytes]:
        unpacker, start = None, b""
        for piece in iter(lambda: raw.read(4_096), b""):
            while piece:
                if unpacker is None:
                    unpacker, start = zstandard.ZstdDecompressor(max_window_size=self._window).decompressobj(), b""
                start += piece[: max(0, _FRAME_HEADER - len(start))]
                try:
                    yield unpacker.decompress(piece)
                except zstandard.ZstdError:
                    self._check_window(start)
                    raise
                piece, unpacker = (unpacker.unused_data, None) if unpacker.eof else (b"", unpacker)
        if unpacker is not None:
            raise EOFError("the last zstd frame has no end")

    def _check_window(self, start: bytes) -> None:
        needed = zstandard.get_frame_parameters(start).window_size
        if needed > self._window:
            raise SourceError(
                f"{self._path} was packed with a zstd window of {needed:,} bytes (zstd --long); at most {self._window:,} are "
                f"allowed, as reading keeps the window in memory. Allow it with gl.sources.ReplayReader(..., zstd_window={needed}) "
                "and gl.from_reader, or pack the file again with a smaller window."
            )


class Span:
    """The whole lines of a file that begin in a span of its bytes."""

    def __init__(self, raw: Any, first: int, last: int) -> None:
        self._raw, self._end = raw, _next_line(raw, last)
        self._at = _next_line(raw, first)
        raw.seek(self._at)

    def read(self, size: int) -> bytes:
        """Give the next bytes."""
        found: bytes = self._raw.read(min(size, self._end - self._at))
        self._at += len(found)
        return found


def _next_line(raw: Any, at: int) -> int:
    """Give where the first line begins that begins at a byte or after it."""
    if at == 0:
        return 0
    raw.seek(at - 1)
    while more := raw.read(1 << 16):
        found = more.find(b"\n")
        if found >= 0:
            return int(raw.tell()) - len(more) + found + 1
    return int(raw.tell())


def lines(data: Bytes) -> Iterator[tuple[bytes, str | None]]:
    """Cut bytes into blocks of whole lines; gives (lines, None), or (a line that cannot be used, reason)."""
    rest, long, skipped = b"", b"", 0
    for more in data:
        if skipped:
            _, newline, rest = more.partition(b"\n")
            skipped += len(more) - len(rest)
            if not newline:
                continue
            yield long, _too_long(skipped)
            skipped, more = 0, b""
        rest += more
        # only the first line can be longer than a block
        end = rest.find(b"\n")
        if end > LINE_LIMIT:
            yield rest[:RAW_LIMIT], _too_long(end)
            rest = rest[end + 1 :]
        elif end < 0 and len(rest) > LINE_LIMIT:
            long, skipped, rest = rest[:RAW_LIMIT], len(rest), b""
        cut = rest.rfind(b"\n") + 1
        if cut:
            yield rest[:cut], None
            rest = rest[cut:]
    if skipped:
        yield long, _too_long(skipped)
    if data.broken:
        yield rest, f"the file is cut short here ({data.broken})"
    elif len(rest) > LINE_LIMIT:
        yield rest[:RAW_LIMIT], _too_long(len(rest))
    elif rest:
        yield rest, None


def _too_long(size: int) -> str:
    return f"a line of about {size:,} bytes is longer than the limit of {LINE_LIMIT:,}"
