"""Before a run: a file in which nothing can be read is an error, never a run that ends with no events."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from typing import Any

import pandas as pd

from govlab import frames
from govlab.errors import SourceError
from govlab.frames import Schema
from govlab.sources.files.file import Block, File
from govlab.sources.files.records import Bad

__all__ = ["HELD_BYTES", "bounded", "trial"]

HELD_BYTES = 2 << 30
SAMPLE_BYTES = 1 << 20
TRIAL_BYTES = 1 << 17
ENOUGH = 100


def trial(files: Sequence[File], schema: Schema, given: bool) -> dict[str, str]:
    """Read the head of the files, up to the first that gives a row.

    A file of which 100 records or more were tried and none can be read is refused also where others follow.

    Parameters
    ----------
    files : list of File
        The files.
    schema : Schema
        The columns.
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
    for file in files:
        head = file.head()
        bad: list[Bad] = []
        rows = 0
        with_rows = file.blocks(0, schema, size=TRIAL_BYTES)
        for frame, letters in with_rows:
            rows, bad = rows + len(frame), bad + letters
            if rows or sum(len(raw) for _, _, raw in bad) >= SAMPLE_BYTES:
                break
        with_rows.close()
        if rows:
            return file.missing(schema, head) if given else {}
        if bad:
            first_bad = first_bad or (file.path, bad)
        if len(bad) >= ENOUGH:
            first_bad = (file.path, bad)
            break
    if first_bad is not None:
        path, bad = first_bad
        offset, why, raw = bad[0]
        raise SourceError(
            f"{path}: none of the first {len(bad):,} records can be read; the first, at line or row {offset + 1}: {why}: "
            f"{raw[:160]!r}. Give schema=gl.Schema({{...}}) with the names and types that fit, or mend the file."
        )
    first, more = files[0].path, len(files) - 1
    raise SourceError(
        f"{first}{f' and {more:,} more files' if more else ''}: there is no record in it, so there is nothing to read."
    )


def bounded(blocks: Generator[Block, None, Any], path: str, held: int) -> Generator[Block, None, None]:
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
