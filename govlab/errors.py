"""Every error that govlab raises on purpose, as one tree.

::

    GovlabError
    ├── ArgumentError (ValueError)      an argument is wrong: says what was given, what is expected, what to do
    │   └── CallError (TypeError)       an argument does not exist, is one too many or is missing: names the nearest, and all
    ├── SchemaError (ValueError)        a frame or a file lacks a column or has the wrong type
    ├── DataError                       a data set or file cannot be had or is not what it should be
    ├── MissingExtraError (ImportError) an optional package is missing: names the command that installs it
    ├── StepError                       a step raised: names the step and the positions of the rows
    ├── ServiceError                    a server cannot be installed or started: says what to do, and the end of its log
    ├── SinkError                       rows could not be delivered: says how many, and why
    ├── SourceError                     a source cannot be opened, read or moved
    ├── StoreError                      a store cannot be opened, or holds something that may not be trusted
    │   └── TakenOverError              another process has taken over the run that is to be written
    └── CheckError (AssertionError)     a contract check in ``govlab.testing`` found a broken rule
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import traceback
from collections.abc import Iterable

__all__ = [
    "ArgumentError",
    "CallError",
    "CheckError",
    "DataError",
    "GovlabError",
    "MissingExtraError",
    "SchemaError",
    "ServiceError",
    "SinkError",
    "SourceError",
    "StepError",
    "StoreError",
    "TakenOverError",
    "did_you_mean",
    "show_trace",
]


class GovlabError(Exception):
    """Root of the tree: catch this to catch all that govlab raises on purpose.

    In a notebook it is shown as its message and the line of the user's own code that led to it; :func:`show_trace` has the rest.
    """

    def _render_traceback_(self) -> list[str]:
        """Write what IPython shows in place of a trace."""
        lines = [f"{type(self).__name__}: {self}"]
        own = [frame for frame in traceback.extract_tb(self.__traceback__) if _is_own(frame.filename)]
        if own:
            where = "the cell" if "ipykernel" in own[-1].filename or own[-1].filename.startswith("<ipython") else own[-1].filename
            lines.append(f"    in line {own[-1].lineno} of {where}: {own[-1].line}")
        cause = self.__cause__
        while cause is not None and cause.__cause__ is not None:
            cause = cause.__cause__
        inside = [f for f in traceback.extract_tb(cause.__traceback__) if _is_own(f.filename)] if cause is not None else []
        if inside and inside[-1:] != own[-1:]:
            lines.append(f"    raised in line {inside[-1].lineno} of {inside[-1].name}: {inside[-1].line}")
        return [*lines, "    (the whole trace: gl.errors.show_trace())"]


def _is_own(filename: str) -> bool:
    """Tell whether a file is the user's: neither of govlab nor of another package."""
    package = re.search(r"[\\/](site-packages|dist-packages|lib[\\/]python3[^\\/]*)[\\/]", filename)
    return package is None and not os.path.abspath(filename).startswith(os.path.dirname(os.path.abspath(__file__)))


def show_trace() -> None:
    """Print the whole trace of the last error in a notebook."""
    error = getattr(sys, "last_value", None)
    if error is None:
        print("there was no error.")
    else:
        print("".join(traceback.format_exception(error)), end="")


class ArgumentError(GovlabError, ValueError):
    """An argument is wrong."""


class CallError(ArgumentError, TypeError):
    """An argument does not exist, is one too many, or is missing."""


class SchemaError(GovlabError, ValueError):
    """A frame or a file lacks a column, or a column has the wrong type."""


class DataError(GovlabError):
    """A data set or a file cannot be had, or is not what it should be."""


class MissingExtraError(GovlabError, ImportError):
    """An optional package is missing."""


class StepError(GovlabError):
    """A step of a pipeline raised.

    Parameters
    ----------
    step : str
        Name of the step, with its place in the pipeline.
    positions : str
        The rows it was given, as ``partition:first-last`` ranges.
    cause : BaseException
        What the step raised; also kept as ``__cause__``.
    """

    def __init__(self, step: str, positions: str, cause: BaseException) -> None:
        super().__init__(step, positions, cause)
        self.step = step
        self.positions = positions
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.step} raised {type(self.cause).__name__}: {self.cause} (on rows {self.positions})"


class ServiceError(GovlabError):
    """A server cannot be installed or started."""


class SinkError(GovlabError):
    """Rows could not be delivered."""


class SourceError(GovlabError):
    """A source cannot be opened, read or moved."""


class StoreError(GovlabError):
    """A store cannot be opened, or holds something that may not be trusted."""


class TakenOverError(StoreError):
    """Another process has taken over the run."""


class CheckError(GovlabError, AssertionError):
    """A contract check found a broken rule."""


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Give the end of an error message: the nearest name, then all of them.

    Examples
    --------
    >>> did_you_mean("cout", ["count", "time"])
    "Did you mean 'count'? There are: count, time."
    """
    known = sorted(names)
    near = difflib.get_close_matches(str(word), known, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}There are: {', '.join(known) or 'none'}."
