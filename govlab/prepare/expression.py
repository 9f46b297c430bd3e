"""Expressions over the columns of a frame, written as pandas' ``query`` has them, with no way out of the frame.

They are parsed and checked once, and evaluated row by row, so that a result never depends on how rows were cut into frames: a
condition about a missing value is unknown, whatever the dtype of its column (as in SQL); whole numbers stay whole.
"""

from __future__ import annotations

import ast
import re

import numpy as np
import pandas as pd

from govlab.errors import ArgumentError, SchemaError, did_you_mean
from govlab.prepare.rowwise import COMPARE, REAL, WHOLE, Rows, constant

__all__ = ["Expression"]

TEXT = ("contains", "endswith", "len", "lower", "slice", "startswith", "strip", "upper")
TIME = ("day", "dayofweek", "dayofyear", "hour", "minute", "month", "quarter", "second", "weekday", "year")
TOKENS = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`([^`]*)`|&|\|""")
CAN = (
    "columns (in backticks where a name has other signs than letters), numbers, 'text', == != < <= > >=, in [...], and, or, not, "
    f"+ - * / // % **, .isna(), .notna(), .abs(), .str.{'() .str.'.join(TEXT)}(), .dt.{' .dt.'.join(TIME)}, "
    ".dt.tz_convert('Europe/Berlin'), .dt.total_seconds()"
)


class Expression:
    """An expression, parsed and checked.

    Parameters
    ----------
    text : str
        As in ``DataFrame.query``.
    whose : str
        Who has it, for messages.

    Attributes
    ----------
    columns : tuple of str
        The columns that it needs.

    Raises
    ------
    ArgumentError
        It is no expression, or has something in it that leads out of the columns.
    """

    def __init__(self, text: str, whose: str) -> None:
        self.text, self._whose, self._quoted = text, whose, dict[str, str]()
        try:
            self._tree = ast.parse(TOKENS.sub(self._token, text.strip()), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ArgumentError(f"{whose}: {text!r} is no expression ({getattr(error, 'msg', error)}). There are: {CAN}.") from None
        self._check(self._tree)
        names = [self._column(node) for node in ast.walk(self._tree) if isinstance(node, ast.Name)]
        self.columns = tuple(dict.fromkeys(names))
        if not names:
            raise ArgumentError(f"{whose}: {text!r} has no column in it.")

    def _token(self, found: re.Match[str]) -> str:
        if found[1] is not None:
            name = f"_quoted_{len(self._quoted)}_"
            self._quoted[name] = found[1]
            return name
        return {"&": " and ", "|": " or "}.get(found[0], found[0])

    def _column(self, node: ast.Name) -> str:
        return self._quoted.get(node.id, node.id)

    def _check(self, node: ast.AST) -> None:
        inner: list[ast.AST]
        match node:
            case ast.Constant(value=int() as value) if abs(value) >= 2**64:
                raise ArgumentError(f"{self._whose}: {self.text!r}: {value} has more than 64 bits.")
            case ast.Name() | ast.Constant(value=bool() | int() | float() | str()):
                return
            case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub() | ast.UAdd(), operand=one):
                inner = [one]
            case ast.BoolOp(values=many):
                inner = list(many)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in WHOLE | REAL:
                inner = [left, right]
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[ast.List(elts=many) | ast.Tuple(elts=many)]):
                if not all(isinstance(constant(one), bool | int | float | str) for one in many):
                    raise ArgumentError(f"{self._whose}: {self.text!r}: the list after `in` has numbers and texts only.")
                inner = [left]
            case ast.Compare(left=left, ops=ops, comparators=many) if all(type(op) in COMPARE for op in ops):
                inner = [left, *many]
            case ast.Call(func=ast.Attribute(value=one, attr="isna" | "notna" | "abs"), args=[], keywords=[]):
                inner = [one]
            case ast.Call(func=ast.Attribute(value=ast.Attribute(value=one, attr=room), attr=name), args=args, keywords=named) if (
                room == "str" and name in TEXT
            ) or (room == "dt" and name in ("tz_convert", "total_seconds")):
                if any(constant(arg) is None for arg in [*args, *(keyword.value for keyword in named)]):
                    raise ArgumentError(f"{self._whose}: {self.text!r}: what .{room}.{name} takes is written out, not a column.")
                inner = [one]
            case ast.Attribute(value=ast.Attribute(value=one, attr="dt"), attr=name) if name in TIME:
                inner = [one]
            case _:
                raise ArgumentError(
                    f"{self._whose}: {self.text!r}: {ast.unparse(node)!r} is not one of what there is: {CAN}. "
                    "For anything else give a function of the frame."
                )
        for below in inner:
            self._check(below)

    def evaluate(self, frame: pd.DataFrame) -> pd.Series:
        """Give the value for each row; a condition as ``boolean``, missing where it is unknown.

        Raises
        ------
        SchemaError
            A column is not there, or its values cannot be compared or computed with so.
        """
        found: pd.Series = self._rows(frame).value(self._tree)
        return found

    def condition(self, frame: pd.DataFrame) -> np.ndarray:
        """Whether it holds, for each row; where that is unknown it does not."""
        return self._rows(frame).logic(self._tree).fillna(False).to_numpy(bool)

    def _rows(self, frame: pd.DataFrame) -> Rows:
        for name in self.columns:
            if name not in frame.columns:
                known = did_you_mean(name, map(str, frame.columns))
                raise SchemaError(f"{self._whose}: {self.text!r} needs a column {name!r}. {known}")
        return Rows(frame, self._quoted, f"{self._whose}: {self.text!r}")
