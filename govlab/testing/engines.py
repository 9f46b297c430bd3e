"""Checks of the engine's contract."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import pandas as pd

from govlab import frames
from govlab.alerts.threshold import Threshold
from govlab.engines.carrier import Carrier
from govlab.engines.engine import Output
from govlab.errors import CheckError, SourceError, StepError
from govlab.features.window_count import WindowCount
from govlab.pipeline import Pipeline, Result
from govlab.prepare.conform import Conform
from govlab.prepare.deduplicate import Deduplicate
from govlab.schema import Schema
from govlab.sources.frames import FrameReader
from govlab.sources.ranged import spans_of
from govlab.sources.reader import DeadLetter
from govlab.step import Step
from govlab.stores.sqlite import Sqlite
from govlab.testing.samples import sample_events

__all__ = ["Letters", "check_engine"]

Run = Callable[..., Result]


class Trips(Step):
    """Passes rows on; raises at one offset, as often as ``trips`` says."""

    at: int = 0
    trips: ClassVar[int] = 0

    def process(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Pass the rows on, or raise."""
        if Trips.trips and (frame["offset"] == self.at).any():
            Trips.trips -= 1
            raise ZeroDivisionError("tripped")
        return frame


class Letters(FrameReader):
    """Frames at hand, with dead letters before some rows, that may break off."""

    name = "letters"

    wants_commit = True  # so that it is saved, and committed, after each frame

    def __init__(
        self,
        frame: pd.DataFrame,
        bad: tuple[int, ...] = (),
        breaks_at: int | None = None,
        stored: Callable[[], dict[int, int]] | None = None,
    ) -> None:
        super().__init__(frame)
        self.bad, self.breaks_at, self.stored, self._taken = bad, breaks_at, stored, 0
        self.committed: list[dict[int, int]] = []

    def open(self, position: Mapping[int, int] | None = None) -> None:
        """Begin, after the number of rows that a position says were given."""
        self._taken = (position or {}).get(0, 0)
        super().open(position)

    def read(self, max_rows: int) -> pd.DataFrame:
        """Give the next rows, or break off."""
        if self.breaks_at is not None:
            if self._given >= self.breaks_at:
                raise SourceError("broken off")
            max_rows = min(max_rows, self.breaks_at - self._given)
        return super().read(max_rows)

    def commit(self, position: Mapping[int, int]) -> None:
        """See that the store is there already."""
        self.committed.append(dict(position))
        if self.stored is not None and self.stored() != dict(position):
            raise CheckError(f"broken: commit follows the store: {dict(position)} was committed, and stored was {self.stored()}.")

    def take_dead_letters(self) -> list[DeadLetter]:
        """Hand over those before the rows given since the last call."""
        found = [DeadLetter("letters", 0, n, "bad", b"?%d" % n) for n in self.bad if self._taken <= n < self._given]
        self._taken = self._given
        return found


def watched(trips: bool = False) -> Pipeline:
    """Make a pipeline with several sides, a window, and alerts."""
    schema = Schema({"time": "timestamp", "event_id": "string", "actor": "string?", "value": "float64"})
    return Pipeline(
        Conform(schema),
        Deduplicate("event_id"),
        *([Trips(at=250)] if trips else []),
        WindowCount("actor", every="1min", lateness="5s"),
        Threshold(2.0, score="count", entity="actor"),
    )


def check_engine(run: Run, max_rows: tuple[int, ...] = (1, 97, 100_000)) -> None:
    """Check the contract of an engine.

    Checked, against the pipeline's own ``process`` on all rows at once: the rows, the sides, the summary and its fingerprint,
    whatever the frames; a step that fails ends the run with a StepError that names the step and its rows; a source that fails
    ends it with its own error; dead letters are counted and stored; a reader that wants a commit gets one, after the store has
    the position; a run that broke off goes on from the store and gives each alert once; a finished run stays finished.

    Parameters
    ----------
    run : function
        ``run(pipeline, reader, max_rows=..., store=...)`` of the engine; gives its Result. ``store`` is a path, or None.
    max_rows : tuple of int
        The sizes of frames to try.

    Raises
    ------
    CheckError
        Says which rule was broken.
    """
    frame, bad = sample_events(400, span_s=4_000.0), (0, 33, 399)
    expected = _reference(watched(), frame, len(bad))
    for size in max_rows:
        _same(expected, run(watched(), Letters(frame, bad), max_rows=size), f"frames of at most {size} rows")
    _fails(run, frame)
    with tempfile.TemporaryDirectory() as folder:
        _resumes(run, frame, bad, expected, Path(folder) / "broken.db")
        _mended(run, frame, Path(folder) / "mended.db")


def _reference(pipeline: Pipeline, frame: pd.DataFrame, letters: int) -> Result:
    carrier = Carrier(pipeline)
    output = Output()
    output.add(*carrier.push(frame))
    output.add(*carrier.finish())
    return output.result(carrier.summary("finished", letters))


