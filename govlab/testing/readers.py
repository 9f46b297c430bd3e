"""Checks of the reader's contract."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from govlab import frames
from govlab.errors import CheckError
from govlab.sources.reader import EndOfStream, Reader


def read_all(reader: Reader, max_rows: int, most: int | None = None) -> pd.DataFrame:
    """Read to the end, or at least ``most`` rows if there are so many."""
    parts, n = [], 0
    try:
        while most is None or n < most:
            part = reader.read(max_rows if most is None else min(max_rows, most - n))
            if len(part) > max_rows:
                raise CheckError(f"{reader.name}: read({max_rows}) gave {len(part)} rows.")
            parts.append(part)
            n += len(part)
    except EndOfStream:
        pass
    return frames.concat(parts)


def check_reader(make: Callable[[], Reader]) -> None:
    """Check the contract of a reader whose source ends.

    Checked: frames are event frames; the rows do not depend on how many are asked for; the end is said again and again; a
    reader opened at a position goes on with the next row, and stands there before it is read; opening anew begins at the start.

    Parameters
    ----------
    make : function
        Makes a fresh reader of the same source.

    Raises
    ------
    CheckError
        Says which rule was broken.
    """
    reader = make()
    reader.open()
    whole = read_all(reader, 1_000)
    for _ in range(2):
        try:
            reader.read(10)
        except EndOfStream:
            continue
        raise CheckError(f"{reader.name}: must raise EndOfStream again once it has ended.")
    frames.require(whole, [frames.TIME, *frames.POSITION], reader.name)
    if (
        str(whole[frames.TIME].dtype) != "datetime64[us, UTC]"
        or str(whole["partition"].dtype) != "int32"
        or str(whole["offset"].dtype) != "int64"
    ):
        raise CheckError(f"{reader.name}: time, partition and offset must be datetime64[us, UTC], int32 and int64.")
    for max_rows in (1, 7):
        reader.open()
        _same(reader, whole, read_all(reader, max_rows), f"read({max_rows})")
    for n in sorted({0, 1, len(whole) // 3, len(whole) - 1, len(whole)}):
        first = make()
        first.open()
        head = read_all(first, 5, most=n)
        position = first.position()
        first.close()
        second = make()
        second.open(position)
        third = make()
        third.open(second.position())  # before anything is read: a run can be held there
        for later, what in ((second, f"opening at {position}"), (third, "opening at what was opened and not read")):
            _same(reader, whole, frames.concat([head, read_all(later, 50)]) if n else read_all(later, 50), what)
            later.close()
    reader.close()


def _same(reader: Reader, expected: pd.DataFrame, actual: pd.DataFrame, what: str) -> None:
    try:
        pd.testing.assert_frame_equal(expected.reset_index(drop=True), actual.reset_index(drop=True), check_exact=True)
    except AssertionError as error:
        raise CheckError(f"{reader.name}: {what} changes the rows: {error}") from error
