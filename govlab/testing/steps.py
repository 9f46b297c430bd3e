"""Checks of the step's and the detector's contract."""

from __future__ import annotations

import itertools
import json
import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from govlab import frames
from govlab.arguments import fitting
from govlab.errors import CheckError, SchemaError, StepError
from govlab.pipeline import Pipeline
from govlab.sharded import Sharded
from govlab.step import Detector, Step
from govlab.testing.samples import sample_events, sampled
from govlab.testing.scores import Odd, check_scores

FAR_US = 4_070_908_800_000_000  # 2099-01-01
Given = tuple[pd.DataFrame, dict[str, pd.DataFrame]]


def play(step: Step, frame: pd.DataFrame, cuts: Sequence[int] = (), resume_at: int | None = None) -> Given:
    """Run a fresh copy of a step over a frame cut at some rows; gives the rows and the sides.

    ``resume_at``: at the first cut from there on, the step is pickled and a copy goes on.
    """
    running, parts = step.fresh(), list[pd.DataFrame]()
    sides: dict[str, list[pd.DataFrame]] = {}
    edges = [0, *sorted({c for c in cuts if 0 < c < len(frame)}), len(frame)]
    for a, b in itertools.pairwise(edges):
        if resume_at is not None and a >= resume_at:
            running, resume_at = pickle.loads(pickle.dumps(running)), None
        out = running.process(frames.cut(frame, a, b))
        labels = out.index.to_numpy()
        if len(out) and (labels.min() < 0 or labels.max() >= b - a):
            raise CheckError(f"{step.name}: the index of the rows given on must be that of the rows that made them come out.")
        parts.append(out.set_axis(labels + a))
        _gather(running, sides)
    tail = running.finish()
    parts.append(tail.set_axis(np.full(len(tail), len(frame))))
    _gather(running, sides)
    rows = [part for part in parts if len(part)]
    return pd.concat(rows) if rows else parts[0], {name: frames.concat(side) for name, side in sides.items()}


def _gather(step: Step, sides: dict[str, list[pd.DataFrame]]) -> None:
    for side, rows in step.take_sides():
        sides.setdefault(side, []).append(rows)


def same(step: Step, expected: Given, actual: Given, what: str) -> None:
    """Raise a CheckError unless two runs gave the same to the last bit."""
    try:
        pd.testing.assert_frame_equal(expected[0], actual[0], check_exact=True)
        assert sorted(expected[1]) == sorted(actual[1]), f"sides {sorted(expected[1])} != {sorted(actual[1])}"
        for name, side in expected[1].items():
            key = [c for c in frames.POSITION if c in side]
            one, two = (s.sort_values(key, kind="stable").reset_index(drop=True) for s in (side, actual[1][name]))
            pd.testing.assert_frame_equal(one, two, check_exact=True)
    except AssertionError as error:
        raise CheckError(f"{step.name}: {what} changes what comes out: {error}") from error


@fitting
def check_step(step: Step, frame: Any = None, seed: int = 0, cuts: Sequence[int] | None = None) -> None:
    """Check the contract of a step on a frame.

    Checked: what comes out does not depend on the cuts (single rows, random cuts, all at once), nor on being pickled and
    resumed at any row; two runs are equal; the input is not changed; every row is accounted for; the recipe is plain and
    makes the same step; the index says which row made a row come out; the state stays bounded; ``finish()`` asked twice gives
    nothing the second time; in a pipeline, a row of another age goes aside and changes nothing else.

    Parameters
    ----------
    step : Step
        With small bounds (``max_entities``), so that the bounds are reached.
    frame : DataFrame or source, optional
        An event frame, or what :func:`govlab.sources.reader_of` takes; by default :func:`sample_events`.
    seed : int
        For the random cuts.
    cuts : list of int, optional
        Further cuts to try, such as those of a property test.

    Raises
    ------
    CheckError
        Says which rule was broken.
    """
    frame = sampled(frame)
    rng = np.random.default_rng(seed)
    before = frame.copy(deep=True)
    whole = play(step, frame)
    try:
        pd.testing.assert_frame_equal(before, frame, check_exact=True)
    except AssertionError as error:
        raise CheckError(f"{step.name} changed the frame that it took: {error}") from error
    same(step, whole, play(step, frame), "running it again")
    random = [sorted(rng.integers(1, max(2, len(frame)), size).tolist()) for size in (3, 20)]
    for name, edges in (
        ("cutting into single rows", range(1, len(frame))),
        ("cutting", random[0]),
        ("cutting", random[1]),
        ("cutting", cuts or []),
    ):
        same(step, whole, play(step, frame, edges), name)
    for at in rng.integers(1, len(frame), 3).tolist():
        same(step, whole, play(step, frame, [at], resume_at=at), f"pickling and resuming at row {at}")
    _conserved(step, frame)
    _finished_once(step, frame)
    _plain_recipe(step)
    _bounded(step)
    _unmoved(step, frame)


