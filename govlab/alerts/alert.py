"""The alert: one row, one thing to look at."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from govlab.alerts.severity import severities
from govlab.frames import ALERT_COLUMNS, TIME_DTYPE, time_us
from govlab.step import Step
from govlab.summary import content_hashes

_MEASURES = ("count", "sum", "distinct", "rate", "value")  # of windows and events; what else explains an alert, steps tell


@cache
def no_alerts() -> pd.DataFrame:
    """Give the frame of alerts without rows."""
    kinds: dict[str, Any] = {"score": "float64", "p": "float64", "partition": "int32", "offset": "int64"}
    kinds |= {"time": TIME_DTYPE, "start": TIME_DTYPE}
    return pd.DataFrame({name: pd.Series([], dtype=kinds.get(name, "object")) for name in ALERT_COLUMNS})


def alerts_of(
    step: Step, rows: pd.DataFrame, score: str, threshold: np.ndarray, rank: tuple[np.ndarray, np.ndarray]
) -> pd.DataFrame:
    """Make alerts of scored rows.

    Parameters
    ----------
    step : Step
        The step that alerts; it knows the recipe, the detector and the column with the entity.
    rows : DataFrame
        What alerts.
    score : str
        The column by which it alerts.
    threshold : ndarray of float64, shape (n,)
        What was reached, for the reason.
    rank : tuple of ndarray, shape (n,)
        What :meth:`~govlab.alerts.severity.Past.rank` gives, for the severity.
    """
    if not len(rows):
        return no_alerts()
    by = step._setting.entity
    entity = ["all"] * len(rows) if by is None or by not in rows else [name_of_entity(v) for v in rows[by].tolist()]
    end, start = time_us(rows), time_us(rows, "start" if "start" in rows else "time")
    p = _floats(rows["p"]) if "p" in rows else np.full(len(rows), np.nan)
    value = _floats(rows[score])
    keys = [entity, start.tolist(), end.tolist()]
    if "start" not in rows:
        # an event, not a window: what it says tells it from others of the same entity and time
        keys.append(content_hashes(rows.drop(columns=["score", "p"], errors="ignore")).tolist())
    whose = [step._setting.recipe, *([step._setting.shard] if step._setting.shard else [])]
    ids = [_id(*whose, *key) for key in zip(*keys, strict=True)]
    labels = {name: f", {name}" for name in _MEASURES if name in rows and is_numeric_dtype(rows[name].dtype)}
    labels |= {name: label for name, label in step._setting.tells.items() if name in rows}
    explained = _explained(rows, {name: label for name, label in labels.items() if name != score})
    detector = step._setting.detector or score
    table = {
        "id": ids,
        "time": rows["time"].to_numpy(),
        "entity": entity,
        "detector": [detector] * len(rows),
        "score": _floats(rows["score"]) if "score" in rows else value,
        "p": p,
        "severity": severities(p, rank),
        "reason": [
            _reason(detector, score, v, t) + more for v, t, more in zip(value.tolist(), threshold.tolist(), explained, strict=True)
        ],
        "start": rows["start" if "start" in rows else "time"].to_numpy(),
        "partition": rows["partition"].to_numpy("int32"),
        "offset": rows["offset"].to_numpy("int64"),
        "evidence": _evidence(rows),
        "recipe": [step._setting.recipe] * len(rows),
    }
    out = pd.DataFrame(table, index=rows.index)
    out["time"], out["start"] = rows["time"], rows["start" if "start" in rows else "time"]
    return out


def _floats(column: pd.Series) -> np.ndarray:
    return column.to_numpy("float64", na_value=np.nan)


def name_of_entity(value: Any) -> str:
    """Write an entity; a whole number the same from a column of ints and from one of floats (ints with a gap)."""
    if value is None or value is pd.NA or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _id(*parts: Any) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def _reason(detector: str, column: str, value: float, threshold: float) -> str:
    passed = "equal to" if value == threshold else "below" if column == "p" else "above"
    return f"{detector if column == 'score' else column} {_number(value)} is {passed} {_number(threshold)}"


def _explained(rows: pd.DataFrame, labels: Mapping[str, str]) -> list[str]:
    """Say of each row what some of its columns hold; nothing of a text or time that is missing."""
    parts = [[""] * len(rows)]
    for name, label in labels.items():
        column = rows[name]
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            words = column.dt.strftime("%Y-%m-%d %H:%M:%S").tolist()
        else:
            words = [_number(x) for x in _floats(column).tolist()] if is_numeric_dtype(column.dtype) else column.tolist()
        parts.append([f"{label} {word}" if isinstance(word, str) else "" for word in words])
    return ["".join(pieces) for pieces in zip(*parts, strict=True)]


def _number(x: float) -> str:
    return f"{x:,.0f}" if x == x and abs(x) < 1e15 and float(x).is_integer() else f"{x:.3g}"


def _evidence(rows: pd.DataFrame) -> list[str]:
    partition, offset = rows["partition"].tolist(), rows["offset"].tolist()
    first = rows["first_offset"].tolist() if "first_offset" in rows else offset
    last = rows["last_offset"].tolist() if "last_offset" in rows else offset
    # rows of several partitions (-1), or a window without rows: the last row only
    return [f"{p}:{a}-{b}" if 0 <= a < b else f"{p}:{o}" for p, o, a, b in zip(partition, offset, first, last, strict=True)]
