"""Before a run: a file in which nothing can be read is an error, never a run that ends with no events."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Generator, Mapping
from typing import Any

import msgspec
import pandas as pd

from govlab import frames
from govlab.errors import SourceError, did_you_mean
from govlab.frames import Schema
from govlab.sources.files import blocks as files
from govlab.sources.files.paths import format_of
from govlab.sources.files.records import Bad

__all__ = ["HELD_BYTES", "bounded", "trial"]

HELD_BYTES = 2 << 30
SAMPLE_BYTES = 1 << 20
TRIAL_BYTES = 1 << 17
ENOUGH = 100
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_LETTER = re.compile(rb"[A-Za-z][\x8a-\xff]|[\xc0-\xff][a-z]")


def trial(paths: Mapping[str, Mapping[str, str | None]], schema: Schema, window: int, given: bool) -> dict[str, str]:
    """Read the head of the files, up to the first that gives a row.

    A file of which 100 records or more were tried and none can be read is refused also where others follow.

    Parameters
    ----------
    paths : mapping
        The files, with what the names of their folders say.
    schema : Schema
        The columns.
    window : int
        The largest zstd window, in bytes.
    given : bool
        Whether the schema was given, not guessed.

    Returns
    -------
    dict of str to str
        Fields of a schema that was given which occur in none of the first JSON records, with the reason.

    Raises
    ------
    SourceError
        No record of the head can be read, or there is none; it says why, and what to do.
    """
    first_bad: tuple[str, list[Bad]] | None = None
    for path, keys in paths.items():
        kind, _ = format_of(path)
        data = b"" if kind == "parquet" else files.head(path, window=window)
        check_text(path, data, kind)
        bad: list[Bad] = []
        rows = 0
        with_rows = files.blocks(path, 0, schema, None, keys, window, size=TRIAL_BYTES)
        for frame, letters in with_rows:
            rows, bad = rows + len(frame), bad + letters
            if rows or sum(len(raw) for _, _, raw in bad) >= SAMPLE_BYTES:
                break
        with_rows.close()
        if rows:
            return _missing(schema, data, keys) if given and kind == "ndjson" else {}
        if bad:
            first_bad = first_bad or (path, bad)
        if len(bad) >= ENOUGH:
            first_bad = (path, bad)
            break
    if first_bad is not None:
        path, bad = first_bad
        offset, why, raw = bad[0]
        raise SourceError(
            f"{path}: none of the first {len(bad):,} records can be read; the first, at line or row {offset + 1}: {why}: "
            f"{raw[:160]!r}. Give schema=gl.Schema({{...}}) with the names and types that fit, or mend the file."
        )
    first, more = next(iter(paths)), len(paths) - 1
    raise SourceError(
        f"{first}{f' and {more:,} more files' if more else ''}: there is no record in it, so there is nothing to read."
    )


def check_text(path: str, data: bytes, kind: str) -> None:
    """See that the head of a text file is UTF-8, and no JSON array.

    Raises
    ------
    SourceError
        It is not; says what it looks like, and how to convert it.
    """
    if data.startswith(_UTF16) or data[:1000].count(b"\0") * 3 > len(data[:1000]) > 0:
        raise SourceError(f"{path} looks like UTF-16, not UTF-8; convert it: iconv -f utf-16 -t utf-8 IN > OUT.")
    whole = data if data.endswith(b"\n") else data[: data.rfind(b"\n") + 1] or data  # the last line may be cut
    lines = [line for line in whole.split(b"\n") if not line.isascii()]
    if lines:
        wrong = [line for line in lines if not _is_utf8(line)]
        letters = next((line for line in wrong if _LETTER.search(line)), None)
        if letters is not None and len(wrong) == len(lines) > 1 and len(wrong) * 100 >= data.count(b"\n"):
            raise SourceError(
                f"{path} is not UTF-8, for instance {letters[:120]!r}; it looks like latin-1 or Windows-1252. Convert it, or its "
                "rows with such letters would be lost: iconv -f windows-1252 -t utf-8 IN > OUT."
            )
    if kind == "ndjson" and re.match(rb"(\xef\xbb\xbf)?\s*\[\s*(\{|$)", data) and not _complete(data):
        raise SourceError(
            f"{path} is one JSON array, not one JSON object a line; convert it: jq -c '.[]' IN.json > OUT.ndjson, or "
            "pandas.read_json(IN).to_json(OUT, orient='records', lines=True)."
        )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _complete(data: bytes) -> bool:
    """Tell whether the first line is a whole JSON value, and others follow."""
    first, _, others = data.strip().partition(b"\n")
    try:
        msgspec.json.decode(first)
    except (ValueError, RecursionError):
        return False
    return bool(others)


def _missing(schema: Schema, data: bytes, keys: Mapping[str, Any]) -> dict[str, str]:
    seen: set[str] = set(keys)
    records = 0
    decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
    wanted = set(schema.fields)
    for line in data.split(b"\n"):
        if wanted <= seen:
            return {}
        try:
            seen |= decoder.decode(line).keys()
            records += 1
        except (ValueError, RecursionError):
            continue
    return {name: f"it occurs in none of the first {records:,} records. {did_you_mean(name, seen)}" for name in wanted - seen}


def bounded(blocks: Generator[files.Block, None, Any], path: str, held: int) -> Generator[files.Block, None, None]:
    """Pass blocks on, and see that as many rows as are kept to be put in order do not fill the memory.

    Parameters
    ----------
    blocks : generator
        The blocks of a file.
    path : str
        Its name, for messages.
    held : int
        How many rows are kept.

    Raises
    ------
    SourceError
        So many rows hold more than 2 GiB.
    """
    last: deque[tuple[int, int]] = deque()
    rows = size = 0
    try:
        for frame, bad in blocks:
            last.append((len(frame), _bytes(frame)))
            rows, size = rows + last[-1][0], size + last[-1][1]
            while rows - last[0][0] > held:
                some, some_bytes = last.popleft()
                rows, size = rows - some, size - some_bytes
            if len(last) > 1 and size > HELD_BYTES:
                raise SourceError(
                    f"{path}: {rows:,} rows hold more than {HELD_BYTES:,} bytes, and look_ahead={held:,} rows are kept in "
                    f"memory with order='event'. Give a smaller look_ahead, such as {max(1, rows // 8):,}, or order='arrival'."
                )
            yield frame, bad
    finally:
        blocks.close()


def _bytes(frame: pd.DataFrame) -> int:
    """Count the bytes of a frame; those of texts also where pandas (before 3) keeps them as objects."""
    texts = [array for array in frames.arrays(frame) if array.dtype == object]
    return int(frame.memory_usage(index=False).sum()) + sum(len(v) for array in texts for v in array if isinstance(v, str))
