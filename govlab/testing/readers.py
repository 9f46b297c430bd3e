"""Checks of the reader's contract, for sources that end."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from govlab import frames
from govlab.errors import CheckError
from govlab.sources.reader import DeadLetter, EndOfStream, Reader

Read = tuple[pd.DataFrame, list[DeadLetter]]


def read_through(reader: Reader, max_rows: int, most: int | None = None, commit: bool = False, take_letters: bool = True) -> Read:
    """Read to the end, or at most ``most`` rows; gives the rows and the dead letters, taken as an engine takes them."""
    parts, letters, n = [], list[DeadLetter](), 0
    try:
        while most is None or n < most:
            part = reader.read(max_rows if most is None else min(max_rows, most - n))
            if len(part) > max_rows:
                raise CheckError(f"{reader.name}: read({max_rows}) gave {len(part)} rows.")
            parts.append(part)
            n += len(part)
            letters += reader.take_dead_letters() if take_letters else []
            if commit:
                reader.commit(reader.position())
    except EndOfStream:
        letters += reader.take_dead_letters() if take_letters else []
    return frames.concat(parts), letters


def read_all(reader: Reader, max_rows: int, most: int | None = None) -> pd.DataFrame:
    """Read to the end, or at most ``most`` rows; the dead letters stay with the reader."""
    return read_through(reader, max_rows, most, take_letters=False)[0]


def check_reader(make: Callable[[], Reader], bad: int | None = None, corrected: bytes | None = None) -> None:
    """Check the contract of a reader whose source ends.

    Checked: frames are event frames; the rows do not depend on how many are asked for, nor on commits; the end is said again
    and again; a reader opened at a position goes on with the next row, and stands there before it is read; opened at the
    position before rows it gives those rows again, also before some of the last that were read; opening anew begins at the
    start; each bad record is a dead letter once, with its position and reason, and none is lost over an opening at a position;
    nothing is left in the lag at the end; rows that are fetched are those that were read; a corrected record becomes a row.

    Parameters
    ----------
    make : function
        Makes a fresh reader of the same source.
    bad : int, optional
        How many records of the source cannot be read; by default those that become dead letters.
    corrected : bytes, optional
        A record as it should have been, to be read in place of each bad one.

    Raises
    ------
    CheckError
        Says which rule was broken.
    """
    reader = make()
    reader.open()
    whole, letters = read_through(reader, 1_000)
    for _ in range(2):
        try:
            reader.read(10)
        except EndOfStream:
            continue
        raise CheckError(f"{reader.name}: must raise EndOfStream again once it has ended.")
    if any(reader.lag().values()):
        raise CheckError(f"{reader.name}: all was read, and its lag is {reader.lag()}; expected none.")
    event_frames(reader, whole)
    once(reader, letters)
    if bad is not None and len(letters) != bad:
        raise CheckError(f"{reader.name}: {bad} records cannot be read, and there are {len(letters)} dead letters: each is one.")
    for max_rows, commit in ((1, False), (7, True)):
        reader.open()
        rows, again = read_through(reader, max_rows, commit=commit)
        _same(reader, whole, rows, f"read({max_rows})" + " with a commit after each" * commit)
        if keys(again) != keys(letters):
            raise CheckError(f"{reader.name}: read({max_rows}) gives other dead letters than reading all at once.")
    reader.close()
    reader.close()  # closing twice is harmless
    for n in sorted({0, 1, len(whole) // 3, len(whole) - 1, len(whole)} & set(range(len(whole) + 1))):
        _opened_at(make, whole, letters, n)
    for n in sorted({0, len(whole) // 2}):
        for kept in (0, 2):
            _opened_before(make, whole, n, kept)
    reader = make()
    reader.open()
    check_fetch(reader, whole)
    check_redrive(reader, letters, corrected)
    reader.close()


def _opened_at(make: Callable[[], Reader], whole: pd.DataFrame, letters: list[DeadLetter], n: int) -> None:
    first = make()
    first.open()
    head, early = read_through(first, 5, most=n)
    position = first.position()
    first.close()
    second = make()
    second.open(position)
    third = make()
    third.open(second.position())  # before anything is read: a run can be held there
    for later, what in ((second, f"opening at {position}"), (third, "opening at what was opened and not read")):
        rows, late = read_through(later, 50)
        _same(later, whole, frames.concat([head, rows]) if n else rows, what)
        once(later, late)
        if lost := set(keys(letters)) - set(keys(early + late)):
            raise CheckError(f"{later.name}: dead letters are lost over {what}: {sorted(lost)[:3]}.")
        later.close()


def _opened_before(make: Callable[[], Reader], whole: pd.DataFrame, n: int, kept: int) -> None:
    """Open at the position before the last rows that were read, but for the first ``kept`` of them."""
    first = make()
    first.open()
    head, _ = read_through(first, 5, most=n)
    try:
        last = first.read(7)
    except EndOfStream:
        last = whole.iloc[:0]
    if first.position_before(last.iloc[len(last) :]) != first.position():
        raise CheckError(f"{first.name}: position_before() no rows must be position().")
    position = first.position_before(last.iloc[kept:])
    first.close()
    second = make()
    second.open(position)
    _same(
        second,
        whole,
        frames.concat([head, last.iloc[:kept], read_through(second, 50)[0]]),
        f"opening at position_before() of the last {len(last) - kept} of {len(last)} rows read",
    )
    second.close()


def event_frames(reader: Reader, rows: pd.DataFrame) -> None:
    """See that rows are those of an event frame."""
    frames.require(rows, [frames.TIME, *frames.POSITION], reader.name)
    if (
        str(rows[frames.TIME].dtype) != "datetime64[us, UTC]"
        or str(rows["partition"].dtype) != "int32"
        or str(rows["offset"].dtype) != "int64"
    ):
        raise CheckError(f"{reader.name}: time, partition and offset must be datetime64[us, UTC], int32 and int64.")


def keys(letters: list[DeadLetter]) -> list[tuple[str, int, int, str]]:
    """Give what tells dead letters from each other, in order."""
    return sorted((letter.source, letter.partition, letter.offset, letter.reason) for letter in letters)


def once(reader: Reader, letters: list[DeadLetter]) -> None:
    """See that dead letters say why and where, and that none comes twice."""
    for letter in letters:
        if not letter.reason or not letter.source or letter.offset < 0:
            raise CheckError(f"{reader.name}: a dead letter says its source, position and reason; there is {letter!r}.")
    if len(set(keys(letters))) < len(letters):
        raise CheckError(f"{reader.name}: a dead letter is handed over twice; each comes once.")


def check_fetch(reader: Reader, rows: pd.DataFrame) -> None:
    """See that the first, a middle and the last row are read again by their positions, where the reader offers it."""
    if type(reader).fetch is Reader.fetch or not len(rows):
        return
    for i in sorted({0, len(rows) // 2, len(rows) - 1}):
        where = rows["partition"].iloc[i], rows["offset"].iloc[i]
        expected = rows[(rows["partition"] == where[0]) & (rows["offset"] == where[1])]
        _same(reader, expected, reader.fetch(frames.positions(rows.iloc[[i]])), f"fetch of {where[0]}:{where[1]}")


def check_redrive(reader: Reader, letters: list[DeadLetter], corrected: bytes | None = None) -> None:
    """See that a bad record stays bad, and that a corrected one is a row at its position, where the reader offers it."""
    if type(reader).redrive is Reader.redrive:
        return
    for letter in letters[:3]:
        rows, still = reader.redrive([(letter, letter.raw)])
        if len(rows) or [(one.partition, one.offset) for one in still] != [(letter.partition, letter.offset)]:
            raise CheckError(f"{reader.name}: redrive() of what is as bad as before must give it back as still bad.")
        if corrected is None:
            continue
        rows, still = reader.redrive([(letter, corrected)])
        if still or rows[list(frames.POSITION)].to_numpy().tolist() != [[letter.partition, letter.offset]]:
            raise CheckError(
                f"{reader.name}: redrive() of a corrected record must give its row, at its position; still bad: {still}."
            )


def _same(reader: Reader, expected: pd.DataFrame, actual: pd.DataFrame, what: str) -> None:
    try:
        pd.testing.assert_frame_equal(expected.reset_index(drop=True), actual.reset_index(drop=True), check_exact=True)
    except AssertionError as error:
        raise CheckError(f"{reader.name}: {what} changes the rows: {error}") from error