def _same(expected: Result, actual: Result, what: str, stored: bool = False) -> None:
    """Hold a result to that of the plain pipeline; a stored run that was resumed gives the sides of its last part only."""
    _equal(_sorted(expected.rows), _sorted(actual.rows), f"the rows that come out ({what})")
    for name in ("state", "events", "rows", "steps", "sides", "late", "dead_letters", "held", "event_time", "fingerprint"):
        one, other = getattr(expected.summary, name), getattr(actual.summary, name)
        if one != other:
            raise CheckError(f"broken: the summary is that of the plain pipeline ({what}): its {name} are {other}, not {one}.")
    if stored:
        return
    if sorted(expected.sides) != sorted(actual.sides):
        raise CheckError(
            f"broken: the sides are those of the plain pipeline ({what}): {sorted(actual.sides)}, not {sorted(expected.sides)}."
        )
    for side, rows in expected.sides.items():
        _equal(_sorted(rows), _sorted(actual.sides[side]), f"the rows put aside as {side!r} ({what})")


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    by = ["time", "id"] if "evidence" in rows else [*frames.POSITION]
    return rows.sort_values([column for column in by if column in rows], kind="stable", ignore_index=True)


def _equal(expected: pd.DataFrame, actual: pd.DataFrame, what: str) -> None:
    columns = [column for column in expected if column in actual]
    try:
        if len(columns) < len(expected.columns):
            raise AssertionError(f"columns are missing: {sorted(map(str, set(expected) - set(actual)))}")
        pd.testing.assert_frame_equal(expected, actual[columns], check_exact=True, check_dtype=False)
    except AssertionError as error:
        raise CheckError(f"broken: {what} are those of the plain pipeline: {error}") from error


def _fails(run: Run, frame: pd.DataFrame) -> None:
    Trips.trips = 1
    try:
        run(watched(trips=True), FrameReader(frame), max_rows=50)
    except StepError as error:
        spans = spans_of(error.positions) if error.positions[:1].isdigit() else []
        if "Trips" not in error.step or not any(first <= 250 <= last for _, first, last in spans):
            raise CheckError(f"broken: a step that fails is named with its rows (Trips, 0:250): {error}") from error
    except Exception as error:
        raise CheckError(f"broken: a step that fails is a StepError; it is {error!r}.") from error
    else:
        raise CheckError("broken: a step that fails ends the run with an error.")
    finally:
        Trips.trips = 0
    try:
        run(watched(), Letters(frame, breaks_at=120), max_rows=50)
    except SourceError as error:
        if "broken off" not in str(error):
            raise CheckError(f"broken: what a reader raises is not changed: {error}") from error
    except Exception as error:
        raise CheckError(f"broken: what a reader raises is not changed; it is {error!r}.") from error
    else:
        raise CheckError("broken: a source that fails ends the run with an error, and is not taken for its end.")


def _resumes(run: Run, frame: pd.DataFrame, bad: tuple[int, ...], expected: Result, path: Path) -> None:
    """Break a run off at several rows, and go on each time."""
    for at in (0, 1, 120, 397):
        reader = Letters(frame, bad, at, lambda: _stored(path))
        try:
            run(watched(), reader, max_rows=50, store=path)
        except SourceError:
            if at > 1 and not reader.committed:
                raise CheckError("broken: a reader that wants a commit gets one.") from None
            continue
        raise CheckError("broken: a source that fails ends the run with an error, and is not taken for its end.")
    for what in ("after it broke off four times", "a finished run stays finished"):
        actual = run(watched(), Letters(frame, bad), max_rows=50, store=path)
        _same(expected, actual, f"stored, {what}", stored=True)
        store = Sqlite(path)
        alerts, letters = store.alerts(), store.dead_letters()
        store.close()
        _equal(_sorted(expected.rows), _sorted(alerts), f"the alerts in the store ({what})")
        if letters["offset"].tolist() != list(bad):
            raise CheckError(f"broken: each dead letter is stored once ({what}): {letters['offset'].tolist()}, not {list(bad)}.")


def _stored(path: Path) -> dict[int, int]:
    """Give the position in a store that holds one run."""
    store = Sqlite(path)
    snapshots = [store.snapshot(one) for one in store.runs()]
    store.close()
    return {key: n for snapshot in snapshots if snapshot is not None for at in snapshot.positions.values() for key, n in at.items()}


def _mended(run: Run, frame: pd.DataFrame, path: Path) -> None:
    """Let a step fail once: the rows at which it failed come again, and nothing is counted that did not come out."""
    expected = _reference(watched(trips=True), frame, 0)
    for trips in (1, 0):
        Trips.trips = trips
        try:
            actual = run(watched(trips=True), FrameReader(frame), max_rows=50, store=path)
        except StepError as error:
            if not trips:
                raise CheckError(f"broken: a step that was mended goes on where it failed: {error}") from error
            continue
        finally:
            Trips.trips = 0
        _same(expected, actual, "stored, after a step failed once", stored=True)