def _unmoved(step: Step, frame: pd.DataFrame) -> None:
    """Hold a pipeline of the step to the same rows with and without one of 2099 in the middle."""
    watch, middle = step if isinstance(step, Pipeline) else Pipeline(step), len(frame) // 2
    if watch.ahead is None or len(frame) < 30:
        return  # of fewer rows the guard cannot say which one is odd
    odd = frame.iloc[[middle]].assign(offset=frame["offset"].max() + 1)
    odd["time"] = frames.from_us([FAR_US]).set_axis(odd.index)
    (expected, asides), (rows, sides) = play(watch, frame), play(watch, pd.concat([frame[:middle], odd, frame[middle:]]))
    before, ahead = asides.pop("ahead", odd[:0])["offset"], sides.pop("ahead", odd[:0])["offset"]  # the frame may have odd rows too
    if sorted(ahead.tolist()) != sorted([*before.tolist(), *odd["offset"].tolist()]):
        raise CheckError(f"{step.name}: a row of 2099 must go to the side 'ahead' of a pipeline.")
    given = rows.reset_index(drop=True), sides
    same(step, (expected.reset_index(drop=True), asides), given, "a row of 2099 before a pipeline")


def _finished_once(step: Step, frame: pd.DataFrame) -> None:
    """Ask for the end again and again, also of a copy that was pickled in between: nothing more comes."""
    running = step.fresh()
    running.process(frame.reset_index(drop=True))
    running.finish()
    running.take_sides()
    for again, one in (("", running), (" of an unpickled copy", pickle.loads(pickle.dumps(running)))):
        rows, sides = one.finish(), one.take_sides()
        if len(rows) or any(len(side) for _, side in sides) or one.held():
            raise CheckError(
                f"{step.name}: finish() asked again{again} gives {len(rows)} rows and {sum(len(side) for _, side in sides)} put "
                f"aside, and holds {one.held()}; expected none, as a finished run that is resumed stays finished."
            )


def _conserved(step: Step, frame: pd.DataFrame) -> None:
    if isinstance(step, Pipeline | Sharded):
        # of the steps inside, each by itself: what comes after a window are other rows than those taken
        inner = step.steps if isinstance(step, Pipeline) else (step.steps,)
        for part in inner:
            _conserved(part, frame)
            frame = part.fresh().process(frame.reset_index(drop=True))
        return
    running = step.fresh()
    out = running.process(frame.reset_index(drop=True))
    aside = sum(len(rows) for _, rows in running.take_sides())
    given = 0 if step.absorbs else len(out)
    held = running.held()
    if len(frame) != given + aside + running.absorbed + held:
        raise CheckError(
            f"{step.name}: {len(frame)} rows were taken, but {given} given on + {aside} put aside "
            f"+ {running.absorbed} absorbed + {held} held."
        )
    if step.absorbs:
        return
    if not set(out.index) <= set(range(len(frame))):
        raise CheckError(f"{step.name}: rows given on must keep the index of the rows taken.")


