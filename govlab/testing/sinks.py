"""Checks of the sink's contract."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from govlab import frames
from govlab.errors import CheckError, GovlabError
from govlab.schema import Schema
from govlab.sinks.sink import Sink
from govlab.summary import content_hashes

__all__ = ["SINK_SCHEMA", "check_sink", "sink_events"]

SINK_SCHEMA = Schema(
    {
        "time": "timestamp", "id": "string", "entity": "string", "detector": "string", "score": "float64", "p": "float64?",
        "severity": "string", "reason": "string?", "start": "timestamp", "evidence": "string", "recipe": "string", "count": "int64",
    }
)  # fmt: skip
KEYS = 5


def sink_events(first: int, n: int) -> pd.DataFrame:
    """Make ``n`` alerts of ``SINK_SCHEMA`` that differ from each other and from all before the number ``first``.

    Examples
    --------
    >>> sink_events(3, 2)["id"].to_list()
    ['a3', 'a4']
    """
    numbers = np.arange(first, first + n)
    times = frames.from_us(numbers * 1_000_001 + 1_772_409_600_000_001)
    texts = ["plain", "naïve ☃ \U0001f600", 'quotes " and \\', "two\nlines", None]
    rows = {
        "time": times, "id": [f"a{i}" for i in numbers], "entity": [f"u{i % KEYS}" for i in numbers], "detector": "ewma_z",
        "score": numbers / 3, "p": np.where(numbers % 4 == 0, np.nan, 1 / (numbers + 3)), "severity": "low",
        "reason": [texts[i % len(texts)] for i in numbers], "start": times, "evidence": [f"0:{i}" for i in numbers],
        "recipe": "r", "count": numbers + 2**53,
    }  # fmt: skip
    return frames.event_frame(rows, offset=first)


def check_sink(make: Callable[[], Sink], read_back: Callable[[int], pd.DataFrame], key: str = "entity") -> None:
    """Check the contract of a sink on what it really writes to.

    Checked: after ``flush()`` every row that was sent is there, once, with its values and its id, in the order in which rows
    were sent within a partition, and rows of one key are in one partition; a flush that is asked again writes nothing again;
    ``close()`` flushes first and may be asked twice; a frame without rows writes nothing; a row that cannot be written is an
    error that says which, and the rows after it are written; nothing is taken in silence after ``close()``.

    Parameters
    ----------
    make : function
        Makes a fresh sink to one place, which is empty at first and takes the columns of ``SINK_SCHEMA``.
    read_back : function
        Gives the rows that were written since it was last called, as an event frame with their position: waits until there
        are as many as it is asked for, and gives those beyond them too. A column ``message_id`` is the id beside the row.
    key : str
        The column by which rows are dealt to partitions.

    Raises
    ------
    CheckError
        Says which rule was broken.
    """
    sink = make()
    sent = sink_events(0, 120)
    sink.send(sent.iloc[:0])
    for first, last in ((0, 1), (1, 8), (8, 8), (8, 120)):
        sink.send(sent.iloc[first:last])
    sink.flush()
    _there(sink, sent, read_back(len(sent)), key, "flush() waits until all is there")
    sink.flush()
    sink.close()
    try:
        sink.close()
    except Exception as error:
        raise CheckError(f"{sink.name}: close() may be asked twice; it raised {error!r}.") from error
    _there(sink, sent.iloc[:0], read_back(0), key, "a flush asked again, and close(), write nothing again")
    try:
        sink.send(sink_events(120, 1))
        sink.flush(timeout_s=5.0)
    except GovlabError:
        pass
    except Exception as error:
        raise CheckError(f"{sink.name}: send() after close() must be an error of govlab's tree; it is {error!r}.") from error
    else:
        _there(sink, sink_events(120, 1), read_back(1), key, "what is taken after close() is written, or an error")
    sink = make()
    more = sink_events(200, 50)
    sink.send(more)
    sink.close()
    _there(sink, more, read_back(len(more)), key, "close() flushes first")
    _refused(make, read_back, key)


def _refused(make: Callable[[], Sink], read_back: Callable[[int], pd.DataFrame], key: str) -> None:
    """Send a row that cannot be written among good ones."""
    sink = make()
    rows = sink_events(300, 9)
    # a lone surrogate has no bytes in UTF-8, so no format can hold it
    broken = rows.assign(reason=pd.Series([*["good"] * 4, "\ud800", *["good"] * 4], dtype="object"))
    try:
        sink.send(broken)
        sink.flush()
    except GovlabError as error:
        if not re.search(r"\b0:304\b", str(error)) or "reason" not in str(error):
            raise CheckError(
                f"{sink.name}: the error for a row that cannot be written says which (0:304, 'reason'): {error}"
            ) from error
    except Exception as error:
        raise CheckError(
            f"{sink.name}: a row that cannot be written must be an error of govlab's tree; it is {error!r}."
        ) from error
    else:
        raise CheckError(f"{sink.name}: a row that cannot be written must be an error.")
    after = sink_events(400, 20)
    sink.send(after)
    sink.flush()
    found = read_back(len(after))
    sink.close()
    # of the frame that was refused, good rows may be there: they come again when the run goes on
    found = found[~found["id"].isin(rows["id"])].reset_index(drop=True) if len(found) else found
    _there(sink, after, found, key, "rows after one that was refused are written")


def _there(sink: Sink, sent: pd.DataFrame, found: pd.DataFrame, key: str, rule: str) -> None:
    ids = found["id"].tolist() if "id" in found else []
    if lost := sorted(set(sent["id"]) - set(ids)):
        raise CheckError(f"{sink.name}: {rule}; of {len(sent)} rows {len(lost)} are lost, such as {lost[:3]}.")
    if len(ids) > len(sent):
        raise CheckError(f"{sink.name}: {rule}; {len(sent)} rows were sent and {len(ids)} are there: each is written once.")
    if not len(sent):
        return
    columns = [column for column in sent if column not in frames.POSITION]
    written = sent.set_index("id").loc[ids].reset_index()
    if not np.array_equal(content_hashes(written[columns]), content_hashes(found[columns])):
        raise CheckError(f"{sink.name}: rows are not read back as they were sent.")
    if "message_id" in found and found["message_id"].tolist() != ids:
        raise CheckError(f"{sink.name}: the id of an alert is kept beside it: {found['message_id'].tolist()[:3]}, not {ids[:3]}.")
    place = dict(zip(sent["id"], range(len(sent)), strict=True))
    for partition, mine in found.groupby("partition"):
        order = [place[one] for one in mine.sort_values("offset")["id"]]
        if order != sorted(order):
            raise CheckError(f"{sink.name}: the rows of partition {partition} are not in the order in which they were sent.")
    if found[[key, "partition"]].drop_duplicates()[key].duplicated().any():
        raise CheckError(f"{sink.name}: the rows of one {key} are in several partitions, so their order is lost.")
