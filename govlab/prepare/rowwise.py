"""The values of an expression for each row of a frame, each from its row alone, and of one dtype whatever the rows are."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from govlab.errors import SchemaError

__all__ = ["COMPARE", "REAL", "WHOLE", "Rows", "constant"]

Operation = Callable[[Any, Any], Any]
COMPARE: dict[type, Operation] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip
WHOLE: dict[type, Operation] = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
REAL: dict[type, Operation] = {
    ast.Div: np.divide, ast.FloorDiv: np.floor_divide, ast.Mod: np.mod, ast.Pow: np.power,
}  # fmt: skip
EXACT = 2.0**62


class Rows:
    """The rows of a frame, for which nodes of an expression have values; ``quoted`` has the names that were in backticks."""

    def __init__(self, frame: pd.DataFrame, quoted: Mapping[str, str], whose: str) -> None:
        self.frame, self.quoted, self.whose = frame, quoted, whose

    def _wrong(self, why: str) -> SchemaError:
        return SchemaError(f"{self.whose}: {why}")

    def value(self, node: ast.AST) -> Any:
        """Give a constant as it is, and anything else as a Series."""
        match node:
            case ast.Name():
                column = self.frame[self.quoted.get(node.id, node.id)]
                if isinstance(column.dtype, pd.CategoricalDtype):
                    return column.astype(column.cat.categories.dtype)
                return column.dt.tz_localize("UTC") if pd.api.types.is_datetime64_dtype(column.dtype) else column
            case ast.Constant(value=value):
                return value
            case ast.UnaryOp() if constant(node) is not None:
                return constant(node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=one):
                return self._binary(ast.Sub() if isinstance(op, ast.USub) else ast.Add(), 0, self.value(one), node)
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(op, self.value(left), self.value(right), node)
            case ast.Call(func=ast.Attribute(value=one, attr="isna" | "notna" as name)):
                found = pd.Series(self.value(one)).isna()
                return (found if name == "isna" else ~found).astype("boolean")
            case ast.Call(func=ast.Attribute(value=one, attr="abs")):
                return self._numbers(self.value(one), one).abs()
            case ast.Call(func=ast.Attribute(value=ast.Attribute(value=one, attr=room), attr=name), args=args, keywords=named):
                given = [constant(arg) for arg in args]
                return self._method(one, room, name, given, {str(kw.arg): constant(kw.value) for kw in named})
            case ast.Attribute(value=ast.Attribute(value=one), attr=name):
                return self._method(one, "dt", name, None, {})
            case _:
                return self.logic(node)

    def logic(self, node: ast.AST) -> pd.Series:
        """Give a condition as ``boolean``, missing where it is unknown."""
        match node:
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=one):
                return ~self.logic(one)
            case ast.BoolOp(op=op, values=values):
                found = self.logic(values[0])
                for one in values[1:]:
                    other = self.logic(one)
                    found = found & other if isinstance(op, ast.And) else found | other
                return found
            case ast.Compare(
                left=left, ops=[ast.In() | ast.NotIn() as op], comparators=[ast.List(elts=many) | ast.Tuple(elts=many)]
            ):
                found = pd.Series(False, self.frame.index, "boolean")
                for one in many:
                    found = found | self._compare(operator.eq, left, one)
                return found if isinstance(op, ast.In) else ~found
            case ast.Compare(left=left, ops=ops, comparators=many):
                sides = [left, *many]
                found = pd.Series(True, self.frame.index, "boolean")
                for i, kind in enumerate(ops):
                    found = found & self._compare(COMPARE[type(kind)], sides[i], sides[i + 1])
                return found
        given = node.value if isinstance(node, ast.Constant) else self.value(node)
        if isinstance(given, pd.Series) and _family(given) in ("yes or no", "unknown"):
            return given.astype("boolean")
        raise self._wrong(f"{self._show(node)} is no condition; write {self._show(node)} == 1, say.")

    def _compare(self, compare: Operation, left: ast.AST, right: ast.AST) -> pd.Series:
        a, b = self.value(left), self.value(right)
        families = {_family(a), _family(b)}
        if families == {"time", "text"}:
            a, b = (value if isinstance(value, pd.Series) else self._moment(value) for value in (a, b))
            families = {_family(a), _family(b)}
        if len(families - {"unknown", "yes or no"}) > 1 or families == {"text", "yes or no"} or families == {"time", "yes or no"}:
            raise self._wrong(
                f"{self._show(left)} is {_family(a)} and {self._show(right)} is {_family(b)}; write a text in quotes, or read the "
                "column as what it is (a schema, or Conform)."
            )
        missing = pd.isna(a) | pd.isna(b)
        if isinstance(missing, bool):
            return pd.Series(bool(compare(a, b)), self.frame.index, "boolean")
        found, there = np.zeros(len(self.frame), bool), ~np.asarray(missing, bool)
        a, b = (value[there] if isinstance(value, pd.Series) else value for value in (a, b))
        found[there] = np.asarray(compare(a, b), bool)
        return self._known(found, there)

    def _moment(self, text: str) -> pd.Timestamp:
        try:
            moment = pd.Timestamp(text)
        except ValueError:
            raise self._wrong(
                f"{text!r} is no time; write '2026-03-02' or '2026-03-02T14:00+01:00' (UTC without a zone)."
            ) from None
        return moment.tz_localize("UTC") if moment.tzinfo is None else moment

    def _binary(self, op: ast.operator, a: Any, b: Any, node: ast.AST) -> Any:
        families = {_family(a), _family(b)}
        if isinstance(op, ast.Add) and families <= {"text", "unknown"} and "text" in families:
            return a + b
        if isinstance(op, ast.Sub) and families == {"time"}:
            return a - b
        a, b = self._numbers(a, node), self._numbers(b, node)
        if type(op) in WHOLE and _whole(a) and _whole(b):
            near = WHOLE[type(op)](_real(a), _real(b))
            if not isinstance(near, pd.Series):
                return WHOLE[type(op)](a, b)
            found = WHOLE[type(op)](*(one.astype("Int64") if isinstance(one, pd.Series) else one for one in (a, b)))
            return found.where(near.abs() < EXACT)  # beyond 64 bits it is missing, and not another number
        with np.errstate(all="ignore"):
            return (WHOLE | REAL)[type(op)](_real(a), _real(b))

    def _numbers(self, value: Any, node: ast.AST) -> Any:
        family = _family(value)
        if family == "unknown":
            return value.astype("float64")
        if family == "yes or no":
            return value.astype("Int64") if isinstance(value, pd.Series) else int(value)
        if family != "number":
            raise self._wrong(f"{self._show(node)} computes with {family}; read the column as a number (a schema, or Conform).")
        return value

    def _method(self, node: ast.AST, room: str, name: str, args: list[Any] | None, named: dict[str, Any]) -> Any:
        value = self.value(node)
        family, wanted = _family(value), "text" if room == "str" else "duration" if name == "total_seconds" else "time"
        if family == "unknown":
            value = value.astype("str" if room == "str" else "datetime64[us, UTC]" if wanted == "time" else "timedelta64[us]")
        elif family != wanted or not isinstance(value, pd.Series):
            raise self._wrong(f"{self._show(node)} is {family}; .{room}.{name} is for a column of {wanted}.")
        found = getattr(getattr(value, room), name)
        try:
            found = found if args is None else found(*args, **named)
        except (TypeError, ValueError, KeyError, re.error) as error:  # a zone that is not there is a KeyError
            raise self._wrong(f".{room}.{name}: {error}") from None
        if name in ("contains", "startswith", "endswith"):
            known = value.notna().to_numpy()
            return self._known(found.fillna(False).to_numpy(bool), known)
        return found.astype("Int64") if args is None or name == "len" else found

    def _show(self, node: ast.AST) -> str:
        text = ast.unparse(node)
        for name, column in self.quoted.items():
            text = text.replace(name, f"`{column}`")
        return text

    def _known(self, found: np.ndarray, known: np.ndarray) -> pd.Series:
        return pd.Series(pd.arrays.BooleanArray(found, ~known), self.frame.index)


def constant(node: ast.AST) -> Any:
    """Give the value that is written out, or None if a node is anything else."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if not isinstance(value, bool):
            return -value
    return None