def _plain_recipe(step: Step) -> None:
    recipe = step.recipe()
    json.dumps(recipe)
    if step.fresh().recipe() != recipe:
        raise CheckError(f"{step.name}: a fresh copy has another recipe.")


def _bounded(step: Step, rounds: int = 8) -> None:
    """Hold the state after many new entities to little more than after half as many."""
    running, sizes = step.fresh(), []
    for i in range(rounds):
        part = sample_events(1_000, seed=i, names=f"r{i}_")
        # twice 500 entities that were never seen before
        part["actor"] = part["entity"] = [f"r{i}_{j % 500}" for j in range(len(part))]
        part["time"] = (part["time"] + pd.Timedelta(days=2 * i)).dt.as_unit("us")
        running.process(part)
        running.take_sides()
        sizes.append(len(pickle.dumps(running)))
    if sizes[-1] > 1.5 * max(sizes[: rounds // 2]) + 16_384:
        raise CheckError(f"{step.name}: its state grows without bound (bytes after each 1,000 rows: {sizes}).")


def _with(frame: pd.DataFrame, columns: Sequence[str], wild: float) -> pd.DataFrame:
    """Put a wild value into a row of the first quarter."""
    return frame.assign(**{c: frame[c].astype("float64").where(frame.index != len(frame) // 4, wild) for c in columns})


@fitting
def check_detector(
    detector: Detector,
    frame: Any = None,
    seed: int = 0,
    odd: Odd | None = None,
    exempt: Mapping[str, str] | None = None,
) -> None:
    """Check the contract of a detector: that of a step, and that its score is one.

    Checked besides: rows are given on whole with a float64 ``score``; NaN until warm; no infinite score, also for a constant
    and for values a million times larger; a missing or a wild value does no harm for long; a missing column is named in the error;
    a row is scored before it is learned, and what is odd scores high: see :func:`govlab.testing.scores.check_scores`, which has
    ``odd`` and ``exempt``.

    Raises
    ------
    CheckError
        Says which rule was broken.
    """
    given, frame = frame, sampled(frame)
    check_step(detector, frame, seed)
    rows, _ = play(detector, frame)
    if len(rows) != len(frame) or rows["score"].dtype != "float64":
        raise CheckError(f"{detector.name}: must give on every row, with a float64 score.")
    taken = [c for c in frame.columns if c != "score"]  # a detector may add columns beside its score, but changes none
    pd.testing.assert_frame_equal(rows[taken].reset_index(drop=True), frame[taken])
    numbers, half = [c for c in frame.select_dtypes("number").columns if c not in frames.POSITION], len(frame) // 2
    for what, changed in (
        ("constant values", frame.assign(**dict.fromkeys(numbers, 5.0))),
        ("values a million times larger", frame.assign(**{c: frame[c] * 1e6 for c in numbers})),
        ("missing values", frame.assign(**{c: frame[c].where(frame.index % 3 != 0) for c in numbers})),
        *((f"one value of {wild:g}", _with(frame, numbers, wild)) for wild in (1e12, -1e308)),
    ):
        scores = play(detector, changed)[0]["score"].to_numpy()
        if np.isinf(scores).any():
            raise CheckError(f"{detector.name}: scores are infinite for {what}.")
        told, usual = (np.unique(values[half:][~np.isnan(values[half:])]).size for values in (scores, rows["score"].to_numpy()))
        if "one value" in what and told < 0.2 * usual:
            raise CheckError(f"{detector.name}: {what} leaves rows long after it without a score, or all with the same.")
    used = [c for c in (getattr(detector, "column", None), *(getattr(detector, "columns", None) or ())) if c]
    for column in used:
        try:
            detector.fresh().process(frame.drop(columns=column))
        except (SchemaError, KeyError, StepError) as error:
            if column not in str(error):
                raise CheckError(f"{detector.name}: the error for a missing column must name it: {error}") from error
        else:
            raise CheckError(f"{detector.name}: a missing column {column!r} must be an error.")
    check_scores(detector, given, odd, exempt)
