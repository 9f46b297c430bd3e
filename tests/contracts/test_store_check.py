"""The check of stores itself: a store that breaks a rule is told which."""

import contextlib
import os
import re

import pandas as pd
import pytest

from govlab.errors import CheckError, StoreError, TakenOverError
from govlab.stores import Snapshot, Sqlite
from govlab.testing import check_store


class ClaimsNothing(Sqlite):
    def claim(self, run):
        return 1


class Unfenced(Sqlite):
    def save(self, run, alerts, letters, snapshot, epoch=None):
        super().save(run, alerts, letters, snapshot)


class FencedTooLate(Sqlite):
    def save(self, run, alerts, letters, snapshot, epoch=None):
        super().save(run, alerts, None, None)
        super().save(run, alerts, letters, snapshot, epoch)


class OtherRefusal(Sqlite):
    def save(self, run, alerts, letters, snapshot, epoch=None):
        try:
            super().save(run, alerts, letters, snapshot, epoch)
        except TakenOverError as error:
            raise StoreError(str(error)) from error


class PositionsFirst(Sqlite):
    def save(self, run, alerts, letters, snapshot, epoch=None):
        super().save(run, None, None, snapshot, epoch)
        super().save(run, alerts, letters, None, epoch)


class PositionsBeforeLetters(Sqlite):
    def save(self, run, alerts, letters, snapshot, epoch=None):
        super().save(run, alerts, None, snapshot, epoch)
        super().save(run, None, letters, None, epoch)


class AlertsFirst(Sqlite):
    def save(self, run, alerts, letters, snapshot, epoch=None):
        super().save(run, alerts, None, None, epoch)
        super().save(run, None, letters, snapshot, epoch)


class CheckedAndInParts(Sqlite):
    """Finds what cannot be written before it writes anything, and can still be killed between its parts."""

    def save(self, run, alerts, letters, snapshot, epoch=None):
        trial = Sqlite(":memory:")
        trial.save(run, alerts, letters, snapshot)
        trial.close()
        super().save(run, None, None, snapshot, epoch)
        super().save(run, alerts, letters, None, epoch)


class Unannounced(Sqlite):
    writing = property(lambda self: lambda part: None, lambda self, value: None)


class Patient(Sqlite):
    """Takes any error for one that passes."""

    def save(self, *args):
        with contextlib.suppress(Exception):
            super().save(*args)


class Cautious(Sqlite):
    def save(self, *args):
        try:
            super().save(*args)
        except BaseException as error:
            raise StoreError("it failed") from error


class ManyLetters(Sqlite):
    def dead_letters(self, run=None, **page):
        found = super().dead_letters(run, **page)
        return pd.concat([found, found], ignore_index=True)


class ForgetsWriter(Sqlite):
    def snapshot(self, run):
        found = super().snapshot(run)
        return found and Snapshot(found.positions, found.state, found.finished)


class Alone(Sqlite):
    def __init__(self, path):
        super().__init__(":memory:")


class SkipsTies(Sqlite):
    def alerts(self, run=None, *, after=None, **rest):
        return super().alerts(run, after=after and (after[0], "~"), **rest)


class LongPages(Sqlite):
    def alerts(self, run=None, *, limit=None, **rest):
        return super().alerts(run, limit=limit and limit + 1, **rest)


class SamePage(Sqlite):
    def dead_letters_pages(self, run=None, *, limit=1_000):
        yield self.dead_letters(run, limit=limit)


class EndIncluded(Sqlite):
    def alerts(self, run=None, *, until=None, **rest):
        return super().alerts(run, until=until and pd.Timestamp(until) + pd.Timedelta("1us"), **rest)


class CountsAll(Sqlite):
    def count_alerts(self, run=None, *, since=None, until=None):
        return super().count_alerts(run)


class CountsLettersOfAllRuns(Sqlite):
    def count_dead_letters(self, run=None):
        return super().count_dead_letters()


class Unsorted(Sqlite):
    def alerts(self, run=None, **rest):
        return super().alerts(run, **rest).iloc[::-1]


class Nameless(Sqlite):
    def runs(self):
        return []


class Public(Sqlite):
    def __init__(self, path):
        super().__init__(path)
        os.chmod(path, 0o644)


@pytest.fixture(autouse=True)
def own_key(monkeypatch):
    monkeypatch.setenv("GOVLAB_KEY", "a key of sixteen bytes or more")


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (ClaimsNothing, "each claim of a run gives another epoch"),
        (Unfenced, "a save with an older epoch is refused"),
        (FencedTooLate, "leaves nothing behind"),
        (OtherRefusal, "a save with an older epoch raises TakenOverError"),
        (PositionsFirst, "positions are never written before alerts and dead letters"),
        (PositionsBeforeLetters, "positions are never written before alerts and dead letters"),
        (AlertsFirst, "leaves nothing behind"),
        (CheckedAndInParts, r"positions are never written before .* \(a write that is cut off at its alerts"),
        (Unannounced, "save calls writing('alerts') right before it writes that part"),
        (Patient, "alerts that cannot be written must be an error"),
        (Cautious, "save must let pass what writing('alerts') raises"),
        (ManyLetters, "a dead letter written twice is one"),
        (ForgetsWriter, "a snapshot is read back as it was"),
        (Alone, "another store on the same data sees it"),
        (SkipsTies, "pages of alerts have each once"),
        (LongPages, "pages of alerts have each once, in the order of the whole, and at most limit rows"),
        (SamePage, "pages of dead letters have each once"),
        (EndIncluded, "a range has its beginning and not its end"),
        (CountsAll, "count_alerts counts what alerts gives"),
        (CountsLettersOfAllRuns, "count_dead_letters counts what dead_letters gives"),
        (Unsorted, "alerts are not read back as they were written"),
        (Nameless, "runs() names the runs that were written"),
        (Public, "a file of a store can be read by its owner only"),
    ],
)
def test_a_store_that_breaks_a_rule_is_told_which(tmp_path, broken, rule):
    rule = rule if ".*" in rule else re.escape(rule)
    with pytest.raises(CheckError, match=rule):
        check_store(lambda: broken(tmp_path / "lab.db"))
