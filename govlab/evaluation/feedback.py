"""Labels as rows of the stream, at the moment at which each becomes known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from govlab import frames
from govlab.errors import ArgumentError
from govlab.evaluation.label_columns import how_they_differ
from govlab.evaluation.labels import Labels

__all__ = ["with_labels"]


def with_labels(
    events: pd.DataFrame, labels: Labels | pd.DataFrame, id: str, label: str = "label", unknown: str = "error"
) -> pd.DataFrame:
    """Put labels of events into the stream, each as a row of its own at the time at which it was known.

    A row of a label has ``time`` (when it was known), ``id`` (the event that it is about) and ``label``; all else is missing.
    It comes after all events up to that time, and after its own event, however late that was. So what learns from these rows
    in their order cannot look ahead. The events keep their order, and their ``label`` is missing. Steps on the way take these
    rows too: a detector of numbers gives them NaN and does not learn them, but one that counts rows counts them. A backtest leaves
    them out: no alert on one is right.

    Parameters
    ----------
    events : DataFrame
        An event frame, or a table with ``time``.
    labels : Labels or DataFrame
        Verdicts on single events, with ``known_at``. Of a table, the column called ``label`` counts, or else the only
        further one; where there is none, each event listed is a 1.
    id : str
        The column that names an event, in both. Drop repeated events before: a step that drops them would drop labels too.
    label : str
        The column to add.
    unknown : {"error", "ignore"}
        What to do with labels of events that do not occur.

    Returns
    -------
    DataFrame
        Rows of labels are a partition of their own, -1, with an offset that counts. Columns of whole numbers or truth values,
        which now have gaps, are ``Int64`` and ``boolean``.

    Raises
    ------
    ArgumentError
        A label was known before its event happened, has no ``known_at``, or is of no event here.

    Examples
    --------
    >>> import pandas as pd
    >>> import govlab as gl
    >>> events = gl.event_frame({"time": ["2026-03-02T00:00:00Z", "2026-03-02T02:00:00Z"], "post": ["a", "b"]})
    >>> known = pd.DataFrame({"post": ["a"], "abuse": [1], "known_at": pd.to_datetime(["2026-03-02T01:00:00Z"])})
    >>> with_labels(events, known, id="post")[["post", "label"]].values.tolist()
    [['a', nan], ['a', 1.0], ['b', nan]]
    """
    if unknown not in ("error", "ignore"):
        raise ArgumentError(f"unknown={unknown!r}; expected 'error' or 'ignore'.")
    events = frames.event_frame(events)
    frames.require(events, [id], "with_labels")
    if label in events:
        raise ArgumentError(f"with_labels: the events have a column {label!r} already; say label='another name'.")
    table = _verdicts(labels, id, label)
    first = pd.Series(np.arange(len(events)), index=pd.Index(events[id]))
    first = first[first.index.notna() & ~first.index.duplicated()]
    absent = (~table[id].isin(first.index)).to_numpy()
    if absent.any() and (unknown == "error" or absent.all()):
        raise ArgumentError(
            f"labels: {int(absent.sum()):,} of {len(table):,} events with a label do not occur, such as {id} "
            f"{table[id][absent].tolist()[0]!r}; unknown='ignore' leaves them out."
            f"{how_they_differ(table[id][absent].tolist(), events[id].drop_duplicates().tolist())}"
        )
    table = table[~absent].reset_index(drop=True)
    at = first.loc[table[id]].to_numpy("int64")
    times, known = frames.time_us(events), frames.time_us(table, "known_at")
    early = known < times[at]
    if early.any():
        raise ArgumentError(f"labels: event {table[id][early].tolist()[0]!r} was known before it happened.")
    # events may be late: a moment is over when the first event after it has come
    before = np.maximum(np.searchsorted(np.maximum.accumulate(times), known, side="right"), at + 1)
    order = np.lexsort((known, before))
    table, before = table.iloc[order], before[order]
    # which event comes at which row, -1 at a row of a label
    taken = np.full(len(events) + len(table), -1)
    events_at = np.ones(len(taken), "bool")
    events_at[before + np.arange(len(table))] = False
    taken[events_at] = np.arange(len(events))
    own = int(min(events["partition"].min(), 0)) - 1 if len(events) else -1
    rows = {
        frames.TIME: frames.from_us(known[order]), id: table[id].to_numpy(),
        "partition": np.full(len(table), own, "int32"), "offset": np.arange(len(table)),
    }  # fmt: skip
    made = {str(name): _spread(events[name], taken, rows.get(str(name))) for name in events.columns}
    verdicts = np.full(len(taken), np.nan)
    verdicts[~events_at] = table["label"]
    return pd.DataFrame(made | {label: verdicts})


def _verdicts(labels: Labels | pd.DataFrame, id: str, label: str) -> pd.DataFrame:
    if isinstance(labels, pd.DataFrame) and id in labels:
        plain = labels[[id, *(c for c in labels.columns if c != id)]]
        labels = Labels.events_of(plain, id, label) if label in plain else Labels.of(plain)
    labels = Labels.of(labels)
    if labels.id != id:
        what = "incidents" if labels.id is None else f"events by {labels.id!r}"
        raise ArgumentError(f"labels: they are of {what}; expected of events by {id!r}.")
    if "known_at" not in labels.table:
        raise ArgumentError("labels: there is no column 'known_at', the time from which each may be used.")
    return labels.table


def _spread(column: pd.Series, taken: np.ndarray, rows: object) -> pd.Series:
    """Give the values of a column at the rows of events, and ``rows`` or nothing at those of labels."""
    if rows is not None:
        both = pd.concat([column, pd.Series(rows, dtype=column.dtype)], ignore_index=True)
        order = taken.copy()
        order[taken < 0] = len(column) + np.arange(int((taken < 0).sum()))
        return both.take(order).reset_index(drop=True)
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iub":
        column = column.astype("boolean" if column.dtype.kind == "b" else "Int64" if column.dtype.kind == "i" else "UInt64")
    return pd.Series(pd.api.extensions.take(column.array, taken, allow_fill=True))