def _family(value: Any) -> str:
    """Of which family a constant or a column is; a column of objects is what all of its values are."""
    if not isinstance(value, pd.Series):
        known = {bool: "yes or no", str: "text", pd.Timestamp: "time"}
        return known.get(type(value), "number")
    kinds = pd.api.types
    if kinds.is_bool_dtype(value.dtype):
        return "yes or no"
    if kinds.is_numeric_dtype(value.dtype):
        return "number"
    if isinstance(value.dtype, pd.DatetimeTZDtype):
        return "time"
    if isinstance(value.dtype, pd.StringDtype):
        return "text"
    if kinds.is_timedelta64_dtype(value.dtype):
        return "duration"
    inferred = kinds.infer_dtype(value, skipna=True)
    names = {"string": "text", "boolean": "yes or no", "empty": "unknown", "integer": "number", "floating": "number"}
    return names.get(inferred, "number" if inferred in ("decimal", "mixed-integer-float") else f"a mix ({inferred})")


def _whole(value: Any) -> bool:
    if isinstance(value, pd.Series):
        return bool(pd.api.types.is_integer_dtype(value.dtype)) and value.dtype != "uint64"
    return isinstance(value, int) and abs(value) < EXACT


def _real(value: Any) -> Any:
    if not isinstance(value, pd.Series):
        return float(value)
    return pd.Series(value.to_numpy("float64", na_value=np.nan), value.index)
