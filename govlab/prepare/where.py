"""A filter: the rows for which a condition holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from govlab.errors import ArgumentError, SchemaError
from govlab.prepare.expression import Expression
from govlab.step import Step


class Where(Step):
    """Pass on the rows for which a condition holds; the others are counted as absorbed, or go to a side.

    Where a value that the condition needs is missing, it does not hold, and neither does its opposite; write ``x.isna()`` to
    ask for missing ones. A text is compared with texts and a number with numbers; anything else is an error, and not an empty
    result. About 100 ns a row for a comparison; no state.

    Parameters
    ----------
    condition : str or function
        An expression as in pandas' ``query``: columns (in backticks where a name has other signs than letters), ``==``, ``<``,
        ``in [...]``, ``and``, ``or``, ``not``, arithmetic, ``.isna()``, ``.str.contains("x")``, ``.dt.hour``. It reaches the
        columns and nothing else. Or a function of the frame that gives True or False for each row, from that row alone.
    side : str, optional
        The side that the other rows go to, with the condition as the reason; by default they are only counted.

    Raises
    ------
    SchemaError
        A column of the condition is not there, or cannot be compared so.

    Examples
    --------
    >>> import govlab as gl
    >>> logins = gl.event_frame({"time": ["2026-03-02T00:00:00Z"] * 3, "ip": ["a", "b", "a"], "ok": [0, 1, None]})
    >>> gl.prepare.Where("ok == 0 and ip in ['a', 'c']").process(logins)["ip"].to_list()
    ['a']
    """

    condition: str | Callable[[pd.DataFrame], Any]
    side: str | None = None

    @classmethod
    def example(cls) -> Step:
        """Make one for the contract checks."""
        return cls("count > 2 and kind in ['post', 'like'] or value.isna()")

    def check(self) -> None:
        """Check the recipe."""
        if not (isinstance(self.condition, str) and self.condition.strip()) and not callable(self.condition):
            raise ArgumentError(f"Where: condition={self.condition!r}; expected an expression such as 'ok == 0', or a function.")
        if self.side is not None and not (isinstance(self.side, str) and self.side):
            raise ArgumentError(f"Where: side={self.side!r}; expected the name of a side, or None.")
        self._expression = Expression(self.condition, "Where") if isinstance(self.condition, str) else None

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Pass on the rows for which the condition holds."""
        holds = self._holds(frame) if self._expression is None else self._expression.condition(frame)
        if holds.all():
            return frame
        if self.side is None:
            self.absorbed += int((~holds).sum())
        else:
            said = self.condition if isinstance(self.condition, str) else getattr(self.condition, "__name__", "a function")
            self.divert(self.side, frame[~holds], f"not: {said}")
        return frame[holds]

    def _holds(self, frame: pd.DataFrame) -> np.ndarray:
        found = pd.Series(np.asarray(self.condition(frame), "object"))  # type: ignore[operator]
        if len(found) != len(frame) or not found.dropna().isin([True, False]).all():
            raise SchemaError(
                f"Where: the function gave {len(found):,} values for {len(frame):,} rows, or others than True and False; expected "
                "one of them for each row, as from frame['ok'] == 0."
            )
        return found.map(lambda value: not pd.isna(value) and bool(value)).to_numpy(bool)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_expression"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.check()
