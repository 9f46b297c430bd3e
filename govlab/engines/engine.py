"""The engine, and what comes out of a run."""

from __future__ import annotations

import abc
from typing import Any

import pandas as pd

from govlab import frames
from govlab.pipeline import Result
from govlab.step import Step
from govlab.summary import Summary

__all__ = ["Engine", "Output"]


class Engine(abc.ABC):
    """Carries the frames of a source through a fresh copy of a pipeline, to the end.

    The rules, which :func:`govlab.testing.check_engine` checks: rows, sides and summary are those of the pipeline's own
    ``process`` on all rows at once; a step that fails is a StepError with its name and rows, and what a reader raises is passed
    on; a reader's ``commit`` follows the store; a run that broke off goes on from the store with each alert once; a finished
    run stays finished.
    """

    @abc.abstractmethod
    def run(self, pipeline: Step, source: Any, **options: Any) -> Result:
        """Run over what :func:`govlab.sources.reader_of` takes; the same rows give the same result on every engine."""


class Output:
    """Collects what comes out of a run: rows and sides."""

    def __init__(self) -> None:
        self._rows: list[pd.DataFrame] = []
        self._sides: dict[str, list[pd.DataFrame]] = {}

    def add(self, rows: pd.DataFrame, sides: list[tuple[str, pd.DataFrame]]) -> None:
        """Add what came out at some rows."""
        self._rows.append(rows)
        for side, aside in sides:
            self._sides.setdefault(side, []).append(aside)

    def rows(self) -> pd.DataFrame:
        """Give the rows that came out."""
        return frames.concat(self._rows)

    def result(self, summary: Summary, alerts: pd.DataFrame | None = None) -> Result:
        """Give the result, with the alerts of the whole run where a store has them.

        A side is in the order of its rows' positions, which does not depend on the frames.
        """
        sides = {
            side: frames.concat(rows).sort_values(list(frames.POSITION), kind="stable", ignore_index=True)
            for side, rows in self._sides.items()
        }
        return Result(self.rows() if alerts is None else alerts, sides, summary)
