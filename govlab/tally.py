"""What a run counts. Those of its parts add up to that of the whole: partitions, shards, stages on a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pandas as pd

from govlab.recipes import recipe_hash
from govlab.scored import Scored
from govlab.summary import Fingerprint, Summary

__all__ = ["UNSEEN", "Count", "Tally", "added"]

UNSEEN = 2**62  # a time that no row has
Value = TypeVar("Value", int, "Count")


def added(one: Mapping[Any, Value], other: Mapping[Any, Value]) -> dict[Any, Value]:
    """Add the values of two mappings, key by key."""
    return {**one, **{key: one[key] + value if key in one else value for key, value in other.items()}}


@dataclass
class Count:
    """Rows that a step took, passed on and put aside, and what the detectors in it scored."""

    step: str
    taken: int = 0
    given: int = 0
    aside: int = 0
    scored: list[Scored] = field(default_factory=list)

    def __add__(self, other: Count) -> Count:
        """Add what the same step counted for other rows."""
        scored = [one + another for one, another in zip(self.scored, other.scored, strict=True)]
        return Count(self.step, self.taken + other.taken, self.given + other.given, self.aside + other.aside, scored)


@dataclass
class Tally:
    """Counts, times and the fingerprint of a run, or of a part of it: some of its rows, or some of the steps.

    Attributes
    ----------
    events, rows : int
        Rows taken from the source, and rows that came out.
    first_us, last_us, newest_us : int
        Event time of the first row, of the last one (where it is not ahead), and the newest; of parts, the first and the last
        by event time.
    sides : dict
        Rows put aside, by the name of the side.
    steps : dict
        What each step counted, by its number.
    held : int
        Rows that the steps hold.
    thresholds : dict
        For each alert step that has one, the score that a row must reach now.
    fingerprint : Fingerprint
        Of the rows taken and the rows that came out.
    """

    events: int = 0
    rows: int = 0
    first_us: int = UNSEEN
    last_us: int = -UNSEEN
    newest_us: int = -UNSEEN
    sides: dict[str, int] = field(default_factory=dict)
    steps: dict[int, Count] = field(default_factory=dict)
    held: int = 0
    thresholds: dict[str, float] = field(default_factory=dict)
    fingerprint: Fingerprint = field(default_factory=Fingerprint)

    def __add__(self, other: Tally) -> Tally:
        """Add another part of the same run."""
        return Tally(
            self.events + other.events,
            self.rows + other.rows,
            min(self.first_us, other.first_us),
            max(self.last_us, other.last_us),
            max(self.newest_us, other.newest_us),
            added(self.sides, other.sides),
            added(self.steps, other.steps),
            self.held + other.held,
            self.thresholds | other.thresholds,
            self.fingerprint + other.fingerprint,
        )

    def behind(self, n: int) -> Tally:
        """Give the same with its steps numbered from ``n`` on, to list them behind those of other pipelines."""
        return replace(self, steps={n + i: count for i, count in self.steps.items()})

    def summary(
        self,
        state: str,
        recipe: Mapping[str, Any],
        dead_letters: int = 0,
        wall_s: float = 0.0,
        cpu_s: float = 0.0,
        letter_reasons: Mapping[str, int] | None = None,
    ) -> Summary:
        """Write the summary; a run that came to the end without a row is not simply finished."""
        if state == "finished" and not self.events:
            state = "unreadable" if dead_letters else "empty"
        steps = [count for _, count in sorted(self.steps.items())]
        span = [str(pd.Timestamp(us, unit="us", tz="UTC")) for us in (self.first_us, self.newest_us) if abs(us) != UNSEEN]
        return Summary(
            state=state,
            events=self.events,
            rows=self.rows,
            steps=[{"step": one.step, "taken": one.taken, "given": one.given, "aside": one.aside} for one in steps],
            sides=dict(sorted(self.sides.items())),
            late=self.sides.get("late", 0),
            dead_letters=dead_letters,
            held=self.held,
            event_time=span or None,
            lag_s=(self.newest_us - self.last_us) / 1e6 if span else None,
            scored=[scored.to_dict() for one in steps for scored in one.scored],
            thresholds=dict(self.thresholds),
            letter_reasons=dict(letter_reasons or {}),
            wall_s=wall_s,
            cpu_s=cpu_s,
            recipe=recipe_hash(recipe),
            fingerprint=self.fingerprint.digest(recipe),
        )
