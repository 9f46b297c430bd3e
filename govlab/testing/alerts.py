"""Check of steps that make alerts, or pass them on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from govlab.errors import CheckError, SchemaError
from govlab.frames import event_frame, from_us, time_us
from govlab.step import Step
from govlab.testing.samples import START_US
from govlab.testing.steps import play, same

DAY_US = 86_400_000_000
DAYS, ROWS, CAP = 8, 1_440, 300.0


def check_alerts(step: Step, seed: int = 0) -> None:
    """Check that a step alerts on the last day as on the first, where scores are at their cap.

    Ten rows of each day, one of a thousand, have the highest score that there is. So on each day but the first at least one
    alert must come; and what comes out must not depend on the cuts, though many scores are equal.

    Parameters
    ----------
    step : Step
        One that ``gives_alerts``.
    seed : int
        For the cuts.

    Raises
    ------
    CheckError
        Says which rule was broken.
    """
    frame = _saturated()
    try:
        step.fresh().process(frame.drop(columns="id"))
    except SchemaError:  # it takes alerts, and they are of the rows at the cap
        frame = frame[frame["score"] == CAP].reset_index(drop=True)
    whole = play(step, frame)
    days = set(((time_us(whole[0]) - START_US) // DAY_US).tolist())
    quiet = sorted(set(range(1, DAYS)) - days)
    if quiet:
        raise CheckError(
            f"{step.name}: of {DAYS} days, each with ten rows at the highest score there is, there is no alert on day "
            f"{', '.join(map(str, quiet))}: a score that can be no higher must be enough."
        )
    for edges in np.sort(np.random.default_rng(seed).integers(1, len(frame), (3, 20))).tolist():
        same(step, whole, play(step, frame, edges), "cutting, where scores are at their cap,")


def _saturated() -> pd.DataFrame:
    row = np.arange(DAYS * ROWS)
    capped = (row % ROWS >= 600) & (row % ROWS < 610)
    return event_frame(
        {
            "time": from_us(START_US + row * 60_000_000),
            "start": from_us(START_US + row * 60_000_000),
            "actor": [f"u{n % 7}" for n in row],
            "entity": [f"u{n % 7}" for n in row],
            "id": [f"a{n}" for n in row],
            "reason": "sample",
            "score": np.where(capped, CAP, row % 3 * 1e-9),
        }
    )
